"""Signatures and SBOMs of an image: by the referrers API of a scripted registry, and by the tag that stands in for it
where Debian's docker-registry has no such API; and a prefetch that skopeo sets off."""
import collections
import hashlib
import json

import pytest

from support.daemons import Registry
from support.edge import wait_until
from support.images import IMAGE, OCI_INDEX, OCI_MANIFEST, Layout, assert_whole, digest_of, pull, push, skopeo

PROGRAMS = ("skopeo", "curl", "docker-registry")
SBOM, SIGNATURE = "application/spdx+json", "application/vnd.dev.cosign.artifact.sig.v1+json"
EMPTY = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(b"{}"), "size": 2}


class Referred:
    """An image's digest on a scripted origin, and what refers to it."""

    def __init__(self, origin):
        self.origin, self.subject = origin, digest_of(b"the image")
        self.path = f"/v2/{IMAGE}/referrers/{self.subject}"
        self.found, self.blobs = [], {}
        self.publish()

    def add(self, kind, content):
        """A manifest that refers to the image, and its one layer."""
        layer = digest_of(content)
        self._add(f"blobs/{layer}", content)
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": kind, "config": EMPTY,
            "layers": [{"mediaType": kind, "digest": layer, "size": len(content)}],
            "subject": {"mediaType": OCI_MANIFEST, "digest": self.subject, "size": 9}}).encode()
        self._add(f"manifests/{digest_of(manifest)}", manifest, OCI_MANIFEST)
        self.found.append({"mediaType": OCI_MANIFEST, "digest": digest_of(manifest), "size": len(manifest),
                           "artifactType": kind})
        self.publish()

    def _add(self, name, data, kind="application/octet-stream"):
        path = f"/v2/{IMAGE}/{name}"
        self.blobs[path] = data
        self.origin.add(path, data, fields={"Content-Type": kind})

    def publish(self):
        for query, kind in (("", None), (f"?artifactType={SBOM}", SBOM)):
            found = [one for one in self.found if kind in (None, one["artifactType"])]
            data = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found}).encode()
            fields = {"Content-Type": OCI_INDEX, **({"OCI-Filters-Applied": "artifactType"} if kind else {})}
            self.origin.add(self.path + query, data, fields=fields, etag=f'"{hashlib.sha1(data).hexdigest()}"')


def kinds(edge, path):
    got = edge.fetch(path, fields={"Accept": OCI_INDEX})
    assert (got.status, got.fields["content-type"]) == (200, OCI_INDEX), got.body
    return [one["artifactType"] for one in json.loads(got.body)["manifests"]]


@pytest.fixture
def make_mirror(make_edge):
    def make(upstream, text="proxy_cache_valid 200 1h;"):
        return make_edge("location /v2/ { repository images; }",
                         http=f"repository images {{ format oci; proxy_pass {upstream.url}; {text} }}").start()
    return make


# -- with the API --

def test_what_refers_to_an_image_is_listed_and_had_with_the_registry_dead(make_mirror, origin):
    referred = Referred(origin)
    referred.add(SBOM, b"an SBOM" * 1000)
    edge = make_mirror(origin)
    for round_ in ("cold", "stored", "dead"):
        assert kinds(edge, referred.path) == [SBOM]
        for path, data in referred.blobs.items():
            got = edge.fetch(path)
            assert (got.status, got.body) == (200, data), path
        edge.wait_idle()
        if round_ == "stored":
            origin.kill()
    assert sorted(r.target for r in origin.requests) == sorted([referred.path, *referred.blobs])


def test_a_list_that_is_filtered_is_another_one(make_mirror, origin):
    referred = Referred(origin)
    referred.add(SBOM, b"an SBOM")
    referred.add(SIGNATURE, b"a signature")
    edge = make_mirror(origin)
    query = f"?artifactType={SBOM}"
    for _ in range(2):
        assert kinds(edge, referred.path) == [SBOM, SIGNATURE]
        assert kinds(edge, referred.path + query) == [SBOM]
        assert edge.fetch(referred.path + query).fields["oci-filters-applied"] == "artifactType"
        edge.wait_idle()
    assert len(origin.gets(referred.path)) == 1  # and the two forms of Accept of the other
    assert len(origin.gets(referred.path + query)) == 2


def test_a_signature_that_is_new_is_seen_after_the_lists_lifetime_and_not_before(make_mirror, origin):
    referred = Referred(origin)
    referred.add(SBOM, b"an SBOM")
    lasting, brief = make_mirror(origin), make_mirror(origin, "proxy_cache_valid 200 1s;")
    for edge in (lasting, brief):
        assert kinds(edge, referred.path) == [SBOM]
        edge.wait_idle()
    referred.add(SIGNATURE, b"a signature")
    wait_until(lambda: kinds(brief, referred.path) == [SBOM, SIGNATURE], "the signature to be seen")
    brief.wait_idle()
    asked = len(origin.gets(referred.path))
    assert kinds(lasting, referred.path) == [SBOM]
    assert len(origin.gets(referred.path)) == asked
    origin.kill()
    assert kinds(brief, referred.path) == [SBOM, SIGNATURE]  # stale


# -- without it --

def test_that_a_registry_has_no_such_api_is_told_and_not_remembered(make_mirror, origin):
    """Clients take the tag then. A registry that is made anew may have it a moment later."""
    edge = make_mirror(origin)
    subject = digest_of(b"the image")
    for number in range(3):
        got = edge.fetch(f"/v2/{IMAGE}/referrers/{subject}", fields={"Accept": OCI_INDEX})
        assert got.status == 404 and json.loads(got.body)["errors"][0]["code"], got.body
        assert len(origin.requests) == number + 1
        edge.wait_idle()
    referred = Referred(origin)
    referred.add(SIGNATURE, b"a signature")
    assert kinds(edge, referred.path) == [SIGNATURE]


@pytest.fixture
def signed(tmp_path):
    """(registry, the image, what is under the tag that stands in for its referrers)."""
    for name in ("image", "signature"):
        (tmp_path / name).mkdir()
    image = Layout(tmp_path / "image", sizes=(300, 1 << 20), seed=6000)
    signature = Layout(tmp_path / "signature", sizes=(700,), seed=7000)
    registry = Registry(tmp_path / "registry").start()
    push(image, registry, tmp_path)
    yield registry, image, signature
    registry.kill()


def test_skopeo_has_a_signature_by_the_tag_that_stands_in(make_mirror, signed, authorities, tmp_path):
    registry, image, signature = signed
    edge = make_mirror(registry, "proxy_cache_valid 200 1s;")
    tag = image.manifest_digest.replace(":", "-")
    assert edge.fetch(f"/v2/{IMAGE}/referrers/{image.manifest_digest}").status == 404
    assert edge.fetch(f"/v2/{IMAGE}/manifests/{tag}", fields={"Accept": OCI_MANIFEST}).status == 404
    push(signature, registry, tmp_path, tag=tag)
    registry.forget()
    assert_whole(signature, pull(edge, authorities, tmp_path / "alive", tag=tag))
    edge.wait_idle()
    asked = collections.Counter(target for method, target, _ in registry.requests() if method == "GET")
    assert {asked[f"/v2/{IMAGE}/{kind}/{digest}"] for digest in signature.blobs
            for kind in ("manifests" if digest == signature.manifest_digest else "blobs",)} == {1}
    registry.kill()
    assert_whole(signature, pull(edge, authorities, tmp_path / "dead", tag=tag))


# -- prefetch --

@pytest.mark.parametrize("on", [True, False], ids=["on", "off"])
def test_a_look_at_a_manifest_brings_the_layers_in(make_mirror, signed, authorities, tmp_path, on):
    registry, image, _ = signed
    edge = make_mirror(registry, f"proxy_cache_valid 200 1h; prefetch {'on' if on else 'off'};")
    registry.forget()
    said = skopeo(tmp_path, "inspect", "--raw", "--cert-dir", str(authorities),
                  f"docker://localhost:{edge.tls_port}/{IMAGE}:1.0")
    assert digest_of(said.encode()) == image.manifest_digest
    wanted = {f"/v2/{IMAGE}/blobs/{digest}": 1 for digest in set(image.blobs) - image.manifest_digests()}

    def asked():
        return {target: status for method, target, status in registry.requests()
                if method == "GET" and "/blobs/" in target}

    if on:
        edge.wait_metric("cache_blobs", lambda blobs: blobs == len(image.blobs))
    edge.wait_idle()
    assert asked() == (dict.fromkeys(wanted, 200) if on else {})
    assert_whole(image, pull(edge, authorities, tmp_path / "pulled"))
    edge.wait_idle()
    assert collections.Counter(target for method, target, _ in registry.requests()
                               if method == "GET" and "/blobs/" in target) == wanted
    edge.stop()
    cached = {line["cache"] for line in edge.access_log() if "/blobs/" in line["request"]}
    assert cached == ({"HIT"} if on else {"MISS"})
