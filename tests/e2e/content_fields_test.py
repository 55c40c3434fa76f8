"""What a repository's answers say of their content besides what the upstream says."""
import hashlib

import pytest

MIB = 1 << 20
IMMUTABLE = "max-age=31536000, immutable"


def start(make_edge, origin, more="", kind="generic"):
    http = f"repository things {{ format {kind}; proxy_pass {origin.url}; proxy_cache_valid 200 1h; {more} }}"
    return make_edge("location / { repository things; }", http=http, workers=1).start()


def thrice(edge, path, **options):
    """While it arrives, from the index, from the hot table."""
    for _ in range(3):
        yield edge.fetch(path, **options)
        edge.wait_idle()


def by_digest(data):
    return f"/v2/app/blobs/sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize("authorize, scope", [("", "public"), ("authorize edge;", "public"),
                                              ("authorize upstream;", "private")])
def test_what_is_named_by_its_digest_is_immutable_downstream(make_edge, origin, authorize, scope):
    data = b"a" * MIB
    origin.add(by_digest(data), data=data, fields={"Cache-Control": "no-cache, max-age=1"})
    for got in thrice(start(make_edge, origin, authorize), by_digest(data)):
        assert got.body == data and got.fields["cache-control"] == f"{scope}, {IMMUTABLE}"
    assert len(origin.gets()) == 1


def test_a_part_and_a_304_of_it_say_so_too(make_edge, origin):
    data = b"a" * MIB
    origin.add(by_digest(data), data=data)
    edge = start(make_edge, origin)
    for _ in thrice(edge, by_digest(data)):
        pass
    part = edge.fetch(by_digest(data), fields={"Range": "bytes=0-9"})
    assert (part.status, part.fields["cache-control"]) == (206, f"public, {IMMUTABLE}")
    same = edge.fetch(by_digest(data), fields={"If-None-Match": '"v1"'})
    assert (same.status, same.fields["cache-control"]) == (304, f"public, {IMMUTABLE}")


def test_everything_else_has_its_upstreams_cache_control(make_edge, origin):
    origin.add("/thing", size=100, fields={"Cache-Control": "max-age=60"})
    for got in thrice(start(make_edge, origin), "/thing"):
        assert got.fields["cache-control"] == "max-age=60"


def test_an_absence_is_not_immutable(make_edge, origin):
    for got in thrice(start(make_edge, origin, "proxy_cache_valid 404 1h;"), by_digest(b"none")):
        assert got.status == 404 and "cache-control" not in got.fields


def test_checksums_are_given_where_they_are_known(make_edge, origin):
    data = b"a" * MIB
    path, sha256, sha1 = "/org/x/a/1/a-1.jar", hashlib.sha256(data).hexdigest(), hashlib.sha1(data).hexdigest()
    origin.add(path, data=data)
    origin.add(path + ".sha1", data=sha1.encode())
    arriving, *stored = thrice(start(make_edge, origin, kind="maven"), path)
    assert arriving.fields["x-checksum-sha1"] == sha1 and "x-checksum-sha256" not in arriving.fields
    for got in stored:
        assert (got.fields["x-checksum-sha1"], got.fields["x-checksum-sha256"]) == (sha1, sha256)
    assert len(origin.gets(path)) == 1


def test_the_upstreams_own_checksum_stands(make_edge, origin):
    data = b"a" * 1000
    sha256 = hashlib.sha256(data).hexdigest().upper()
    origin.add("/thing", data=data, fields={"X-Checksum-Sha256": sha256})
    for got in thrice(start(make_edge, origin), "/thing"):
        assert got.body == data and got.fields["x-checksum-sha256"] == sha256


def test_formats_that_do_not_know_checksums_are_given_none(make_edge, origin):
    data = b"a" * 1000
    origin.add(by_digest(data), data=data)
    for got in thrice(start(make_edge, origin, kind="oci"), by_digest(data)):
        assert got.body == data and "x-checksum-sha256" not in got.fields


# -- checksums that the upstream gives --

def test_a_weaker_field_does_not_take_the_place_of_the_sidecar(make_edge, origin):
    data = b"a" * 1000
    path = "/org/x/a/1/a-1.jar"
    origin.add(path, data=data, fields={"X-Checksum-Md5": hashlib.md5(data).hexdigest()})
    origin.add(path + ".sha1", data=hashlib.sha1(b"other").hexdigest().encode())
    edge = start(make_edge, origin, kind="maven")
    assert edge.fetch(path).status == 502
    edge.wait_metric("digest_mismatches_total", lambda value: value == 1)
    edge.wait_idle()
    assert edge.fetch(path + ".sha256").status >= 500


def test_a_stronger_field_does(make_edge, origin):
    data = b"a" * 1000
    path = "/org/x/a/1/a-1.jar"
    origin.add(path, data=data, fields={"X-Checksum-Sha256": hashlib.sha256(b"other").hexdigest()})
    origin.add(path + ".sha1", data=hashlib.sha1(data).hexdigest().encode())
    edge = start(make_edge, origin, kind="maven")
    assert edge.fetch(path).status == 502
    edge.wait_metric("digest_mismatches_total", lambda value: value == 1)
