#!/usr/bin/env python3
"""Each requirement of a table here (section, level, the requirement in our words, tests) names tests that exist.

A test is `Suite.Name` (C++), `x_test.py::test_name` or `x_test.py::*` (all of tests/e2e/x_test.py), `x_test.py[row]` (a
row of its tables, by its name), `[section what]` (a row of tests/e2e/rfc9111_test.py), or `-: reason` where there is
none.
"""
import glob
import os
import re
import sys

ROWS = ("hpack", "http1_content", "http1_strictness", "http2_frames", "http2_requests")  # the files with named rows
TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LEVELS = {"MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY"}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def known_tests():
    """Names of all kinds."""
    known = set()
    for path in glob.glob(TESTS + "/**/*_test.cc", recursive=True):
        known |= {".".join(names) for names in re.findall(r"\bTEST(?:_[PF])?\(\s*(\w+),\s*(\w+)\s*\)", read(path))}
    for path in glob.glob(TESTS + "/e2e/*_test.py"):
        file = os.path.basename(path)
        known.add(file + "::*")
        known |= {f"{file}::{name}" for name in re.findall(r"^def (test_\w+)\(", read(path), re.M)}
    for name in ROWS:
        file = f"{name}_test.py"
        known |= {f"{file}[{row}]" for row in re.findall(r'"((?:[^"\\\n])+)"', read(f"{TESTS}/e2e/{file}"))}
    rows = re.findall(r'twice\("([^"]+)", "([^"]+)"', read(TESTS + "/e2e/rfc9111_test.py"))
    return known | {f"[{section} {what}]" for section, what in rows}


def faults_of(text, known):
    """What is wrong with a table, a line each."""
    for number, line in enumerate(text.splitlines()[1:], 2):
        cells = line.split("\t")
        if len(cells) != 4 or not all(cells):
            yield f"{number}: four cells, none empty"
            continue
        if not re.fullmatch(r"\d+(\.\d+)*", cells[0]) or cells[1] not in LEVELS:
            yield f"{number}: a section's number, and one of {sorted(LEVELS)}"
        for test in cells[3].split("; "):
            if test not in known and not re.match(r"-: \w", test):
                yield f"{number}: there is no test {test!r}"


def check_itself(known):
    """It can fail."""
    assert any(known) and not list(faults_of("head\n3\tMUST\tx\t-: reason", known))
    for bad in ("3\tMUST\tx", "x\tMUST\tx\t-: y", "3\tWILL\tx\t-: y", "3\tMUST\tx\t-", "3\tMUST\tx\tNo.Such", "3\tMUST\tx\t"):
        assert list(faults_of("head\n" + bad, known)), bad


def main():
    known = known_tests()
    check_itself(known)
    faults = [f"{path}:{fault}" for path in sorted(glob.glob(TESTS + "/rfc/*.tsv"))
              for fault in faults_of(read(path), known)]
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
