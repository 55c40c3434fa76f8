"""Fills, hits, evictions, removals and reloads at once, by clients of both versions, until there was enough of each.

What the sanitizers are to see together: the thread sanitizer runs it, too.
"""
import os
import random
import subprocess
import time

from faults.oracle import KIB, MIB, Load, Report, add_things

ENOUGH = {"hits": 300, "evictions": 150, "reloads": 6, "removals": 6}
WAIT_SECONDS = 180


def test_fills_hits_evictions_and_reloads_at_once_are_right(make_edge, origin):
    report, chance = Report("mixed"), random.Random(17)
    small, large = ([chance.randrange(*sizes) for _ in range(30)] for sizes in ((1, 16 * KIB), (70 * KIB, 900 * KIB)))
    things = add_things(origin, small + large + [3 * MIB] * 3, "/mixed")
    edge = make_edge("location / { repository things; }", cache="max_size=12m", http=(
        f"repository things {{ format generic; proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}")).start()
    seen = dict.fromkeys(ENOUGH, 0)
    end = time.monotonic() + WAIT_SECONDS
    load = Load(edge, things, report, seed=17, clients=4)
    while any(seen[what] < enough for what, enough in ENOUGH.items()) and not report.complaints():
        assert time.monotonic() < end, f"waited {WAIT_SECONDS} s for enough of each: {seen}"
        edge.reload()
        name = chance.choice(list(things))
        done = subprocess.run([edge.program, "cache", "rm", os.path.join(edge.folder, edge.store), "repository:things",
                               name], capture_output=True, check=False)
        assert done.returncode in (0, 1), done.stderr
        seen.update(hits=report.hits, evictions=edge.metrics()["evicted_blobs_total"],
                    reloads=seen["reloads"] + 1, removals=seen["removals"] + (done.returncode == 0))
    load.stop()
    assert report.refused == 0
    report.assert_clean()
