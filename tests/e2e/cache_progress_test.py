"""How far a long command is: a bar on a terminal, which moves and goes away; on a pipe there is none."""
import contextlib
import os
import pty
import re
import select
import socket
import subprocess
import time

import pytest

from support.edge import binary, wait_until

MIB = 1 << 20


@pytest.fixture
def stopped(make_edge, origin):
    """The store of an edge that has ended, with one thing of 24 MiB."""
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}").start()
    thing = origin.add("/thing", size=24 * MIB)
    assert edge.fetch("/thing").body == thing.data
    edge.wait_idle()
    edge.stop()
    return os.path.join(edge.folder, edge.store)


class Terminal:
    """A terminal that a command has as its stderr: `text` is all that it was sent."""

    def __enter__(self):
        self._ours, self.theirs = pty.openpty()
        self.text = ""
        return self

    def __exit__(self, *_):
        os.close(self._ours)
        os.close(self.theirs)

    def look(self, seconds=0.0):
        while select.select([self._ours], [], [], seconds)[0]:
            self.text += os.read(self._ours, 65536).decode()
            seconds = 0
        return self.text

    def bars(self):
        return [int(part) for part in re.findall(r"\[[# ]{24}\] (\d+)% ", self.text)]


def is_cleared(text):
    """The last that stands on the line is nothing."""
    return text.endswith("\r\x1b[K")


def slowly(pipe, meanwhile):
    """Reads all of a pipe, little by little until `meanwhile` says that it has seen enough."""
    taken, enough = 0, False
    while piece := os.read(pipe, 64 << 10 if not enough else MIB):
        taken += len(piece)
        enough = enough or meanwhile()
    return taken


def test_the_bar_of_an_export_moves_and_is_cleared_before_the_sums(stopped):
    with Terminal() as terminal:
        export = subprocess.Popen([binary(), "cache", "export", stopped, "-"], stdout=subprocess.PIPE,
                                  stderr=terminal.theirs)

        def moved():
            terminal.look(0.02)
            return len(set(terminal.bars())) >= 3

        assert slowly(export.stdout.fileno(), moved) > 24 * MIB
        assert export.wait() == 0
        text = terminal.look()
    assert terminal.bars() == sorted(terminal.bars()) and " of 24.0 MiB, " in text and " left\x1b[K" in text
    told = "1 blob (24.0 MiB) and 1 name written\r\n"
    assert text.endswith(told) and is_cleared(text.removesuffix(told))


def test_a_pipe_is_sent_no_bar(stopped):
    export = subprocess.Popen([binary(), "cache", "export", stopped, "-"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
    began = time.monotonic()
    slowly(export.stdout.fileno(), lambda: time.sleep(0.01) or time.monotonic() > began + 1)
    assert export.stderr.read() == b"1 blob (24.0 MiB) and 1 name written\n"
    assert export.wait() == 0


@contextlib.contextmanager
def held_up(store):
    """Somebody listens on the store's socket and lets nobody in, until `let_in` is called."""
    path = os.path.join(store, "control")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener, \
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as first:
        before = os.getcwd()
        os.chdir(store)  # a socket's path has 108 bytes
        try:
            listener.bind("control")
            listener.listen(0)
            first.connect("control")
        finally:
            os.chdir(before)
        yield lambda: listener.accept()[0].close()
        os.unlink(path)


def is_asleep(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0] == "S"


@pytest.mark.parametrize("json", [False, True])
def test_stat_tells_how_many_records_it_has_read_and_clears_that(stopped, json):
    """Whom it asks before it reads is made to keep it waiting, so that its first record comes late enough."""
    with Terminal() as terminal, held_up(stopped) as let_in:
        stat = subprocess.Popen([binary(), "cache", "stat", stopped, *(["--json"] if json else [])],
                                stdout=subprocess.PIPE, stderr=terminal.theirs)
        wait_until(lambda: is_asleep(stat.pid), "stat to wait for whoever holds the store")
        time.sleep(0.3)  # a bar comes after 0.2 s
        let_in()
        told = stat.communicate()[0].decode()
        text = terminal.look()
    assert stat.returncode == 0 and "format" in told
    if json:
        assert text == ""
    else:
        assert re.match(r"\rstat \S+ 1 record, \d+ records?/s\x1b\[K", text), text
        assert is_cleared(text)
