"""A disk that can be cut from its power, with a file system on it: nbdkit (support/disk_plugin.py), which nbdfuse
shows as a file, which is a loop device, which is mounted.

    disk = Disk(seed=1)
    ... disk.folder
    disk.cut(edge)   # the processes of `edge` and the disk end at once; the disk comes back as a real one might
    disk.close()

At a cut a random half of what was not flushed is kept, a quarter of it torn at sectors; the rest is lost.
REQUIRES: root.
"""
import contextlib
import json
import os
import random
import re
import shutil
import struct
import subprocess
import tempfile
import time

from support.edge import wait_until

PLUGIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "disk_plugin.py")
SECTOR = 512
RECORD = struct.Struct("<QQ")  # of the plugin's log


class Disk:
    def __init__(self, seed=0, size=256 << 20, memory="/dev/shm"):
        self._random = random.Random(seed)
        self._home = tempfile.mkdtemp(prefix="entrepot-disk-", dir=memory)
        self.folder = self._at("mounted")
        self.unflushed = self.kept = 0  # writes, at the last cut
        self._kit = self._fuse = self._loop = None
        for name in ("mounted", "exported"):
            os.mkdir(self._at(name))
        try:
            with open(self._at("image"), "wb") as image:
                image.truncate(size)
            self._attach()
            run("mkfs.ext4", "-q", "-b", "4096", "-m", "0", "-N", "8192", "-E", "nodiscard,lazy_itable_init=0",
                self._loop)
            self._mount()
        except BaseException:
            self.close()
            raise

    def _at(self, name):
        return os.path.join(self._home, name)

    # -- its life --

    def _attach(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._at("socket"))
        said = open(self._at("said"), "ab")
        self._kit = subprocess.Popen(
            ["nbdkit", "--foreground", "--exit-with-parent", "--unix", self._at("socket"), "python", PLUGIN,
             *(f"{name}={self._at(name)}" for name in ("image", "log", "faults"))], stdout=said, stderr=said)
        self._wait(lambda: os.path.exists(self._at("socket")))
        where = f"nbd+unix:///?socket={self._at('socket')}"
        self._fuse = subprocess.Popen(["nbdfuse", self._at("exported/disk"), where], stdout=said, stderr=said)
        said.close()
        self._wait(lambda: os.path.exists(self._at("exported/disk")))
        self._loop = run("losetup", "--find", "--show", self._at("exported/disk")).strip()

    def _wait(self, condition):
        def what():
            with open(self._at("said"), encoding="utf-8") as file:
                return "the disk:\n" + file.read()
        wait_until(condition, what, 20)

    def _mount(self):
        if subprocess.run(["mount", self._loop, self.folder], capture_output=True, check=False).returncode != 0:
            self.check()  # what a machine does at its start
            run("mount", self._loop, self.folder)

    def check(self):
        done = subprocess.run(["e2fsck", "-p", self._loop], capture_output=True, text=True, check=False)
        assert done.returncode <= 1, done.stdout + done.stderr

    @staticmethod
    def _unmount(folder):
        """Whoever has it open is about to end: the killed processes, a loop device that is being detached."""
        def gone():
            subprocess.run(["umount", folder], capture_output=True, check=False)
            with open("/proc/self/mounts", encoding="utf-8") as mounts:
                return f" {folder} " not in mounts.read()
        wait_until(gone, f"{folder} to be unmounted", 20)

    def _detach(self):
        """Nothing of it is left, whatever state it is in."""
        self._unmount(self.folder)
        if self._loop:
            run("losetup", "--detach", self._loop)
        self._loop = None
        if self._fuse:
            self._unmount(self._at("exported"))
            self._fuse.wait(20)
            self._fuse = None
        if self._kit:
            self._kit.kill()
            self._kit.wait()
            self._kit = None

    def remount(self):
        """An end and a start in order; nothing of what was on it is in memory any more."""
        self._detach()
        self._attach()
        self._mount()

    def wait_unflushed(self, bytes_at_stake, seconds=1):
        """Until a cut would find that much to lose, but not for ever: there may never be so much."""
        deadline = time.monotonic() + seconds
        while os.path.getsize(self._at("log")) < bytes_at_stake and time.monotonic() < deadline:
            time.sleep(0.0005)

    def cut(self, *edges):
        for edge in edges:
            edge.strike()
        self._kit.kill()
        for edge in edges:
            edge.wait_killed()
        self._detach()
        self._lose()
        self._attach()
        self._mount()

    def _lose(self):
        with open(self._at("log"), "rb") as log:
            writes = log.read()
        at, self.unflushed, self.kept = 0, 0, 0
        with open(self._at("image"), "r+b") as image:
            while at + RECORD.size <= len(writes):
                offset, length = RECORD.unpack_from(writes, at)
                data = writes[at + RECORD.size:at + RECORD.size + length]
                at += RECORD.size + length
                self.unflushed += 1
                if self._random.random() < 0.5:
                    continue
                self.kept += 1
                torn = self._random.random() < 0.25
                for first in range(0, len(data), SECTOR if torn else len(data)):
                    if not torn or self._random.random() < 0.5:
                        image.seek(offset + first)
                        image.write(data[first:first + SECTOR] if torn else data)

    def close(self):
        """May be called again."""
        self._detach()
        shutil.rmtree(self._home, ignore_errors=True)

    # -- its faults --

    def fail(self, **faults):
        """See support/disk_plugin.py. Without faults it is a good disk again."""
        with open(self._at("faults.new"), "w", encoding="ascii") as file:
            json.dump(faults, file)
        os.rename(self._at("faults.new"), self._at("faults"))

    def extents(self, path):
        """Where a file's bytes stand on the disk: [[first, end], ...]."""
        found = re.findall(r"^ *\d+: +\d+\.\. +\d+: +(\d+)\.\. +(\d+):", run("filefrag", "-v", "-b512", path), re.M)
        return [[int(first) * SECTOR, (int(last) + 1) * SECTOR] for first, last in found]

    def everywhere(self):
        return [[0, os.path.getsize(self._at("image"))]]


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout
