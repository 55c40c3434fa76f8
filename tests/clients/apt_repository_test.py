"""apt from a signed repository of format apt through the edge: by digest and by path, with its nginx dead, damaged,
or publishing in between."""
import collections
import os
import re

import pytest

from support.apt import LISTS, SUITE, Apt, Key, Repository, make_package, publish_flat, sha256
from support.daemons import Nginx
from support.edge import wait_until
from support.origin import made_bytes

PROGRAMS = ("apt", "dpkg", "gpg", "curl", "nginx")

SIZE = 3 << 20
POOL = "/apt/debian/pool"
IN_RELEASE = f"/apt/debian/{SUITE}/InRelease"
MUTABLE_HIT = 'entrepot; hit; detail="mutable"'
MISMATCH = re.compile("hash sum mismatch", re.I)


@pytest.fixture(scope="module")
def key():
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
    wait_until(lambda: edge.fetch(path).cache_status != MUTABLE_HIT, f"{path} to be stale")


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
    edge.reload()
    apt("download", "tiny")
    assert apt.downloaded() == {"tiny_1_amd64.deb": sha256(good)}
    assert sum(target.endswith(".deb") for _, target, _, _ in nginx.requests()) == 2, nginx.requests()  # who lied is not asked again at once


def test_a_partial_package_is_gone_on_with(edge, nginx, make_apt, repository):
    apt = make_apt(edge)
    apt("update")
    package = repository.root() / "pool/tiny_1_amd64.deb"
    data = package.read_bytes()
    partial = apt.folder / "cache/archives/partial" / package.name
    partial.write_bytes(data[:SIZE // 2])
    modified = os.stat(package).st_mtime - 3600  # a date in If-Range counts when it is older than the answer by some time
    for path in (package, partial):
        os.utime(path, (modified, modified))
    apt("install", "--yes", "tiny")
    assert installed(apt) == made_bytes(SIZE, seed="1")
    edge.wait_idle()
    assert all(status in (200, 206) for _, _, status, _ in nginx.requests()), nginx.requests()
    asked = [text for _, target, _, text in nginx.requests() if target.endswith(package.name)]
    assert asked == ["-"], "it is smaller than a slice: all of it, once"
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


def digest_of_list(release):
    return re.search(rf"^ (\w+) \d+ {LISTS}/Packages.xz$", release.decode(), re.M).group(1)


@both_ways
@pytest.mark.parametrize("again", [False, True], ids=["given", "told to keep"])
def test_a_client_between_two_generations_gets_the_lists_of_its_own(edge_for, nginx, repository, packages, by_hash,
                                                                    again):
    """The client holds the old InRelease, the edge has gone on to the new one."""
    edge = edge_for("1s")
    kept = edge.http1()
    kept.get(IN_RELEASE)
    _, fields, old = kept.response()
    if again:  # on another connection
        kept.close()
        kept = edge.http1()
        kept.get(IN_RELEASE, If_Modified_Since=fields["last-modified"])
        assert kept.response()[0] == 304
    lists = f"/apt/debian/{SUITE}/{LISTS}"
    assert edge.fetch(f"{lists}/Packages.xz").sha256 == digest_of_list(old)
    add(repository, packages["2"])
    repository.publish()
    wait_until(lambda: edge.fetch(IN_RELEASE).body != old, "the new InRelease")
    new = edge.fetch(IN_RELEASE).body
    for _ in range(2):
        kept.get(f"{lists}/Packages.xz")
        assert sha256(kept.response()[2]) == digest_of_list(old)
        assert edge.fetch(f"{lists}/Packages.xz").sha256 == digest_of_list(new)
    if by_hash:
        assert edge.fetch(f"{lists}/by-hash/SHA256/{digest_of_list(old)}").sha256 == digest_of_list(old)
    kept.get(IN_RELEASE)
    assert kept.response()[2] == new
    kept.get(f"{lists}/Packages.xz")
    assert sha256(kept.response()[2]) == digest_of_list(new)
    kept.close()
    asked = [target for _, target, status, _ in nginx.requests() if "Packages.xz" in target or "by-hash" in target]
    assert len(asked) == 2, asked


def offer(origin, repository, prefix):
    """A scripted origin has the repository's files as they are now."""
    root = repository.root()
    for path in filter(os.path.isfile, root.rglob("*")):
        data, target = path.read_bytes(), f"{prefix}/{path.relative_to(root)}"
        tamper = getattr(origin.resources.get(target), "tamper", None)
        origin.add(target, data, etag=f'"{sha256(data)}"').tamper = tamper


@pytest.fixture
def scripted_edge(make_edge, origin):
    return make_edge("location /apt/ { repository debian; }",
                     http=f"repository debian {{ format apt; proxy_pass {origin.url}; proxy_cache edge; "
                          "proxy_cache_valid 200 404 1s; }").start()


@pytest.mark.parametrize("by_hash", [False], indirect=True)
def test_a_publish_in_the_middle_of_an_update_gives_all_of_the_old(scripted_edge, origin, make_apt, repository,
                                                                   packages, tmp_path, key):
    """apt has the old InRelease, and waits for that of another repository while the edge goes on to the new one."""
    other = Repository(tmp_path / "other", key)
    other.publish()
    offer(origin, repository, "/debian")
    offer(origin, other, "/other")
    apt = make_apt(scripted_edge)
    with open(apt.folder / "etc/sources.list", "a", encoding="utf-8") as file:
        file.write((apt.folder / "etc/sources.list").read_text().replace("/apt/debian", "/apt/other"))
    scripted_edge.fetch(f"/apt/debian/{SUITE}/{LISTS}/Packages.xz")
    old = scripted_edge.fetch(IN_RELEASE).body
    scripted_edge.wait_idle()

    def publish(answer, request, n):
        if repository.generation == 1:
            add(repository, packages["2"])
            repository.publish()
            offer(origin, repository, "/debian")
            wait_until(lambda: scripted_edge.fetch(IN_RELEASE).body != old, "the new InRelease")

    origin.resources[f"/other/{SUITE}/InRelease"].tamper = publish
    apt("update")
    assert repository.generation == 2
    assert "tiny_1_amd64" in apt("download", "--print-uris", "tiny")
    apt("update")
    assert "tiny_2_amd64" in apt("download", "--print-uris", "tiny")


@pytest.mark.parametrize("by_hash", [False], indirect=True)
@pytest.mark.parametrize("apart, path", [(False, f"{LISTS}/Packages.xz"), (True, f"{LISTS}/Packages.xz"),
                                         (True, "Release.gpg")])
def test_a_publish_that_takes_the_old_away_is_an_error_that_a_second_update_mends(scripted_edge, origin, make_apt,
                                                                                  repository, packages, apart, path):
    repository.apart = apart
    repository.publish()
    offer(origin, repository, "/debian")

    def publish(answer, request, n):
        if repository.generation == 2:
            add(repository, packages["2"])
            repository.publish()
            offer(origin, repository, "/debian")
            return origin.resources[request.target].answer(request)
        return None

    origin.resources[f"/debian/{SUITE}/{path}"].tamper = publish
    apt = make_apt(scripted_edge)
    code, out = apt.attempt("update")
    assert repository.generation == 3
    assert code != 0 and "Err:" in out, out
    assert not MISMATCH.search(out) and "BADSIG" not in out, out
    scripted_edge.wait_idle()
    code, out = apt.attempt("update")
    assert code == 0 and "Err:" not in out, out
    assert "tiny_2_amd64" in apt.attempt("download", "--print-uris", "tiny")[1]


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
    edge.reload()


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
