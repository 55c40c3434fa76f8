"""apt from a signed repository of format apt through the edge: by digest and by path, with its nginx dead, damaged,
or publishing in between."""
import collections
import os
import re

import pytest

from support.apt import LISTS, SUITE, Apt, Key, Repository, make_package, publish_flat, run, sha256
from support.daemons import Nginx
from support.edge import wait_until
from support.origin import made_bytes

SIZE = 3 << 20
POOL = "/apt/debian/pool"
IN_RELEASE = f"/apt/debian/{SUITE}/InRelease"
MUTABLE_HIT = 'entrepot; hit; detail="mutable"'
MISMATCH = re.compile("hash sum mismatch", re.I)


@pytest.fixture(scope="module")
def key():
    print(run(["/usr/bin/apt-get", "--version"]).splitlines()[0], run(["/usr/bin/gpg", "--version"]).splitlines()[0])
    key = Key()
    yield key
    key.close()


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """version -> path of "tiny"."""
    folder = tmp_path_factory.mktemp("packages")
    return {version: make_package(folder, "tiny", version, made_bytes(SIZE, seed=version)) for version in ("1", "2")}


@pytest.fixture
def by_hash(request):
    return getattr(request, "param", True)


both_ways = pytest.mark.parametrize("by_hash", [True, False], ids=["by-hash", "by-path"], indirect=True)


@pytest.fixture
def repository(tmp_path, key, packages, by_hash):
    repository = Repository(tmp_path / "repository", key, by_hash)
    add(repository, packages["1"])
    repository.publish()
    return repository


def add(repository, package, name=None):
    (repository.pool / (name or package.name)).write_bytes(package.read_bytes())


@pytest.fixture
def nginx(tmp_path, repository):
    nginx = Nginx(tmp_path / "nginx", repository.served).start()
    yield nginx
    nginx.kill()


@pytest.fixture
def edge_for(make_edge, nginx):
    def make(lifetime):
        return make_edge("location /apt/ { repository debian; }",
                         http=f"repository debian {{ format apt; proxy_pass {nginx.url}; proxy_cache edge; "
                              f"proxy_cache_valid 200 {lifetime}; }}").start()

    return make


@pytest.fixture
def edge(edge_for):
    return edge_for("1h")


@pytest.fixture
def make_apt(tmp_path, key):
    numbers = iter(range(100))

    def make(edge, tls=False, place="/apt/debian", parts="stable main"):
        folder = tmp_path / f"apt{next(numbers)}"
        folder.mkdir()
        url = edge.url(place, tls=tls).replace("127.0.0.1", "localhost")
        return Apt(folder, f"[signed-by={key.public} arch=amd64] {url} {parts}", edge.ca if tls else None)

    return make


def installed(apt):
    return (apt.root / "usr/share/tiny/payload").read_bytes()


def wait_stale(edge, path=IN_RELEASE):
    """The edge asks anew, or would: its answer is no plain hit."""
    edge.fetch(path)
    wait_until(lambda: edge.fetch(path).fields["cache-status"] != MUTABLE_HIT, f"{path} to be stale")


@both_ways
def test_apt_installs_and_again_with_the_upstream_dead(edge, nginx, make_apt, by_hash):
    first = make_apt(edge, tls=by_hash)
    first("update")
    first("install", "--yes", "tiny")
    assert installed(first) == made_bytes(SIZE, seed="1")
    edge.wait_idle()
    asked = collections.Counter(target for _, target, _, _ in nginx.requests())
    assert set(asked.values()) == {1} and len(asked) == 3, asked  # InRelease, Packages, the package
    assert any("/by-hash/" in target for target in asked) == by_hash, asked
    nginx.kill()
    second = make_apt(edge, tls=not by_hash)
    second("update")
    second("install", "--yes", "tiny")
    assert installed(second) == made_bytes(SIZE, seed="1")


def test_what_is_stale_still_installs_with_the_upstream_dead(edge_for, nginx, make_apt):
    edge = edge_for("1s")
    apt = make_apt(edge)
    apt("update")
    edge.fetch(f"{POOL}/tiny_1_amd64.deb")
    edge.wait_idle()
    nginx.kill()
    wait_stale(edge)
    apt("update")
    apt("install", "--yes", "tiny")
    assert installed(apt) == made_bytes(SIZE, seed="1")


def test_a_package_that_is_damaged_upstream_is_refused_and_not_stored(edge, nginx, make_apt, repository):
    apt = make_apt(edge)
    apt("update")
    package = repository.root() / "pool/tiny_1_amd64.deb"
    good = package.read_bytes()
    package.write_bytes(good[:-100] + bytes(byte ^ 1 for byte in good[-100:]))
    code, out = apt.attempt("download", "tiny")
    assert code != 0 and not MISMATCH.search(out), out
    assert all(path.stat().st_size < len(good) for path in apt.folder.glob("*.deb")), "it never has all of it"
    got = edge.fetch(f"{POOL}/tiny_1_amd64.deb")
    assert got.status == 502 or not got.complete
    edge.wait_idle()
    package.write_bytes(good)
    apt("download", "tiny")
    assert apt.downloaded() == {"tiny_1_amd64.deb": sha256(good)}
    assert sum(target.endswith(".deb") for _, target, _, _ in nginx.requests()) >= 3, nginx.requests()


def test_a_partial_package_is_gone_on_with(edge, nginx, make_apt, repository):
    apt = make_apt(edge)
    apt("update")
    package = repository.root() / "pool/tiny_1_amd64.deb"
    data = package.read_bytes()
    partial = apt.folder / "cache/archives/partial" / package.name
    partial.write_bytes(data[:SIZE // 2])
    modified = os.stat(package).st_mtime
    os.utime(partial, (modified, modified))
    apt("install", "--yes", "tiny")
    assert installed(apt) == made_bytes(SIZE, seed="1")
    edge.wait_idle()
    assert all(status in (200, 206) for _, _, status, _ in nginx.requests()), nginx.requests()
    edge.stop()
    line = next(line for line in edge.access_log() if ".deb" in line["request"])
    assert line["status"] == 206 and line["range"] == f"bytes={SIZE // 2}-", line


@both_ways
def test_a_publish_between_release_and_lists_is_no_mismatch(edge, nginx, make_apt, repository, packages, by_hash):
    """The edge holds the old InRelease, nginx has the new lists already."""
    assert edge.fetch(IN_RELEASE).status == 200
    edge.wait_idle()
    add(repository, packages["2"])
    repository.publish()
    apt = make_apt(edge)
    code, out = apt.attempt("update")
    assert not MISMATCH.search(out), out
    if by_hash:
        assert code == 0, out
        apt("install", "--yes", "tiny")
        assert installed(apt) == made_bytes(SIZE, seed="1")
    else:  # the old lists are nowhere any more, and the new ones do not fit: apt is refused them
        assert "Err:" in out or code != 0, out
    assert nginx.alive()


@both_ways
def test_a_client_between_two_generations_gets_the_lists_of_its_own(edge_for, nginx, repository, packages, by_hash):
    """The client holds the old InRelease, the edge has gone on to the new one."""
    edge = edge_for("1s")
    old = edge.fetch(IN_RELEASE).body.decode()
    digest = re.search(rf"^ (\w+) \d+ {LISTS}/Packages.xz$", old, re.M).group(1)
    add(repository, packages["2"])
    repository.publish()
    wait_until(lambda: edge.fetch(IN_RELEASE).body.decode() != old, "the new InRelease")
    now = re.search(rf"^ (\w+) \d+ {LISTS}/Packages.xz$", edge.fetch(IN_RELEASE).body.decode(), re.M).group(1)
    folder = f"/apt/debian/{SUITE}/{LISTS}"
    if by_hash:
        assert edge.fetch(f"{folder}/by-hash/SHA256/{digest}").sha256 == digest
    # By its path it is that of the Release which is served now.
    assert edge.fetch(f"{folder}/Packages.xz").sha256 == now
    assert nginx.alive()


def test_a_new_version_is_seen_after_the_lifetime(edge_for, edge, nginx, make_apt, repository, packages):
    brief = edge_for("1s")
    early, late = make_apt(edge), make_apt(brief)
    for apt in (early, late):
        apt("update")
    add(repository, packages["2"])
    repository.publish()
    early("update")
    early("install", "--yes", "tiny")
    assert installed(early) == made_bytes(SIZE, seed="1")

    def sees_the_new_one():
        late("update")
        return "tiny_2_amd64" in late("download", "--print-uris", "tiny")

    wait_until(sees_the_new_one, "version 2")
    late("install", "--yes", "tiny")
    assert installed(late) == made_bytes(SIZE, seed="2")
    assert nginx.alive()


def test_a_file_that_is_published_again_is_what_the_index_says(edge_for, nginx, make_apt, repository, tmp_path):
    edge = edge_for("1s")
    first = make_apt(edge)
    first("update")
    first("install", "--yes", "tiny")
    (tmp_path / "again").mkdir()
    add(repository, make_package(tmp_path / "again", "tiny", "1", made_bytes(SIZE, seed="again")))
    repository.publish()
    second = make_apt(edge)

    def sees_the_new_one():
        second("update")
        return sha256((repository.pool / "tiny_1_amd64.deb").read_bytes()) in second(
            "download", "--print-uris", "tiny")

    wait_until(sees_the_new_one, "the new index")
    second("install", "--yes", "tiny")
    assert installed(second) == made_bytes(SIZE, seed="again")
    nginx.kill()
    third = make_apt(edge)
    third("update")
    third("install", "--yes", "tiny")
    assert installed(third) == made_bytes(SIZE, seed="again")


def refuses_damaged(edge, path, package):
    good = package.read_bytes()
    package.write_bytes(good[:-4] + b"evil")
    got = edge.fetch(path)
    assert got.status == 502 or not got.complete
    edge.wait_idle()
    package.write_bytes(good)


def test_a_release_that_is_signed_apart_vouches_too(edge, nginx, make_apt, repository):
    repository.apart = True
    repository.publish()
    apt = make_apt(edge)
    code, out = apt.attempt("update")
    assert code == 0 and "Err:" not in out, out
    refuses_damaged(edge, f"{POOL}/tiny_1_amd64.deb", repository.root() / "pool/tiny_1_amd64.deb")
    apt.attempt("install", "--yes", "tiny")
    assert installed(apt) == made_bytes(SIZE, seed="1")
    assert nginx.alive()


def test_a_flat_repository_vouches_for_what_lies_beside_its_lists(edge, nginx, make_apt, repository, key, packages):
    folder = repository.served.resolve() / "flat"
    publish_flat(folder, key, packages["1"])
    apt = make_apt(edge, place="/apt/flat", parts="./")
    apt("update")
    refuses_damaged(edge, f"/apt/flat/{packages['1'].name}", folder / packages["1"].name)
    apt("install", "--yes", "tiny")
    assert installed(apt) == made_bytes(SIZE, seed="1")
    assert nginx.alive()
