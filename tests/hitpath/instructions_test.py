"""A hit costs no more instructions than it did when somebody last made it less. Counted, not timed: each run gives the
same within half a percent. Over the limit: `bench/instructions.py --top 40` says where they go."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../bench"))
import instructions  # noqa: E402


@pytest.mark.parametrize("name", instructions.ROWS)
def test_a_hit_costs_no_more_instructions_than_it_did(name):
    row = instructions.ROWS[name]
    cost = instructions.measure(row)
    assert row.limit * 0.5 < instructions.counted(cost) <= row.limit, \
        "\n".join(f"{count:8.0f} {each}" for each, count in sorted(cost.items(), key=lambda item: -item[1])[:40])
