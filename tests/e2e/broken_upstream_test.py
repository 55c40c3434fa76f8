"""An upstream that dies, lies or falls silent: nobody sees a wrong end, and what can go on goes on."""
import base64
import hashlib
import json
import os
import socket
import threading

import pytest

from support.origin import Origin

MIB = 1 << 20


@pytest.mark.parametrize("clients", [1, 20])
def test_an_upstream_killed_at_half_of_64_mib_is_not_seen_by_any_client(edge, origin, clients):
    thing = origin.add("/big.bin", size=64 * MIB)
    half = threading.Event()
    thing.tamper = lambda answer, request, n: answer.gates.append((32 * MIB, half)) if n == 0 else None
    fetches = [edge.start_fetch("/big.bin", version="2" if i % 2 else "1.1") for i in range(clients)]
    edge.wait_metric("fill_readers", lambda readers: readers == clients)
    origin.wait_until(lambda: origin.requests and origin.requests[0].body_sent == 32 * MIB)
    origin.kill()
    edge.wait_metric("fill_resumes_total", lambda resumes: resumes >= 1)
    origin.restart()
    results = [fetch.result() for fetch in fetches]
    half.set()
    assert all(r.complete and r.sha256 == thing.sha256 for r in results), [r.error for r in results]
    assert origin.body_bytes() <= 1.02 * 64 * MIB
    edge.wait_idle()
    assert edge.fetch("/big.bin").cache_status.startswith("entrepot; hit")


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_cut_again_and_again_still_gives_one_stream(edge, origin, reset):
    thing = origin.add("/big.bin", size=8 * MIB)

    def cut(answer, request, n):
        if n < 6:
            answer.cut_after, answer.reset = MIB + 12_345, reset

    thing.tamper = cut
    response = edge.fetch("/big.bin")
    assert response.complete and response.sha256 == thing.sha256
    assert [r.status for r in origin.requests] == [200] + [206] * 6
    if not reset:  # a reset takes what was sent and not yet read with it
        assert origin.body_bytes() == 8 * MIB


def test_a_response_without_length_goes_on_where_it_was_cut(edge, origin):
    thing = origin.add("/big.bin", size=4 * MIB)

    def cut(answer, request, n):
        if n == 0:
            answer.framing, answer.cut_after = "chunked", MIB

    thing.tamper = cut
    response = edge.fetch("/big.bin")
    assert response.complete and response.sha256 == thing.sha256
    assert [r.status for r in origin.requests] == [200, 206]
    edge.wait_idle()
    assert edge.fetch("/big.bin").fields["content-length"] == str(4 * MIB)


def test_without_a_strong_validator_a_broken_response_ends_broken(edge, origin):
    thing = origin.add("/big.bin", size=4 * MIB, etag=None)
    thing.tamper = lambda answer, request, n: setattr(answer, "cut_after", MIB) if n == 0 else None
    assert not edge.fetch("/big.bin").complete
    edge.wait_log("cannot be resumed")
    edge.wait_idle()
    assert edge.fetch("/big.bin").sha256 == thing.sha256


def test_a_server_of_the_group_takes_over_where_the_other_broke_off(make_edge, origin):
    other = Origin()
    data = os.urandom(8 * MIB)
    stalled = threading.Event()
    for one in (origin, other):
        one.add("/big.bin", data=data)
    origin.resources["/big.bin"].tamper = lambda answer, request, n: answer.gates.append((MIB, stalled))
    edge = make_edge("location / { proxy_pass http://both; proxy_cache_valid 200 1h; }",
                     http=f"upstream both {{ server 127.0.0.1:{origin.port}; server 127.0.0.1:{other.port} backup; }}")
    fetch = edge.start().start_fetch("/big.bin")
    origin.wait_until(lambda: origin.requests and origin.requests[0].body_sent == MIB)
    origin.kill()
    response = fetch.result()
    stalled.set()
    assert response.complete and response.body == data
    [taken_over] = other.requests
    assert taken_over.status == 206 and taken_over.range()[0] <= MIB
    other.close()


# -- promises that are not kept --

def promise(data):
    digest = hashlib.sha256(data)
    return {"X-Checksum-Sha256": digest.hexdigest(),
            "X-Checksum-Sha1": hashlib.sha1(data).hexdigest(),
            "X-Goog-Hash": f"crc32c=n03x6A==,md5={base64.b64encode(hashlib.md5(data).digest()).decode()}",
            "Repr-Digest": f"sha-256=:{base64.b64encode(digest.digest()).decode()}:",
            "Docker-Content-Digest": f"sha256:{digest.hexdigest()}"}


@pytest.mark.parametrize("version", ["2", "1.1"])
@pytest.mark.parametrize("field", ["X-Checksum-Sha256", "Repr-Digest", "Docker-Content-Digest", "X-Checksum-Sha1",
                                   "X-Goog-Hash", "url"])
@pytest.mark.parametrize("size", [1000, 3 * MIB])
def test_bytes_that_are_not_the_promised_ones_never_end_cleanly(edge, origin, field, version, size):
    promised = bytes(size)
    wrong = bytes(size - 1) + b"\x01"
    url = f"/v2/app/blobs/sha256:{hashlib.sha256(promised).hexdigest()}" if field == "url" else "/thing.bin"
    thing = origin.add(url, data=wrong, fields={} if field == "url" else {field: promise(promised)[field]})
    fetches = [edge.start_fetch(url, version=version) for _ in range(3)]
    for fetch in fetches:
        result = fetch.result()
        assert not result.complete or result.status >= 500
        assert result.body != wrong
    edge.wait_idle()
    metrics = edge.metrics()
    assert metrics["cache_blobs"] == 0 and metrics["digest_mismatches_total"] >= 1
    edge.wait_log("digest")
    thing.data = promised
    edge.reload()
    right = edge.fetch(url, version=version)
    assert right.complete and right.body == promised


@pytest.mark.parametrize("version", ["2", "1.1"])
def test_an_empty_body_is_no_answer_where_something_was_promised(edge, origin, version):
    data = b"a" * 1000
    thing = origin.add("/thing.bin", data=b"", fields={"X-Checksum-Sha256": promise(data)["X-Checksum-Sha256"]})
    assert edge.fetch("/thing.bin", version=version).status == 502
    assert edge.metrics()["digest_mismatches_total"] == 1
    thing.data = data
    edge.reload()  # else who lied is not asked for this for a minute
    assert edge.fetch("/thing.bin", version=version).body == data


def test_an_empty_body_that_was_promised_is_stored(edge, origin):
    origin.add("/thing.bin", data=b"", fields={"X-Checksum-Sha256": promise(b"")["X-Checksum-Sha256"]})
    for _ in range(2):
        got = edge.fetch("/thing.bin")
        assert got.complete and got.status == 200 and got.body == b""
        edge.wait_idle()
    assert len(origin.gets()) == 1


@pytest.mark.parametrize("field", ["X-Checksum-Sha256", "Repr-Digest", "Docker-Content-Digest", "X-Checksum-Sha1",
                                   "X-Goog-Hash"])
def test_bytes_that_are_the_promised_ones_are_stored(edge, origin, field):
    data = b"a" * MIB
    origin.add("/thing.bin", data=data, fields={field: promise(data)[field]})
    assert edge.fetch("/thing.bin").body == data
    edge.wait_idle()
    assert edge.fetch("/thing.bin").body == data and len(origin.requests) == 1


@pytest.mark.parametrize("version", ["2", "1.1"])
def test_a_short_body_never_ends_cleanly(edge, origin, version):
    thing = origin.add("/thing.bin", size=MIB, etag=None)

    def shorten(answer, request, n):
        answer.length, answer.body, answer.cut_after = MIB, thing.data[:MIB // 2], MIB // 2

    thing.tamper = shorten
    assert not edge.fetch("/thing.bin", version=version).complete
    edge.wait_idle()
    assert edge.metrics()["cache_blobs"] == 0
    edge.wait_log("thing.bin")


def test_extra_bytes_after_the_body_are_never_given_to_anyone(edge, origin):
    thing, other = origin.add("/thing.bin", size=MIB), origin.add("/other.bin", size=1000)

    def lengthen(answer, request, n):
        answer.length, answer.body = MIB, thing.data + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"

    thing.tamper = lengthen
    response = edge.fetch("/thing.bin")
    assert response.body in (thing.data, b"") or not response.complete
    edge.wait_idle()
    assert edge.fetch("/other.bin").body == other.data


def test_what_an_upstream_says_unasked_is_no_answer_to_the_next_request(edge, origin):
    thing, other = origin.add("/thing.bin", size=MIB), origin.add("/other.bin", size=1000)
    whole_seen = threading.Event()

    def add_later(answer, request, n):
        answer.excess, answer.excess_gate = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", whole_seen

    thing.tamper = add_later
    assert edge.fetch("/thing.bin").body == thing.data
    edge.wait_idle()
    whole_seen.set()
    origin.wait_until(lambda: origin.requests[0].body_sent > MIB)
    assert edge.fetch("/other.bin").body == other.data
    assert [request.connection for request in origin.requests] == [1, 2]


def test_a_length_that_contradicts_itself_is_refused(edge, origin):
    thing = origin.add("/thing.bin", size=1000)
    thing.tamper = lambda answer, request, n: answer.fields.update({"Content-Length ": "999", "content-length": "7"})
    response = edge.fetch("/thing.bin")
    assert response.status == 502
    edge.wait_idle()
    assert edge.metrics()["cache_blobs"] == 0


# -- upstreams that are not there --

def problem(response):
    assert response.fields["content-type"] == "application/problem+json"
    return json.loads(response.body)


def test_with_the_upstream_dead_hits_go_on_and_misses_are_502(edge, origin):
    thing = origin.add("/stored.bin", size=MIB)
    edge.fetch("/stored.bin")
    edge.wait_idle()
    origin.kill()
    assert edge.fetch("/stored.bin").body == thing.data
    response = edge.fetch("/cold.bin")
    assert response.status == 502
    told = problem(response)
    assert (told["status"], told["error"]) == (502, "connect") and f"127.0.0.1:{origin.port}" in told["detail"]
    edge.wait_log("Connection refused")
    origin.restart()


def test_a_silent_upstream_is_504(make_edge, origin):
    thing = origin.add("/thing.bin", size=1000)
    never = threading.Event()
    thing.tamper = lambda answer, request, n: setattr(answer, "head_gate", never)
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_read_timeout 300ms; }}").start()
    response = edge.fetch("/thing.bin")
    never.set()
    assert response.status == 504 and problem(response)["error"] == "timeout"


def test_garbage_instead_of_http_is_502(make_edge):
    listener = socket.create_server(("127.0.0.1", 0))

    def speak_nonsense():
        for _ in range(8):
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.recv(65536)
            connection.sendall(b"220 mail.example.com ESMTP\r\n")
            connection.close()

    threading.Thread(target=speak_nonsense, daemon=True).start()
    edge = make_edge(f"location / {{ proxy_pass http://127.0.0.1:{listener.getsockname()[1]}; }}").start()
    assert edge.fetch("/thing.bin").status == 502
    listener.close()


def test_errors_of_the_upstream_pass_and_are_not_kept(edge, origin):
    thing = origin.add("/thing.bin", size=1000)

    def fail_once(answer, request, n):
        if n == 0:
            answer.status, answer.body = 503, b"later\n"

    thing.tamper = fail_once
    assert edge.fetch("/thing.bin").status == 503
    assert edge.fetch("/thing.bin").body == thing.data


def test_an_upstream_certificate_that_is_not_trusted_is_refused(make_edge, origin):
    origin.add("/thing.bin", size=1000)
    behind = make_edge(f"location / {{ proxy_pass {origin.url}; }}").start()
    url = f"https://localhost:{behind.tls_port}"
    strict = make_edge(f"location / {{ proxy_pass {url}; }}").start()
    assert strict.fetch("/thing.bin").status == 502
    assert problem(strict.fetch("/thing.bin"))["error"] == "tls"
    trusting = make_edge(f"location / {{ proxy_pass {url}; proxy_ssl_trusted_certificate {behind.ca}; }}").start()
    assert trusting.fetch("/thing.bin").status == 200
