"""What two readers of HTTP/1 could read differently smuggles requests: it is refused, the connection ends, and whatever
came behind it is read by nobody. What is allowed: http1_content_test.py. Source: RFC 9112 2-7, 11; RFC 9110 5.5, 5.6.2,
7.2.

Each row goes to /pass/thing, which is asked of the origin anew each time, in front of a request for /pass/other that is
pipelined behind it: the origin must see what the row says, and nothing else.
"""
import pytest

from support.http1 import BEHIND, CHUNKED, asked_with, exchange, field, request, responses

INNER = b"GET /pass/other HTTP/1.1\r\nHost: localhost\r\n\r\n"  # what would be smuggled within content
METHODS = (b"GET", b"POST")


def coding(value, body=b"0\r\n\r\n"):
    return field(b"Transfer-Encoding:" + value + b"\r\n", body=body)


def length(value, body=b""):
    return field(b"Content-Length:" + value + b"\r\n", body=body)


def line(text):
    return request(line=text)


BOTH = {f"length and coding: {name}": text for name, text in {
    "length first": field(b"Content-Length: 5\r\n", CHUNKED, body=b"0\r\n\r\n" + INNER),
    "coding first": field(CHUNKED, b"Content-Length: 5\r\n", body=b"0\r\n\r\n" + INNER),
    "length 0": field(b"Content-Length: 0\r\n", CHUNKED, body=b"0\r\n\r\n"),
    "apart": field(b"Content-Length: 5\r\n", b"A: b\r\n", CHUNKED, body=b"0\r\n\r\n"),
    "in lower case": field(b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n", body=b"0\r\n\r\n"),
    "in upper case": field(b"CONTENT-LENGTH: 5\r\n", b"TRANSFER-ENCODING: CHUNKED\r\n", body=b"0\r\n\r\n"),
    "coding identity": field(b"Content-Length: 5\r\n", b"Transfer-Encoding: identity\r\n", body=b"hello"),
    "coding empty": field(b"Content-Length: 5\r\n", b"Transfer-Encoding:\r\n", body=b"hello"),
    "coding unknown": field(b"Content-Length: 5\r\n", b"Transfer-Encoding: xchunked\r\n", body=b"hello"),
    "coding of HTTP/1.0": request(b"Content-Length: 5", b"Transfer-Encoding: chunked",
                                  line=b"METHOD /pass/thing HTTP/1.0", body=b"0\r\n\r\n"),
    "coding named by Connection": field(b"Connection: transfer-encoding\r\n", b"Content-Length: 5\r\n", CHUNKED,
                                        body=b"0\r\n\r\n"),
    "length named by Connection": field(b"Connection: content-length\r\n", b"Content-Length: 5\r\n", CHUNKED,
                                        body=b"0\r\n\r\n"),
}.items()}

LENGTHS = {f"length: {name}": text for name, text in {
    "twice, the same": field(b"Content-Length: 5\r\n", b"Content-Length: 5\r\n", body=b"hello"),
    "twice, not the same": field(b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", body=b"hello"),
    "twice, apart": field(b"Content-Length: 0\r\n", b"A: b\r\n", b"content-length: 5\r\n", body=b"hello"),
    **{repr(value)[2:-1]: length(value, b"hello") for value in (
        b" 5, 5", b" 5,5", b" 5, 6", b" 5,", b" ,5", b" +5", b" -5", b" -0", b" 0x5", b" 5h", b" 5 5", b" 5;q=1", b" 5.0",
        b" 5e0", b" \"5\"", b"", b" ", b" five", b" \xef\xbc\x95", b" 5\x0b", b" \x0b5", b" 5\x00", b" 5\x0c", b" 0b1",
        b" 1_0", b" 9999999999999999999", b" 18446744073709551621", b" 340282366920938463463374607431768211461",
        b" " + b"9" * 400)},
    "a space before the colon": field(b"Content-Length : 5\r\n", body=b"hello"),
    "a tab before the colon": field(b"Content-Length\t: 5\r\n", body=b"hello"),
    "a space before the name": field(b"A: b\r\n", b" Content-Length: 5\r\n", body=b"hello"),
    "underscore is another name, digits behind": field(b"Content-Length: 5\r\nContent-Length\x00: 6\r\n", body=b"hello"),
}.items()}

CODINGS = {f"coding: {name}": text for name, text in {
    **{repr(value)[2:-1]: coding(value) for value in (
        b" identity", b" gzip", b" chunked, gzip", b" chunked, identity", b" gzip, chunked, chunked",
        b" chunked, chunked", b" chunked,chunked", b" chunked,", b" ,chunked", b" , chunked", b" \"chunked\"", b" 'chunked'",
        b" chunked;q=1", b" chunked;", b" xchunked", b" chunkedx", b" chunk", b" chunked\x0b", b" \x0bchunked",
        b" chunked\x0c", b" chunked\x00", b" \x00chunked", b" chunked\xa0", b" \xa0chunked", b" chunked chunked", b"",
        b" ", b" c hunked", b" chun\xc4\xb7ed", b" \xe2\x84\xaachunked", b" chunked\x7f", b" chunked\x08", b" deflate",
        b" trailers", b" chunked, cow", b" , gzip, chunked", b" gz ip, chunked")},
    "twice": field(CHUNKED, CHUNKED, body=b"0\r\n\r\n"),
    "twice, the second unknown": field(CHUNKED, b"Transfer-Encoding: cow\r\n", body=b"0\r\n\r\n"),
    "twice, the first unknown": field(b"Transfer-Encoding: cow\r\n", CHUNKED, body=b"0\r\n\r\n"),
    "twice, one identity": field(b"Transfer-Encoding: identity\r\n", CHUNKED, body=b"0\r\n\r\n"),
    "folded": field(b"Transfer-Encoding:\r\n chunked\r\n", body=b"0\r\n\r\n"),
    "folded by a tab": field(b"Transfer-Encoding:\r\n\tchunked\r\n", body=b"0\r\n\r\n"),
    "folded behind": field(b"Transfer-Encoding: chunked\r\n , identity\r\n", body=b"0\r\n\r\n"),
    "a space before the colon": field(b"Transfer-Encoding : chunked\r\n", body=b"0\r\n\r\n"),
    "a tab before the colon": field(b"Transfer-Encoding\t: chunked\r\n", body=b"0\r\n\r\n"),
    "a vertical tab before the colon": field(b"Transfer-Encoding\x0b: chunked\r\n", body=b"0\r\n\r\n"),
    "a NUL before the colon": field(b"Transfer-Encoding\x00: chunked\r\n", body=b"0\r\n\r\n"),
    "a space before the name": field(b"A: b\r\n", b" Transfer-Encoding: chunked\r\n", body=b"0\r\n\r\n"),
    "behind a bare CR": field(b"A: b\rTransfer-Encoding: chunked\r\n", body=b"0\r\n\r\n"),
    "behind a bare LF": field(b"A: b\nTransfer-Encoding: chunked\r\n", body=b"0\r\n\r\n"),
    "with a bare LF": field(b"Transfer-Encoding: chunked\n", body=b"0\r\n\r\n"),
    "with a bare CR": field(b"Transfer-Encoding: chunked\r", body=b"0\r\n\r\n"),
    "with CR CR LF": field(b"Transfer-Encoding: chunked\r\r\n", body=b"0\r\n\r\n"),
    "of HTTP/1.0": request(b"Transfer-Encoding: chunked", line=b"METHOD /pass/thing HTTP/1.0", body=b"0\r\n\r\n"),
}.items()}

LINES = {f"line ends: {name}": text for name, text in {
    "LF behind the request line": b"METHOD /pass/thing HTTP/1.1\nHost: localhost\r\n\r\n",
    "LF behind a field": b"METHOD /pass/thing HTTP/1.1\r\nHost: localhost\n\r\n",
    "LF alone ends the head": b"METHOD /pass/thing HTTP/1.1\r\nHost: localhost\r\n\n",
    "LF everywhere": b"METHOD /pass/thing HTTP/1.1\nHost: localhost\n\n",
    "CR behind the request line": b"METHOD /pass/thing HTTP/1.1\rHost: localhost\r\n\r\n",
    "CR behind a field": b"METHOD /pass/thing HTTP/1.1\r\nHost: localhost\rA: b\r\n\r\n",
    "CR everywhere": b"METHOD /pass/thing HTTP/1.1\rHost: localhost\r\r",
    "CR CR LF": b"METHOD /pass/thing HTTP/1.1\r\r\nHost: localhost\r\n\r\n",
    "LF CR": b"METHOD /pass/thing HTTP/1.1\n\rHost: localhost\n\r\n\r",
    "a LF before the request line": b"\nMETHOD /pass/thing HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a CR before the request line": b"\rMETHOD /pass/thing HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "three empty lines before the request line": b"\r\n\r\n\r\nMETHOD /pass/thing HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a CR within a name": field(b"A\rb: c\r\n"),
    "a LF within a name": field(b"A\nb: c\r\n"),
    "a CR within a value": field(b"A: b\rc\r\n"),
    "a CR at a value's beginning": field(b"A: \rc\r\n"),
    "a CR within the target": line(b"METHOD /pass/\rthing HTTP/1.1"),
    "a LF within the target": line(b"METHOD /pass/\nthing HTTP/1.1"),
    "a CR within the method": line(b"MET\rHOD /pass/thing HTTP/1.1"),
}.items()}

FIELDS = {f"fields: {name}": text for name, text in {
    "folded": field(b"A: b\r\n c\r\n"),
    "folded by a tab": field(b"A: b\r\n\tc\r\n"),
    "folded, and nothing on the line": field(b"A: b\r\n \r\n"),
    "folded, the first": b"METHOD /pass/thing HTTP/1.1\r\n Host: localhost\r\nHost: localhost\r\n\r\n",
    "a space behind the request line's end": b"METHOD /pass/thing HTTP/1.1\r\n \r\nHost: localhost\r\n\r\n",
    "a space before the colon": field(b"A : b\r\n"),
    "a tab before the colon": field(b"A\t: b\r\n"),
    "a space within a name": field(b"A b: c\r\n"),
    "no name": field(b": b\r\n"),
    "no colon": field(b"A\r\n"),
    "no colon in Host": request(host=b"Host localhost"),
    "another request line": field(b"GET /pass/other HTTP/1.1\r\n"),
    **{f"{char!r} in a name"[1:]: field(b"A" + char + b"b: c\r\n") for char in (
        b"\x00", b"\x01", b"\x08", b"\x0b", b"\x0c", b"\x1b", b"\x7f", b"\x80", b"\xff", b"(", b")", b"<", b">", b"@", b",",
        b";", b"\\", b'"', b"/", b"[", b"]", b"?", b"=", b"{", b"}")},
    **{f"{char!r} in a value"[1:]: field(b"A: b" + char + b"c\r\n") for char in (
        b"\x00", b"\x01", b"\x08", b"\x0b", b"\x0c", b"\x1b", b"\x7f")},
    "a NUL at a value's end": field(b"A: b\x00\r\n"),
    "a NUL in Host": request(host=b"Host: local\x00host"),
}.items()}

REQUEST_LINES = {f"request line: {name}": text for name, text in {
    "two spaces behind the method": line(b"METHOD  /pass/thing HTTP/1.1"),
    "two spaces behind the target": line(b"METHOD /pass/thing  HTTP/1.1"),
    "a tab behind the method": line(b"METHOD\t/pass/thing HTTP/1.1"),
    "a tab behind the target": line(b"METHOD /pass/thing\tHTTP/1.1"),
    "a vertical tab behind the method": line(b"METHOD\x0b/pass/thing HTTP/1.1"),
    "a space before it": line(b" METHOD /pass/thing HTTP/1.1"),
    "a space behind it": line(b"METHOD /pass/thing HTTP/1.1 "),
    "a tab behind it": line(b"METHOD /pass/thing HTTP/1.1\t"),
    "a word more": line(b"METHOD /pass/thing HTTP/1.1 x"),
    "two versions": line(b"METHOD /pass/thing HTTP/1.1 HTTP/1.1"),
    "a space within the target": line(b"METHOD /pass/ thing HTTP/1.1"),
    "no target": line(b"METHOD HTTP/1.1"),
    "an empty target": line(b"METHOD  HTTP/1.1"),
    "no version": line(b"METHOD /pass/thing"),
    "a method alone": line(b"METHOD"),
    "no method": line(b" /pass/thing HTTP/1.1"),
    "a NUL in the target": line(b"METHOD /pass/\x00thing HTTP/1.1"),
    "a control character in the target": line(b"METHOD /pass/\x01thing HTTP/1.1"),
    "DEL in the target": line(b"METHOD /pass/\x7fthing HTTP/1.1"),
    "not ASCII in the target": line(b"METHOD /pass/\xc3\xa9 HTTP/1.1"),
    "a fragment in the target": line(b"METHOD /pass/thing#part HTTP/1.1"),
    "a target without a slash": line(b"METHOD pass/thing HTTP/1.1"),
    "a backslash for a slash": line(b"METHOD \\pass\\thing HTTP/1.1"),
    "a target that is a query": line(b"METHOD ?x HTTP/1.1"),
    "asterisk": line(b"METHOD * HTTP/1.1"),
    "authority-form": line(b"METHOD localhost:80 HTTP/1.1"),
    "another scheme": line(b"METHOD ftp://localhost/pass/thing HTTP/1.1"),
    "absolute-form without an authority": line(b"METHOD http:///pass/thing HTTP/1.1"),
    "absolute-form with a user": line(b"METHOD http://user@localhost/pass/thing HTTP/1.1"),
    "absolute-form with a space": line(b"METHOD http://local host/pass/thing HTTP/1.1"),
    "a method with a colon": line(b"GET: /pass/thing HTTP/1.1"),
    "a method with a quote": line(b"GE\"T /pass/thing HTTP/1.1"),
    "a method with a NUL": line(b"GE\x00T /pass/thing HTTP/1.1"),
    "a method that is not ASCII": line(b"G\xcb\x86T /pass/thing HTTP/1.1"),
    "a method in parentheses": line(b"(GET) /pass/thing HTTP/1.1"),
    "TLS in place of HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x20" * 60 + b"\r\n\r\n",
    "HTTP/2's preface, not quite": b"PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n",
    **{f"version {version.decode('latin-1')!r}": line(b"METHOD /pass/thing " + version) for version in (
        b"HTTP/1.2", b"HTTP/1.9", b"HTTP/2.0", b"HTTP/3.0", b"HTTP/0.9", b"HTTP/9.9", b"http/1.1", b"Http/1.1", b"HTTP/1",
        b"HTTP/1.", b"HTTP/.1", b"HTTP/11", b"HTTP/1.10", b"HTTP/01.1", b"HTTP/1.01", b"HTTP/+1.1", b"HTTP/1.1x",
        b"HTTP/1,1", b"HTTP 1.1", b"HTTPS/1.1", b"HTTP1.1", b"HTTP/1.1\x00", b"HTTP/1.1\x0b", b"XHTTP/1.1", b"HTTP/-1.1",
        b"ICY/1.1", b"RTSP/1.0", b"HTTP/1.\xb9")},
}.items()}

HOSTS = {f"host: {name}": text for name, text in {
    "none": request(host=None),
    "twice": request(b"Host: localhost"),
    "twice, not the same": request(b"Host: other.example"),
    "twice, apart": request(b"A: b", b"host: other.example"),
    "two in a list": request(host=b"Host: localhost, other.example"),
    "none, but absolute-form": request(line=b"METHOD http://localhost/pass/thing HTTP/1.1", host=None),
    "twice, and absolute-form": request(b"Host: other.example", line=b"METHOD http://localhost/pass/thing HTTP/1.1"),
    **{repr(value)[2:-1]: request(host=b"Host: " + value) for value in (
        b"user@localhost", b"local host", b"localhost/pass", b"localhost?x", b"localhost#x", b"localhost\\x", b"http://x",
        b"local\thost", b"local\x0bhost", b"loc\xc3\xa9l", b"\"localhost\"", b"<localhost>", b"local\x7fhost", b"a^b",
        b"a`b", b"a{b}", b"a|b")},
}.items()}

LIMITS = {
    "limits: a target of 40 KiB": (line(b"METHOD /" + b"a" * 40000 + b" HTTP/1.1"), 414),
    "limits: a target that does not end": (b"METHOD /" + b"a" * 40000, 414),
    "limits: a field of 40 KiB": (field(b"A: " + b"b" * 40000 + b"\r\n"), 431),
    "limits: a name of 40 KiB": (field(b"a" * 40000 + b": b\r\n"), 431),
    "limits: 101 fields": (field(*[b"A: b\r\n"] * 101), 431),
    "limits: fields of 32 KiB": (field(*[b"A: " + b"b" * 1000 + b"\r\n"] * 40), 431),
    "limits: a method of 9,000 letters": (line(b"A" * 9000 + b" /pass/thing HTTP/1.1"), 501),
    "limits: a method of 40,000 letters": (line(b"A" * 40000 + b" /pass/thing HTTP/1.1"), 501),
    "limits: a line that does not end": (b"A" * 40000, 501),
    "unknown method": (line(b"BREW /pass/thing HTTP/1.1"), 501),
    "unknown method in lower case": (line(b"get /pass/thing HTTP/1.1"), 501),
    "CONNECT": (line(b"CONNECT localhost:80 HTTP/1.1"), 405),
    "CONNECT of a path": (line(b"CONNECT /pass/thing HTTP/1.1"), 405),
    **{f"codings that are unknown: {value.decode()}": (coding(value), 501) for value in (
        b" gzip, chunked", b" identity, chunked", b" compress,chunked", b" cow\t,\tchunked", b" gzip, cow, chunked")},
}

REFUSED = {**BOTH, **LENGTHS, **CODINGS, **LINES, **FIELDS, **REQUEST_LINES, **HOSTS}


def pairs(rows):
    return {"argvalues": [(rows[name], method) for name in rows for method in METHODS],
            "ids": [f"{name} ({method.decode()})" for name in rows for method in METHODS]}


def refuses(port, text, statuses):
    found = responses(exchange(port, text + BEHIND))
    assert len(found) == 1 and found[0][0] in statuses, found
    assert found[0][1][b"connection"] == b"close" and found[0][1][b"content-type"] == b"application/problem+json"


@pytest.mark.parametrize("text, method", **pairs(REFUSED))
def test_what_is_ambiguous_is_refused_and_ends_the_connection(strict_edge, asked, text, method):
    refuses(strict_edge.clear_port, asked_with(text, method), (400, 505))
    assert asked() == []


@pytest.mark.parametrize("text, status", LIMITS.values(), ids=LIMITS)
def test_what_is_too_long_or_unknown_is_told_so(strict_edge, asked, text, status):
    refuses(strict_edge.clear_port, asked_with(text, b"GET"), (status,))
    assert asked() == []
