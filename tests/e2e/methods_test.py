"""Whom a request is for, which methods are answered here, and what keeps it from going round in circles."""
import json
import re

import pytest

from support.edge import make_certificate


def exchange(edge, text, tls=False):
    connection = edge.http1(tls=tls)
    connection.send(text)
    answer = connection.response()
    connection.close()
    return answer


def problem(answer):
    status, fields, body = answer
    assert fields["content-type"] == "application/problem+json" and "date" in fields
    told = json.loads(body)
    assert (told["status"], told["type"]) == (status, "about:blank")
    assert re.fullmatch("[0-9a-f]{32}", told["request_id"])
    return status, told["error"]


@pytest.mark.parametrize("request_", [
    "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "OPTIONS /a HTTP/1.1\r\nHost: localhost\r\nMax-Forwards: 0\r\n\r\n"], ids=["of the server", "of the last hop"])
def test_options_are_answered_here(edge, origin, request_):
    status, fields, body = exchange(edge, request_)
    assert (status, fields["content-length"], body) == (200, "0", b"")
    assert {"GET", "HEAD", "OPTIONS"} <= set(fields["allow"].split(", "))
    assert origin.requests == []


@pytest.mark.parametrize("target", ["/../a", "/%zz"])
def test_options_of_no_path_are_refused(make_edge, target):
    edge = make_edge("location /files/ { root files; }").start()
    assert problem(exchange(edge, f"OPTIONS {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"))[0] == 400


@pytest.mark.parametrize("told, passed_on", [("1", "0"), ("10", "9"), ("007", "6"), (None, None), ("x", "x")])
def test_options_pass_with_one_hop_less(edge, origin, told, passed_on):
    origin.add("/a", size=10)
    edge.fetch("/a", method="OPTIONS", fields={"Max-Forwards": told} if told else {})
    assert origin.requests[0].method == "OPTIONS" and origin.requests[0].fields.get("max-forwards") == passed_on


def test_max_forwards_of_other_methods_is_not_ours_to_count(edge, origin):
    origin.add("/a", size=10)
    assert edge.fetch("/a", method="POST", fields={"Max-Forwards": "0"}).status == 200
    assert origin.requests[0].fields["max-forwards"] == "0"


def test_options_that_end_here_tell_what_may_be_asked(make_edge, origin):
    edge = make_edge(f"""location /pass/ {{ proxy_pass {origin.url}; }}
                         location /files/ {{ root .; }}
                         location /text {{ return 204; add_header Access-Control-Allow-Methods PUT; }}""").start()
    passing = edge.fetch("/pass/a", method="OPTIONS", fields={"Max-Forwards": "0"})
    assert {"POST", "PUT", "DELETE", "PATCH"} <= set(passing.fields["allow"].split(", "))
    for fields in ({}, {"Max-Forwards": "5"}):
        assert edge.fetch("/files/a", method="OPTIONS", fields=fields).fields["allow"] == "GET, HEAD, OPTIONS"
    preflight = edge.fetch("/text", method="OPTIONS")
    assert (preflight.status, preflight.fields["access-control-allow-methods"]) == (204, "PUT")
    assert origin.requests == []


@pytest.mark.parametrize("hops", ["0", "5"])
def test_trace_is_never_passed_on(edge, origin, hops):
    assert exchange(edge, f"TRACE /a HTTP/1.1\r\nHost: localhost\r\nMax-Forwards: {hops}\r\n\r\n")[0] == 405
    assert origin.requests == []


def test_trace_is_refused(edge, origin):
    status, fields, body = exchange(edge, "TRACE /a HTTP/1.1\r\nHost: localhost\r\nCookie: secret\r\n\r\n")
    assert problem((status, fields, body)) == (405, "method") and "TRACE" not in fields["allow"]
    assert b"secret" not in body and origin.requests == []


@pytest.mark.parametrize("head", [
    "GET /a HTTP/1.1", "GET /a HTTP/1.1\r\nHost: a\r\nHost: a", "GET /a HTTP/1.1\r\nHost: a b",
    "GET /a HTTP/1.1\r\nHost: user@a", "GET /a HTTP/1.1\r\nHost: a/b"],
    ids=["none", "two", "a space", "user information", "a path"])
def test_a_host_that_is_none_is_refused_by_the_parser(edge, origin, head):
    status, fields, _ = exchange(edge, head + "\r\n\r\n")
    assert status == 400 and fields["connection"] == "close" and origin.requests == []


@pytest.mark.parametrize("host", ["", "a:x", "a:123456", "[::1", "a:b:80", ":80"])
def test_a_host_that_is_malformed_is_refused(edge, origin, host):
    assert problem(exchange(edge, f"GET /a HTTP/1.1\r\nHost: {host}\r\n\r\n")) == (400, "malformed")
    assert origin.requests == []


@pytest.mark.parametrize("head", [
    "GET http://localhost:80/a HTTP/1.1\r\nHost: other", "GET /a HTTP/1.1\r\nHost: LOCALHOST.:99",
    "GET http://localhost/a HTTP/1.1\r\nHost: localhost", "GET /a HTTP/1.0"],
    ids=["the target counts", "case, dot and port do not", "absolute-form", "HTTP/1.0 needs none"])
def test_a_host_in_any_right_form_is_served(edge, origin, head):
    thing = origin.add("/a", size=10)
    status, _, body = exchange(edge, head + "\r\n\r\n")
    assert (status, body) == (200, thing.data)


def test_a_connection_that_does_not_cover_a_server_is_told_so(make_edge, origin, tmp_path):
    origin.add("/a", size=10)
    certificate, key = make_certificate(str(tmp_path), "other.test")
    edge = make_edge("location / { return 200 mine; }")
    edge.write_conf(http=f"""
        server {{ listen 127.0.0.1:{edge.tls_port} ssl http2; server_name other.test 127.0.0.1;
                  ssl_certificate {certificate}; ssl_certificate_key {key};
                  location / {{ return 200 other; }} }}""")
    edge.start()
    for version in ("2", "1.1"):
        answer = edge.fetch("/a", version=version, fields={"Host": "other.test"})
        assert answer.status == 421 and json.loads(answer.body)["error"] == "misdirected"
        assert edge.fetch("/a", version=version, fields={"Host": "127.0.0.1"}).body == b"other"  # the certificate has it


def test_early_data_that_is_not_safe_is_too_early(make_edge, origin):
    edge = make_edge("location / { root .; }").start()
    assert problem(exchange(edge, "DELETE /a HTTP/1.1\r\nHost: localhost\r\nEarly-Data: 1\r\n\r\n")) == (425, "too-early")
    assert exchange(edge, "DELETE /a HTTP/1.1\r\nHost: localhost\r\n\r\n")[0] == 405


def test_early_data_is_passed_on_and_so_is_what_the_upstream_says_of_it(make_edge, origin):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache off; }}").start()
    thing = origin.add("/a", size=10)
    thing.tamper = lambda answer, request, n: setattr(answer, "status", 425)
    assert edge.fetch("/a", fields={"Early-Data": "1"}).status == 425
    assert origin.requests[0].fields["early-data"] == "1"


def test_what_comes_back_is_a_loop(make_edge, origin):
    edge = make_edge("")
    edge.write_conf(locations=f"location / {{ proxy_pass http://127.0.0.1:{edge.clear_port}; proxy_set_header Host localhost; }}")
    edge.start()
    answer = edge.fetch("/a", tls=False, version="1.1")
    assert (answer.status, json.loads(answer.body)["error"]) == (508, "loop")
    assert answer.fields["proxy-status"] == "entrepot; error=proxy_loop_detected"


def test_too_many_edges_are_a_loop_too(edge, origin):
    thing = origin.add("/a", size=10)
    hops = ", ".join(f'entrepot; id="{i}"' for i in range(4))
    assert edge.fetch("/a", fields={"CDN-Loop": hops}).status == 508 and origin.requests == []
    assert edge.fetch("/a", fields={"CDN-Loop": 'entrepot; id="1"', "Via": "1.1 front"}).body == thing.data
    assert re.fullmatch(r'entrepot; id="1", entrepot; id="[0-9a-f]{16}"', origin.requests[0].fields["cdn-loop"])
    assert origin.requests[0].fields["via"] == "1.1 front, 2.0 entrepot"
    edge.wait_idle()
    assert edge.fetch("/a", fields={"CDN-Loop": hops}).body == thing.data  # a hit goes nowhere
