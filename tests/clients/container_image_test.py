"""skopeo pulls a multi-layer image from Debian's docker-registry through a plain location; then with it dead."""
import collections
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile

import pytest

from support.daemons import Registry
from support.origin import made_bytes

IMAGE = "team/image"
LAYER_SIZES = (300, 3 << 20, 24 << 20)  # smaller than a chunk, several slices, many
ACCOUNT = ("reader", "secret")
HTPASSWD = "reader:$2b$04$YKjFX5znMC3ao/ps.2R5TOcaPQBpVKfe0Is3U4jZTCVd.synKZo0G\n"  # "secret", at the least cost
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Layout:
    """An OCI image layout made by hand: the layers are gzipped tars of one file each, of random bytes."""

    def __init__(self, folder):
        self.folder = folder
        self.blobs = {}
        (folder / "blobs" / "sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        tars = [make_tar(f"file{i}", made_bytes(size, seed=i)) for i, size in enumerate(LAYER_SIZES)]
        layers = [self._add(gzip.compress(tar, 1, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip")
                  for tar in tars]
        config = self._add_json({"architecture": "amd64", "os": "linux", "config": {},
                                 "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in tars]}},
                                "application/vnd.oci.image.config.v1+json")
        manifest = self._add_json({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config,
                                   "layers": layers}, OCI_MANIFEST)
        self.manifest_digest = manifest["digest"]
        manifest["annotations"] = {"org.opencontainers.image.ref.name": "1.0"}
        (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))

    def _add(self, data, kind):
        digest = digest_of(data)
        self.blobs[digest] = data
        (self.folder / "blobs" / "sha256" / digest.split(":")[1]).write_bytes(data)
        return {"mediaType": kind, "digest": digest, "size": len(data)}

    def _add_json(self, value, kind):
        return self._add(json.dumps(value).encode(), kind)


def make_tar(name, data):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def skopeo(folder, *words):
    """Runs it with a home of its own: what an earlier run learnt about blobs must not help it."""
    assert shutil.which("skopeo"), "skopeo is not installed"
    env = {name: value for name, value in os.environ.items()
           if not name.lower().endswith("_proxy") and not name.startswith("SSL_CERT_")}
    done = subprocess.run(["skopeo", "--insecure-policy", *words], cwd=folder, capture_output=True, text=True,
                          check=False, timeout=300, stdin=subprocess.DEVNULL, env={**env, "HOME": str(folder)})
    assert done.returncode == 0, f"skopeo {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def layout(tmp_path_factory):
    return Layout(tmp_path_factory.mktemp("layout"))


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


@pytest.fixture
def authorities(tmp_path, certificate):
    """A folder as --src-cert-dir wants it."""
    folder = tmp_path / "authorities"
    folder.mkdir()
    shutil.copy(certificate[0], folder / "edge.crt")
    return folder


def pull(edge, authorities, folder, tag="1.0", kind="oci", reference=None, options=()):
    """Copies the image into a fresh folder; the folder."""
    folder.mkdir()
    source = f"docker://localhost:{edge.tls_port}/{IMAGE}{reference or ':' + tag}"
    to = f"oci:{folder}/image:1.0" if kind == "oci" else f"dir:{folder}/image"
    skopeo(folder, "copy", "--src-cert-dir", str(authorities), "--preserve-digests", *options, source, to)
    return folder / "image"


def assert_whole(layout, pulled):
    """Each blob of the layout is there, byte for byte, and nothing else."""
    found = {f"sha256:{path.name}": path.read_bytes() for path in (pulled / "blobs" / "sha256").iterdir()}
    assert sorted(found) == sorted(layout.blobs)
    for digest, data in found.items():
        assert digest_of(data) == digest
    index = json.loads((pulled / "index.json").read_text())
    assert [manifest["digest"] for manifest in index["manifests"]] == [layout.manifest_digest]


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
