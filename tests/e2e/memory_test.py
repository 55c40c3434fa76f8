"""What a long document costs in memory, as a multiple of its length. ENTREPOT_LONG=1: the longest that are known, a
packument of 50 MB and Packages of 100 MB."""
import hashlib
import json
import os

import pytest

from support.memory import SANITIZED, peak_of

MIB = 1 << 20
LONG = bool(os.environ.get("ENTREPOT_LONG"))
SPARE = 16 * MIB + (512 * MIB if SANITIZED else 0)
MULTIPLE = {"packument": 6, "Packages": 3}  # as conf/README.md says
CHUNK_CACHE = 64 * MIB  # of a worker: what was sent last


def packument(origin, length):
    sha = "sha512-" + "A" * 86 + "=="
    one = {"name": "thing", "version": "1.0.0", "description": "as versions have it", "dependencies": {
        f"dependency-{i}": "^1.2.3" for i in range(12)}, "scripts": {"test": "node test.js"}}
    count = length // (len(json.dumps(one)) + 220)
    versions = {f"1.0.{i}": {**one, "version": f"1.0.{i}", "dist": {
        "tarball": f"{origin.url}/thing/-/thing-1.0.{i}.tgz", "integrity": sha, "shasum": "a" * 40}}
        for i in range(count)}
    data = json.dumps({"name": "thing", "versions": versions}).encode()
    assert len(data) > 0.9 * length
    return data


def packages(length):
    stanza = ("Package: thing-{0}\nVersion: 1.{0}\nArchitecture: amd64\nMaintainer: Somebody <somebody@example.com>\n"
              "Depends: libc6 (>= 2.36), libgcc-s1 (>= 3.0), libstdc++6 (>= 12)\nDescription: " + "a thing " * 60 +
              "\nFilename: pool/main/t/thing/thing-{0}_1.{0}_amd64.deb\nSize: 1000\nSHA256: {1}\n\n")
    sha = hashlib.sha256(b"thing").hexdigest()
    count = length // len(stanza.format(10_000, sha))
    return "".join(stanza.format(i, sha) for i in range(count)).encode()


def start(make_edge, kind, origin):
    return make_edge("location / { repository thing; }", workers=1, http=(
        f"repository thing {{ format {kind}; proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}")).start()


@pytest.mark.parametrize("clients", [1, 10])
def test_a_packument_costs_a_known_multiple_of_its_length_whoever_wants_it(make_edge, origin, clients):
    length = (50 if LONG else 8) * MIB
    data = packument(origin, length)
    origin.add("/thing", data, fields={"Content-Type": "application/json"})
    edge = start(make_edge, "npm", origin)
    edge.fetch("/nothing")

    def act():
        fetches = [edge.start_fetch("/thing") for _ in range(clients)]
        assert all(fetch.result().status == 200 for fetch in fetches)
        tarballs = [edge.start_fetch(f"/thing/-/thing-1.0.{i}.tgz") for i in range(clients)]
        assert all(fetch.result().status == 404 for fetch in tarballs)  # and its packument was read for it

    cost = peak_of(edge, act) - min(CHUNK_CACHE, 2 * len(data))
    print(f"packument: {cost / len(data):.1f} times its length")
    assert cost <= MULTIPLE["packument"] * len(data) + SPARE + clients * MIB
    assert edge.metrics()["documents_made_total"] == 1


def test_packages_cost_a_known_multiple_of_their_length(make_edge, origin):
    length = (100 if LONG else 10) * MIB
    data = packages(length)
    inside = "main/binary-amd64/Packages"
    origin.add("/dists/stable/InRelease", f"SHA256:\n {hashlib.sha256(data).hexdigest()} {len(data)} {inside}\n".encode())
    origin.add(f"/dists/stable/{inside}", data)
    origin.add("/pool/main/t/thing/thing-1_1.1_amd64.deb", b"thing")
    edge = start(make_edge, "apt", origin)
    assert edge.fetch("/dists/stable/InRelease").status == 200

    def act():
        assert edge.fetch(f"/dists/stable/{inside}").body == data
        got = edge.fetch("/pool/main/t/thing/thing-1_1.1_amd64.deb")
        assert got.body == b"thing" and 'detail="versioned index"' in got.cache_status

    cost = peak_of(edge, act) - min(CHUNK_CACHE, len(data))
    print(f"Packages: {cost / len(data):.1f} times their length")
    assert cost <= MULTIPLE["Packages"] * len(data) + SPARE
