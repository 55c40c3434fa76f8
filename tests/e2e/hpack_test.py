"""HPACK that cannot be decoded ends the connection with COMPRESSION_ERROR; what can be is decoded. Source: RFC 7541."""
import pytest

from support.frames import (
    ACK, COMPRESSION_ERROR, CONTINUATION, END_HEADERS, END_STREAM, HEADER_TABLE_SIZE, SETTINGS, Frames, block, frame, get,
    headers, integer, literal, settings, text)
from support.strictness import Row, answered, connection_error, end_of, rows_of, run

GET = b"\x82\x87" + literal(":authority", "localhost") + literal(":path", "/small")  # indexed where the table is static
BROKEN = connection_error(COMPRESSION_ERROR)
SETTINGS_ACK = frame(SETTINGS, flags=ACK)


def request(tail, head=GET):
    return [headers(1, head + tail)]


def good(name, tail=b"", head=GET):
    return Row(name, request(tail, head), answered(200))


def bad(name, tail, head=GET):
    return Row(name, request(tail, head), BROKEN)


def table_size(octets):
    return integer(octets, 5, 0x20)


def huffman(octets):
    """A string that says to be Huffman coded and has these octets."""
    return integer(len(octets), 7, 0x80) + octets


A_B_INDEXED = b"\x40" + text("a") + text("b")  # enters the dynamic table, as its first: index 62
ROWS = [
    good("indexed: static fields", b"\x90\x93"),
    good("indexed: the last of the static table", b"\xbd"),
    bad("indexed: 0", b"\x80"),
    bad("indexed: the first of an empty dynamic table", b"\xbe"),
    good("indexed: the first of the dynamic table", A_B_INDEXED + b"\xbe"),
    bad("indexed: behind the end of the dynamic table", A_B_INDEXED + b"\xbf"),
    bad("indexed: far behind it", integer(1 << 20, 7, 0x80)),
    bad("literal: a name behind the end of the table", integer(70, 6, 0x40) + text("b")),
    bad("literal: a name behind the end of the table, not indexed", integer(70, 4) + text("b")),
    bad("literal: a name behind the end of the table, never indexed", integer(70, 4, 0x10) + text("b")),
    good("literal: a static name", integer(19, 6, 0x40) + text("*/*")),
    good("literal: never indexed", b"\x10" + text("a") + text("b")),
    good("literal: a name of the dynamic table", A_B_INDEXED + integer(62, 6, 0x40) + text("c")),
    good("literal: an empty value", literal("a", "")),
    good("literal: Huffman coded", b"\x00" + huffman(b"\x1f") + huffman(b"\x1f")),  # "a" "a", 3 bits of padding
    good("integer: more octets than it needs", b"\x00" + text("a") + b"\x7f\x80\x00" + b"b" * 127),
    bad("integer: over 2^32", b"\x00" + text("a") + b"\x7f\xff\xff\xff\xff\xff\x0f"),
    bad("integer: over 2^64", b"\x00" + text("a") + b"\x7f" + b"\xff" * 10 + b"\x7f"),
    bad("integer: an index that overflows to a good one", b"\xff" + b"\x80" * 9 + b"\x02"),
    bad("integer: octets without an end", b"\x00" + text("a") + b"\x7f" + b"\x80" * 100),
    bad("integer: cut off by the block's end", b"\xff"),
    bad("string: longer than the block", b"\x00" + text("a") + b"\x0ab"),
    bad("string: a name longer than the block", b"\x00\x0aa"),
    bad("string: no value", b"\x00" + text("a")),
    bad("string: no name", b"\x00"),
    bad("string: longer than any that is taken", b"\x00" + text("a") + integer(1 << 20, 7) + b"b"),
    # 7.2 and 5.2: padding is the beginning of EOS, and shorter than an octet.
    bad("Huffman: padded with zeros", b"\x00" + text("a") + huffman(b"\x18")),
    bad("Huffman: padded with a whole octet", b"\x00" + text("a") + huffman(b"\x1f\xff")),
    bad("Huffman: padded with more", b"\x00" + text("a") + huffman(b"\x1f\xff\xff\xff")),
    bad("Huffman: EOS", b"\x00" + text("a") + huffman(b"\xff\xff\xff\xff")),
    bad("Huffman: EOS behind a letter", b"\x00" + text("a") + huffman(b"\x1f\xff\xff\xff\xff")),
    bad("Huffman: nothing but padding", b"\x00" + text("a") + huffman(b"\xff")),
    # 4.2: at the beginning of a block only, and not over SETTINGS_HEADER_TABLE_SIZE (4096).
    good("table size: 0", head=table_size(0) + GET),
    good("table size: 4096", head=table_size(4096) + GET),
    good("table size: twice", head=table_size(0) + table_size(4096) + GET),
    bad("table size: 4097", b"", table_size(4097) + GET),
    bad("table size: over 2^32", b"", integer(1 << 40, 5, 0x20) + GET),
    bad("table size: behind the first field", table_size(100)),
    bad("table size: between fields", literal("a", "b"), b"\x82" + table_size(100) + GET[1:]),
    Row("table size: 0 forgets what was there", [headers(1, GET + A_B_INDEXED), end_of(1),
                                                 headers(3, table_size(0) + GET + b"\xbe")], BROKEN),
    Row("the table lasts over requests", [headers(1, GET + A_B_INDEXED), end_of(1), headers(3, GET + b"\xbe")],
        answered(200, 3)),
    Row("the oldest entry gives way", [headers(1, GET + A_B_INDEXED + b"\x40" + text("c") + text("d" * 4050)),
                                       end_of(1), headers(3, GET + b"\xbf")], BROKEN),
    Row("an entry larger than the table empties it", [headers(1, GET + A_B_INDEXED + b"\x40" + text("c") +
                                                              text("d" * 5000)),
                                                      end_of(1), headers(3, GET + b"\xbe")], BROKEN),
    # A block that belongs to nobody any more changes the table all the same.
    Row("a malformed request's block changes the table", [headers(1, A_B_INDEXED + get("/small", ("Upper", "x"))),
                                                          headers(3, GET + b"\xbe")], lambda c: kept(c)),
    Row("an integer over two frames", [headers(1, GET + b"\x00" + text("a") + b"\x7f", END_STREAM),
                                       frame(CONTINUATION, 1, b"\x81\x00" + b"b" * 128, END_HEADERS)], answered(200)),
    Row("a block cut off in its last frame", [headers(1, GET, END_STREAM), frame(CONTINUATION, 1, b"\x00\x05a",
                                                                               END_HEADERS)], BROKEN),
    # What is larger than we said to take is refused, and the table goes on as the client thinks.
    Row("a list over the limit", [headers(1, GET + A_B_INDEXED + block(*[("x" * 1000, "y" * 15000)])),
                                  headers(3, GET + b"\xbe" + block(*[("x", "y")]))], answered(200, 3)),
    Row("SETTINGS: a smaller table of the client's", [settings((HEADER_TABLE_SIZE, 0)), SETTINGS_ACK, *request(b"")],
        answered(200)),
    Row("SETTINGS: table sizes that change twice", [settings((HEADER_TABLE_SIZE, 0), (HEADER_TABLE_SIZE, 8192)),
                                                    *request(b"")], answered(200)),
]


def kept(c):
    c.until(lambda: 3 in c.ended and 1 in c.resets)
    assert c.status(3) == 200 and c.status(1) is None and c.goaway is None, c.seen


@pytest.mark.parametrize("row", **rows_of(*ROWS))
def test_blocks(strict_edge, row):
    run(row, Frames(strict_edge.tls_port, strict_edge.ca, row.opening))


def test_our_own_blocks_keep_to_the_table_that_the_client_allows(strict_edge):
    """A client that allows none is sent no entry, and is told so first."""
    with Frames(strict_edge.tls_port, strict_edge.ca, b"") as c:
        c.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", settings((HEADER_TABLE_SIZE, 0)))
        for stream in (1, 3, 5):
            c.send(headers(stream, GET))
            c.until(lambda stream=stream: stream in c.ended)
        blocks = [f.payload for f in c.seen if f.kind == 1]
        assert [c.status(stream) for stream in (1, 3, 5)] == [200] * 3
        assert blocks[0][0] == 0x20 and b"\x20" not in (blocks[1][:1], blocks[2][:1])
        assert c.table_size() == 0


def test_what_differs_between_responses_is_put_into_the_table_when_it_repeats(strict_edge):
    with Frames(strict_edge.tls_port, strict_edge.ca) as c:
        tables = []
        for stream in (1, 3, 5):
            c.send(headers(stream, GET))
            c.until(lambda stream=stream: stream in c.ended)
            tables.append(c.table())
        assert c.heads[1]["repr-digest"] == c.heads[3]["repr-digest"] == c.heads[5]["repr-digest"]
        assert "repr-digest" not in tables[0] and {"repr-digest", "date"} <= tables[1]
        blocks = [f.payload for f in c.seen if f.kind == 1]
        assert len(blocks[2]) < len(blocks[0]) / 2
