"""Local repositories: a directory, served with the digests of its files."""
import base64
import hashlib
import os

import pytest

from support.edge import wait_until
from support.origin import made_bytes


@pytest.fixture
def srv(tmp_path):
    (tmp_path / "srv").mkdir()
    return tmp_path / "srv"


@pytest.fixture
def edge_of(make_edge, srv):
    def make(kind="generic"):
        return make_edge("location /files/ { repository files; }",
                         http=f"repository files {{ format {kind}; root {srv}; proxy_cache edge; }}").start()
    return make


def repr_digest(data):
    return "sha-256=:" + base64.b64encode(hashlib.sha256(data).digest()).decode() + ":"


def test_a_file_comes_with_its_digest(edge_of, srv):
    (srv / "a.bin").write_bytes(b"content")
    got = edge_of().fetch("/files/a.bin")
    assert (got.status, got.body, got.fields["repr-digest"]) == (200, b"content", repr_digest(b"content"))
    assert got.fields["etag"] and "cache-status" not in got.fields


def test_a_range_and_a_condition_are_answered(edge_of, srv):
    data = made_bytes(300_000)
    (srv / "a.bin").write_bytes(data)
    edge = edge_of()
    got = edge.fetch("/files/a.bin", fields={"Range": "bytes=-10"})
    assert (got.status, got.body, got.fields["repr-digest"]) == (206, data[-10:], repr_digest(data))
    assert edge.fetch("/files/a.bin", fields={"If-None-Match": got.fields["etag"]}).status == 304


def test_new_changed_and_removed_files_are_seen_at_once(edge_of, srv):
    edge = edge_of()
    assert edge.fetch("/files/a.bin").status == 404
    (srv / "a.bin").write_bytes(b"first")
    first = edge.fetch("/files/a.bin")
    assert (first.body, first.fields["repr-digest"]) == (b"first", repr_digest(b"first"))
    (srv / "new").write_bytes(b"other")
    os.utime(srv / "new", ns=(os.stat(srv / "a.bin").st_mtime_ns,) * 2)  # as long, and of the same time
    os.replace(srv / "new", srv / "a.bin")
    second = edge.fetch("/files/a.bin")
    assert (second.body, second.fields["repr-digest"]) == (b"other", repr_digest(b"other"))
    assert second.fields["etag"] != first.fields["etag"]
    (srv / "a.bin").unlink()
    assert edge.fetch("/files/a.bin").status == 404


def test_a_digest_is_remembered_over_a_restart(edge_of, srv):
    """A file that is the same by all that is known of it is not read for the digest it had."""
    (srv / "a.bin").write_bytes(made_bytes(1 << 20))
    edge = edge_of()
    before = edge.fetch("/files/a.bin").fields["repr-digest"]
    edge.stop()
    edge.start()
    got = edge.fetch("/files/a.bin", method="HEAD")
    assert got.fields["repr-digest"] == before
    with open(f"/proc/{edge.serving_pid()}/io", encoding="ascii") as file:
        reads = int(next(line for line in file if line.startswith("rchar")).split()[1])
    assert reads < 1 << 20, "the file was read again"


def test_the_digest_of_a_large_file_comes_later_and_nobody_waits_for_it(edge_of, srv):
    data = made_bytes(1 << 20) * 65
    (srv / "a.bin").write_bytes(data)
    edge = edge_of()
    first = edge.fetch("/files/a.bin", method="HEAD")
    assert first.status == 200 and int(first.fields["content-length"]) == len(data)

    def known():
        return edge.fetch("/files/a.bin", method="HEAD").fields.get("repr-digest") == repr_digest(data)

    wait_until(known, "the digest")
    assert edge.fetch("/files/a.bin", method="HEAD").fields["etag"] == first.fields["etag"]


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "md5", "sha512"])
@pytest.mark.parametrize("kind, path", [("generic", "some/file.bin"), ("maven", "g/a/1.0/a-1.0.jar")])
def test_sidecars_are_made_of_the_file(edge_of, srv, kind, path, algorithm):
    (srv / path).parent.mkdir(parents=True)
    (srv / path).write_bytes(b"content")
    edge = edge_of(kind)
    got = edge.fetch(f"/files/{path}.{algorithm}")
    assert (got.status, got.body.decode()) == (200, hashlib.new(algorithm, b"content").hexdigest())
    assert edge.fetch(f"/files/nothing.{algorithm}").status == 404


def test_a_sidecar_that_lies_beside_the_file_is_served_as_it_is(edge_of, srv):
    (srv / "a.bin").write_bytes(b"content")
    (srv / "a.bin.sha256").write_text("somebody's own  a.bin\n")
    assert edge_of().fetch("/files/a.bin.sha256").body == b"somebody's own  a.bin\n"


def test_a_file_that_is_not_what_its_path_says_is_refused(edge_of, srv):
    digest = hashlib.sha256(b"right").hexdigest()
    (srv / "v2/x/blobs").mkdir(parents=True)
    (srv / f"v2/x/blobs/sha256:{digest}").write_bytes(b"wrong")
    edge = edge_of()
    got = edge.fetch(f"/files/v2/x/blobs/sha256:{digest}")
    assert got.status == 502 and b"wrong" not in got.body
    (srv / f"v2/x/blobs/sha256:{digest}").write_bytes(b"right")
    assert edge.fetch(f"/files/v2/x/blobs/sha256:{digest}").body == b"right"


def test_a_python_index_is_a_folder_of_pages_and_files(edge_of, srv):
    (srv / "simple/thing").mkdir(parents=True)
    (srv / "simple/thing/index.html").write_text('<a href="../../f/thing-1.tar.gz">thing-1.tar.gz</a>')
    (srv / "f").mkdir()
    (srv / "f/thing-1.tar.gz").write_bytes(b"content")
    edge = edge_of("pypi")
    page = edge.fetch("/files/simple/thing/")
    assert page.status == 200 and edge.url("/files/files/thing/thing-1.tar.gz") in page.body.decode()
    assert edge.fetch("/files/files/thing/thing-1.tar.gz").body == b"content"


def test_no_link_leads_out_of_the_directory(edge_of, srv, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (srv / "link").symlink_to(tmp_path / "secret")
    got = edge_of().fetch("/files/link")
    assert got.status in (403, 404) and b"secret" not in got.body.replace(b"secret.", b"")


def test_what_is_made_of_a_file_changes_with_it(edge_of, srv):
    (srv / "simple/thing").mkdir(parents=True)
    page = srv / "simple/thing/index.html"
    page.write_text('<a href="../../f/thing-1.tar.gz">thing-1.tar.gz</a>')
    edge = edge_of("pypi")
    first = edge.fetch("/files/simple/thing/")
    assert "thing-1" in first.body.decode() and first.fields["cache-control"] == "max-age=0"
    page.write_text('<a href="../../f/thing-2.tar.gz">thing-2.tar.gz</a>')
    assert "thing-2" in edge.fetch("/files/simple/thing/").body.decode()


def test_the_signature_of_a_local_release_is_served_again_and_again(edge_of, srv):
    suite = srv / "dists/stable"
    suite.mkdir(parents=True)
    (suite / "Release").write_text(f"Suite: stable\nSHA256:\n {'a' * 64} 1 main/binary-amd64/Packages\n")
    (suite / "Release.gpg").write_text("signature")
    edge = edge_of("apt")
    for _ in range(3):
        got = edge.fetch("/files/dists/stable/Release.gpg")
        assert (got.status, got.body) == (200, b"signature")


def test_a_tag_of_a_registry_of_files(edge_of, srv):
    """Nobody can be asked by HEAD where it stands: it is the file."""
    (srv / "v2/app/manifests").mkdir(parents=True)
    manifest = b'{"schemaVersion": 2, "config": {"mediaType": "x/y", "size": 1, "digest": "sha256:' + b"a" * 64 + b'"}}'
    (srv / "v2/app/manifests/latest").write_bytes(manifest)
    edge = edge_of("oci")
    assert edge.fetch("/files/v2/").status == 200
    assert edge.fetch("/files/v2/app/manifests/none").status == 404
    got = edge.fetch("/files/v2/app/manifests/latest", method="HEAD")
    assert got.status == 200
    assert edge.fetch("/files/v2/app/manifests/latest").status == 502  # no media type vouches for it


@pytest.mark.parametrize("kind, path", [("npm", "/-/ping"), ("pypi", "/other"), ("oci", "/v2/app/blobs/uploads/")])
def test_what_would_pass_to_an_upstream_is_not_here(edge_of, kind, path):
    edge = edge_of(kind)
    assert edge.fetch("/files" + path).status == 404
    assert edge.fetch("/files" + path, method="HEAD").status == 404
