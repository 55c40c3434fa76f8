import os
import random
import shutil
import signal

import pytest

from support.disk import Disk

# What is made here are mounts, loop devices and processes: they are to go away when the run is ended, too.
signal.signal(signal.SIGTERM, signal.default_int_handler)

TOOLS = ("nbdkit", "nbdfuse", "losetup", "mkfs.ext4", "e2fsck", "filefrag", "strace", "prlimit",
         "faketime")


@pytest.fixture(scope="session", autouse=True)
def rights_and_tools():
    assert os.geteuid() == 0, "tests/faults mounts disks and limits memory: run it as root"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    assert not missing, f"tools that are missing: {missing}; see .ci/packages.txt, [test]"


@pytest.fixture
def seed():
    """ENTREPOT_SEED repeats what chance did."""
    seed = int(os.environ.get("ENTREPOT_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"ENTREPOT_SEED={seed}")
    return seed


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
