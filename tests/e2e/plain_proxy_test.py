"""A plain location passes every method on, with its content, for clients of HTTP/1.0, HTTP/1.1 and HTTP/2."""
import threading

import pytest

from support.origin import Answer, made_bytes

BODY = made_bytes(3 << 20)
VERSIONS = ("1.0", "1.1", "2")


@pytest.fixture
def edge(make_edge, origin):
    return make_edge(f"""
        location / {{ proxy_pass {origin.url}; proxy_cache off; client_max_body_size 8m; }}
        location /small/ {{ proxy_pass {origin.url}; client_max_body_size 10; }}
        location /cached/ {{ proxy_pass {origin.url}; proxy_cache_valid 200 10m; }}
        location /set/ {{ proxy_pass {origin.url}; proxy_method PUT; proxy_set_body "set=$arg_x";
                          proxy_pass_request_headers off; }}""").start()


@pytest.fixture
def upload(tmp_path):
    path = tmp_path / "upload"
    path.write_bytes(BODY)
    return path


def asked(origin):
    return [(r.method, r.target, len(r.body)) for r in origin.requests]


@pytest.mark.parametrize("version", VERSIONS)
def test_each_method_reaches_the_upstream_with_its_content(edge, origin, version):
    origin.add("/x", b"answer")
    methods = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "REPORT"]
    for method in methods:
        got = edge.fetch("/x", version=version, curl=("--request", method, "--data-binary", "hello"))
        assert (got.status, got.body) == (200, b"answer"), method
    assert [(r.method, r.body) for r in origin.requests] == [(method, b"hello") for method in methods]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_long_upload_arrives_as_it_is(edge, origin, upload, version):
    origin.add("/x", b"answer")
    got = edge.fetch("/x", method="PUT", version=version, curl=("-T", str(upload)))
    assert (got.status, got.body) == (200, b"answer")
    assert origin.requests[0].body == BODY
    assert origin.requests[0].fields["content-length"] == str(len(BODY))
    assert "expect" not in origin.requests[0].fields  # 100 Continue was ours to say


@pytest.mark.parametrize("version", ("1.1", "2"))
def test_an_upload_of_unknown_length_goes_in_chunks(edge, origin, upload, version):
    origin.add("/x", b"answer")
    got = edge.fetch("/x", method="PUT", version=version,
                     curl=("-T", str(upload), "-H", "Transfer-Encoding: chunked", "-H", "Content-Length:"))
    assert got.status == 200 and origin.requests[0].body == BODY


def test_end_to_end_fields_pass_and_those_of_the_connection_do_not(edge, origin):
    origin.add("/x", b"answer")
    edge.fetch("/x", method="POST", version="1.1", fields={
        "Origin": "http://a", "X-Any": "1", "Cookie": "c=1", "Authorization": "Basic eA==", "Content-Type": "a/b",
        "Connection": "X-Hop", "X-Hop": "1", "Keep-Alive": "5", "Upgrade": "h2c", "Proxy-Authorization": "x"},
        curl=("--data-binary", "hello"))
    sent = origin.requests[0].fields
    assert [sent.get(name) for name in ("origin", "x-any", "cookie", "authorization", "content-type")] == [
        "http://a", "1", "c=1", "Basic eA==", "a/b"]
    assert not {"connection", "x-hop", "keep-alive", "upgrade", "proxy-authorization"} & set(sent)


@pytest.mark.parametrize("version", ("1.1", "2"))
def test_too_large_content_is_refused_by_its_length_and_in_mid_stream(edge, origin, version):
    origin.add("/small/x", b"answer")
    told = edge.fetch("/small/x", method="POST", version=version, curl=("--data-binary", "x" * 11))
    assert told.status == 413 and told.fields["content-type"] == "application/problem+json"
    assert not origin.requests
    fits = edge.fetch("/small/x", method="POST", version=version, curl=("--data-binary", "x" * 10))
    assert fits.status == 200 and len(origin.requests) == 1


def test_other_methods_pass_by_the_cache_and_content_on_get_too(edge, origin):
    thing = origin.add("/cached/x", b"answer", etag=None)
    for _ in range(2):
        assert edge.fetch("/cached/x").body == b"answer"
    assert len(origin.requests) == 1
    thing.data = b"another"
    assert edge.fetch("/cached/x", curl=("--request", "GET", "--data-binary", "q")).body == b"another"
    assert edge.fetch("/cached/x").body == b"answer"  # what depends on content was not stored
    assert asked(origin) == [("GET", "/cached/x", 0), ("GET", "/cached/x", 1)]


def test_method_and_content_may_be_the_confs(edge, origin):
    origin.add("/set/x?x=7", b"answer")
    assert edge.fetch("/set/x?x=7", fields={"X-Any": "1"}).body == b"answer"
    request = origin.requests[0]
    assert (request.method, request.body) == ("PUT", b"set=7") and "x-any" not in request.fields


@pytest.mark.parametrize("version", ("1.1", "2"))
def test_an_answer_that_comes_early_passes_and_the_upload_stops(edge, origin, upload, version):
    thing = origin.add("/early", b"")
    thing.early = True
    thing.tamper = lambda answer, request, n: Answer(403, {}, b"enough")
    got = edge.fetch("/early", method="PUT", version=version, curl=("-T", str(upload)))
    assert (got.status, got.body) == (403, b"enough"), got.error


def test_two_uploads_share_a_connection(edge, origin, upload):
    origin.add("/a", b"a")
    origin.add("/b", b"b")
    barrier = threading.Barrier(2)
    answers = {}

    def put(path):
        barrier.wait()
        answers[path] = edge.fetch(path, method="PUT", curl=("-T", str(upload))).body
    threads = [threading.Thread(target=put, args=(path,)) for path in ("/a", "/b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {"/a": b"a", "/b": b"b"}
    assert all(r.body == BODY for r in origin.requests)


def test_early_hints_pass_to_http11(edge, origin):
    thing = origin.add("/hints", b"answer")
    thing.interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
    client = edge.http1()
    client.send("GET /hints HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    status, fields = client.head()
    assert status == 103 and fields["link"] == "</a.css>"
    assert client.head()[0] == 200
    client.close()


def test_trace_and_connect_are_not_served(edge, origin):
    got = edge.fetch("/x", method="TRACE")
    assert got.status == 405 and "PATCH" in got.fields["allow"] and not origin.requests
