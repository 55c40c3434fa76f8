"""A HEAD is answered by what is stored, else by a HEAD upstream: it never brings in a whole."""
import hashlib
import json

import pytest

IMAGE = "application/vnd.oci.image.manifest.v1+json"
BLOB = "sha256:" + hashlib.sha256(b"{}").hexdigest()
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": IMAGE,
                       "config": {"mediaType": "x/y", "digest": BLOB, "size": 2}, "layers": []}).encode()
DIGEST = "sha256:" + hashlib.sha256(MANIFEST).hexdigest()
PACKUMENT = json.dumps({"name": "thing", "versions": {}}).encode()


def asked(origin):
    return [(r.method, r.target) for r in origin.requests]


def add_image(origin):
    fields = {"Content-Type": IMAGE, "Docker-Content-Digest": DIGEST}
    for reference in ("latest", DIGEST):
        origin.add(f"/v2/app/manifests/{reference}", MANIFEST, fields=fields, etag=None)


def test_of_a_tag_costs_one_head_and_tells_what_a_get_would(edge_of, origin):
    add_image(origin)
    edge = edge_of("oci")
    for _ in range(2):
        got = edge.fetch("/v2/app/manifests/latest", method="HEAD")
        assert (got.status, got.body) == (200, b"")
        assert got.fields["docker-content-digest"] == DIGEST and got.fields["content-type"] == IMAGE
        assert got.fields["content-length"] == str(len(MANIFEST))
    assert asked(origin) == [("HEAD", "/v2/app/manifests/latest")]
    assert edge.fetch("/v2/app/manifests/latest").body == MANIFEST
    assert asked(origin)[1:] == [("GET", f"/v2/app/manifests/{DIGEST}")]


def test_of_a_tag_whose_registry_tells_no_digest(edge_of, origin):
    origin.add("/v2/app/manifests/latest", MANIFEST, fields={"Content-Type": IMAGE}, etag=None)
    got = edge_of("oci").fetch("/v2/app/manifests/latest", method="HEAD")
    assert (got.status, got.fields["content-length"]) == (200, str(len(MANIFEST)))
    assert "docker-content-digest" not in got.fields
    assert asked(origin) == [("HEAD", "/v2/app/manifests/latest")]


def test_of_a_tag_over_http_1_has_no_body(edge_of, origin):
    add_image(origin)
    edge = edge_of("oci")
    connection = edge.http1()
    for _ in range(2):  # the second begins where the first ended
        connection.send("HEAD /v2/app/manifests/latest HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status, fields = connection.head()
        assert (status, fields["content-length"]) == (200, str(len(MANIFEST)))
    connection.close()


def test_of_a_tag_that_is_absent(edge_of, origin):
    assert edge_of("oci").fetch("/v2/app/manifests/none", method="HEAD").status == 404
    assert asked(origin) == [("HEAD", "/v2/app/manifests/none")]


def test_of_a_manifest_by_its_digest(edge_of, origin):
    add_image(origin)
    edge = edge_of("oci")
    path = f"/v2/app/manifests/{DIGEST}"
    got = edge.fetch(path, method="HEAD")
    assert (got.status, got.fields["content-length"]) == (200, str(len(MANIFEST)))
    assert asked(origin) == [("HEAD", path)]
    assert edge.fetch(path).body == MANIFEST
    edge.wait_idle()
    origin.kill()
    got = edge.fetch(path, method="HEAD")
    assert got.fields["docker-content-digest"] == DIGEST and got.fields["content-length"] == str(len(MANIFEST))


def test_of_a_registrys_list(edge_of, origin):
    tags = origin.add("/v2/app/tags/list", b'{"name":"app","tags":["latest"]}',
                      fields={"Content-Type": "application/json", "Link": '</v2/app/tags/list?last=a>; rel="next"'})
    edge = edge_of("oci")
    got = edge.fetch("/v2/app/tags/list", method="HEAD")
    assert (got.status, got.fields["content-length"]) == (200, str(len(tags.data)))
    assert got.fields["link"].startswith("</v2/app/tags/list?last=a>")
    assert asked(origin) == [("HEAD", "/v2/app/tags/list")]
    assert edge.fetch("/v2/app/tags/list").body == tags.data


@pytest.mark.parametrize("kind, path, data, media_type", [
    ("npm", "/thing", PACKUMENT, "application/json"),
    ("pypi", "/simple/thing/", b"<html><body></body></html>", "text/html")])
def test_of_a_document_that_is_rewritten_promises_nothing_of_the_upstreams_form(edge_of, origin, kind, path, data,
                                                                                media_type):
    """Its length and its validators would be those of what the client is never given."""
    origin.add(path, data, fields={"Content-Type": media_type, "Last-Modified": "Wed, 01 May 2024 00:00:00 GMT"})
    edge = edge_of(kind)
    got = edge.fetch(path, method="HEAD")
    assert (got.status, got.fields["content-type"], got.fields["vary"]) == (200, media_type, "accept")
    assert {"content-length", "etag", "last-modified", "repr-digest"}.isdisjoint(got.fields)
    assert asked(origin) == [("HEAD", path)]
    whole = edge.fetch(path)
    edge.wait_idle()
    got = edge.fetch(path, method="HEAD")
    assert (got.fields["etag"], got.fields["content-length"]) == (whole.fields["etag"], str(len(whole.body)))
    assert asked(origin) == [("HEAD", path), ("GET", path)]


def test_of_a_packument_that_is_absent(edge_of, origin):
    assert edge_of("npm").fetch("/thing", method="HEAD").status == 404
    assert asked(origin) == [("HEAD", "/thing")]


def test_of_a_packument_while_the_upstream_is_away_is_of_what_is_stored(edge_of, origin):
    origin.add("/thing", PACKUMENT, fields={"Cache-Control": "max-age=0"})
    edge = edge_of("npm", "")
    whole = edge.fetch("/thing")
    edge.wait_idle()
    origin.forget()
    assert "content-length" not in edge.fetch("/thing", method="HEAD").fields  # it is stale, and the upstream answers
    assert asked(origin) == [("HEAD", "/thing")]
    origin.kill()
    got = edge.fetch("/thing", method="HEAD")
    assert (got.status, got.fields["content-length"]) == (200, str(len(whole.body)))


def test_of_an_artifact_asks_for_no_checksum(edge_of, origin):
    jar = origin.add("/g/a/1.0/a-1.0.jar", size=1000)
    got = edge_of("maven").fetch("/g/a/1.0/a-1.0.jar", method="HEAD")
    assert (got.status, got.fields["content-length"]) == (200, str(len(jar.data)))
    assert asked(origin) == [("HEAD", "/g/a/1.0/a-1.0.jar")]


def test_of_a_checksum_that_is_made_here_brings_no_artifact(edge_of, origin):
    origin.add("/g/a/1.0/a-1.0.jar", size=1000)
    got = edge_of("maven").fetch("/g/a/1.0/a-1.0.jar.md5", method="HEAD")
    assert (got.status, got.fields["content-type"]) == (200, "text/plain")
    assert asked(origin) == [("HEAD", "/g/a/1.0/a-1.0.jar")]
