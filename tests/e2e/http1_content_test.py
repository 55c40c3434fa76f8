"""HTTP/1 requests that are allowed, whatever their look, are served once and alike, and what is pipelined behind them is
served too; content that is not framed to the letter reaches no upstream whole. Source: RFC 9112 2, 3, 5, 6, 7, 9.
"""
import socket
import threading

import pytest

from support.client import connect
from support.http1 import BEHIND, CHUNKED, asked_with, exchange, field, read_all, request, responses

THING, OTHER = ("GET", "/pass/thing", b""), ("GET", "/pass/other", b"")


def line(text, **more):
    return request(line=text, **more)


GOOD = {
    "as it is": (request(), b""),
    "an empty line before it": (b"\r\n" + request(), b""),
    "absolute-form": (line(b"METHOD http://localhost/pass/thing HTTP/1.1"), b""),
    "absolute-form, a scheme in upper case": (line(b"METHOD HTTP://localhost/pass/thing HTTP/1.1"), b""),
    "absolute-form, whatever Host says": (line(b"METHOD http://localhost/pass/thing HTTP/1.1", host=b"Host: other"), b""),
    "absolute-form, Host empty": (line(b"METHOD http://localhost/pass/thing HTTP/1.1", host=b"Host:"), b""),
    "Host with a port": (request(host=b"Host: localhost:8080"), b""),
    "Host of IPv6": (request(host=b"Host: [::1]:8080"), b""),
    "no white space before a value": (field(b"A:b\r\n"), b""),
    "white space around a value": (field(b"A: \t b \t \r\n"), b""),
    "a value that is empty": (field(b"A:\r\n", b"B: \r\n"), b""),
    "a tab within a value": (field(b"A: b\tc\r\n"), b""),
    "bytes over ASCII within a value": (field(b"A: \xc3\xa9\xff\r\n"), b""),
    "a name of every mark": (field(b"!#$%&'*+-.^_`|~1aZ: b\r\n"), b""),
    "a field twice": (field(b"A: b\r\n", b"A: c\r\n"), b""),
    "99 fields": (field(*[b"A: b\r\n"] * 99), b""),
    "Content-Length 0": (field(b"Content-Length: 0\r\n"), b""),
    "Content-Length": (field(b"Content-Length: 5\r\n", body=b"hello"), b"hello"),
    "Content-Length with zeros before it": (field(b"Content-Length: 0005\r\n", body=b"hello"), b"hello"),
    "Content-Length in white space": (field(b"Content-Length:\t 5 \t\r\n", body=b"hello"), b"hello"),
    "content that looks like a request": (field(b"Content-Length: %d\r\n" % len(BEHIND), body=BEHIND), BEHIND),
    "Expect: 100-continue": (field(b"Expect: 100-continue\r\n", b"Content-Length: 5\r\n", body=b"hello"), b"hello"),
    **{f"chunks: {name}": (field(CHUNKED, body=body), content) for name, body, content in (
        ("none", b"0\r\n\r\n", b""),
        ("one", b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        ("three", b"1\r\nh\r\n3\r\nell\r\n1\r\no\r\n0\r\n\r\n", b"hello"),
        ("a size with zeros before it", b"0005\r\nhello\r\n000\r\n\r\n", b"hello"),
        ("a size in either case", b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2),
        ("an extension", b"5;a\r\nhello\r\n0\r\n\r\n", b"hello"),
        ("an extension with a value", b"5;a=b\r\nhello\r\n0;c=d\r\n\r\n", b"hello"),
        ("an extension with a quoted value", b'5;a="b c;d"\r\nhello\r\n0\r\n\r\n', b"hello"),
        ("extensions in white space", b"5 ;\ta = b ; c\r\nhello\r\n0\r\n\r\n", b"hello"),
        ("two extensions", b"5;a;b=c\r\nhello\r\n0\r\n\r\n", b"hello"),
        ("a trailer", b"5\r\nhello\r\n0\r\nA: b\r\n\r\n", b"hello"),
        ("trailers that frame nothing any more", b"5\r\nhello\r\n0\r\nContent-Length: 50\r\n"
                                                 b"Transfer-Encoding: chunked\r\n\r\n", b"hello"),
        ("content that looks like an end", b"7\r\n0\r\n\r\nxx\r\n0\r\n\r\n", b"0\r\n\r\nxx"))},
    "Transfer-Encoding: Chunked": (field(b"Transfer-Encoding: Chunked\r\n", body=b"0\r\n\r\n"), b""),
    "Transfer-Encoding in white space": (field(b"Transfer-Encoding:\tchunked \t\r\n", body=b"0\r\n\r\n"), b""),
}

CHUNKS = {f"chunks: {name}": text for name, text in {
    **{f"size {size!r}"[:60]: field(CHUNKED, body=size + b"\r\nhello\r\n0\r\n\r\n") for size in (
        b"0x5", b"+5", b"-5", b" 5", b"\t5", b"5 ", b"5\t", b"5h", b"g", b"", b"5_0", b"5.0", b"5,5", b"\"5\"", b"5\x00",
        b"5\x0b", b"10000000000000005", b"fffffffffffffffff0", b"\xef\xbc\x95",
        b"5\r", b"5 5", b"5=a")},
    "bad extension: no name": field(CHUNKED, body=b"5;=x\r\nhello\r\n0\r\n\r\n"),
    "bad extension: a NUL": field(CHUNKED, body=b"5;a=\x00\r\nhello\r\n0\r\n\r\n"),
    "bad extension: a LF in it": field(CHUNKED, body=b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    "bad extension: a CR in it": field(CHUNKED, body=b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    "bad extension: a quote that stays open": field(CHUNKED, body=b"5;a=\"x\r\nhello\r\n0\r\n\r\n"),
    "bad extension: no value": field(CHUNKED, body=b"5;a=\r\nhello\r\n0\r\n\r\n"),
    "bad extension: words behind a value": field(CHUNKED, body=b'5;a="b"c\r\nhello\r\n0\r\n\r\n'),
    "extensions of 20 KiB": field(CHUNKED, body=b"1;a=" + b"b" * 5000 + b"\r\nx\r\n1;a=" + b"b" * 15000 + b"\r\n"),
    "trailers of 20 KiB": field(CHUNKED, body=b"0\r\n" + b"A: %b\r\n" % (b"b" * 1000) * 20),
    "LF behind the size": field(CHUNKED, body=b"5\nhello\r\n0\r\n\r\n"),
    "CR behind the size": field(CHUNKED, body=b"5\rhello\r\n0\r\n\r\n"),
    "LF behind the content": field(CHUNKED, body=b"5\r\nhello\n0\r\n\r\n"),
    "nothing behind the content": field(CHUNKED, body=b"5\r\nhello0\r\n\r\n"),
    "more content than the size": field(CHUNKED, body=b"5\r\nhelloworld\r\n0\r\n\r\n"),
    "less content than the size": field(CHUNKED, body=b"5\r\nhel\r\n0\r\n\r\n"),
    "LF behind the last size": field(CHUNKED, body=b"5\r\nhello\r\n0\n\r\n"),
    "LF behind the trailers": field(CHUNKED, body=b"5\r\nhello\r\n0\r\nA: b\n\r\n"),
    "no hexadecimal at all": field(CHUNKED, body=b"hello\r\n\r\n"),
    "a trailer folded": field(CHUNKED, body=b"0\r\nA: b\r\n c\r\n\r\n"),
    "a trailer without a colon": field(CHUNKED, body=b"0\r\nGET /pass/other HTTP/1.1\r\n\r\n"),
    "a trailer with a space before its colon": field(CHUNKED, body=b"0\r\nA : b\r\n\r\n"),
    "a trailer with a NUL": field(CHUNKED, body=b"0\r\nA: \x00b\r\n\r\n"),
}.items()}


# The sizes are such that the rest never comes.
ENDLESS = {f"chunks: size {size.decode()}": field(CHUNKED, body=size + b"\r\nhello\r\n0\r\n\r\n")
           for size in (b"ffffffffffffffff", b"8000000000000000", b"7fffffffffffffff", b"100000000", b"f0")}

CUT = {
    "cut: in the request line": b"METHOD /pass/thing HT",
    "cut: in a field": b"METHOD /pass/thing HTTP/1.1\r\nHost: loc",
    "cut: before the empty line": b"METHOD /pass/thing HTTP/1.1\r\nHost: localhost\r\n",
    "cut: in the content": field(b"Content-Length: 6\r\n", body=b"hello"),
    "cut: in a chunk's size": field(CHUNKED, body=b"5\r\nhello\r\n1"),
    "cut: in a chunk": field(CHUNKED, body=b"6\r\nhello"),
    "cut: before the last chunk": field(CHUNKED, body=b"5\r\nhello\r\n"),
    "cut: before the end of the trailers": field(CHUNKED, body=b"5\r\nhello\r\n0\r\nA: b\r\n"),
}


@pytest.mark.parametrize("method", ("GET", "POST"))
@pytest.mark.parametrize("text, content", GOOD.values(), ids=GOOD)
def test_what_is_allowed_is_served_once_and_so_is_what_comes_behind_it(strict_edge, asked, text, content, method):
    found = responses(exchange(strict_edge.clear_port, asked_with(text, method.encode()) + BEHIND))
    assert [(status, body) for status, _, body in found] == [(200, b"0123456789")] * 2
    assert asked() == [(method, "/pass/thing", content), OTHER]


@pytest.mark.parametrize("text", CHUNKS.values(), ids=CHUNKS)
def test_bad_chunks_reach_no_upstream_whole_and_end_the_connection(strict_edge, asked, text):
    found = responses(exchange(strict_edge.clear_port, asked_with(text, b"POST") + BEHIND))
    assert [status for status, _, _ in found] == [400] and found[0][1][b"connection"] == b"close"
    assert asked() == []


@pytest.mark.parametrize("text", [*ENDLESS.values(), *CUT.values()], ids=[*ENDLESS, *CUT])
def test_what_breaks_off_is_no_request(strict_edge, asked, text):
    assert b"HTTP/1.1 2" not in exchange(strict_edge.clear_port, asked_with(text, b"POST"), half_close=True)
    assert asked() == []


@pytest.mark.parametrize("text", [
    b"GET /pass/thing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET /pass/thing HTTP/1.1\r\nHost: localhost\r\nConnection: te, Close\r\nTE: trailers\r\n\r\n",
    b"GET /pass/thing HTTP/1.0\r\n\r\n", b"GET /pass/thing HTTP/1.0\r\nHost: localhost\r\n\r\n",
    b"GET /pass/thing HTTP/1.0\r\nHost: localhost\r\nConnection: close, keep-alive\r\n\r\n"],
    ids=["close", "close among others", "HTTP/1.0 without Host", "HTTP/1.0", "HTTP/1.0, close with keep-alive"])
def test_nothing_is_served_behind_the_last_request(strict_edge, asked, text):
    found = responses(exchange(strict_edge.clear_port, text + BEHIND))
    assert [(status, body) for status, _, body in found] == [(200, b"0123456789")]
    assert found[0][1][b"connection"] == b"close"
    assert asked() == [THING]


def test_http10_goes_on_where_it_asks_for_that(strict_edge, asked):
    text = b"GET /pass/thing HTTP/1.0\r\nHost: localhost\r\nConnection: Keep-Alive\r\n\r\n"
    found = responses(exchange(strict_edge.clear_port, text + BEHIND))
    assert [fields[b"connection"] for _, fields, _ in found] == [b"keep-alive", b"close"]
    assert asked() == [THING, OTHER]


def test_pipelined_requests_are_answered_in_their_order(strict_edge, asked):
    texts = [request(line=b"GET %b HTTP/1.1" % path) for path in (b"/probe", b"/pass/thing", b"/probe", b"/pass/nothing")]
    found = responses(exchange(strict_edge.clear_port, b"".join(texts) + BEHIND))
    assert [status for status, _, _ in found] == [204, 200, 204, 404, 200]
    assert asked() == [THING, ("GET", "/pass/nothing", b""), OTHER]


def test_an_absolute_form_without_a_path_has_one(strict_edge, strict_origin):
    before = len(strict_origin.requests)
    for target in (b"http://localhost", b"http://localhost?q"):
        exchange(strict_edge.clear_port, line(b"GET " + target + b" HTTP/1.1", host=b"Host: a\r\nConnection: close"))
    assert [r.target for r in strict_origin.requests[before:]] == ["/", "/?q"]


@pytest.mark.parametrize("method, path", [("GET", "/probe"), ("HEAD", "/small"), ("HEAD", "/pass/nothing")])
def test_an_answer_without_content_is_not_framed_as_if_it_had_some(strict_edge, method, path):
    with connect(strict_edge.clear_port) as c:
        c.sendall(request(line=f"{method} {path} HTTP/1.1".encode()) + BEHIND)
        head, _, rest = read_all(c).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower() and rest.startswith(b"HTTP/1.1 200 OK\r\n")
    assert path != "/probe" or b"content-length" not in head.lower()


def test_an_answer_is_of_this_edges_own_version_with_a_space_behind_the_status(strict_edge, asked):
    for version in (b"HTTP/1.0", b"HTTP/1.1"):
        found = exchange(strict_edge.clear_port, b"GET /pass/thing " + version + b"\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert found.startswith(b"HTTP/1.1 200 ")
    assert asked() == [THING, THING]


def test_a_client_that_is_still_sending_hears_why_it_is_refused(strict_edge):
    """A reset would take the answer from it, before it has read it."""
    with connect(strict_edge.clear_port) as c:
        c.sendall(b"GET / HTTP/1.1\nHost: a\n\n")
        try:
            for _ in range(100):
                c.sendall(b"more" * 1000)
        except OSError:
            pass
        assert read_all(c).startswith(b"HTTP/1.1 400 ")


def test_a_request_that_may_not_be_repeated_is_not(make_edge):
    """An upstream that keeps its connection, and closes it on the next request without a word, may have acted on that."""
    heard = []

    def serve(connection):
        with connection, connection.makefile("rb") as reader:
            while (line := reader.readline()):
                while reader.readline() != b"\r\n":
                    pass
                heard.append(line.split()[0])
                if heard[-1] != b"GET":
                    return
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def accept():
        for _ in range(2):
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        edge = make_edge(f"location / {{ proxy_pass http://127.0.0.1:{listener.getsockname()[1]}; proxy_cache off; }}",
                         workers=1).start()
        assert edge.fetch("/").body == b"ok"
        assert edge.fetch("/", method="POST").status == 502
    assert heard == [b"GET", b"POST"]
