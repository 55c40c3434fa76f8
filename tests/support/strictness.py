"""Rows of tables that say what a peer sends on an HTTP/2 connection and what must come of it.

    ROWS = [Row("DATA on stream 0", [data(0, b"x")], connection_error(PROTOCOL_ERROR)), ...]
    run(row, Frames(port, ca, row.opening))

Whatever does not end the connection must leave it fit for the next request: each row ends with one.
"""
import dataclasses
import typing

from support.frames import NO_ERROR, PREFACE, Frames, get, headers, settings

PROBE, PROBE_STREAM = "/probe", 1001


@dataclasses.dataclass
class Row:
    name: str
    sends: list             # bytes, or functions of the connection that wait for something
    comes: typing.Callable  # of the connection: fails where something else came
    opening: bytes = PREFACE + settings()


def rows_of(*rows):
    """pytest's parameters, each under its row's name."""
    names = [row.name for row in rows]
    assert len(set(names)) == len(names), f"twice: {[name for name in names if names.count(name) > 1]}"
    return {"argvalues": rows, "ids": names}


def run(row, connection: Frames):
    with connection as c:
        for part in row.sends:
            c.send(part) if isinstance(part, bytes) else part(c)
        row.comes(c)


# -- what comes --

def connection_error(*codes):
    """GOAWAY with one of the codes, then the end."""
    def check(c):
        c.until(lambda: c.at_end)
        assert c.goaway in codes, f"{c.goaway} came, not {codes}: {c.seen}"
    return check


def ended(c):
    """The end of the connection, without a word that it could understand."""
    c.until(lambda: c.at_end)
    assert c.goaway is None, c.seen


def probe(c):
    c.send(headers(PROBE_STREAM, get(PROBE)))
    c.until(lambda: PROBE_STREAM in c.ended)
    assert c.status(PROBE_STREAM) == 204 and c.goaway is None, f"no request is served behind it: {c.seen}"


def stream_error(code, stream=1):
    """RST_STREAM with the code, and nothing for others."""
    def check(c):
        probe(c)
        c.until(lambda: stream in c.resets)
        assert c.resets == {stream: code}, c.seen
    return check


def refused(code, stream=1):
    """A stream error in place of any answer."""
    def check(c):
        stream_error(code, stream)(c)
        assert stream not in c.heads, c.heads
    return check


def answered(status, stream=1):
    def check(c):
        probe(c)
        c.until(lambda: stream in c.ended or stream in c.resets)
        assert c.status(stream) == status and not set(c.resets.values()) - {NO_ERROR}, c.seen
    return check


def ignored(c):
    """Nothing comes of it. RST_STREAM(NO_ERROR) only says that an early answer needs no more of the request."""
    probe(c)
    assert not set(c.resets.values()) - {NO_ERROR}, c.seen


# -- what is waited for between --

def head_of(stream):
    return lambda c: c.until(lambda: stream in c.heads)


def end_of(stream):
    return lambda c: c.until(lambda: stream in c.ended)


def bytes_of(stream, count):
    """Exactly so many bytes have come, and no more do."""
    def wait(c):
        c.until(lambda: len(c.bodies.get(stream, b"")) >= count)
        c.ping(b"no  more")
        assert len(c.bodies.get(stream, b"")) == count, f"{len(c.bodies.get(stream, b''))} bytes, not {count}"
    return wait


def read(c):
    """All that was sent before has been read."""
    c.ping()
