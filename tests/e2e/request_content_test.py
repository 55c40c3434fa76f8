"""Content of requests on its way up: who waits for whom, what it may cost, what follows it, and how much may come."""
import json
import select
import threading

import pytest

from support.memory import SANITIZED, memory
from support.origin import Answer

MIB = 1 << 20


# -- pace --

def test_a_server_that_reads_slowly_holds_the_client_back_and_costs_no_memory(make_edge, origin):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; client_max_body_size 64m; proxy_send_timeout 1h; }}").start()
    content, count = bytes(range(256)) * (48 * MIB // 256), 6
    thing = origin.add("/x", b"answer")
    thing.content_gate = threading.Event()
    clients = [edge.http1(tls=False) for _ in range(count)]
    sent = [0] * count
    before = memory(edge)
    for number, client in enumerate(clients):
        client.send(f"PUT /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n")
        client.socket.setblocking(False)
        while sent[number] < len(content) and select.select([], [client.socket], [], 0.5)[1]:
            sent[number] += client.socket.send(content[sent[number]:sent[number] + MIB])
    assert all(bytes_ < len(content) for bytes_ in sent)  # what has gone lies in sockets
    assert memory(edge) - before < (128 if SANITIZED else 16) * MIB  # of 288
    thing.content_gate.set()
    for number, client in enumerate(clients):
        client.socket.settimeout(60)
        client.socket.sendall(content[sent[number]:])
        assert client.response()[0] == 200
        client.close()
    assert all(request.body == content for request in origin.requests) and len(origin.requests) == count


def test_a_server_that_takes_nothing_is_given_up_after_proxy_send_timeout(make_edge, origin, tmp_path):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; client_max_body_size 64m; proxy_send_timeout 300ms; }}").start()
    thing = origin.add("/x", b"answer")
    thing.content_gate = threading.Event()
    file = tmp_path / "content"
    file.write_bytes(b"x" * 48 * MIB)
    got = edge.fetch("/x", method="PUT", curl=("-T", str(file)))
    thing.content_gate.set()
    assert got.status == 504 and "took nothing of the request's content" in json.loads(got.body)["detail"]


def test_proxy_send_timeout_is_not_for_the_client_to_keep(make_edge, origin, tmp_path):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; client_max_body_size 64m; proxy_send_timeout 300ms; }}",
                     workers=1).start()
    origin.add("/slow", b"answer")
    stuck = origin.add("/stuck", b"answer")
    stuck.content_gate = threading.Event()
    client = edge.http1()
    client.send("PUT /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\na")
    file = tmp_path / "content"
    file.write_bytes(b"x" * 48 * MIB)
    assert edge.fetch("/stuck", method="PUT", curl=("-T", str(file))).status == 504  # so long it takes at least
    stuck.content_gate.set()
    client.send("b")
    assert client.response()[0] == 200
    client.close()
    assert [r.body for r in origin.requests if r.target == "/slow"] == [b"ab"]


# -- connections --

def post(edge, path, method="POST", content="ab"):
    return edge.fetch(path, method=method, curl=["--data-binary", content] if content else [])


def test_requests_with_content_share_a_connection_with_all_others(make_edge, origin):
    for path in ("/a", "/b"):
        origin.add(path, data=b"done")
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache off; }}", workers=1).start()
    for method, content in (("GET", ""), ("POST", "ab"), ("PUT", "c" * 100_000), ("POST", ""), ("DELETE", "")):
        assert post(edge, "/a", method, content).body == b"done"
    assert [r.body for r in origin.requests] == [b"", b"ab", b"c" * 100_000, b"", b""]
    assert origin.connections == 1


@pytest.mark.parametrize("method, content", [("POST", "ab"), ("POST", ""), ("PATCH", "ab"), ("PUT", "ab"), ("DELETE", "")])
def test_what_dies_with_a_kept_connection_is_not_done_twice(make_edge, origin, method, content):
    def tamper(*_):
        raise OSError("read, and no answer")

    origin.add("/a", data=b"done")
    dies = origin.add("/dies", data=b"done")
    dies.tamper = tamper
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache off; }}", workers=1).start()
    assert edge.fetch("/a").body == b"done"
    assert post(edge, "/dies", method, content).status == 502
    assert dies.asked == 1 and origin.connections == 2  # made for it to be asked again, which it is not


# -- trailers --

@pytest.fixture
def edge(make_edge, origin):
    return make_edge(f"""client_max_body_size 10;
        location / {{ proxy_pass {origin.url}; proxy_cache off; }}
        location /stored/ {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}
        location /files/ {{ root .; }}
        location /text {{ return 200 text; }}
        location /large {{ client_max_body_size 0; return 200 text; }}
        location /things/ {{ repository things; }}""",
                     http=f"repository things {{ format generic; proxy_pass {origin.url}; proxy_cache edge; }}").start()


def test_trailers_of_a_request_of_http11_go_up_with_it(edge, origin):
    origin.add("/x", b"answer")
    client = edge.http1()
    client.send("POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                "5\r\nhello\r\n0\r\nX-Sum: 17\r\nContent-Length: 3\r\nHost: evil\r\n\r\n")
    assert client.response()[0] == 200
    client.close()
    [request] = origin.requests
    assert (request.body, request.fields["x-sum"], request.fields["trailer"]) == (b"hello", "17", "X-Sum")
    assert "content-length" not in request.fields and request.fields["host"] != "evil"


def test_trailers_of_a_request_of_http2_go_up_with_it(edge, origin):
    origin.add("/x", b"answer")
    client = edge.http2()
    stream = client.post("/x", b"hello", trailers=[("x-sum", "17")])
    assert client.wait_end(stream) == b"answer"
    client.close()
    assert (origin.requests[0].body, origin.requests[0].fields["x-sum"]) == (b"hello", "17")


def test_a_client_that_reads_trailers_is_said_to(edge, origin):
    origin.add("/x", b"answer")
    for fields in ({"TE": "trailers"}, {"TE": "gzip, trailers;q=0.5"}, {"TE": "gzip"}, {}):
        edge.fetch("/x", version="1.1", fields=fields)
    assert [r.fields.get("te") for r in origin.requests] == ["trailers", None, None, None]
    assert origin.requests[0].fields["connection"].lower() == "te"


def test_trailers_of_an_answer_come_down_with_it(edge, origin):
    thing = origin.add("/x", b"answer", fields={"Trailer": "X-Sum"})

    def trailing(answer, request, n):
        answer.framing, answer.trailers = "chunked", {"X-Sum": "17", "Content-Length": "3"}
    thing.tamper = trailing
    client = edge.http2()
    stream = client.get("/x", te="trailers")
    assert client.wait_end(stream) == b"answer" and client.trailers[stream] == {"x-sum": "17"}
    client.close()
    client = edge.http1()
    client.send("GET /x HTTP/1.1\r\nHost: localhost\r\nTE: trailers\r\nConnection: TE, close\r\n\r\n")
    status, fields = client.head()
    rest = client.read(-1)
    client.close()
    assert (status, fields["trailer"]) == (200, "X-Sum") and rest.endswith(b"0\r\nx-sum: 17\r\n\r\n"), rest


# -- how much --

PLACES = ["/x", "/stored/x", "/files/x", "/text", "/things/x"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "OPTIONS"])
@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize("version", ["1.1", "2"])
def test_too_much_is_too_much_wherever_it_goes(edge, origin, method, path, version):
    got = edge.fetch(path, version=version, curl=("--request", method, "--data-binary", "x" * 11))
    assert got.status == 413 and json.loads(got.body)["error"] == "too-large"
    assert origin.requests == []


@pytest.mark.parametrize("path", ["/text", "/large"])
def test_what_is_not_too_much_is_taken(edge, path):
    assert edge.fetch(path, method="POST", curl=("--data-binary", "x" * (10 if path == "/text" else 5000))).body == b"text"


def test_a_client_that_asks_before_it_sends_is_refused_before_it_sends(edge, origin):
    client = edge.http1()
    client.send("POST /text HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n")
    assert client.head()[0] == 413
    client.close()


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_chunks_that_become_too_much_end_the_request(edge, origin, version):
    origin.add("/x", b"answer").tamper = lambda answer, request, n: Answer(200, {}, b"answer")
    got = edge.fetch("/x", version=version, method="POST",
                     curl=("-H", "Transfer-Encoding: chunked", "-H", "Content-Length:", "--data-binary", "x" * 11))
    assert got.status == 413
