"""What HTTP/2 lets a client ask of a server without an end: each attack is cut off early, costs little memory, and no other
client notices. The attackers send as fast as they can.

Source: CVE-2023-44487 (Rapid Reset), CVE-2025-8671 (MadeYouReset), CVE-2019-9511 to 9518, CVE-2024-27316 (CONTINUATION).
"""
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.frames import (
    CANCEL, CONTINUATION, END_HEADERS, END_STREAM, INITIAL_WINDOW_SIZE, NO_ERROR, PING, PREFACE, PRIORITY, RST_STREAM, SETTINGS,
    Frames, data, frame, get, headers, literal, priority, reset, settings, text, window_update)
from support.memory import SANITIZED, peak_of

MIB = 1 << 20
SPARE = 512 * MIB if SANITIZED else 0
FRAMES = 1_000_000
CONNECTIONS = 10
SMALL = get("/small")


@pytest.fixture(scope="module")
def attacked(strict_edge):
    """An edge that has met floods before: what its allocator keeps then is kept once."""
    for _ in range(CONNECTIONS):
        with Frames(strict_edge.clear_port) as c:
            c.send(frame(PING, payload=b"12345678") * 1000)
            c.until(lambda c=c: c.at_end)
    return strict_edge


class Attacker(Frames):
    """Sends piece after piece until it is cut off, or has no more; reads what comes meanwhile, so that nothing is stuck."""

    def attack(self, pieces):
        with self:
            for piece in pieces:
                self.send(piece)
                while not self.at_end and self.waiting():
                    self.until(self.heard(), seconds=10)
                if self.at_end:
                    break
            return self.until(lambda: self.at_end, seconds=10)

    def heard(self):
        """Whether anything has come since this was called."""
        before = len(self.seen)
        return lambda: len(self.seen) > before


def at_once(acts):
    with ThreadPoolExecutor(len(acts)) as threads:
        for done in [threads.submit(act) for act in acts]:
            done.result()


def in_pieces(one, count, size=65536):
    """`one`, so often, in pieces of about `size` bytes."""
    each = max(1, size // len(one))
    for _ in range(count // each):
        yield one * each


def numbered(make, count, each=100):
    """make(id) for all ids of a client, one after the other."""
    for first in range(0, count, each):
        yield b"".join(make(2 * i + 1) for i in range(first, min(first + each, count)))


def others_are_served(edge):
    assert edge.fetch("/small").body == b"s" * 100
    with Frames(edge.clear_port) as c:
        c.send(headers(1, SMALL))
        c.until(lambda: 1 in c.ended)
        assert c.bodies[1] == b"s" * 100


# -- floods: a million frames that cost nothing to send --

OPEN_POST = headers(1, get("/pass/thing", method="POST"), END_HEADERS)
FLOODS = {
    "CONTINUATION": (headers(1, SMALL[:20], END_STREAM), frame(CONTINUATION, 1, b"")),
    "CONTINUATION with fields": (headers(1, SMALL, END_STREAM), frame(CONTINUATION, 1, literal("a", "b"))),
    "SETTINGS": (b"", settings()),
    "SETTINGS that change the table": (b"", settings((1, 0), (1, 4096))),
    "SETTINGS that change the windows": (headers(1, get("/big")), settings((4, 0)) + settings((4, 65535))),
    "SETTINGS that acknowledge": (b"", frame(SETTINGS, flags=1)),
    "PING": (b"", frame(PING, payload=b"12345678")),
    "PRIORITY": (b"", priority(1)),
    "PRIORITY in a chain": (b"", priority(1, 3) + priority(3, 5) + priority(5, 1)),
    "WINDOW_UPDATE": (b"", window_update(0, 1)),
    "WINDOW_UPDATE on a stream": (headers(1, get("/big")), window_update(1, 1)),
    "empty DATA": (OPEN_POST, data(1, b"", 0)),
    "empty DATA, padded": (OPEN_POST, data(1, b"\x00", 0x8)),
    "RST_STREAM": (headers(1, SMALL), reset(1)),
    "HEADERS of a stream that has ended": (headers(1, get("/big")), headers(1, SMALL)),
}


@pytest.mark.parametrize("opening, one", FLOODS.values(), ids=FLOODS)
def test_a_flood_is_cut_off_and_costs_no_memory(attacked, opening, one):
    before = attacked.metrics()["requests_total"]
    c = Attacker(attacked.clear_port, opening=PREFACE + settings() + opening)
    assert peak_of(attacked, lambda: c.attack(in_pieces(one, FRAMES))) <= 8 * MIB + SPARE
    assert c.goaway not in (None, NO_ERROR), c.seen[-5:]
    assert attacked.metrics()["requests_total"] <= before + 1
    others_are_served(attacked)


# -- streams that are reset --

def test_rapid_reset_is_cut_off_after_250_requests(attacked, strict_origin):
    """Each is asked for and given up at once: 100,000 to a connection."""
    asked, before = len(strict_origin.requests), attacked.metrics()["requests_total"]
    thing = get("/pass/thing")
    attackers = [Attacker(attacked.clear_port) for _ in range(CONNECTIONS)]
    at_once([lambda c=c: c.attack(numbered(lambda id_: headers(id_, thing) + reset(id_, CANCEL), 100_000))
             for c in attackers] + [lambda: [others_are_served(attacked) for _ in range(10)]])
    assert all(c.goaway not in (None, NO_ERROR) for c in attackers)
    assert attacked.metrics()["requests_total"] - before <= 250 * CONNECTIONS + 20
    assert len(strict_origin.requests) - asked <= 250 * CONNECTIONS


TRIGGERS = {
    "a window that overflows": lambda id_: headers(id_, SMALL) + window_update(id_, (1 << 31) - 1),
    "an increment of 0": lambda id_: headers(id_, SMALL) + window_update(id_, 0),
    "DATA behind the end": lambda id_: headers(id_, get("/big")) + data(id_, b"x"),
    "HEADERS behind the end": lambda id_: headers(id_, get("/big")) + headers(id_, SMALL),
    "a PRIORITY of the wrong length": lambda id_: headers(id_, SMALL) + frame(PRIORITY, id_, b"1234"),
    "a name in upper case": lambda id_: headers(id_, get("/small", ("A", "b"))),
    "a length that DATA contradicts": lambda id_: headers(id_, get("/pass/thing", ("content-length", "1"), method="POST"),
                                                         END_HEADERS) + data(id_, b"more"),
    "trailers that do not end": lambda id_: headers(id_, get("/pass/thing", method="POST"), END_HEADERS)
    + headers(id_, literal("a", "b"), END_HEADERS),
    "a path with a fragment": lambda id_: headers(id_, get("/small#part")),
    "streams over the limit": lambda id_: headers(id_, get("/big")),
}


@pytest.mark.parametrize("make", TRIGGERS.values(), ids=TRIGGERS)
def test_who_makes_the_server_reset_is_cut_off_after_150_resets(attacked, make):
    c = Attacker(attacked.clear_port).attack(numbered(make, 10_000, each=20))
    assert sum(f.kind == RST_STREAM for f in c.seen) <= 150
    assert c.goaway not in (None, NO_ERROR)
    others_are_served(attacked)


# -- requests that are small on the wire and large in memory --

def stored_then_named(count, size):
    """A field of `size` bytes that enters the table, and its index, so often."""
    return b"\x40" + text("a") + text("b" * size) + b"\xbe" * count


BOMBS = {
    "one large field of the table, 16,000 times": lambda id_: headers(id_, SMALL + stored_then_named(16_000, 300)),
    "a field of 4,000 bytes, 1,000 times": lambda id_: headers(id_, SMALL + stored_then_named(1000, 4000)),
    "static fields, 16,000 times": lambda id_: headers(id_, SMALL + b"\x90" * 16_000),
    "cookie crumbs": lambda id_: headers(id_, SMALL + literal("cookie", "a") * 800),
    "a field of 16,000 bytes": lambda id_: headers(id_, SMALL + literal("a", "b" * 16_000)),
    "trailers": lambda id_: headers(id_, get("/pass/thing", method="POST"), END_HEADERS)
    + headers(id_, literal("a", "b") * 3000),
    "fields right below the limits": lambda id_: headers(id_, get("/big", *[(f"a{i}", "b" * 140) for i in range(90)])),
}


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS)
def test_bombs_that_are_never_read_hold_little_and_go(impatient, make):
    """100 streams on each of 10 connections, and no window for any answer."""
    opening = PREFACE + settings((INITIAL_WINDOW_SIZE, 0))
    peers = []

    def attack():
        for _ in range(CONNECTIONS):
            peers.append(Frames(impatient.clear_port, opening=opening))
            for piece in numbered(make, 100, each=10):
                peers[-1].send(piece)
        for c in peers:  # each of its streams has ended, or it has
            c.until(lambda c=c: c.goaway is not None or len(c.ended | set(c.resets)) == 100, seconds=15)

    grown = peak_of(impatient, attack)
    for c in peers:
        c.close()
    assert grown <= 64 * MIB + SPARE
    others_are_served(impatient)
