"""What an HTTP/2 request may be made of: a malformed one is a stream error PROTOCOL_ERROR, and no upstream hears of it;
a good one goes upstream once, with nothing in it that the client smuggled. Source: RFC 9113 8; RFC 9110 5.5, 5.6.2, 7.2.
"""
import pytest

from support.frames import (
    END_HEADERS, END_STREAM, PADDED, PROTOCOL_ERROR, CONTINUATION, Frames, block, data, frame, get, headers, literal)
from support.strictness import Row, answered, end_of, refused, rows_of, run

BODY = headers(1, get("/pass/thing", ("content-length", "5"), method="POST"), END_HEADERS)
M, S, A, P = (":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/pass/thing")
MALFORMED = refused(PROTOCOL_ERROR)


def bad(name, *fields):
    return Row(name, [headers(1, block(*fields))], MALFORMED)


def with_field(name, *fields):
    return bad(name, M, S, A, P, *fields)


def target(name, path, method="GET"):
    return bad(f":path {name}", (":method", method), S, A, (":path", path))


def authority(name, value):
    return bad(f":authority {name}", M, S, (":authority", value), P)


PSEUDO_FIELDS = [
    bad("no :method", S, A, P),
    bad("no :scheme", M, A, P),
    bad("no :path", M, S, A),
    bad("none at all", ("a", "b")),
    bad("a block without a byte"),
    bad(":method twice", M, M, S, A, P),
    bad(":scheme twice", M, S, S, A, P),
    bad(":path twice", M, S, A, P, P),
    bad(":path twice, not the same", M, S, A, P, (":path", "/small")),
    bad(":authority twice", M, S, A, A, P),
    bad("a pseudo-field behind a field", M, S, A, ("a", "b"), P),
    bad(":authority behind a field", M, S, P, ("a", "b"), A),
    bad("an unknown pseudo-field", M, S, A, P, (":unknown", "x")),
    bad("an unknown pseudo-field behind a field", M, S, A, P, ("a", "b"), (":unknown", "x")),
    bad("a response's pseudo-field", M, S, A, P, (":status", "200")),
    bad(":protocol, which nobody offered", (":method", "CONNECT"), (":protocol", "websocket"), S, A, P),
    bad("a pseudo-field without a name", M, S, A, P, (":", "x")),
    bad("a pseudo-field in upper case", (":Method", "GET"), S, A, P),
    bad(":method is empty", (":method", ""), S, A, P),
    bad(":method with a space", (":method", "GET /small"), S, A, P),
    bad(":method that is a request line", (":method", "GET /small HTTP/1.1\r\nHost: x\r\n\r\nGET"), S, A, P),
    bad(":method with a line end", (":method", "GET\r\n"), S, A, P),
    bad(":method with a NUL", (":method", b"GET\0"), S, A, P),
    bad(":method with a tab", (":method", "GET\t"), S, A, P),
    bad(":method with a colon", (":method", "GET:"), S, A, P),
    bad(":method with a letter that is not ASCII", (":method", b"G\xcb\x86T"), S, A, P),
    bad(":scheme is empty", M, (":scheme", ""), A, P),
    bad(":scheme with a space", M, (":scheme", "ht tp"), A, P),
    bad(":scheme that is a URL", M, (":scheme", "https://localhost/small?"), A, P),
    bad(":scheme with a line end", M, (":scheme", "https\r\nX: y"), A, P),
    bad("CONNECT with :path", (":method", "CONNECT"), A, P),
    bad("CONNECT with :scheme", (":method", "CONNECT"), S, A),
    bad("CONNECT without :authority", (":method", "CONNECT"),),
]

TARGETS = [
    target("is empty", ""),
    target("without a slash", "pass/thing"),
    target("with a space", "/pass/thing HTTP/1.1"),
    target("that is a request", "/pass/thing HTTP/1.1\r\nHost: x\r\n\r\nGET /small"),
    target("with a line end", "/pass/thing\r\nX: y"),
    target("with a CR", "/pass/\rthing"),
    target("with a LF", "/pass/\nthing"),
    target("with a NUL", b"/pass/\0thing"),
    target("with a tab", "/pass/\tthing"),
    target("with DEL", "/pass/\x7fthing"),
    target("that is an absolute URL", "https://localhost/pass/thing"),
    target("that is another's URL", "http://other.example/pass/thing"),
    target("that is an authority", "localhost:80"),
    target("* of GET", "*"),
    target("that begins with a space", " /pass/thing"),
    target("that ends with a space", "/pass/thing "),
    target("with a letter that is not ASCII", b"/pass/\xc3\xa9"),
    target("with a fragment", "/pass/thing#part"),
]

AUTHORITIES = [
    authority("with user information", "user@localhost"),
    authority("with user and password", "user:word@localhost"),
    authority("with a space", "local host"),
    authority("with a slash", "localhost/pass"),
    authority("with a question mark", "localhost?x"),
    authority("with a fragment", "localhost#x"),
    authority("with a backslash", "localhost\\x"),
    authority("with a line end", "localhost\r\nX: y"),
    authority("with a NUL", b"local\0host"),
    authority("with a comma", "localhost,other.example"),
    authority("that is a URL", "https://localhost"),
    authority("with a letter that is not ASCII", b"local\xc3\xa9"),
    authority("that ends with a space", "localhost "),
    authority("with a tab", "local\thost"),
    bad("neither :authority nor host", M, S, P),
    bad(":authority is empty, and there is no host", M, S, (":authority", ""), P),
    bad("host is not :authority", M, S, A, P, ("host", "other.example")),
    bad("host is :authority with another port", M, S, A, P, ("host", "localhost:1")),
    bad("host twice", M, S, P, ("host", "localhost"), ("host", "localhost")),
    bad("host twice, not the same", M, S, A, P, ("host", "localhost"), ("host", "other.example")),
    bad("host with user information", M, S, P, ("host", "user@localhost")),
    bad("host with a space", M, S, P, ("host", "local host")),
    bad("host is empty", M, S, P, ("host", "")),
]

FIELDS = [
    with_field("a name in upper case", ("Accept", "x")),
    with_field("a name with one letter in upper case", ("accepT", "x")),
    with_field("a name that is empty", ("", "x")),
    with_field("a name with a space", ("a b", "x")),
    with_field("a name that ends with a space", ("transfer-encoding ", "chunked")),
    with_field("a name with a colon", ("a:b", "x")),
    with_field("a name that is a field", ("x: y\r\nz", "x")),
    with_field("a name with a line end", ("a\r\nb", "x")),
    with_field("a name with a NUL", (b"a\0b", "x")),
    with_field("a name with a tab", ("a\tb", "x")),
    with_field("a name with DEL", ("a\x7fb", "x")),
    with_field("a name with a letter that is not ASCII", (b"a\xc3\xa9", "x")),
    with_field("a name in parentheses", ("(a)", "x")),
    with_field("a value with a CR", ("a", "x\ry")),
    with_field("a value with a LF", ("a", "x\ny")),
    with_field("a value that is a field", ("a", "x\r\nTransfer-Encoding: chunked")),
    with_field("a value that is a request", ("a", "x\r\n\r\nGET /small HTTP/1.1\r\nHost: localhost\r\n\r\n")),
    with_field("a value with a NUL", ("a", b"x\0y")),
    with_field("a value that begins with a space", ("a", " x")),
    with_field("a value that ends with a space", ("a", "x ")),
    with_field("a value that begins with a tab", ("a", "\tx")),
    with_field("a value that ends with a tab", ("a", "x\t")),
    with_field("a value with DEL", ("a", "x\x7f")),
    with_field("a value with a bell", ("a", "x\x07y")),
    with_field("connection: close", ("connection", "close")),
    with_field("connection: keep-alive", ("connection", "keep-alive")),
    with_field("connection that names a field", ("connection", "x-secret"), ("x-secret", "y")),
    with_field("keep-alive", ("keep-alive", "timeout=5")),
    with_field("proxy-connection", ("proxy-connection", "keep-alive")),
    with_field("transfer-encoding: chunked", ("transfer-encoding", "chunked")),
    with_field("transfer-encoding: identity", ("transfer-encoding", "identity")),
    with_field("transfer-encoding is empty", ("transfer-encoding", "")),
    with_field("upgrade", ("upgrade", "h2c")),
    with_field("te: gzip", ("te", "gzip")),
    with_field("te: trailers, and more", ("te", "trailers, deflate")),
    with_field("te: trailers;q=0.5", ("te", "trailers;q=0.5")),
    with_field("content-length that is no number", ("content-length", "x")),
    with_field("content-length below zero", ("content-length", "-1")),
    with_field("content-length with a sign", ("content-length", "+0")),
    with_field("content-length in hexadecimal", ("content-length", "0x0")),
    with_field("content-length that is empty", ("content-length", "")),
    with_field("content-length that is a list", ("content-length", "0, 0")),
    with_field("content-length over 2^63", ("content-length", "99999999999999999999")),
    with_field("content-length twice", ("content-length", "0"), ("content-length", "0")),
    with_field("content-length twice, not the same", ("content-length", "0"), ("content-length", "5")),
    with_field("content-length of a request without content", ("content-length", "5")),
]

CONTENT = [
    Row("content: more DATA than content-length", [BODY + data(1, b"123456")], MALFORMED),
    Row("content: more DATA than content-length, in two frames", [BODY + data(1, b"12345", 0) + data(1, b"6")],
        MALFORMED),
    Row("content: less DATA than content-length", [BODY + data(1, b"1234")], MALFORMED),
    Row("content: none but content-length", [BODY + data(1)], MALFORMED),
    Row("content: padding counts as none", [BODY + data(1, b"\x031234\0\0\0", PADDED | END_STREAM)], MALFORMED),
    Row("content: less than content-length, then trailers", [BODY + data(1, b"1234", 0) + headers(1, literal("a", "b"))],
        MALFORMED),
    Row("trailers: with a pseudo-field", [BODY + data(1, b"12345", 0) + headers(1, block(M))], MALFORMED),
    Row("trailers: with :status", [BODY + data(1, b"12345", 0) + headers(1, block((":status", "200")))], MALFORMED),
    Row("trailers: without END_STREAM", [BODY + data(1, b"12345", 0) + headers(1, literal("a", "b"), END_HEADERS)],
        MALFORMED),
    Row("trailers: a name in upper case", [BODY + data(1, b"12345", 0) + headers(1, literal("Abc", "b"))], MALFORMED),
    Row("trailers: a value with a line end", [BODY + data(1, b"12345", 0) + headers(1, literal("a", "b\r\nc: d"))],
        MALFORMED),
    Row("trailers: connection", [BODY + data(1, b"12345", 0) + headers(1, literal("connection", "close"))], MALFORMED),
    Row("a block in pieces, malformed in its second", [headers(1, get("/pass/thing"), END_STREAM),
                                                       frame(CONTINUATION, 1, literal("A", "b"), END_HEADERS)],
        MALFORMED),
]


@pytest.mark.parametrize("row", **rows_of(*PSEUDO_FIELDS, *TARGETS, *AUTHORITIES, *FIELDS, *CONTENT))
def test_malformed_requests_end_their_stream_and_reach_no_upstream(strict_edge, strict_origin, row):
    before = len(strict_origin.requests)
    run(row, Frames(strict_edge.tls_port, strict_edge.ca, row.opening))
    assert strict_origin.requests[before:] == [] and not strict_origin.strange


def good(name, *fields, path="/pass/thing", sees="/pass/thing", **seen):
    """`sees`: the target that the origin is asked for; `seen`: fields that it must be given, None: must not."""
    row = Row(name, [headers(1, block(M, S, A, (":path", path), *fields))], answered(200))
    row.sees, row.seen = sees, seen
    return row


GOOD = [
    good("plain"),
    good("a query with another URL", path="/pass/thing?u=http://x/", sees="/pass/thing?u=http://x/"),
    good("an encoded line end stays encoded", path="/pass/thing?a=%0d%0aX:%20y", sees="/pass/thing?a=%0d%0aX:%20y"),
    good("host as :authority says", ("host", "localhost")),
    good("te: trailers, as this edge's own word", ("te", "trailers"), te="trailers", connection="TE"),
    good("a value with a letter that is not ASCII", ("a", b"\xc3\xa9")),
    good("a value with a colon", ("a", "b: c")),
    good("a value that is empty", ("a", "")),
    good("cookie crumbs are joined", ("cookie", "a=b"), ("cookie", "c=d"), cookie="a=b; c=d"),
    good("fields that would change method or target change nothing", ("x-forwarded-host", "other.example"),
         ("x-original-url", "/small"), ("x-http-method-override", "DELETE"), ("forwarded", "host=other.example")),
    good("an expectation", ("expect", "100-continue"), expect=None),
    good("a field with a lower-case token of every mark", ("!#$%&'*+-.^_`|~1a", "x")),
]


@pytest.mark.parametrize("row", **rows_of(*GOOD))
def test_good_requests_go_upstream_once_and_with_nothing_smuggled(strict_edge, strict_origin, row):
    before = len(strict_origin.requests)
    run(row, Frames(strict_edge.tls_port, strict_edge.ca, row.opening))
    asked = strict_origin.requests[before:]
    assert [(r.method, r.target) for r in asked] == [("GET", row.sees)]
    assert not strict_origin.strange
    nowhere = dict.fromkeys(("transfer-encoding", "content-length", "te", "upgrade"))
    expected = {"host": strict_origin.url.removeprefix("http://"), **nowhere, **row.seen}
    for name, value in expected.items():
        assert asked[0].values(name) == [value] * (value is not None), asked


def test_a_request_that_comes_in_small_pieces_is_one_request(strict_edge, strict_origin):
    before = len(strict_origin.requests)
    parts = [headers(1, get("/pass/thing")[:30], END_STREAM), frame(CONTINUATION, 1, get("/pass/thing")[30:31]),
             frame(CONTINUATION, 1, get("/pass/thing")[31:], END_HEADERS)]
    with Frames(strict_edge.tls_port, strict_edge.ca) as c:
        for part in parts:
            c.send(part[:5])
            c.send(part[5:])
        end_of(1)(c)
        assert c.status(1) == 200
    assert len(strict_origin.requests) == before + 1
