"""npm on packages published to verdaccio, through the edge; then with verdaccio dead, and with its packages changed."""
import collections
import json
import os

import pytest

from support.client import fetch, read_file
from support.daemons import Verdaccio
from support.edge import wait_until
from support.npm import ABBREVIATED, FORMS, FULL, Npm, make_npm, make_registry, packed, sri  # noqa: F401

PROGRAMS = ("npm", "node", "curl", "verdaccio")

LEAF, TINY = "@team/leaf", "tiny"
VERSIONS = ("1.0.0", "1.1.0")


def package(name, version):
    return packed(name, version, **({"dependencies": {LEAF: "^1.0.0"}} if name == TINY else {}))


def publish(npm, name, version):
    folder = npm.folder / f"{name.replace('/', '-')}-{version}"
    folder.mkdir()
    manifest, files = package(name, version)
    (folder / "package.json").write_text(json.dumps(manifest))
    for file, data in files.items():
        (folder / file).write_bytes(data)
    npm("publish", cwd=folder)


def installed(npm, name):
    """The version that is installed, its files as they were packed."""
    folder = npm.project / "node_modules" / name
    version = json.loads((folder / "package.json").read_text())["version"]
    for file, data in package(name, version)[1].items():
        assert read_file(folder / file) == data, f"{name} {version}: {file}"
    return version


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """A verdaccio with both packages."""
    folder = tmp_path_factory.mktemp("published")
    verdaccio = Verdaccio(folder / "verdaccio").start()
    npm = Npm(folder / "npm", verdaccio.url + "/", token="any")
    for name in (LEAF, TINY):
        for version in VERSIONS:
            publish(npm, name, version)
    yield verdaccio
    verdaccio.kill()


@pytest.fixture
def shared(published):
    """For tests that leave it as it is."""
    published.forget()
    return published


@pytest.fixture
def verdaccio(tmp_path, published):
    """One of the test's own, to be killed and changed."""
    verdaccio = Verdaccio(tmp_path / "verdaccio", published.storage).start()
    yield verdaccio
    verdaccio.kill()


@pytest.fixture
def publisher(tmp_path, verdaccio):
    return Npm(tmp_path / "publisher", verdaccio.url + "/", token="any")


def file_of(name, version):
    return f"{name.split('/')[-1]}-{version}.tgz"


def tarball(storage, name, version):
    return read_file(os.path.join(storage, name, file_of(name, version)))


def assert_locked(npm, edge, storage, versions):
    """The lock file names the edge's tarballs and the integrity of what was published."""
    for name, version in versions.items():
        entry = npm.lock()[f"node_modules/{name}"]
        assert entry["version"] == version
        assert entry["resolved"] == edge.url(f"/npm/{name}/-/{file_of(name, version)}")
        assert entry["integrity"] == sri(tarball(storage, name, version))


BOTH = {TINY: "1.1.0", LEAF: "1.1.0"}
REQUESTS = {("GET", "/tiny"): 1, ("GET", "/tiny/-/tiny-1.1.0.tgz"): 1, ("GET", "/@team%2fleaf"): 1,
            ("GET", "/@team/leaf/-/leaf-1.1.0.tgz"): 1}


def install(npm, *words):
    npm("install", *words)
    return {name: installed(npm, name) for name in (TINY, LEAF)}


def install_locked(npm, other):
    """What the other's lock file says."""
    for file in ("package.json", "package-lock.json"):
        (npm.project / file).write_bytes(read_file(other.project / file))
    npm("ci")
    return {name: installed(npm, name) for name in (TINY, LEAF)}


def test_npm_installs_through_the_edge_and_again_with_verdaccio_dead(make_registry, make_npm, verdaccio):
    edge = make_registry(verdaccio.url)
    first = make_npm(edge, "first")
    assert install(first, TINY) == BOTH
    assert_locked(first, edge, verdaccio.storage, BOTH)
    edge.wait_idle()
    assert collections.Counter(verdaccio.requests()) == REQUESTS

    verdaccio.kill()
    without_lock = make_npm(edge, "without-lock")
    assert install(without_lock, TINY) == BOTH
    assert without_lock.lock() == first.lock()
    with_lock = make_npm(edge, "with-lock")
    assert install_locked(with_lock, first) == BOTH


def test_npm_ci_with_a_lock_file_on_a_cold_edge(make_registry, make_npm, shared):
    """The edge reads the index for the digests, where the client does not."""
    edge = make_registry(shared.url)
    npm = make_npm(edge, "npm")
    locked = {f"node_modules/{name}": {
        "version": "1.0.0", "resolved": edge.url(f"/npm/{name}/-/{file_of(name, '1.0.0')}"),
        "integrity": sri(tarball(shared.storage, name, "1.0.0"))} for name in (TINY, LEAF)}
    locked[f"node_modules/{TINY}"]["dependencies"] = {LEAF: "^1.0.0"}
    root = {"name": "project", "version": "1.0.0", "dependencies": {TINY: "1.0.0"}}
    (npm.project / "package.json").write_text(json.dumps(root))
    (npm.project / "package-lock.json").write_text(json.dumps(
        {"name": "project", "version": "1.0.0", "lockfileVersion": 3, "requires": True,
         "packages": {"": root, **locked}}))
    npm("ci")
    assert {name: installed(npm, name) for name in BOTH} == dict.fromkeys(BOTH, "1.0.0")
    edge.wait_idle()
    assert collections.Counter(shared.requests()) == {
        (method, target.replace("1.1.0", "1.0.0")): count for (method, target), count in REQUESTS.items()}


def test_every_tarball_is_verdaccios_byte_for_byte(make_registry, shared):
    edge = make_registry(shared.url)
    for version in ("1.1", "2"):
        for name in (TINY, LEAF):
            for number in VERSIONS:
                data = tarball(shared.storage, name, number)
                for path in {f"/npm/{name}/-/{file_of(name, number)}",
                             f"/npm/{name.replace('/', '%2f')}/-/{file_of(name, number)}"}:
                    got = edge.fetch(path, version=version)
                    assert (got.status, got.body) == (200, data), path
        edge.wait_idle()
    asked = collections.Counter(target for _, target in shared.requests())
    assert len(asked) == 6 and set(asked.values()) == {1}, asked


def test_only_the_places_of_tarballs_differ_from_verdaccios_documents(make_registry, shared):
    edge = make_registry(shared.url)
    for accept in FORMS:
        for path in ("/tiny", "/@team/leaf", "/@team%2fleaf", "/tiny/1.0.0", "/tiny/latest"):
            mine = edge.fetch("/npm" + path, fields={"Accept": accept})
            again = edge.fetch("/npm" + path, fields={"Accept": accept})
            assert mine.status == 200 and again.body == mine.body, path
            form = FULL if path.startswith("/tiny/") else accept  # one version: in full for everybody
            theirs = fetch(shared.url + path, version="1.1", fields={"Accept": form}).body
            assert mine.body == theirs.replace(shared.url.encode(), edge.url("/npm").encode()), path
            assert mine.body != theirs
            assert mine.fields["content-type"].startswith("application/")
            assert "accept" in mine.fields["vary"].lower().replace(" ", "").split(","), "a client's own cache needs it"


def test_the_full_document_follows_the_abbreviated_one_in_a_clients_cache(make_registry, make_npm, shared):
    edge = make_registry(shared.url)
    npm = make_npm(edge, "npm")
    assert install(npm, TINY) == BOTH
    assert json.loads(npm("view", TINY, "time", "--json")).keys() >= {"created", *VERSIONS}
    assert json.loads(npm("view", LEAF, "license", "--json")) == "MIT"  # only the full one has it


def versions_of(edge, name, accept=ABBREVIATED):
    got = edge.fetch(f"/npm/{name}", fields={"Accept": accept})
    assert got.status == 200, got.body
    return list(json.loads(got.body)["versions"])


def test_a_new_version_is_seen_when_the_lifetime_has_passed_and_not_before(make_registry, make_npm, verdaccio,
                                                                          publisher):
    slow, quick = make_registry(verdaccio.url), make_registry(verdaccio.url, "proxy_cache_valid 200 1s;")
    for edge in (slow, quick):
        for accept in FORMS:  # which of them npm asks for is its version's affair
            assert versions_of(edge, LEAF, accept) == list(VERSIONS)
    publish(publisher, LEAF, "1.2.0")
    verdaccio.forget()
    assert install(make_npm(slow, "slow"), TINY) == BOTH
    assert ("GET", "/@team%2fleaf") not in verdaccio.requests()
    for accept in FORMS:
        wait_until(lambda accept=accept: "1.2.0" in versions_of(quick, LEAF, accept), "the new version")
    assert install(make_npm(quick, "quick"), TINY) == {TINY: "1.1.0", LEAF: "1.2.0"}
    verdaccio.kill()
    assert install(make_npm(quick, "again"), TINY) == {TINY: "1.1.0", LEAF: "1.2.0"}


def test_an_unpublished_version_is_gone_from_the_index_and_its_stored_tarball_stays(make_registry, make_npm,
                                                                                    verdaccio, publisher):
    edge = make_registry(verdaccio.url, "proxy_cache_valid 200 1s;")
    data = tarball(verdaccio.storage, LEAF, "1.1.0")
    first = make_npm(edge, "first")
    assert install(first, TINY) == BOTH
    edge.wait_idle()
    publisher("unpublish", f"{LEAF}@1.1.0", "--force")
    for accept in FORMS:
        wait_until(lambda accept=accept: versions_of(edge, LEAF, accept) == ["1.0.0"], "the version to go")
    assert edge.fetch(f"/npm/{LEAF}/-/leaf-1.1.0.tgz").body == data
    assert install(make_npm(edge, "second"), TINY) == {TINY: "1.1.0", LEAF: "1.0.0"}
    locked = make_npm(edge, "locked")
    assert install_locked(locked, first) == BOTH
    other = make_registry(verdaccio.url)
    assert other.fetch(f"/npm/{LEAF}/-/leaf-1.1.0.tgz").status == 404


def test_what_is_not_there_is_not_found_and_nothing_is_published_through_the_edge(make_registry, make_npm, shared):
    edge = make_registry(shared.url)
    npm = make_npm(edge, "npm")
    done = npm.run("install", "nobody-made-this")
    assert done.returncode != 0 and "E404" in done.stderr, done.stderr
    assert edge.fetch("/npm/nobody-made-this/-/nobody-made-this-1.0.0.tgz").status == 404
    assert edge.fetch("/npm/-/ping").status == 200  # not ours to answer
    folder = npm.folder / "package"
    folder.mkdir()
    (folder / "package.json").write_text('{"name": "mine", "version": "1.0.0"}')
    publisher = make_npm(edge, "publisher", token="any")
    assert publisher.run("publish", cwd=folder).returncode != 0
    assert "PUT" not in {method for method, _ in shared.requests()}


def test_documents_name_the_public_url(make_registry, shared):
    edge = make_registry(shared.url, location="public_url https://packages.example.com:8443/mirror;")
    document = json.loads(edge.fetch(f"/npm/{LEAF}", fields={"Host": "elsewhere"}).body)
    assert [version["dist"]["tarball"] for version in document["versions"].values()] == [
        f"https://packages.example.com:8443/mirror/{LEAF}/-/leaf-{version}.tgz" for version in VERSIONS]
