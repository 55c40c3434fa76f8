"""The fields that every answer tells about its way: Cache-Status, Proxy-Status, Via, Date, Age."""
import base64
import hashlib
import json
import socket

import pytest

from support.edge import free_port

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


def test_cache_status_tells_what_became_of_a_request(edge, origin):
    origin.add("/a", size=300_000, fields={"Cache-Control": "max-age=600"})
    miss = edge.fetch("/a").fields["cache-status"]
    assert miss in (f"entrepot; fwd=uri-miss; fwd-status=200; stored; ttl={ttl}" for ttl in (600, 599))
    edge.wait_idle()
    assert edge.fetch("/a").fields["cache-status"] in (f"entrepot; hit; ttl={ttl}" for ttl in (600, 599, 598))


def test_cache_status_says_that_a_part_was_stored(edge, origin):
    thing = origin.add("/a", size=1 << 20)
    edge.fetch("/a", fields={"Range": "bytes=0-9"})
    edge.wait_idle()
    rest = edge.fetch("/a", fields={"Range": "bytes=-10"}) if origin.body_bytes() < len(thing.data) else None
    if rest is not None:
        assert rest.fields["cache-status"].startswith("entrepot; fwd=partial; fwd-status=")


def test_the_upstreams_cache_status_and_proxy_status_stand_before_ours(make_edge, origin):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}"
                     f"location /pass/ {{ proxy_pass {origin.url}; proxy_cache off; }}").start()
    for path in ("/a", "/pass/a"):
        origin.add(path, size=10, fields={"Cache-Status": "upper; hit", "Proxy-Status": "upper; error=dns_error",
                                          "Via": "1.1 upper"})
        for _ in range(2):
            connection = edge.http1()
            connection.get(path)
            lines = []
            while line := connection._reader.readline().decode().rstrip("\r\n"):
                lines.append(line)
            connection.close()
            status = [line.partition(": ")[2] for line in lines if line.startswith("cache-status:")]
            assert status[0] == "upper; hit" and status[1].startswith("entrepot; ") and len(status) == 2
            assert [line for line in lines if line.startswith("via:")] == ["via: 1.1 upper", "via: 1.1 entrepot"]
            assert "proxy-status: upper; error=dns_error" in lines


def test_an_upstream_that_is_not_there_is_told_in_the_standards_words(make_edge):
    edge = make_edge(f"location / {{ proxy_pass http://127.0.0.1:{free_port()}; }}").start()
    answer = edge.fetch("/a")
    assert (answer.status, json.loads(answer.body)["error"]) == (502, "connect")
    assert answer.fields["proxy-status"].startswith("entrepot; error=connection_refused; ")
    head = edge.fetch("/a", method="HEAD")
    assert (head.status, head.body) == (502, b"") and int(head.fields["content-length"]) > 0


def test_an_upstream_that_is_silent_or_breaks_off_is_told_too(make_edge):
    listener = socket.create_server(("127.0.0.1", 0))
    edge = make_edge(f"location / {{ proxy_pass http://127.0.0.1:{listener.getsockname()[1]}; proxy_read_timeout 200ms; }}")
    edge.start()
    answer = edge.fetch("/a")
    assert answer.status == 504 and answer.fields["proxy-status"].startswith("entrepot; error=http_response_timeout")
    listener.close()


@pytest.mark.parametrize("cache", ["edge", "off"])
def test_what_comes_without_a_date_goes_on_with_the_time_at_which_it_came(make_edge, origin, cache):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache {cache}; proxy_cache_valid 200 1h; }}").start()
    origin.add("/a", size=10)
    first = edge.fetch("/a")
    assert first.fields["date"].endswith(" GMT")
    origin.add("/b", size=10, fields={"Date": DATE, "Cache-Control": "no-store"})
    assert edge.fetch("/b").fields["date"] == DATE


def test_the_digest_that_is_wanted_is_told(edge, origin):
    thing = origin.add("/a", size=1000)
    edge.fetch("/a")
    edge.wait_idle()
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(thing.data).digest()).decode()}:"
    both = {"Want-Repr-Digest": "sha-256=3, unixsum=10", "Want-Content-Digest": "sha-256=1"}
    told = edge.fetch("/a", fields=both).fields
    assert (told["repr-digest"], told["content-digest"]) == (digest, digest)
    part = edge.fetch("/a", fields={**both, "Range": "bytes=0-9"}).fields
    assert part["repr-digest"] == digest and "content-digest" not in part
    assert "repr-digest" not in edge.fetch("/a", fields={"Want-Repr-Digest": "sha-256=0"}).fields
    assert edge.fetch("/a", fields={"Want-Repr-Digest": "?"}).fields["repr-digest"] == digest


def test_content_digest_is_of_the_whole_and_not_told_of_a_part(edge, origin):
    origin.add("/a", size=1000, fields={"Content-Digest": "sha-512=:AAAA:"})
    edge.fetch("/a")
    part = edge.fetch("/a", fields={"Range": "bytes=0-9"})
    assert part.status == 206 and "content-digest" not in part.fields
