"""Checksums beside files: which are asked for, and that a file and its sidecar agree."""
import hashlib

import pytest

from support.edge import wait_until
from support.origin import Answer

JAR = "/g/a/1.0/a-1.0.jar"


def asked(origin):
    return [(r.method, r.target) for r in origin.requests]


# -- maven --

def test_an_artifact_is_held_against_its_sha256_where_there_is_no_sha1(edge_of, origin):
    jar = origin.add(JAR, size=1000)
    origin.add(JAR + ".sha256", jar.sha256.encode())
    edge = edge_of("maven")
    got = edge.fetch(JAR)
    assert got.body == jar.data and 'detail="versioned sidecar"' in got.cache_status
    assert asked(origin) == [("GET", JAR + ".sha1"), ("GET", JAR + ".sha256"), ("GET", JAR)]


def test_an_artifact_that_is_not_what_its_sha256_says_is_refused(edge_of, origin):
    origin.add(JAR, size=1000)
    origin.add(JAR + ".sha256", hashlib.sha256(b"another").hexdigest().encode())
    got = edge_of("maven").fetch(JAR)
    assert got.status == 502 or not got.complete


def test_checksums_that_are_absent_are_not_asked_for_again_for_a_while(edge_of, origin):
    edge = edge_of("maven", "proxy_cache_valid 404 1h;")
    for _ in range(3):
        assert edge.fetch(JAR).status == 404
        edge.wait_idle()
    assert asked(origin) == [("GET", JAR + ".sha1"), ("GET", JAR + ".sha256"), ("GET", JAR)]


@pytest.mark.parametrize("status", [401, 403])
def test_a_checksum_that_is_closed_is_not_taken_for_absent(edge_of, origin, status):
    """The client is told as much, and asked for credentials as by the upstream itself."""
    origin.add(JAR, size=1000)
    origin.add(JAR + ".sha1", b"").tamper = lambda answer, request, n: Answer(
        status, {"WWW-Authenticate": 'Basic realm="things"'}, b"no\n")
    edge = edge_of("maven")
    got = edge.fetch(JAR)
    assert (got.status, got.fields["www-authenticate"]) == (status, 'Basic realm="things"')
    assert asked(origin) == [("GET", JAR + ".sha1")] and edge.metrics()["cache_blobs"] == 0


# -- generic --

def test_a_sidecar_is_of_the_file_that_is_served(edge_of, origin):
    """The upstream has published anew; here the file is still fresh."""
    first = origin.add("/thing", b"first")
    origin.add("/thing.sha256", f"{first.sha256}  thing\n".encode())
    edge = edge_of("generic")
    assert edge.fetch("/thing").body == b"first"
    edge.wait_idle()
    second = origin.add("/thing", b"second", etag='"v2"')
    origin.add("/thing.sha256", f"{second.sha256}  thing\n".encode(), etag='"v2"')
    assert edge.fetch("/thing.sha256").body == f"{first.sha256}  thing\n".encode()  # in the upstream's form
    assert edge.fetch("/thing").body == b"first"
    assert len(origin.gets("/thing")) == 1


def test_a_sidecar_of_a_file_that_is_not_stored_is_the_upstreams(edge_of, origin):
    thing = origin.add("/thing", size=1000)
    own = origin.add("/thing.md5", b"whatever it says\n")
    assert edge_of("generic").fetch("/thing.md5").body == own.data
    assert origin.gets("/thing") == [] and thing.asked == 0


def test_a_sidecar_of_a_stale_file_is_as_new_as_the_file_will_be(edge_of, origin):
    first = origin.add("/thing", b"first", fields={"Cache-Control": "max-age=0"})
    origin.add("/thing.sha256", first.sha256.encode(), fields={"Cache-Control": "max-age=3600"})
    edge = edge_of("generic")
    assert edge.fetch("/thing").body == b"first"
    assert edge.fetch("/thing.sha256").body == first.sha256.encode()
    edge.wait_idle()
    second = origin.add("/thing", b"second", etag='"v2"')
    origin.add("/thing.sha256", second.sha256.encode(), etag='"v2"')
    assert edge.fetch("/thing.sha256").body == second.sha256.encode()
    assert edge.fetch("/thing").body == b"second"


def test_a_sidecar_of_what_is_stored_outlives_the_upstream(edge_of, origin):
    thing = origin.add("/thing", b"content")
    edge = edge_of("generic")
    assert edge.fetch("/thing").body == b"content"
    edge.wait_idle()
    origin.kill()
    assert edge.fetch("/thing.sha256").body == thing.sha256.encode()


# -- what never changes --

def test_what_the_conf_calls_immutable_is_never_asked_for_again(edge_of, origin):
    thing = origin.add("/releases/1.0/thing", b"content", fields={"Cache-Control": "max-age=0"})
    other = origin.add("/other", b"content", fields={"Cache-Control": "max-age=0"})
    edge = edge_of("generic", "immutable /releases/*;")
    for _ in range(3):
        assert edge.fetch("/releases/1.0/thing").body == b"content"
        assert edge.fetch("/other").body == b"content"
        edge.wait_idle()
    assert thing.asked == 1 and other.asked == 3
    origin.kill()
    got = edge.fetch("/releases/1.0/thing")
    assert got.cache_status == 'entrepot; hit; detail="versioned first-use"'


def test_parameters_of_what_is_immutable_ask_for_what_fits_them_now(edge_of, origin):
    thing = origin.add("/releases/thing;build=7", b"content", fields={"Cache-Control": "max-age=0"})
    edge = edge_of("generic", "immutable /releases/*;")
    for _ in range(2):
        edge.fetch("/releases/thing;build=7")
        edge.wait_idle()
    assert thing.asked == 2


def test_the_sidecar_of_what_is_immutable_is_so_too(edge_of, origin):
    thing = origin.add("/thing.rpm", b"content", fields={"Cache-Control": "max-age=0"})
    own = origin.add("/thing.rpm.sha256", thing.sha256.encode(), fields={"Cache-Control": "max-age=0"})
    edge = edge_of("generic", "immutable *.rpm;")
    for _ in range(3):
        assert edge.fetch("/thing.rpm.sha256").body == thing.sha256.encode()
        edge.wait_idle()
    assert (own.asked, thing.asked) == (1, 0)


def test_what_calls_itself_immutable_is_not_validated_while_it_is_fresh(edge_of, origin):
    """RFC 8246: not even for a client that reloads."""
    thing = origin.add("/thing", b"content", fields={"Cache-Control": "max-age=3600, immutable"})
    edge = edge_of("generic")
    for _ in range(2):
        got = edge.fetch("/thing", fields={"Cache-Control": "no-cache", "Pragma": "no-cache"})
        assert got.body == b"content"
        edge.wait_idle()
    assert thing.asked == 1


def test_signed_urls_of_one_file_are_stored_apart(edge_of, origin):
    """Who has such a URL may have what it brings, and nobody else."""
    origin.add("/thing?sig=good", b"content")
    edge = edge_of("generic")
    assert edge.fetch("/thing?sig=good").body == b"content"
    edge.wait_idle()
    wait_until(lambda: edge.fetch("/thing?sig=good").cache_status.startswith("entrepot; hit"), "a hit")
    for bad in ("/thing?sig=guessed", "/thing"):
        assert edge.fetch(bad).status == 404
    assert [target for _, target in asked(origin)] == ["/thing?sig=good", "/thing?sig=guessed", "/thing"]
