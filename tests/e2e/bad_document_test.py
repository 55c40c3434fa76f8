"""Documents of an upstream that are none: refused with a word for machines and a line in the log, neither stored nor
given to anybody, and no loss of the good ones that came before."""
import dataclasses
import hashlib
import json
import threading

import pytest

from support.edge import wait_until

MIB = 1 << 20
LOGIN = b'<html><form action="/login"><input name="user"><input type="password" name="password"></form></html>'
JSON, HTML = "application/json", "text/html"
IMAGE = "application/vnd.oci.image.manifest.v1+json"
HEX = hashlib.sha256(b"x").hexdigest()
BLOB = {"mediaType": "x/y", "size": 1, "digest": f"sha256:{HEX}"}


def as_json(document):
    return json.dumps(document).encode()


def manifest(**more):
    return as_json({"schemaVersion": 2, "mediaType": IMAGE, "config": BLOB, "layers": [BLOB], **more})


def metadata(version):
    return f"<metadata><versioning><versions><version>{version}</version></versions></versioning></metadata>".encode()


def release(size):
    return f"Suite: stable\nSHA256:\n {HEX} {size} main/binary-amd64/Packages\n".encode()


def packages(version):
    return f"Package: a\nVersion: {version}\nFilename: pool/a.deb\nSHA256: {HEX}\n".encode()


@dataclasses.dataclass
class Case:
    """`good`: two generations of what stands at `there` upstream. `bad`: what comes in its place. `log`: the rule, and
    what is wrong."""
    name: str
    format: str
    path: str
    good: tuple
    bad: bytes
    log: str
    error: str = "malformed-index"
    type: str = JSON
    bad_type: str = HTML
    there: str = ""


PAGES = ('<a href="a-1.tar.gz">a</a>'.encode(), '<a href="a-2.tar.gz">a</a>'.encode())
CASES = [
    Case("packument", "npm", "/a", (as_json({"name": "a", "v": 1}), as_json({"name": "a", "v": 2})), LOGIN,
         "npm: a packument: malformed: no JSON object that names a package"),
    Case("packument cut short", "npm", "/a", (as_json({"name": "a", "v": 1}), as_json({"name": "a", "v": 2})),
         b'{"name": "a", "versions": {', "npm: a packument: malformed", bad_type=JSON),
    Case("npm version", "npm", "/a/1.0.0", (as_json({"name": "a", "v": 1}), as_json({"name": "a", "v": 2})), LOGIN,
         "npm: the manifest of a version: malformed"),
    Case("page", "pypi", "/simple/a/", PAGES, LOGIN,
         "pypi: the page of a project: malformed: a page for people, which lists nothing", type=HTML),
    Case("page in JSON", "pypi", "/simple/a/", PAGES, b'{"error": "no"}',
         "pypi: the page of a project: malformed: no JSON object with a list of files", type=HTML, bad_type=JSON),
    Case("page of another media type", "pypi", "/simple/a/", PAGES, PAGES[0],
         "pypi: the page of a project: malformed: of a media type that no page of an index has", type=HTML,
         bad_type="image/png"),
    Case("list of projects", "pypi", "/simple/", (b'<a href="/simple/a/">a</a>', b'<a href="/simple/b/">b</a>'), LOGIN,
         "pypi: the list of projects: malformed: a page for people, which lists nothing", type=HTML),
    Case("maven metadata", "maven", "/g/a/maven-metadata.xml", (metadata(1), metadata(2)), LOGIN,
         "maven: metadata: malformed: no XML with the root <metadata>", type="text/xml"),
    Case("checksum of maven metadata", "maven", "/g/a/maven-metadata.xml.sha1", (metadata(1), metadata(2)), LOGIN,
         "maven: metadata: malformed", type="text/xml", there="/g/a/maven-metadata.xml"),
    Case("InRelease", "apt", "/dists/stable/InRelease", (release(1), release(2)), LOGIN,
         "apt: a Release: malformed: no Release with the digests of its lists"),
    Case("Release", "apt", "/dists/stable/Release", (release(1), release(2)), b"Suite: stable\n",
         "apt: a Release: malformed"),
    Case("Packages that no Release names", "apt", "/dists/stable/main/binary-amd64/Packages", (packages(1), packages(2)),
         LOGIN, "apt: a list that no Release vouches for: malformed: no stanzas of packages or sources"),
    Case("manifest of two meanings", "oci", "/v2/a/manifests/1", (manifest(n=1), manifest(n=2)), manifest(manifests=[BLOB]),
         "oci: a tag: malformed: The manifest is an index and an image at once", error="bad-manifest", type=IMAGE,
         bad_type=IMAGE),
    Case("manifest of another media type", "oci", "/v2/a/manifests/1", (manifest(n=1), manifest(n=2)), manifest(n=3),
         "oci: a tag: malformed: It has no manifest's media type", error="bad-manifest", type=IMAGE),
    Case("tags", "oci", "/v2/a/tags/list", (as_json({"tags": ["1"]}), as_json({"tags": ["2"]})), LOGIN,
         "oci: a list: malformed: no JSON object"),
]


def start(make_edge, kind, origin, **options):
    where = "/v2/" if kind == "oci" else "/"
    return make_edge(f"location {where} {{ repository thing; }}", **options,
                     http=f"repository thing {{ format {kind}; proxy_pass {origin.url}; }}").start()


def publish(origin, path, data, kind):
    """What is had from now on. It is asked for each time; what is made of it is good for two seconds."""
    etag = f'"{hashlib.sha256(data + kind.encode()).hexdigest()}"'
    return origin.add(path, data, etag=etag, fields={"Content-Type": kind, "Cache-Control": "max-age=0"})


def refused(edge):
    return edge.metrics()["documents_refused_total"]


def wait_refused(edge, count):
    """Who asked may have been answered before it is counted."""
    edge.wait_metric("documents_refused_total", lambda value: value == count)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_document_is_refused_not_stored_and_costs_nobody_the_good_one(make_edge, origin, case):
    edge = start(make_edge, case.format, origin)
    there = case.there or case.path

    publish(origin, there, case.bad, case.bad_type)
    got = edge.fetch(case.path)
    assert (got.status, got.fields["content-type"]) == (502, "application/problem+json")
    told = json.loads(got.body)
    assert told["error"] == case.error and case.log.partition(": malformed")[0] in told["detail"], told
    assert len(origin.gets(there)) == 1
    wait_refused(edge, 1)
    assert edge.error_log().count(case.log) >= 1
    edge.wait_idle()
    assert edge.metrics()["cache_bytes"] == edge.metrics()["cache_blobs"] == 0

    publish(origin, there, case.good[0], case.type)
    good = edge.fetch(case.path)
    assert good.status == 200 and good.body
    edge.wait_idle()
    blobs = edge.metrics()["cache_blobs"]
    assert blobs >= 1

    publish(origin, there, case.bad, case.bad_type)

    def refused_again():
        stale = edge.fetch(case.path)
        assert (stale.status, stale.body) == (200, good.body)
        return refused(edge) == 2

    wait_until(refused_again, "the upstream to be asked")
    edge.wait_idle()
    assert edge.metrics()["cache_blobs"] == blobs

    publish(origin, there, case.good[1], case.type)

    def renewed():
        got = edge.fetch(case.path)
        assert got.status == 200 and got.body
        return got.body != good.body

    wait_until(renewed, "the upstream's new one")


def test_a_manifest_of_two_meanings_is_not_stored_under_its_digest(make_edge, origin):
    """CVE-2021-41190. The digest is right, and the bytes may be had as a blob."""
    data = manifest(manifests=[BLOB])
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    origin.add(f"/v2/a/manifests/{digest}", data, fields={"Content-Type": IMAGE, "Docker-Content-Digest": digest})
    origin.add(f"/v2/a/blobs/{digest}", data, fields={"Content-Type": "application/octet-stream"})
    edge = start(make_edge, "oci", origin)
    got = edge.fetch(f"/v2/a/manifests/{digest}")
    assert got.status == 502 and json.loads(got.body)["error"] == "bad-manifest"
    edge.wait_idle()
    assert edge.metrics()["cache_blobs"] == 0
    assert edge.fetch(f"/v2/a/blobs/{digest}").body == data
    edge.wait_idle()
    got = edge.fetch(f"/v2/a/manifests/{digest}")
    assert got.status == 502 and json.loads(got.body)["error"] == "bad-manifest"
    wait_refused(edge, 2)


def test_packages_that_are_not_what_the_release_names_are_not_stored(make_edge, origin):
    listed = packages(1)
    text = f"Suite: stable\nSHA256:\n {hashlib.sha256(listed).hexdigest()} {len(listed)} main/binary-amd64/Packages\n"
    origin.add("/dists/stable/InRelease", text.encode())
    there = "/dists/stable/main/binary-amd64/Packages"
    origin.add(there, LOGIN.ljust(len(listed))[:len(listed)])
    edge = start(make_edge, "apt", origin)
    got = edge.fetch(there)
    assert got.status == 502 and json.loads(got.body)["error"] == "digest-mismatch"
    edge.wait_log("does not match its expected digest")
    edge.wait_idle()
    assert edge.metrics()["cache_blobs"] == 1  # the Release
    origin.add(there, listed)
    edge.reload()  # who lied is not asked again at once
    assert edge.fetch(there).body == listed


def test_what_is_refused_is_not_passed_to_who_follows(make_edge, origin):
    publish(origin, "/dists/stable/InRelease", LOGIN, HTML)
    go_on = threading.Event()
    origin.resources["/dists/stable/InRelease"].tamper = lambda answer, request, n: answer.gates.append((10, go_on))
    edge = start(make_edge, "apt", origin)
    fetches = [edge.start_fetch("/dists/stable/InRelease", version="2" if i % 2 else "1.1") for i in range(10)]
    edge.wait_metric("fill_readers", lambda readers: readers == 10)
    go_on.set()
    for got in [fetch.result() for fetch in fetches]:
        assert got.status == 502 and json.loads(got.body)["error"] == "malformed-index"
    assert len(origin.requests) == 1 and edge.error_log().count("apt: a Release: malformed") == 1


def test_a_part_of_a_document_is_given_only_of_one_that_is_good(make_edge, origin):
    edge = start(make_edge, "apt", origin)
    publish(origin, "/dists/stable/InRelease", LOGIN, HTML)
    assert edge.fetch("/dists/stable/InRelease", fields={"Range": "bytes=2-5"}).status == 502
    publish(origin, "/dists/stable/InRelease", release(1), "text/plain")
    got = edge.fetch("/dists/stable/InRelease", fields={"Range": "bytes=2-5"})
    assert (got.status, got.body) == (206, release(1)[2:6])
    assert all("range" not in request.fields for request in origin.requests)


# -- its length --

@pytest.mark.parametrize("kind, path", [("npm", "/thing"), ("maven", "/g/a/maven-metadata.xml")])
def test_an_index_over_its_limit_is_refused_at_its_head(make_edge, origin, kind, path):
    publish(origin, path, b"{}", JSON).tamper = lambda answer, request, n: (
        setattr(answer, "length", 257 * MIB), setattr(answer, "gates", [(2, threading.Event())]))[0]
    edge = start(make_edge, kind, origin)
    got = edge.fetch(path)
    told = json.loads(got.body)
    assert (got.status, told["error"]) == (502, "index-too-large") and "longer than 256 MiB" in told["detail"]
    edge.wait_log("longer than 256 MiB")
    edge.wait_idle()
    metrics = edge.metrics()
    assert metrics["cache_bytes"] == 0 and metrics["documents_refused_total"] == 1
    assert metrics["fills_running"] == 0


def test_a_document_of_unknown_length_is_given_up_at_its_limit(make_edge, origin):
    """A manifest may have 4 MiB. What follows is never asked for: the origin waits in vain."""
    endless = threading.Event()

    def send_on(answer, request, n):
        answer.framing = "chunked"
        answer.gates.append((5 * MIB, endless))

    there = "/v2/a/manifests/1"
    publish(origin, there, b" " * (6 * MIB), IMAGE).tamper = send_on
    edge = start(make_edge, "oci", origin)
    got = edge.fetch(there)
    told = json.loads(got.body)
    assert (got.status, told["error"]) == (502, "bad-manifest") and "longer than 4 MiB" in told["detail"]
    edge.wait_idle()
    wait_refused(edge, 1)
    assert edge.metrics()["cache_bytes"] == 0
    endless.set()
    good = publish(origin, there, manifest(), IMAGE)
    assert edge.fetch(there).body == good.data


def test_an_index_over_its_limit_costs_nobody_the_one_that_is_stored(make_edge, origin):
    edge = start(make_edge, "npm", origin)
    good = publish(origin, "/a", as_json({"name": "a"}), JSON)
    assert edge.fetch("/a").body == good.data
    publish(origin, "/a", b"{}", JSON).tamper = lambda answer, request, n: setattr(answer, "length", 257 * MIB)

    def refused_now():
        assert edge.fetch("/a").body == good.data
        return refused(edge) == 1

    wait_until(refused_now, "the upstream to be asked")
    edge.wait_log("npm: a packument: longer than 256 MiB")


# -- made once --

@pytest.mark.parametrize("good", [True, False])
def test_a_document_is_made_once_for_all_who_want_it(make_edge, origin, good):
    versions = {f"1.0.{i}": {"dist": {"tarball": f"{origin.url}/a/-/a-1.0.{i}.tgz"}} for i in range(40_000)}
    data = as_json({"name": "a", "versions": versions})
    go_on = threading.Event()
    origin.add("/a", data if good else data[:-1], fields={"Content-Type": JSON}).tamper = (
        lambda answer, request, n: answer.gates.append((1000, go_on)))
    edge = start(make_edge, "npm", origin, workers=2)
    fetches = [edge.start_fetch("/a", version="2" if i % 2 else "1.1") for i in range(20)]
    edge.wait_metric("fill_readers", lambda readers: readers == 20)
    go_on.set()
    results = [fetch.result() for fetch in fetches]
    bodies = {r.body if good else json.loads(r.body)["detail"] for r in results}
    assert {r.status for r in results} == {200 if good else 502} and len(bodies) == 1
    assert len(origin.requests) == 1
    assert edge.metrics()["documents_made_total"] == (1 if good else 0)


def test_what_is_made_of_a_new_source_takes_the_place_of_the_old(make_edge, origin):
    edge = start(make_edge, "npm", origin)
    for version in range(3):
        data = publish(origin, "/a", as_json({"name": "a", "v": version}), JSON).data
        wait_until(lambda wanted=data: edge.fetch("/a").body == wanted, "the new one")
        assert edge.fetch("/a").body == data
        assert edge.metrics()["documents_made_total"] == version + 1
