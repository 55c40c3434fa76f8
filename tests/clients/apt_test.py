"""apt and curl on real Debian packages behind Debian's nginx, through the edge; then with nginx dead."""
import collections
import gzip
import os
import subprocess

import pytest

from support.apt import SUITE, Apt, run, sha256
from support.client import read_file
from support.daemons import Nginx

PROGRAMS = ("apt", "dpkg", "curl", "nginx")

# Small, middling and large ones; all without a part in the tests themselves.
PACKAGES = ("hello", "tzdata", "libicu72")
LIST = "main/binary-amd64/Packages"


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    """A folder laid out as a Debian mirror: pool/ with real packages, dists/ with lists also by their digests."""
    root = tmp_path_factory.mktemp("mirror")
    pool = root / "pool"
    pool.mkdir()
    download_packages(pool)
    suite, lists = root / SUITE, root / SUITE / os.path.dirname(LIST)
    lists.mkdir(parents=True)
    packages = run(["dpkg-scanpackages", "--multiversion", "pool"], cwd=root).encode()
    lines = []
    for name, data in ((LIST, packages), (f"{LIST}.gz", gzip.compress(packages, mtime=0))):
        (suite / name).write_bytes(data)
        by_digest = lists / "by-hash" / "SHA256" / sha256(data)
        by_digest.parent.mkdir(parents=True, exist_ok=True)
        by_digest.write_bytes(data)
        lines.append(f" {sha256(data)} {len(data)} {name}")
    (suite / "Release").write_text(
        "Origin: Test\nSuite: stable\nCodename: stable\nArchitectures: amd64\nComponents: main\n"
        "Date: Sat, 01 Jun 2024 10:00:00 UTC\nAcquire-By-Hash: yes\nSHA256:\n" + "\n".join(lines) + "\n")
    return root


def download_packages(folder):
    command = ["apt-get", "-o", "APT::Sandbox::User=root", "download", *PACKAGES]
    if subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode != 0:
        run(["apt-get", "update"])  # a fresh machine has no lists yet
        run(command, cwd=folder)
    assert len(list(folder.glob("*.deb"))) == len(PACKAGES)


@pytest.fixture
def nginx(tmp_path, repository):
    nginx = Nginx(tmp_path / "nginx", repository).start()
    yield nginx
    nginx.kill()


@pytest.fixture
def mirror(make_edge, nginx):
    return make_edge(f"location / {{ proxy_pass {nginx.url}; proxy_cache_valid 200 1h; proxy_cache_valid 404 1h; "
                     "slice 1m; }").start()


class Stranger(Apt):
    """Has what libicu72 depends on; the repository is not signed."""

    def __init__(self, folder, source, ca=None):
        super().__init__(folder, f"[trusted=yes arch=amd64] {source} stable main", ca,
                         installed=("libc6", "libgcc-s1", "libstdc++6"))

    def __call__(self, *words):
        return super().__call__(*words, unsigned=True)

    def download(self):
        return self("download", *PACKAGES)


def pool_digests(repository):
    return {path.name: sha256(path.read_bytes()) for path in (repository / "pool").glob("*.deb")}


def asked_once(nginx):
    """True when nobody asked nginx for the same bytes twice."""
    counts = collections.Counter((target, asked) for _, target, _, asked in nginx.requests())
    return all(count == 1 for count in counts.values())


@pytest.fixture(params=["http", "https"])
def make_apt(request, tmp_path, mirror):
    """make_apt(name): a fresh apt whose only source is the edge."""
    tls = request.param == "https"

    def make(name):
        folder = tmp_path / name
        folder.mkdir()
        return Stranger(folder, mirror.url("/", tls=tls).replace("127.0.0.1", "localhost"), mirror.ca if tls else None)

    return make


def test_apt_updates_and_downloads_through_the_edge(make_apt, mirror, nginx, repository):
    apt = make_apt("first")
    apt("update")
    apt.download()
    assert apt.downloaded() == pool_digests(repository)
    mirror.wait_idle()
    asked = [target for _, target, status, _ in nginx.requests() if status == 200]
    assert asked_once(nginx), nginx.requests()
    assert any("/by-hash/SHA256/" in target for target in asked), "apt took the lists by their digests"


def test_a_second_apt_works_with_the_mirror_dead(make_apt, mirror, nginx, repository):
    first = make_apt("first")
    first("update")
    first.download()
    mirror.wait_idle()
    nginx.kill()
    second = make_apt("second")
    second("update")
    second.download()
    assert second.downloaded() == pool_digests(repository)
    mirror.stop()
    for target, lines in by_target(mirror).items():
        # apt asks for what the lists hang by with "max-age=0" at times, and nobody is there to validate it.
        assert len(lines) == 2 and lines[1]["cache"] in ("HIT", "STALE"), (target, lines)


def by_target(edge):
    """What the edge logged for each path. The log of an edge that runs may lag behind: stop it before."""
    found = collections.defaultdict(list)
    for line in edge.access_log():
        found[line["request"].split(" ")[1]].append(line)
    return found


def test_apt_update_again_brings_no_body(make_apt, mirror):
    apt = make_apt("again")
    apt("update")
    assert "Hit:" in apt("update")
    mirror.stop()
    assert [line["status"] for line in by_target(mirror)[f"/{SUITE}/Release"]] == [200, 304]


def test_apt_goes_on_with_a_partial_package(make_apt, mirror, nginx, repository):
    apt = make_apt("partial")
    apt("update")
    package = next((repository / "pool").glob("libicu72_*.deb"))
    partial = apt.folder / "cache" / "archives" / "partial" / package.name
    data = package.read_bytes()
    partial.write_bytes(data[:len(data) // 2])
    modified = os.stat(package).st_mtime
    os.utime(partial, (modified, modified))
    out = apt("--download-only", "--yes", "install", "libicu72")
    got = (apt.folder / "cache" / "archives" / package.name).read_bytes()
    assert sha256(got) == sha256(data), out
    mirror.stop()
    line = next(line for line in mirror.access_log() if "libicu72" in line["request"])
    assert line["status"] == 206 and line["range"] == f"bytes={len(data) // 2}-", line
    assert asked_once(nginx), nginx.requests()


@pytest.mark.parametrize("version", ["1.1", "2"])
@pytest.mark.parametrize("tls", [True, False], ids=["tls", "clear"])
def test_curl_gets_every_file_of_the_directory(mirror, nginx, repository, tls, version):
    files = [path for path in repository.rglob("*") if path.is_file()]
    for path in files:
        got = mirror.fetch(f"/{path.relative_to(repository)}", tls=tls,
                           version="2c" if version == "2" and not tls else version)
        assert (got.status, got.version, got.complete) == (200, version, True), got.error
        assert got.sha256 == sha256(path.read_bytes()), path
    mirror.wait_idle()
    assert len(nginx.requests()) == len(files)
    nginx.kill()
    for path in files:
        got = mirror.fetch(f"/{path.relative_to(repository)}", tls=tls)
        assert got.sha256 == sha256(path.read_bytes()), path
    mirror.stop()
    seen = [line["cache"] for line in mirror.access_log()]
    assert "HIT" not in seen[:len(files)] and seen[len(files):] == ["HIT"] * len(files)


def test_curl_resumes_a_cold_package_and_the_rest_is_fetched_once(mirror, nginx, repository, tmp_path):
    package = next((repository / "pool").glob("libicu72_*.deb"))
    data = package.read_bytes()
    half = tmp_path / "half"
    half.write_bytes(data[:len(data) // 2])
    run(["curl", "-sS", "--fail", "--cacert", mirror.ca, "--continue-at", "-", "--output", str(half),
         mirror.url(f"/pool/{package.name}")])
    assert read_file(half) == data
    mirror.wait_idle()
    assert mirror.fetch(f"/pool/{package.name}").sha256 == sha256(data)
    mirror.wait_idle()
    ranges = [asked for _, target, status, asked in nginx.requests() if status in (200, 206)]
    assert total_of(ranges, len(data)) == len(data), ranges


def total_of(ranges, size):
    total = 0
    for text in ranges:
        first, _, last = text.removeprefix("bytes=").partition("-")
        if not first:
            total += int(last)
        else:
            total += min(int(last) + 1 if last else size, size) - int(first)
    return total
