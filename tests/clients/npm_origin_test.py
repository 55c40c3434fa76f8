"""npm's packages from a scripted origin: what no good registry does, and what few do."""
import hashlib
import itertools
import json

import pytest

from support.edge import wait_until
from support.npm import ABBREVIATED, FORMS, FULL, make_npm, make_registry, make_tgz, packed, sri  # noqa: F401
from support.origin import Answer, Origin

PROGRAMS = ("npm", "node", "curl")

class Scripted:
    """One package of a scripted origin: its packument in both forms, its tarball."""

    def __init__(self, origin, name="thing", files=None, padding=0):
        manifest, content = packed(name, "1.0.0")
        self.data = make_tgz({"package.json": json.dumps(manifest).encode(), **content})
        files = files or origin
        self.tarball = files.add(f"/{name}/-/{name}-1.0.0.tgz", self.data)
        manifest["dist"] = {"tarball": f"{files.url}/{name}/-/{name}-1.0.0.tgz", "integrity": sri(self.data)}
        versions = {f"0.0.{i}": {**manifest, "version": f"0.0.{i}", "padding": "x" * 900}
                    for i in range(padding // 1150)}
        versions["1.0.0"] = manifest
        document = {"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": versions}
        self.forms = {FULL: json.dumps({**document, "readme": "full"}).encode(),
                      ABBREVIATED: json.dumps(document).encode()}
        self.packument = origin.add(f"/{name}", self.forms[FULL])
        self.packument.tamper = self._by_accept

    def _by_accept(self, answer, request, n):
        kind = request.fields.get("accept", "").split(",")[0].split(";")[0]
        return Answer(200, {"Content-Type": kind, "Vary": "Accept"}, self.forms[kind])


PATH = "/npm/thing/-/thing-1.0.0.tgz"


def versions_of(edge):
    got = edge.fetch("/npm/thing", fields={"Accept": ABBREVIATED})
    assert got.status == 200, got.body
    return list(json.loads(got.body)["versions"])


@pytest.mark.parametrize("promise", ["integrity", "shasum"])
def test_a_corrupted_tarball_is_refused_and_not_stored(make_registry, make_npm, origin, promise):
    thing = Scripted(origin)
    if promise == "shasum":  # what old packages have
        sha1 = hashlib.sha1(thing.data).hexdigest().encode()
        for kind, form in thing.forms.items():
            thing.forms[kind] = form.replace(f'"integrity": "{sri(thing.data)}"'.encode(), b'"shasum": "%s"' % sha1)
            assert sha1 in thing.forms[kind]
    edge = make_registry(origin.url)
    bad = bytearray(thing.data)
    bad[len(bad) // 2] ^= 1
    thing.tarball.tamper = lambda answer, request, n: setattr(answer, "body", bytes(bad))
    for version in ("1.1", "2"):
        got = edge.fetch(PATH, version=version)
        assert (got.status != 200 or not got.complete) and got.body != bytes(bad)
        edge.wait_idle()
    assert edge.metrics()["digest_mismatches_total"] == 1  # it was not asked for it again
    if promise == "integrity":
        npm = make_npm(edge, "npm")
        assert npm.run("install", "thing").returncode != 0
        edge.wait_idle()
    thing.tarball.tamper = None
    edge.reload()
    for _ in range(2):
        got = edge.fetch(PATH)
        assert (got.status, got.body) == (200, thing.data)
        edge.wait_idle()
        origin.kill()


def test_a_tarball_that_came_before_its_index_is_held_against_it_later(make_registry, origin):
    """A lock file may name a version that the stored packument does not list yet."""
    thing = Scripted(origin)
    newer, older = thing.forms, {kind: b'{"name": "thing", "versions": {}}' for kind in FORMS}
    thing.forms = older
    bad = thing.data[:-1] + bytes([thing.data[-1] ^ 1])
    thing.tarball.tamper = lambda answer, request, n: setattr(answer, "body", bad)
    edge = make_registry(origin.url, "proxy_cache_valid 200 1s;")
    assert edge.fetch(PATH).body == bad  # nothing is known to be wrong with it
    edge.wait_idle()
    thing.forms, thing.tarball.tamper = newer, None
    wait_until(lambda: versions_of(edge) == ["1.0.0"], "the new packument")
    wait_until(lambda: edge.fetch(PATH).body == thing.data, "the right bytes")
    assert thing.tarball.asked == 2


def test_a_packument_of_20_megabytes_in_both_forms(make_registry, make_npm, origin):
    thing = Scripted(origin, padding=20 << 20)
    edge = make_registry(origin.url)
    for kind, form in thing.forms.items():
        assert len(form) > 20 << 20
        wanted = form.replace(origin.url.encode(), edge.url("/npm").encode())
        for _ in range(2):
            got = edge.fetch("/npm/thing", fields={"Accept": kind})
            assert (got.status, got.fields["content-type"]) == (200, kind)
            assert got.body == wanted
            edge.wait_idle()
    assert thing.packument.asked == 2
    origin_asked = len(origin.requests)
    npm = make_npm(edge, "npm")
    npm("install", "thing")
    assert npm.lock()["node_modules/thing"]["resolved"] == edge.url(PATH)
    edge.wait_idle()
    assert [r.target for r in origin.requests[origin_asked:]] == ["/thing/-/thing-1.0.0.tgz"]


def test_a_malformed_packument_is_the_upstreams_fault(make_registry, origin):
    documents = {"empty": b"", "html": b"<html>down for maintenance</html>", "array": b'["thing"]',
                 "cut": b'{"name": "thing", "versions": {', "nameless": b'{"error": "nothing"}'}
    for name, document in documents.items():
        thing = Scripted(origin, name)
        thing.forms = dict.fromkeys(thing.forms, document)
    edge = make_registry(origin.url)
    for name, accept in itertools.product(documents, FORMS):
        got = edge.fetch(f"/npm/{name}", fields={"Accept": accept})
        assert (got.status, got.fields["content-type"]) == (502, "application/problem+json")
        assert json.loads(got.body)["error"] == "malformed-index", got.body
        assert "malformed" in json.loads(got.body)["detail"]


def test_a_tarball_on_another_host_needs_file_hosts(make_registry, make_npm, origin):
    files = Origin()
    try:
        thing = Scripted(origin, files=files)
        edge = make_registry(origin.url)
        got = edge.fetch(PATH)
        assert got.status == 502 and files.requests == []
        assert "file_hosts" in json.loads(got.body)["detail"], got.body
        edge = make_registry(origin.url, f"file_hosts 127.0.0.1:{files.port}; proxy_cache_valid 200 1h;")
        npm = make_npm(edge, "npm")
        npm("install", "thing")
        assert npm.lock()["node_modules/thing"]["resolved"] == edge.url(PATH)
        edge.wait_idle()
        assert [r.target for r in files.requests] == ["/thing/-/thing-1.0.0.tgz"]
        files.kill()
        assert edge.fetch(PATH).body == thing.data
    finally:
        files.close()


def test_a_closed_registry_lets_those_in_who_show_its_token(make_registry, make_npm, origin):
    thing = Scripted(origin)
    for resource in (thing.packument, thing.tarball):
        def tamper(answer, request, n, then=resource.tamper):
            if request.fields.get("authorization") != "Bearer good":
                return Answer(401, {"WWW-Authenticate": "Bearer"}, b"{}")
            return then(answer, request, n) if then else None
        resource.tamper = tamper
    edge = make_registry(origin.url, "authorize upstream; proxy_cache_valid 200 1h;")
    for number in range(2):
        npm = make_npm(edge, f"good{number}", token="good")
        npm("install", "thing")
        assert npm.lock()["node_modules/thing"]["resolved"] == edge.url(PATH)
        edge.wait_idle()
        for path in (PATH, "/npm/thing"):
            for fields in ({}, {"Authorization": "Bearer bad"}):
                assert edge.fetch(path, fields=fields).status == 401
    done = make_npm(edge, "bad", token="bad").run("install", "thing")
    assert done.returncode != 0 and "E401" in done.stderr, done.stderr
    asked = [r.method for r in origin.requests if r.target == "/thing/-/thing-1.0.0.tgz" and r.status == 200]
    assert asked.count("GET") == 1
