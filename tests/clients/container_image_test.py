"""skopeo pulls a multi-layer image from Debian's docker-registry through a plain location; then with it dead."""
import collections
import json

import pytest

from support.daemons import Registry
from support.images import IMAGE, LAYER_SIZES, OCI_MANIFEST, assert_whole, digest_of, pull, skopeo

PROGRAMS = ("skopeo", "curl", "docker-registry")

ACCOUNT = ("reader", "secret")
HTPASSWD = "reader:$2b$04$YKjFX5znMC3ao/ps.2R5TOcaPQBpVKfe0Is3U4jZTCVd.synKZo0G\n"  # "secret", at the least cost


@pytest.fixture
def registry(tmp_path, layout):
    """Holds the image under two tags: 1.0 as it is, and docker as docker would have pushed it."""
    registry = Registry(tmp_path / "registry").start()
    base = f"docker://127.0.0.1:{registry.port}/{IMAGE}"
    for tag, form in (("1.0", "oci"), ("docker", "v2s2")):
        skopeo(tmp_path, "copy", "--format", form, "--dest-tls-verify=false", f"oci:{layout.folder}:1.0",
               f"{base}:{tag}")
    yield registry
    registry.kill()


@pytest.fixture
def edge(make_edge, registry):
    return make_edge("location /v2/ { proxy_pass http://registry; proxy_cache_valid 200 10m; }",
                     http=f"upstream registry {{ server 127.0.0.1:{registry.port}; }}").start()


def test_skopeo_pulls_an_image_through_the_edge(edge, registry, layout, authorities, tmp_path):
    registry.forget()
    assert_whole(layout, pull(edge, authorities, tmp_path / "first"))
    edge.wait_idle()
    blobs = collections.Counter(target for method, target, _ in registry.requests()
                                if method == "GET" and "/blobs/" in target)
    assert set(blobs.values()) == {1} and len(blobs) == len(LAYER_SIZES) + 1, registry.requests()


def test_skopeo_pulls_again_with_the_registry_dead(edge, registry, layout, authorities, tmp_path):
    pull(edge, authorities, tmp_path / "first")
    edge.wait_idle()
    registry.kill()
    assert_whole(layout, pull(edge, authorities, tmp_path / "second"))
    edge.stop()
    again = {}
    for line in edge.access_log():
        again.setdefault(line["request"], []).append((line["status"], line["cache"]))
    for request, seen in again.items():
        assert len(seen) == 2 and seen[1] == (200, "HIT"), (request, seen)


def test_a_pull_by_digest_follows_one_by_tag_with_the_registry_dead(edge, registry, layout, authorities, tmp_path):
    reference = f"@{layout.manifest_digest}"
    pull(edge, authorities, tmp_path / "tag")
    pull(edge, authorities, tmp_path / "digest", reference=reference)
    edge.wait_idle()
    registry.kill()
    assert_whole(layout, pull(edge, authorities, tmp_path / "again", reference=reference))


def test_both_kinds_of_manifest_keep_their_types(edge, registry, authorities, tmp_path):
    """Each tag's manifest comes from the cache with the media type it was pushed with: docker decides by that."""
    types = {"1.0": OCI_MANIFEST, "docker": "application/vnd.docker.distribution.manifest.v2+json"}
    accept = {"Accept": ", ".join(types.values())}
    for _ in range(2):
        for tag, kind in types.items():
            got = edge.fetch(f"/v2/{IMAGE}/manifests/{tag}", fields=accept)
            assert (got.status, got.fields["content-type"]) == (200, kind)
            assert got.fields["docker-content-digest"] == digest_of(got.body)
            assert json.loads(got.body)["schemaVersion"] == 2
        edge.wait_idle()
        registry.kill()
    pulled = tmp_path / "docker"
    registry.start()
    pull(edge, authorities, pulled, tag="docker", kind="dir")
    assert json.loads((pulled / "image" / "manifest.json").read_text())["mediaType"] == types["docker"]


def test_a_head_of_a_manifest_and_of_a_blob_answer_as_the_registry_does(edge, registry, layout):
    """docker asks with HEAD which digest a tag has before it pulls."""
    largest = max(layout.blobs, key=lambda digest: len(layout.blobs[digest]))
    for path, digest in ((f"/v2/{IMAGE}/manifests/1.0", layout.manifest_digest),
                         (f"/v2/{IMAGE}/blobs/{largest}", largest)):
        for version in ("1.1", "2"):
            got = edge.fetch(path, method="HEAD", version=version, fields={"Accept": OCI_MANIFEST})
            assert (got.status, got.complete, got.body) == (200, True, b""), got.error
            assert got.fields["docker-content-digest"] == digest
            assert int(got.fields["content-length"]) == len(layout.blobs[digest])
    assert registry.alive()


def test_a_head_after_a_pull_needs_no_registry(edge, registry, layout, authorities, tmp_path):
    pull(edge, authorities, tmp_path / "first")
    edge.wait_idle()
    registry.kill()
    for digest, data in layout.blobs.items():
        kind = "manifests" if digest == layout.manifest_digest else "blobs"
        name = "1.0" if kind == "manifests" else digest
        got = edge.fetch(f"/v2/{IMAGE}/{kind}/{name}", method="HEAD", fields={"Accept": OCI_MANIFEST})
        assert (got.status, int(got.fields["content-length"])) == (200, len(data))
        assert got.fields["docker-content-digest"] == digest


def test_a_layer_is_resumed_from_a_cold_edge(edge, registry, layout):
    """What containerd does after a broken pull."""
    largest = max(layout.blobs, key=lambda digest: len(layout.blobs[digest]))
    data = layout.blobs[largest]
    got = edge.fetch(f"/v2/{IMAGE}/blobs/{largest}", fields={"Range": f"bytes={len(data) // 2}-"})
    assert (got.status, got.complete) == (206, True), got.error
    assert got.body == data[len(data) // 2:]
    edge.wait_idle()
    assert edge.fetch(f"/v2/{IMAGE}/blobs/{largest}").body == data


def test_a_tag_that_is_not_there_stays_the_registrys_answer(edge, registry):
    got = edge.fetch(f"/v2/{IMAGE}/manifests/nothing", fields={"Accept": OCI_MANIFEST})
    assert got.status == 404
    assert json.loads(got.body)["errors"][0]["code"] == "MANIFEST_UNKNOWN"
    assert registry.alive()


@pytest.fixture
def closed_registry(tmp_path, layout):
    """Asks everybody for a password."""
    registry = Registry(tmp_path / "closed", accounts=HTPASSWD).start()
    skopeo(tmp_path, "copy", "--dest-tls-verify=false", "--dest-creds", ":".join(ACCOUNT),
           f"oci:{layout.folder}:1.0", f"docker://127.0.0.1:{registry.port}/{IMAGE}:1.0")
    yield registry
    registry.kill()


def test_what_a_password_opened_stays_closed_to_others(make_edge, closed_registry, layout, authorities, tmp_path):
    edge = make_edge("location /v2/ { proxy_pass http://registry; proxy_cache_valid 200 10m; }",
                     http=f"upstream registry {{ server 127.0.0.1:{closed_registry.port}; }}").start()
    paths = ["/v2/", f"/v2/{IMAGE}/manifests/1.0"]
    paths += [f"/v2/{IMAGE}/blobs/{digest}" for digest in layout.blobs if digest != layout.manifest_digest]

    def assert_closed():
        for path in paths:
            got = edge.fetch(path, fields={"Accept": OCI_MANIFEST})
            assert (got.status, got.complete) == (401, True), path
            assert got.fields["www-authenticate"].startswith("Basic "), path

    assert_closed()
    for number in range(2):
        pulled = pull(edge, authorities, tmp_path / f"pull{number}", options=("--src-creds", ":".join(ACCOUNT)))
        assert_whole(layout, pulled)
        edge.wait_idle()
        assert_closed()
    closed_registry.kill()
    for path in paths:
        assert edge.fetch(path).status == 502, path
