"""HTTP/2 frame by frame, written and read by hand: what no library sends.

    c = Frames(edge.tls_port, edge.ca)
    c.send(headers(1, get("/thing")), frame(PING, payload=b"12345678"))
    c.until(lambda: 1 in c.ended)

Source: RFC 9113 4, 6; RFC 7541 5, 6.
"""
import select
import socket
import struct
import time
import typing

import hpack

from support.client import connect, tls_context

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR,
 REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM) = range(12)
(HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE,
 MAX_HEADER_LIST_SIZE) = range(1, 7)

TYPES = ("DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE",
         "CONTINUATION")


# -- writing --

def frame(kind, stream=0, payload=b"", flags=0, length=None):
    """`length`: what the frame's head says, where it is to lie."""
    size = len(payload) if length is None else length
    return size.to_bytes(3, "big") + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def headers(stream, block, flags=END_STREAM | END_HEADERS):
    return frame(HEADERS, stream, block, flags)


def data(stream, content=b"", flags=END_STREAM):
    return frame(DATA, stream, content, flags)


def settings(*pairs):
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", *pair) for pair in pairs))


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, stream, struct.pack(">I", increment))


def reset(stream, code=CANCEL):
    return frame(RST_STREAM, stream, struct.pack(">I", code))


def priority(stream, depends_on=0):
    return frame(PRIORITY, stream, struct.pack(">IB", depends_on, 15))


def goaway(code=NO_ERROR, last=0):
    return frame(GOAWAY, payload=struct.pack(">II", last, code))


def integer(value, prefix, first=0):
    """RFC 7541 5.1: `value` in the low `prefix` bits of a first octet that has `first` above them."""
    most = (1 << prefix) - 1
    if value < most:
        return bytes((first | value,))
    out = bytearray((first | most,))
    value -= most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    out.append(value)
    return bytes(out)


def text(value):
    """A string, not Huffman coded."""
    value = value if isinstance(value, bytes) else value.encode()
    return integer(len(value), 7) + value


def literal(name, value):
    """A field that enters no table. `name` and `value` may be anything."""
    return b"\x00" + text(name) + text(value)


def block(*fields):
    return b"".join(literal(name, value) for name, value in fields)


def get(path="/", *more, method="GET", authority="localhost", scheme="https"):
    """The block of a request; `more`: fields behind it."""
    return block((":method", method), (":scheme", scheme), (":authority", authority), (":path", path), *more)


# -- reading --

class Frame(typing.NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes

    def __repr__(self):
        name = TYPES[self.kind] if self.kind < len(TYPES) else f"type {self.kind}"
        return f"{name}({self.stream}, flags {self.flags:#x}, {self.payload[:16]!r} of {len(self.payload)})"


class Frames:
    """One connection. What came stands in `seen`, and taken apart in the others.

    `opening`: sent at once. `ca`: None is cleartext. Nothing is sent that is not asked for: no window is given back, no
    SETTINGS acknowledged.
    """

    def __init__(self, port, ca=None, opening=PREFACE + settings()):
        self.socket = connect(port, tls_context(ca) if ca else None, alpn="h2")
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.seen = []
        self.heads, self.bodies, self.resets = {}, {}, {}
        self.trailers = {}
        self.ended, self.pongs = set(), set()
        self.goaway = None    # its code, of the last
        self.at_end = False   # the peer has closed
        self.bytes = b""      # not yet a whole frame; all of it where the peer speaks no HTTP/2
        self._decoder = hpack.Decoder()
        self.send(opening)

    def send(self, *parts):
        """What the peer does not take any more is no error: what it said before is what counts."""
        try:
            self.socket.sendall(b"".join(parts))
        except (BrokenPipeError, ConnectionResetError):
            pass

    def until(self, condition, seconds=5):
        """Reads until condition(), or the end of the connection. Raises when neither comes."""
        deadline = time.monotonic() + seconds
        while not condition() and not self.at_end:
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                got = self.socket.recv(65536)
            except TimeoutError as late:
                raise AssertionError(f"nothing more for {seconds} s behind {self.seen}") from late
            except ConnectionResetError:
                got = b""
            self._take(got)
        return self

    def waiting(self):
        """Whether something has come that was not read."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def ping(self, mark=b"a   ping"):
        """A round trip: what was sent before has been read."""
        self.pongs.discard(mark)
        self.send(frame(PING, payload=mark))
        return self.until(lambda: mark in self.pongs)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _take(self, got):
        self.at_end = not got
        self.bytes += got
        while len(self.bytes) >= 9:
            size = int.from_bytes(self.bytes[:3], "big")
            if len(self.bytes) < 9 + size or self.bytes.startswith(b"HTTP/"):
                return
            kind, flags, stream = self.bytes[3], self.bytes[4], int.from_bytes(self.bytes[5:9], "big")
            one = Frame(kind, flags, stream, self.bytes[9:9 + size])
            self.bytes = self.bytes[9 + size:]
            self.seen.append(one)
            self._read(one)

    def _read(self, one):
        if one.kind == HEADERS:
            assert one.flags & END_HEADERS and not one.flags & (PADDED | WITH_PRIORITY), one
            fields = dict(self._decoder.decode(one.payload))
            (self.trailers if one.stream in self.heads else self.heads)[one.stream] = fields
        elif one.kind == DATA:
            self.bodies[one.stream] = self.bodies.get(one.stream, b"") + one.payload
        elif one.kind == RST_STREAM:
            self.resets[one.stream] = int.from_bytes(one.payload, "big")
        elif one.kind == GOAWAY:
            self.goaway = int.from_bytes(one.payload[4:8], "big")
        elif one.kind == PING and one.flags & ACK:
            self.pongs.add(one.payload)
        if one.kind in (HEADERS, DATA) and one.flags & END_STREAM:
            self.ended.add(one.stream)

    def status(self, stream):
        return int(self.heads[stream][":status"]) if stream in self.heads else None

    def table_size(self):
        """Of the table that the peer's blocks are read with, as the peer has set it."""
        return self._decoder.header_table_size

    def table(self):
        """The names of the fields in that table."""
        return {name.decode() for name, _ in self._decoder.header_table.dynamic_entries}
