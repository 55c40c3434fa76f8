"""Every connection error and stream error of RFC 9113 that a client can cause by its frames: the right frame, the
right code, and no hang. What a request is made of: http2_requests_test.py; how it is compressed: hpack_test.py.

Where the RFC leaves a choice, or nghttp2 chooses otherwise, a comment at the row says why that is what stands here.
"""
import struct

import pytest

from support.frames import (
    ACK, CANCEL, CONTINUATION, DATA, ENABLE_PUSH, END_HEADERS, END_STREAM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GOAWAY,
    HEADER_TABLE_SIZE, HEADERS, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE,
    NO_ERROR, PADDED, PING, PREFACE, PRIORITY, PROTOCOL_ERROR, PUSH_PROMISE, REFUSED_STREAM, RST_STREAM, SETTINGS,
    STREAM_CLOSED, WINDOW_UPDATE, WITH_PRIORITY, Frames, data, frame, get, goaway, headers, literal, priority, reset,
    settings, window_update)
from support.strictness import (
    Row, answered, bytes_of, connection_error, end_of, ended, head_of, ignored, probe, read, refused, rows_of, run,
    stream_error)

SMALL, BIG = get("/small"), get("/big")
POST = get("/small", method="POST")
MOST_BYTES = (1 << 31) - 1
SETTINGS_ACK = frame(SETTINGS, flags=ACK)
# HEADERS(1) without END_HEADERS: its CONTINUATION is due.
BEGUN = headers(1, SMALL[:20], END_STREAM)
REST = frame(CONTINUATION, 1, SMALL[20:], END_HEADERS)
# A response that waits for a window: its stream is half-closed (remote) as long as the test wants.
WAITING = [headers(1, BIG), head_of(1)]
# A request whose end has not come: open.
OPEN = [headers(1, get("/big", ("content-length", "10"), method="POST"), END_HEADERS)]
# The server needs no more of this request.
REFUSED = [headers(1, get("/probe", method="POST"), END_HEADERS), lambda c: c.until(lambda: 1 in c.resets)]
DONE = [headers(1, SMALL), end_of(1)]
CUT = [headers(1, BIG), reset(1)]


def no_window(c):
    probe(c)
    assert c.status(1) == 200 and 1 not in c.bodies and not c.resets, c.seen


def pong(c):
    c.ping(b"\x00\x01\x02\x03\xfc\xfd\xfe\xff")
    ignored(c)


def one_pong(c):
    """That of the question, none of the answer that nobody had asked for."""
    c.ping(b"question")
    assert c.pongs == {b"question"}
    ignored(c)


def acknowledged(count):
    def check(c):
        ignored(c)
        assert sum(f.kind == SETTINGS and f.flags == ACK for f in c.seen) == count, c.seen
    return check


PREFACES = [
    # Cleartext that does not begin as the preface does is HTTP/1: see CLEARTEXT. RFC 9113 3.4 lets GOAWAY be left out.
    Row("preface: another text", [], ended, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    Row("preface: wrong in its last byte", [], ended, PREFACE[:-1] + b"\r" + settings()),
    Row("preface: a frame without it", [], ended, settings() + frame(PING, payload=b"12345678") * 2),
    Row("preface: no SETTINGS behind it but PING", [], connection_error(PROTOCOL_ERROR),
        PREFACE + frame(PING, payload=b"12345678")),
    Row("preface: no SETTINGS behind it but HEADERS", [], connection_error(PROTOCOL_ERROR), PREFACE + headers(1, SMALL)),
    Row("preface: SETTINGS that acknowledge are not the first SETTINGS", [], connection_error(PROTOCOL_ERROR),
        PREFACE + SETTINGS_ACK),
    Row("preface: a request comes with it", [], answered(200), PREFACE + settings() + headers(1, SMALL)),
    Row("preface: twice", [], connection_error(FRAME_SIZE_ERROR), PREFACE + settings() + PREFACE),
]

FRAMES = [
    Row("a frame of an unknown type is ignored", [frame(0x16, 0, b"12345678"), frame(0xff, 77, b"x", 0xff)], ignored),
    Row("an unknown frame on an open stream is ignored", [*OPEN, frame(0x16, 1, b"x"), read], ignored),
    Row("an unknown frame of more than 16,384 bytes", [frame(0x16, 0, b"x" * 16385)], connection_error(FRAME_SIZE_ERROR)),
    Row("flags without a meaning are ignored", [frame(PING, payload=b"12345678", flags=0xfe)], ignored),
    Row("flags of DATA without a meaning are ignored", [headers(1, POST, END_HEADERS) + data(1, b"x", 0xf7)], ignored),
    Row("the reserved bit of a stream's id is ignored", [headers(1 | 1 << 31, SMALL)], answered(200)),
    Row("the reserved bit of PING's id is ignored", [frame(PING, 1 << 31, b"12345678")], ignored),
    Row("DATA of 16,384 bytes", [headers(1, POST, END_HEADERS) + data(1, b"x" * 16384)], ignored),
    # RFC 9113 4.2 lets a stream error be a connection error.
    Row("DATA of more than 16,384 bytes", [headers(1, POST, END_HEADERS) + data(1, b"x" * 16385)],
        connection_error(FRAME_SIZE_ERROR)),
    Row("HEADERS of more than 16,384 bytes", [headers(1, get("/", ("a", "x" * 16384)))],
        connection_error(FRAME_SIZE_ERROR)),
    Row("a frame that says to have 2^24-1 bytes", [frame(DATA, 1, length=(1 << 24) - 1)],
        connection_error(FRAME_SIZE_ERROR)),
]

STREAMS = [
    Row("idle: DATA", [data(1, b"x")], connection_error(PROTOCOL_ERROR)),
    Row("idle: RST_STREAM", [reset(1)], connection_error(PROTOCOL_ERROR)),
    Row("idle: WINDOW_UPDATE", [window_update(1, 1)], connection_error(PROTOCOL_ERROR)),
    Row("idle: CONTINUATION", [frame(CONTINUATION, 1, SMALL, END_HEADERS)], connection_error(PROTOCOL_ERROR)),
    Row("idle: PRIORITY is ignored", [priority(1)], ignored),
    # RFC 9113 5.1: a frame on a closed stream MAY be a connection error; what was on its way when we reset the stream
    # must not be one.
    Row("idle: a stream passed over is closed: DATA", [headers(3, SMALL), end_of(3), data(1, b"x")],
        connection_error(STREAM_CLOSED)),
    Row("idle: of the server's: DATA", [data(2, b"x")], connection_error(PROTOCOL_ERROR)),
    Row("idle: of the server's: WINDOW_UPDATE", [window_update(2, 1)], connection_error(PROTOCOL_ERROR)),
    Row("half-closed: DATA", [*WAITING, data(1, b"x")], connection_error(STREAM_CLOSED)),
    Row("half-closed: empty DATA that ends it once more", [*WAITING, data(1)], connection_error(STREAM_CLOSED)),
    Row("half-closed: HEADERS", [*WAITING, headers(1, SMALL)], connection_error(STREAM_CLOSED)),
    Row("half-closed: CONTINUATION", [*WAITING, frame(CONTINUATION, 1, SMALL, END_HEADERS)],
        connection_error(PROTOCOL_ERROR)),
    Row("half-closed: WINDOW_UPDATE", [*WAITING, window_update(1, 10)], ignored),
    Row("half-closed: PRIORITY", [*WAITING, priority(1)], ignored),
    Row("half-closed: RST_STREAM", [*WAITING, reset(1)], ignored),
    Row("closed: DATA", [*DONE, data(1, b"x")], connection_error(STREAM_CLOSED)),
    Row("closed: HEADERS", [*DONE, headers(1, SMALL)], connection_error(STREAM_CLOSED)),
    Row("closed: CONTINUATION", [*DONE, frame(CONTINUATION, 1, SMALL, END_HEADERS)], connection_error(PROTOCOL_ERROR)),
    Row("closed: WINDOW_UPDATE may be late", [*DONE, window_update(1, 10)], ignored),
    Row("closed: RST_STREAM may be late", [*DONE, reset(1)], ignored),
    Row("closed: PRIORITY is ignored", [*DONE, priority(1)], ignored),
    Row("reset: DATA", [*CUT, data(1, b"x")], connection_error(STREAM_CLOSED)),
    Row("reset: DATA at once behind it", [headers(1, BIG) + reset(1) + data(1, b"x")], connection_error(STREAM_CLOSED)),
    Row("reset: HEADERS", [*CUT, headers(1, SMALL)], connection_error(STREAM_CLOSED)),
    # The answer did not wait for the content; the trailers were on their way.
    Row("reset by the server: HEADERS that were on their way", [*REFUSED, headers(1, literal("a", "b"))], ignored),
    Row("reset by the server: DATA that was on its way", [*REFUSED, data(1, b"x"), read], ignored),
    Row("reset by the server: DATA to its end that was on its way", [*REFUSED, data(1, b"x", 0) + data(1, b"x"), read],
        ignored),
    Row("reset by the server: DATA behind the end", [*REFUSED, data(1, b"x") + data(1, b"x")],
        connection_error(STREAM_CLOSED)),
    Row("reset by the server: DATA that was on its way, where its priority came first",
        [frame(0x10, 0, b"\0\0\0\1u=1"), headers(1, get("/probe", method="POST"), END_HEADERS), headers(3, SMALL),
         lambda c: c.until(lambda: 1 in c.resets and 3 in c.ended), data(1, b"x")], ignored),
    Row("reset: CONTINUATION", [*CUT, frame(CONTINUATION, 1, SMALL, END_HEADERS)], connection_error(PROTOCOL_ERROR)),
    Row("reset: WINDOW_UPDATE may be late", [*CUT, window_update(1, 10)], ignored),
    Row("reset: twice", [*CUT, reset(1)], ignored),
    Row("ids: even", [headers(2, SMALL)], connection_error(PROTOCOL_ERROR)),
    Row("ids: lower than one before", [headers(5, SMALL), end_of(5), headers(3, SMALL)],
        connection_error(PROTOCOL_ERROR)),
    Row("ids: the highest", [headers(MOST_BYTES, SMALL)], lambda c: c.until(lambda: MOST_BYTES in c.ended)),
    Row("ids: HEADERS on 0", [headers(0, SMALL)], connection_error(PROTOCOL_ERROR)),
    Row("ids: DATA on 0", [data(0, b"x")], connection_error(PROTOCOL_ERROR)),
    Row("ids: RST_STREAM on 0", [reset(0)], connection_error(PROTOCOL_ERROR)),
    Row("ids: PRIORITY on 0", [priority(0)], connection_error(PROTOCOL_ERROR)),
    Row("ids: CONTINUATION on 0", [BEGUN, frame(CONTINUATION, 0, SMALL[20:], END_HEADERS)],
        connection_error(PROTOCOL_ERROR)),
    Row("ids: SETTINGS on a stream", [frame(SETTINGS, 1)], connection_error(PROTOCOL_ERROR)),
    Row("ids: PING on a stream", [frame(PING, 1, b"12345678")], connection_error(PROTOCOL_ERROR)),
    Row("ids: GOAWAY on a stream", [frame(GOAWAY, 1, bytes(8))], connection_error(PROTOCOL_ERROR)),
    # RFC 9113 5.1.2: PROTOCOL_ERROR or REFUSED_STREAM, which says that it may be asked again.
    Row("more than 100 streams at once", [*(headers(2 * i + 1, BIG) for i in range(101)),
                                          lambda c: c.until(lambda: c.resets)],
        lambda c: stream_refused(c, 201)),
    Row("more than 100 streams at once: DATA of the one that was refused", [
        *(headers(2 * i + 1, BIG) for i in range(100)), headers(201, POST, END_HEADERS), lambda c: c.until(lambda: c.resets),
        data(201, b"x", 0) + data(201, b"x"), read, read], lambda c: stream_refused(c, 201)),
    Row("more than 100 streams at once, the limit acknowledged",
        [SETTINGS_ACK, *(headers(2 * i + 1, BIG) for i in range(101))], connection_error(PROTOCOL_ERROR)),
]


def stream_refused(c, stream):
    assert c.resets == {stream: REFUSED_STREAM} and c.goaway is None, c.seen


SIZES = [
    Row("DATA: padding as long as the frame", [headers(1, POST, END_HEADERS) + data(1, b"\x06hello\x00", PADDED)],
        ignored),
    Row("DATA: padding longer than the frame", [headers(1, POST, END_HEADERS) + data(1, b"\x07hello\x00", PADDED)],
        connection_error(PROTOCOL_ERROR)),
    Row("DATA: no room for the length of padding", [headers(1, POST, END_HEADERS) + data(1, b"", PADDED)],
        connection_error(FRAME_SIZE_ERROR, PROTOCOL_ERROR)),
    Row("HEADERS: padded", [headers(1, b"\x03" + SMALL + bytes(3), END_STREAM | END_HEADERS | PADDED)], answered(200)),
    Row("HEADERS: padding longer than the frame", [headers(1, b"\xff" + SMALL, END_STREAM | END_HEADERS | PADDED)],
        connection_error(PROTOCOL_ERROR)),
    Row("HEADERS: too short for its priority", [headers(1, b"\x00\x00", END_STREAM | END_HEADERS | WITH_PRIORITY)],
        connection_error(FRAME_SIZE_ERROR)),
    Row("HEADERS: with priority", [headers(1, bytes(5) + SMALL, END_STREAM | END_HEADERS | WITH_PRIORITY)],
        answered(200)),
    # RFC 9113 5.3.2 has dropped what RFC 7540 5.3.1 said about it; nghttp2 still reads that of HEADERS.
    Row("HEADERS: depends on itself", [headers(1, b"\0\0\0\1\0" + SMALL, END_STREAM | END_HEADERS | WITH_PRIORITY)],
        connection_error(PROTOCOL_ERROR)),
    Row("PRIORITY: depends on itself", [priority(1, 1)], ignored),
    Row("PRIORITY: 4 bytes", [frame(PRIORITY, 1, bytes(4))], connection_error(FRAME_SIZE_ERROR)),
    Row("PRIORITY: 6 bytes", [frame(PRIORITY, 1, bytes(6))], connection_error(FRAME_SIZE_ERROR)),
    Row("RST_STREAM: 3 bytes", [*OPEN, frame(RST_STREAM, 1, bytes(3))], connection_error(FRAME_SIZE_ERROR)),
    Row("RST_STREAM: 5 bytes", [*OPEN, frame(RST_STREAM, 1, bytes(5))], connection_error(FRAME_SIZE_ERROR)),
    Row("RST_STREAM: an unknown code is one", [*WAITING, reset(1, 0xffff)], ignored),
    Row("SETTINGS: 5 bytes", [frame(SETTINGS, payload=bytes(5))], connection_error(FRAME_SIZE_ERROR)),
    Row("SETTINGS: 7 bytes", [frame(SETTINGS, payload=bytes(7))], connection_error(FRAME_SIZE_ERROR)),
    Row("SETTINGS: ACK with a payload", [frame(SETTINGS, payload=bytes(6), flags=ACK)],
        connection_error(FRAME_SIZE_ERROR)),
    Row("PING: 7 bytes", [frame(PING, payload=bytes(7))], connection_error(FRAME_SIZE_ERROR)),
    Row("PING: 9 bytes", [frame(PING, payload=bytes(9))], connection_error(FRAME_SIZE_ERROR)),
    Row("PING: none", [frame(PING)], connection_error(FRAME_SIZE_ERROR)),
    Row("GOAWAY: 7 bytes", [frame(GOAWAY, payload=bytes(7))], connection_error(FRAME_SIZE_ERROR)),
    Row("WINDOW_UPDATE: 3 bytes", [frame(WINDOW_UPDATE, payload=bytes(3))], connection_error(FRAME_SIZE_ERROR)),
    Row("WINDOW_UPDATE: 5 bytes", [frame(WINDOW_UPDATE, payload=bytes(5))], connection_error(FRAME_SIZE_ERROR)),
    Row("WINDOW_UPDATE: 3 bytes on a stream", [*WAITING, frame(WINDOW_UPDATE, 1, bytes(3))],
        connection_error(FRAME_SIZE_ERROR)),
]

SETTINGS_ROWS = [
    Row("SETTINGS: each is acknowledged", [settings() * 3], acknowledged(4)),
    Row("SETTINGS: an unknown one is ignored", [settings((0xff, 1), (0x1234, MOST_BYTES))], acknowledged(2)),
    Row("SETTINGS: all that are known", [settings((HEADER_TABLE_SIZE, 0), (ENABLE_PUSH, 0), (MAX_CONCURRENT_STREAMS, 0),
                                                  (INITIAL_WINDOW_SIZE, 65535), (MAX_FRAME_SIZE, 16777215),
                                                  (MAX_HEADER_LIST_SIZE, 1 << 20))], acknowledged(2)),
    Row("SETTINGS: ENABLE_PUSH 2", [settings((ENABLE_PUSH, 2))], connection_error(PROTOCOL_ERROR)),
    Row("SETTINGS: ENABLE_PUSH 1", [settings((ENABLE_PUSH, 1))], ignored),
    Row("SETTINGS: INITIAL_WINDOW_SIZE 2^31", [settings((INITIAL_WINDOW_SIZE, 1 << 31))],
        connection_error(FLOW_CONTROL_ERROR)),
    Row("SETTINGS: INITIAL_WINDOW_SIZE 2^31-1", [settings((INITIAL_WINDOW_SIZE, MOST_BYTES))], ignored),
    Row("SETTINGS: MAX_FRAME_SIZE 16383", [settings((MAX_FRAME_SIZE, 16383))], connection_error(PROTOCOL_ERROR)),
    Row("SETTINGS: MAX_FRAME_SIZE 2^24", [settings((MAX_FRAME_SIZE, 1 << 24))], connection_error(PROTOCOL_ERROR)),
    Row("SETTINGS: a bad one behind a good one", [settings((MAX_FRAME_SIZE, 16384), (ENABLE_PUSH, 7))],
        connection_error(PROTOCOL_ERROR)),
    Row("SETTINGS: an ACK that nobody waits for",
        [SETTINGS_ACK * 2], connection_error(PROTOCOL_ERROR)),
    Row("SETTINGS: the last of a value counts", [settings((INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)),
                                                 *WAITING, bytes_of(1, 1)], ignored),
    Row("SETTINGS: half a header block", [BEGUN, settings(), REST], connection_error(PROTOCOL_ERROR)),
]

WINDOWS = [
    Row("window: 0 for the connection", [window_update(0, 0)], connection_error(PROTOCOL_ERROR)),
    # RFC 9113 6.9: a stream error. nghttp2 ends the connection, which 5.4 allows: such a client is broken.
    Row("window: 0 for a stream", [*WAITING, window_update(1, 0)], connection_error(PROTOCOL_ERROR)),
    Row("window: over 2^31-1 for the connection", [window_update(0, MOST_BYTES)], connection_error(FLOW_CONTROL_ERROR)),
    Row("window: over 2^31-1 in two steps", [window_update(0, 1 << 30) * 2], connection_error(FLOW_CONTROL_ERROR)),
    Row("window: over 2^31-1 for a stream", [headers(1, BIG) + window_update(1, MOST_BYTES - 65534)],
        stream_error(FLOW_CONTROL_ERROR)),
    Row("window: exactly 2^31-1", [window_update(0, MOST_BYTES - 65535)], ignored),
    Row("window: reserved bit is ignored", [window_update(0, 1 | 1 << 31)], ignored),
    # RFC 9113 6.9.2 would have the connection ended; nghttp2 ends the streams that it concerns.
    Row("window: over 2^31-1 by SETTINGS", [settings((INITIAL_WINDOW_SIZE, 0)) + headers(1, BIG)
                                            + window_update(1, MOST_BYTES) + settings((INITIAL_WINDOW_SIZE, 1))],
        stream_error(FLOW_CONTROL_ERROR)),
    Row("window: 0 holds content back", [settings((INITIAL_WINDOW_SIZE, 0)), headers(1, SMALL), head_of(1)], no_window),
    Row("window: 0 lets an empty answer through", [settings((INITIAL_WINDOW_SIZE, 0)), headers(1, get("/probe"))],
        answered(204)),
    Row("window: 1, and byte by byte", [settings((INITIAL_WINDOW_SIZE, 1)), headers(1, SMALL), bytes_of(1, 1),
                                        window_update(1, 1), bytes_of(1, 2), window_update(1, 98)], answered(200)),
    Row("window: 0 at first, given by SETTINGS", [settings((INITIAL_WINDOW_SIZE, 0)), headers(1, SMALL), head_of(1),
                                                  settings((INITIAL_WINDOW_SIZE, 60)), bytes_of(1, 60),
                                                  settings((INITIAL_WINDOW_SIZE, 100))], answered(200)),
    Row("window: shrunk below zero, then given back",
        [settings((INITIAL_WINDOW_SIZE, 50)), headers(1, SMALL), bytes_of(1, 50), settings((INITIAL_WINDOW_SIZE, 20)),
         window_update(1, 30), bytes_of(1, 50), window_update(1, 10), bytes_of(1, 60),
         settings((INITIAL_WINDOW_SIZE, 60))], answered(200)),
    Row("window: the connection's ends first", [settings((INITIAL_WINDOW_SIZE, 1 << 20)), headers(1, BIG),
                                                bytes_of(1, 65535), window_update(0, 1000), bytes_of(1, 66535)],
        ignored),
    # Nobody takes this content: its window is all that may come.
    Row("window: ours is overrun on a stream", [headers(1, get("/probe", method="POST"), END_HEADERS),
                                                *[data(1, b"x" * 16384, 0)] * 5], stream_error(FLOW_CONTROL_ERROR)),
]


BLOCKS = [
    Row("CONTINUATION: goes on", [BEGUN, REST], answered(200)),
    Row("CONTINUATION: an empty one between", [BEGUN, frame(CONTINUATION, 1), REST], answered(200)),
    Row("CONTINUATION: HEADERS without a byte", [headers(1, b"", END_STREAM), frame(CONTINUATION, 1, SMALL, END_HEADERS)],
        answered(200)),
    Row("CONTINUATION: behind a block that has ended", [headers(1, POST, END_HEADERS),
                                                        frame(CONTINUATION, 1, literal("a", "b"), END_HEADERS)],
        connection_error(PROTOCOL_ERROR)),
    Row("CONTINUATION: behind DATA", [*OPEN, data(1, b"x", 0), frame(CONTINUATION, 1, literal("a", "b"), END_HEADERS)],
        connection_error(PROTOCOL_ERROR)),
    Row("CONTINUATION: of another stream", [BEGUN, frame(CONTINUATION, 3, SMALL[20:], END_HEADERS)],
        connection_error(PROTOCOL_ERROR)),
    *[Row(f"CONTINUATION: {name} between", [BEGUN, one, REST], connection_error(PROTOCOL_ERROR)) for name, one in (
        ("DATA", data(1, b"x")), ("HEADERS", headers(1, SMALL)), ("another stream's HEADERS", headers(3, SMALL)),
        ("PRIORITY", priority(1)), ("RST_STREAM", reset(1)), ("PING", frame(PING, payload=b"12345678")),
        ("GOAWAY", goaway()), ("WINDOW_UPDATE", window_update(0, 1)), ("an unknown frame", frame(0x16, 1)))],
    Row("PUSH_PROMISE", [*OPEN, frame(PUSH_PROMISE, 1, struct.pack(">I", 2) + SMALL, END_HEADERS)],
        connection_error(PROTOCOL_ERROR)),
    Row("PUSH_PROMISE on stream 0", [frame(PUSH_PROMISE, 0, struct.pack(">I", 2) + SMALL, END_HEADERS)],
        connection_error(PROTOCOL_ERROR)),
]

ENDS = [
    Row("PING is answered with its bytes", [], pong),
    Row("PING that acknowledges is not answered", [frame(PING, payload=b"nobody's", flags=ACK)], one_pong),
    # Requests that were sent before are answered; then it ends.
    Row("GOAWAY: what is under way goes on", [headers(1, SMALL), goaway(NO_ERROR), end_of(1)],
        lambda c: c.until(lambda: c.at_end)),
    Row("GOAWAY: an unknown code is one", [headers(1, SMALL), goaway(0xff), end_of(1)],
        lambda c: c.until(lambda: c.at_end)),
    Row("GOAWAY: with words", [frame(GOAWAY, payload=bytes(8) + b"because")], lambda c: c.until(lambda: c.at_end)),
    Row("RST_STREAM ends a response", [*WAITING, reset(1, CANCEL)], ignored),
]

TABLE = [*FRAMES, *STREAMS, *SIZES, *SETTINGS_ROWS, *WINDOWS, *BLOCKS, *ENDS]


@pytest.mark.parametrize("row", **rows_of(*PREFACES, *TABLE))
def test_over_tls(strict_edge, row):
    run(row, Frames(strict_edge.tls_port, strict_edge.ca, row.opening))


@pytest.mark.parametrize("row", **rows_of(*TABLE))
def test_with_prior_knowledge(strict_edge, row):
    run(row, Frames(strict_edge.clear_port, opening=row.opening))


@pytest.mark.parametrize("opening", [PREFACE[:-1] + b"\r" + settings(), settings() * 3, b"PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n"],
                         ids=["wrong in its last byte", "a frame without it", "wrong in the middle"])
def test_cleartext_that_has_no_preface_is_http1_and_refused_as_such(strict_edge, opening):
    with Frames(strict_edge.clear_port, opening=opening) as c:
        c.until(lambda: c.at_end)
        assert c.bytes.split(b"\r\n")[0] in (b"HTTP/1.1 400 Bad Request", b"HTTP/1.1 505 HTTP Version Not Supported")


def test_the_servers_preface_is_settings_that_need_no_word_of_the_client(strict_edge):
    with Frames(strict_edge.tls_port, strict_edge.ca, opening=b"") as c:
        c.until(lambda: c.seen)
        first = c.seen[0]
        assert (first.kind, first.flags, first.stream) == (SETTINGS, 0, 0)
        values = dict(struct.iter_unpack(">HI", first.payload))
        assert values.get(ENABLE_PUSH, 0) == 0 and values[MAX_CONCURRENT_STREAMS] >= 100
        assert values[MAX_HEADER_LIST_SIZE] == 32768


@pytest.mark.parametrize("most, larger", [(None, 16384), (65536, 65536)], ids=["as nobody says", "as the client says"])
def test_no_frame_is_larger_than_the_client_takes(strict_edge, most, larger):
    opening = PREFACE + settings(*[(MAX_FRAME_SIZE, most)] * bool(most), (INITIAL_WINDOW_SIZE, 1 << 20))
    with Frames(strict_edge.tls_port, strict_edge.ca, opening) as c:
        c.send(window_update(0, 1 << 20), headers(1, BIG))
        c.until(lambda: 1 in c.ended)
        assert c.bodies[1] == b"b" * 200_000
        assert max(len(f.payload) for f in c.seen) <= larger


def test_what_is_sent_has_no_flag_and_no_bit_that_has_no_meaning(strict_edge):
    known = {DATA: END_STREAM, HEADERS: END_STREAM | END_HEADERS, SETTINGS: ACK, PING: ACK}
    with Frames(strict_edge.tls_port, strict_edge.ca) as c:
        c.send(headers(1, BIG), headers(3, get("/nothing")), headers(5, get("/small", method="HEAD")))
        c.ping()
        c.send(window_update(0, 1 << 20), window_update(1, 1 << 20))
        c.until(lambda: {1, 3, 5} <= c.ended)
        assert {f.kind for f in c.seen} <= {DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE}
        assert not [f for f in c.seen if f.flags & ~known.get(f.kind, 0) or f.stream >> 31]
        for fields in c.heads.values():
            assert list(fields)[0] == ":status" and fields.keys().isdisjoint({"connection", "transfer-encoding"})
            assert all(name == name.lower() for name in fields)


def test_goaway_names_the_last_stream_that_was_looked_at(strict_edge):
    with Frames(strict_edge.tls_port, strict_edge.ca) as c:
        c.send(headers(1, SMALL), headers(7, SMALL))
        c.until(lambda: {1, 7} <= c.ended)
        c.send(frame(PING, 1, b"12345678"))
        c.until(lambda: c.at_end)
        last = [f for f in c.seen if f.kind == GOAWAY][-1]
        assert struct.unpack(">II", last.payload[:8]) == (7, PROTOCOL_ERROR)
