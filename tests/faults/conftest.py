import os
import random
import shutil
import signal

import pytest

from faults import oracle
from support.disk import Disk
from support.edge import ROOT

# What is made here are mounts, loop devices and processes: they are to go away when the run is ended, too.
signal.signal(signal.SIGTERM, signal.default_int_handler)

TOOLS = ("nbdkit", "nbdfuse", "losetup", "mkfs.ext4", "e2fsck", "filefrag", "strace", "prlimit",
         "faketime", "ip", "iptables")


@pytest.fixture(scope="session", autouse=True)
def rights_and_tools():
    assert os.geteuid() == 0, "tests/faults mounts disks and limits memory: run it as root"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    assert not missing, f"tools that are missing: {missing}; see .ci/packages.txt, [test]"


@pytest.fixture
def seed(request):
    """ENTREPOT_SEED repeats what chance did."""
    seed = int(os.environ.get("ENTREPOT_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"ENTREPOT_SEED={seed}")
    request.node.user_properties.append(("seed", seed))
    return seed


@pytest.fixture(autouse=True)
def figures(request):
    """What the test's reports say goes with its outcome to whoever writes the figures, another process perhaps."""
    oracle.reports.clear()
    yield
    request.node.user_properties += [("figures", str(report)) for report in oracle.reports]


@pytest.fixture
def make_disk(seed):
    disks = []

    def make(**options):
        disks.append(Disk(seed=seed, **options))
        return disks[-1]

    yield make
    for disk in disks:
        disk.close()


@pytest.fixture
def disk(make_disk):
    return make_disk()


@pytest.fixture
def seeded():
    """seeded(FAULT): options of an Edge whose binary does without one protection (cache/seeded_fault.h)."""
    program = os.environ.get("ENTREPOT_SEEDED_BIN", "")
    assert os.access(program, os.X_OK), "ENTREPOT_SEEDED_BIN must name a binary built with ENTREPOT_SEEDED_FAULTS=ON"
    return lambda fault: {"program": program, "environment": {"ENTREPOT_SEEDED_FAULT": fault}}


# -- the figures: of each test when it has ended, and of all together --

FIGURES = os.path.join(os.environ.get("ENTREPOT_RESULTS", os.path.join(ROOT, "build/results")), "faults-figures.txt")
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ  # whoever started it hears of each test, too
so_far = {}  # test -> (seconds, how it went)
lines = []


def pytest_sessionstart():
    if not IS_WORKER:
        os.makedirs(os.path.dirname(FIGURES), exist_ok=True)
        with open(FIGURES, "w", encoding="utf-8"):
            pass


def pytest_runtest_logreport(report):
    """Called for each part of a test: what sets it up, itself, what ends it."""
    if IS_WORKER or "faults/" not in report.nodeid:
        return
    seconds, outcome = so_far.pop(report.nodeid, (0, "passed"))
    seconds += report.duration
    if report.outcome != "passed":
        outcome = report.outcome
    if report.when != "teardown":
        so_far[report.nodeid] = seconds, outcome
        return
    seeds = [f"  ENTREPOT_SEED={value}" for name, value in report.user_properties if name == "seed"]
    new = [f"{seconds:6.0f} s  {outcome}  {report.nodeid.partition('faults/')[2]}{''.join(seeds)}"]
    new += [f"{'':10}{value}" for name, value in report.user_properties if name == "figures"]
    lines.extend(new)
    with open(FIGURES, "a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in new))


def pytest_terminal_summary(terminalreporter):
    if lines:
        terminalreporter.section("what was seen")
        terminalreporter.write("".join(f"{line}\n" for line in lines))
