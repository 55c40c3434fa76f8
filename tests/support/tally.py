"""Adds up JUnit files and says so in a last line: `N passed, N failed`. --over SECONDS: what took longer, before it.

Ends with 0 only when all passed: what was skipped, disabled or not run is named and counts as failed.
"""
import argparse
import sys
import xml.etree.ElementTree


def outcome(case):
    """passed, failed, or the word for why it did not run."""
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    if case.find("skipped") is not None:
        return "skipped"
    status = case.get("status", "run")  # ctest and GoogleTest write it
    return {"run": "passed", "fail": "failed"}.get(status, status)


def read(path):
    """(name, outcome, seconds) of each case; a file that cannot be read is one that failed."""
    try:
        cases = list(xml.etree.ElementTree.parse(path).iter("testcase"))
    except (OSError, xml.etree.ElementTree.ParseError) as error:
        return [(f"{path}: {error}", "failed", 0)]
    if not cases:
        return [(f"{path}: no tests", "failed", 0)]
    return [(f"{case.get('classname', '')}.{case.get('name')}", outcome(case), float(case.get("time", 0)))
            for case in cases]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broken", type=int, default=0, help="stages that ended before their tests")
    parser.add_argument("--over", type=float, default=float("inf"))
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    passed, failed, slow = 0, options.broken, []
    for path in options.files:
        stage = "/".join(path.split("/")[-2:]).removesuffix(".xml")
        for name, how, seconds in read(path):
            if seconds > options.over:
                slow.append((seconds, f"{name} ({stage})"))
            if how == "passed":
                passed += 1
            else:
                failed += 1
                print(f"{how}: {name} ({stage})")
    for seconds, name in sorted(slow, reverse=True):
        print(f"{seconds:8.1f} s  {name}")
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
