"""RFC 9218: which of several answers goes first, by the field `priority` and by PRIORITY_UPDATE. What is answered is
stored, and waits for the connection's window: when that opens, the order of the bytes is the server's choice alone."""
import struct

import pytest

from support.frames import (
    FRAME_SIZE_ERROR, INITIAL_WINDOW_SIZE, PREFACE, PROTOCOL_ERROR, SETTINGS, DATA, Frames, frame, get, headers, reset, settings,
    window_update)

PRIORITY_UPDATE, NO_RFC7540_PRIORITIES = 0x10, 9
SIZE = 50_000
FIRST, SECOND = 3, 5


def priority_update(stream, value, on=0):
    return frame(PRIORITY_UPDATE, on, struct.pack(">I", stream) + value.encode())


@pytest.fixture
def connection(edge, origin):
    for path in ("/one", "/two", "/big"):
        origin.add(path, size=SIZE if path != "/big" else 300_000)
        for _ in range(6):  # by both workers
            assert edge.fetch(path).complete
        edge.wait_idle()
    made = Frames(edge.tls_port, edge.ca, opening=PREFACE + settings((INITIAL_WINDOW_SIZE, 1 << 20)))
    made.send(headers(1, get("/big")))
    made.until(lambda: len(made.bodies.get(1, b"")) == 65535)  # the connection's window is used up
    made.send(reset(1))
    yield made
    made.socket.close()


def order(connection, first=None, second=None, updates=()):
    """Which streams the DATA came on, one after the other, once there was room."""
    def ask(stream, path, value):
        connection.send(headers(stream, get(path, *([("priority", value)] if value is not None else []))))
        connection.until(lambda: stream in connection.heads)
    ask(FIRST, "/one", first)
    ask(SECOND, "/two", second)
    connection.send(*updates)
    connection.ping(b"in order")
    seen = len(connection.seen)
    connection.send(window_update(0, 1 << 20))
    connection.until(lambda: {FIRST, SECOND} <= connection.ended)
    streams = [f.stream for f in connection.seen[seen:] if f.kind == DATA and f.payload]
    return [stream for n, stream in enumerate(streams) if n == 0 or streams[n - 1] != stream]


def test_the_server_says_that_it_heeds_no_priorities_of_rfc_7540(connection):
    first = next(f for f in connection.seen if f.kind == SETTINGS)
    pairs = dict(struct.unpack(">HI", first.payload[at:at + 6]) for at in range(0, len(first.payload), 6))
    assert pairs[NO_RFC7540_PRIORITIES] == 1


@pytest.mark.parametrize("first, second, expected", [
    ("u=7", "u=0", [SECOND, FIRST]), ("u=0", "u=7", [FIRST, SECOND]), ("u=4", None, [SECOND, FIRST]),
    (None, "u=2", [SECOND, FIRST]), (None, "u=4", [FIRST, SECOND]), ("u=5, x=1;y", "u=1;z", [SECOND, FIRST])])
def test_what_is_more_urgent_goes_first_and_3_is_what_nobody_told(connection, first, second, expected):
    assert order(connection, first, second) == expected


def test_of_the_same_urgency_what_was_asked_for_first_goes_first(connection):
    assert order(connection, "u=1", "u=1") == [FIRST, SECOND]


def test_what_is_incremental_takes_turns(connection):
    streams = order(connection, "u=1, i", "u=1, i")
    assert len(streams) > 2 and set(streams) == {FIRST, SECOND}


@pytest.mark.parametrize("value", ["u=8", "u=-1", "u=x", "u", "", "u=0.5", "=", "u=0,", "u=(1 2)"])
def test_what_is_malformed_or_out_of_range_says_nothing(connection, value):
    assert order(connection, value, "u=2") == [SECOND, FIRST]


def test_priority_update_changes_what_is_being_sent(connection):
    assert order(connection, "u=1", "u=2", [priority_update(FIRST, "u=6")]) == [SECOND, FIRST]


def test_priority_update_may_come_before_its_request(connection):
    connection.send(priority_update(SECOND, "u=0"))
    assert order(connection) == [SECOND, FIRST]


@pytest.mark.parametrize("bad, code", [
    (priority_update(FIRST, "u=1", on=FIRST), PROTOCOL_ERROR), (priority_update(0, "u=1"), PROTOCOL_ERROR),
    (frame(PRIORITY_UPDATE, 0, b"\0\0\0"), FRAME_SIZE_ERROR)], ids=["on a stream", "of none", "3 bytes"])
def test_a_priority_update_that_is_none_ends_the_connection(connection, bad, code):
    connection.send(bad)
    connection.until(lambda: connection.goaway is not None)
    assert connection.goaway == code


def test_what_the_client_says_of_priority_goes_on_with_what_passes(make_edge, origin):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache off; }}").start()
    origin.add("/a", size=10, fields={"Priority": "u=1"})
    assert edge.fetch("/a", fields={"Priority": "u=5, i"}).fields["priority"] == "u=1"
    assert origin.requests[0].fields["priority"] == "u=5, i"
