"""Virtual repositories: several under one name. The first member that has what is asked for answers."""
import hashlib
import json

import pytest

from support.edge import wait_until
from support.origin import Answer, Origin

MIB = 1 << 20


@pytest.fixture
def members():
    """Three upstreams, in their order."""
    origins = [Origin() for _ in range(3)]
    yield origins
    for origin in origins:
        origin.close()


def virtual(origins, text="", kind="generic", member=""):
    names = ["ours", "partners", "public"]
    blocks = [f"repository {name} {{ format {kind}; proxy_pass {origin.url}; proxy_cache_valid 200 1h; {member} }}"
              for name, origin in zip(names, origins)]
    return "\n".join([*blocks, f"repository all {{ format {kind}; members {' '.join(names)}; {text} }}"])


def asked(origins):
    return [[r.target for r in origin.requests] for origin in origins]


@pytest.fixture
def edge_of(make_edge, members):
    def make(text="", kind="generic", member=""):
        return make_edge("location /all/ { repository all; }", http=virtual(members, text, kind, member)).start()
    return make


def digest_path(data):
    return f"/v2/x/blobs/sha256:{hashlib.sha256(data).hexdigest()}"


# -- order --

def test_the_first_member_that_has_it_answers(edge_of, members):
    second = members[1].add("/thing", size=MIB, seed="second")
    members[2].add("/thing", size=MIB, seed="third")
    edge = edge_of()
    got = edge.fetch("/all/thing")
    assert (got.status, got.body) == (200, second.data)
    assert asked(members) == [["/thing"], ["/thing"], []]


def test_what_no_member_has_is_absent_and_each_was_asked(edge_of, members):
    edge = edge_of()
    got = edge.fetch("/all/nothing")
    assert got.status == 404 and json.loads(got.body)["error"] == "not-found"
    assert asked(members) == [["/nothing"]] * 3


def test_a_hit_asks_no_member(edge_of, members):
    thing = members[1].add("/thing", size=MIB)
    edge = edge_of()
    for _ in range(3):
        assert edge.fetch("/all/thing").body == thing.data
        edge.wait_idle()
    assert edge.fetch("/all/thing", fields={"Range": "bytes=10-19"}).body == thing.data[10:20]
    assert [len(targets) for targets in asked(members)] == [1, 1, 0]


def test_what_is_named_by_its_digest_stays_with_the_member_that_had_it(edge_of, members):
    thing = members[1].add("/thing", size=10)
    path = digest_path(thing.data)
    members[1].resources[path] = thing
    edge = edge_of()
    assert edge.fetch("/all" + path).body == thing.data
    edge.wait_idle()
    members[0].kill()
    edge.stop()
    edge.start()
    assert edge.fetch("/all" + path).body == thing.data  # stored, and no question to the one before it
    assert asked(members) == [[path], [path], []]


def test_a_head_is_answered_by_the_member_that_has_it(edge_of, members):
    members[1].add("/thing", size=1234)
    got = edge_of().fetch("/all/thing", method="HEAD")
    assert (got.status, got.fields["content-length"]) == (200, "1234")
    assert [[r.method for r in origin.requests] for origin in members] == [["HEAD"], ["HEAD"], []]


def test_a_sidecar_is_of_the_member_that_has_its_file(edge_of, members):
    thing = members[1].add("/thing", size=1000)
    edge = edge_of()
    assert edge.fetch("/all/thing").body == thing.data
    edge.wait_idle()
    members[0].add("/thing", size=1000, seed="published meanwhile")
    assert edge.fetch("/all/thing.sha256").body.decode() == thing.sha256
    assert edge.fetch("/all/thing").body == thing.data


# -- an error is no absence --

@pytest.mark.parametrize("trouble", [500, 503, 401, 403, 429, "down"])
def test_a_member_in_trouble_ends_the_search(edge_of, members, trouble):
    members[2].add("/thing", size=10)
    if trouble == "down":
        members[0].kill()
    else:
        members[0].add("/thing", size=10).tamper = lambda answer, request, n: Answer(trouble, {}, b"no\n")
    got = edge_of().fetch("/all/thing")
    assert got.status >= 400 and got.status != 404
    assert members[1].requests == [] and members[2].requests == []


def test_what_is_stored_outlives_the_member_it_came_from(edge_of, members):
    thing = members[2].add("/thing", size=MIB)
    edge = edge_of(member="proxy_cache_valid 404 1h;")
    assert edge.fetch("/all/thing").body == thing.data
    edge.wait_idle()
    for member in members:
        member.kill()
    assert edge.fetch("/all/thing").body == thing.data


def test_a_head_of_what_is_stale_is_answered_while_its_member_is_away(edge_of, members):
    members[0].add("/thing", size=1234, fields={"Cache-Control": "max-age=1"})
    edge = edge_of()
    assert edge.fetch("/all/thing").status == 200
    edge.wait_idle()
    wait_until(lambda: int(edge.fetch("/all/thing", method="HEAD").fields.get("age", 9)) >= 1, "it to be stale")
    members[0].kill()
    got = edge.fetch("/all/thing", method="HEAD")
    assert (got.status, got.fields["content-length"]) == (200, "1234")


# -- routes --

def test_a_name_that_is_routed_is_asked_for_nowhere_else(edge_of, members):
    """A package of ours that somebody publishes under the same name is never looked at."""
    members[2].add("/ours/thing", size=10)
    edge = edge_of("route /ours/* ours;")
    assert edge.fetch("/all/ours/thing").status == 404
    assert asked(members) == [["/ours/thing"], [], []]


def test_the_first_route_that_matches_decides_and_other_names_take_the_rest(edge_of, members):
    members[0].add("/secret/a", size=10)
    public = members[2].add("/b", size=10)
    edge = edge_of("route /secret/* ours; route * partners public;")
    assert edge.fetch("/all/secret/a").status == 200
    assert edge.fetch("/all/b").body == public.data
    assert asked(members) == [["/secret/a"], ["/b"], ["/b"]]


def test_a_scope_of_npm_is_routed_however_it_is_written(edge_of, members):
    edge = edge_of("route @ours/* ours;", "npm")
    for path in ("/all/@ours/thing", "/all/@ours%2fthing", "/all/@ours%2Fthing", "/all/@ours/thing/-/thing-1.0.0.tgz"):
        assert edge.fetch(path).status == 404
    assert members[0].requests != [] and members[1].requests == [] and members[2].requests == []


def test_a_group_of_maven_is_routed_by_its_name(edge_of, members):
    edge = edge_of("route com.example.* ours;", "maven")
    for path in ("/all/com/example/lib/1.0/lib-1.0.jar", "/all/com/example/lib/maven-metadata.xml",
                 "/all/com/example/lib/1.0/lib-1.0.jar.sha1"):
        assert edge.fetch(path).status == 404
    assert members[0].requests != [] and members[1].requests == [] and members[2].requests == []


def test_a_project_of_pypi_is_routed_by_its_normalised_name(edge_of, members):
    edge = edge_of("route Ours_* ours;", "pypi")
    assert edge.fetch("/all/simple/ours-thing/").status == 404
    assert members[0].requests != [] and members[1].requests == [] and members[2].requests == []


def test_what_has_no_name_is_asked_nowhere_once_names_are_routed(edge_of, members):
    for member in members:
        member.add("/-/package/@ours%2flib/dist-tags", b"{}")
        member.add("/@ours/lib/", b"{}")
    edge = edge_of("route @ours/* ours;", "npm")
    for path in ("/all/-/package/@ours%2flib/dist-tags", "/all/@ours/lib/"):
        assert edge.fetch(path).status == 404
    assert asked(members) == [[], [], []]


def test_what_is_passed_is_the_first_members_that_has_it(edge_of, members):
    members[1].add("/-/package/thing/dist-tags", b'{"latest": "1"}')
    got = edge_of(kind="npm").fetch("/all/-/package/thing/dist-tags")
    assert (got.status, got.body) == (200, b'{"latest": "1"}')
    assert asked(members) == [["/-/package/thing/dist-tags"]] * 2 + [[]]


# -- documents that are merged --

def packument(origin, name, *versions):
    document = {"name": name, "dist-tags": {"latest": versions[-1]}, "versions": {}}
    for version in versions:
        data = f"{origin.port} {version}".encode() * 100
        path = f"/{name}/-/{name}-{version}.tgz"
        origin.add(path, data)
        document["versions"][version] = {
            "name": name, "version": version,
            "dist": {"tarball": origin.url + path, "shasum": hashlib.sha1(data).hexdigest()}}
    return origin.add(f"/{name}", json.dumps(document).encode(), fields={"Content-Type": "application/json"})


def test_a_packument_lists_the_versions_of_all_members_and_each_tarball_is_its_members(edge_of, members):
    packument(members[0], "thing", "1.0.0", "2.0.0")
    packument(members[2], "thing", "2.0.0", "3.0.0")
    edge = edge_of(kind="npm")
    for _ in range(2):
        document = json.loads(edge.fetch("/all/thing").body)
        assert sorted(document["versions"]) == ["1.0.0", "2.0.0", "3.0.0"]
        assert document["dist-tags"]["latest"] == "2.0.0"
    for version, member in (("1.0.0", 0), ("2.0.0", 0), ("3.0.0", 2)):
        url = document["versions"][version]["dist"]["tarball"]
        assert url == edge.url(f"/all/thing/-/thing-{version}.tgz")
        got = edge.fetch(f"/all/thing/-/thing-{version}.tgz")
        assert got.body == f"{members[member].port} {version}".encode() * 100
        assert document["versions"][version]["dist"]["shasum"] == hashlib.sha1(got.body).hexdigest()
    for member in (members[0], members[2]):
        assert [r.fields["accept"] for r in member.gets("/thing")].count("application/json") == 1


def test_a_project_page_lists_the_files_of_all_members_each_once(edge_of, members):
    for member, files in ((members[0], "ab"), (members[1], "bc")):
        anchors = "".join(f'<a href="/f/thing-{c}.tar.gz#sha256={hashlib.sha256(f"{member.port}{c}".encode()).hexdigest()}">'
                          f"thing-{c}.tar.gz</a>" for c in files)
        member.add("/simple/thing/", f"<!DOCTYPE html><html><body>{anchors}</body></html>".encode(),
                   fields={"Content-Type": "text/html"})
        for c in files:
            member.add(f"/f/thing-{c}.tar.gz", f"{member.port}{c}".encode())
    edge = edge_of(kind="pypi")
    page = edge.fetch("/all/simple/thing/", fields={"Accept": "application/vnd.pypi.simple.v1+json"}).body.decode()
    assert [page.count(f">thing-{c}.tar.gz<") for c in "abc"] == [1, 1, 1]
    for c, member in (("a", members[0]), ("b", members[0]), ("c", members[1])):
        assert edge.fetch(f"/all/files/thing/thing-{c}.tar.gz").body == f"{member.port}{c}".encode()


def test_an_index_without_html_is_not_merged_away(edge_of, members):
    for member in members[:2]:
        member.add("/simple/thing/", b'{"files": []}' if member is members[0] else b"<html></html>",
                   fields={"Content-Type": "text/html"})
    assert edge_of(kind="pypi").fetch("/all/simple/thing/").status == 502


def metadata(*versions):
    listed = "".join(f"<version>{version}</version>" for version in versions)
    return (f"<metadata><groupId>g</groupId><artifactId>a</artifactId><versioning><versions>{listed}</versions>"
            f"<lastUpdated>20240101000000</lastUpdated></versioning></metadata>").encode()


def test_maven_metadata_lists_the_versions_of_all_members_and_its_sidecar_agrees(edge_of, members):
    members[0].add("/g/a/maven-metadata.xml", metadata("1.0", "1.10"))
    members[2].add("/g/a/maven-metadata.xml", metadata("1.9"))
    edge = edge_of(kind="maven")
    body = edge.fetch("/all/g/a/maven-metadata.xml").body
    assert [v for v in ("1.0", "1.9", "1.10") if f"<version>{v}</version>".encode() in body] == ["1.0", "1.9", "1.10"]
    for algorithm in ("sha1", "md5", "sha256"):
        sidecar = edge.fetch(f"/all/g/a/maven-metadata.xml.{algorithm}").body.decode()
        assert sidecar == hashlib.new(algorithm, body).hexdigest()


def test_an_artifact_and_its_sidecar_are_of_one_member(edge_of, members):
    jar = members[1].add("/g/a/1.0/a-1.0.jar", size=MIB)
    edge = edge_of(kind="maven")
    assert edge.fetch("/all/g/a/1.0/a-1.0.jar").body == jar.data
    edge.wait_idle()
    members[0].add("/g/a/1.0/a-1.0.jar", size=MIB, seed="published later")
    assert edge.fetch("/all/g/a/1.0/a-1.0.jar.sha1").body.decode() == hashlib.sha1(jar.data).hexdigest()
    assert edge.fetch("/all/g/a/1.0/a-1.0.jar").body == jar.data


def test_no_list_is_given_while_a_member_cannot_say_what_it_has(edge_of, members):
    packument(members[2], "thing", "1.0.0")
    members[0].kill()
    got = edge_of(kind="npm").fetch("/all/thing")
    assert got.status == 502
    assert members[2].gets("/thing") == []


def test_a_list_of_a_member_that_went_down_is_still_that_which_is_stored(edge_of, members):
    packument(members[0], "thing", "1.0.0")
    packument(members[2], "thing", "2.0.0")
    edge = edge_of(kind="npm", member="proxy_cache_valid 404 1h;")
    before = edge.fetch("/all/thing").body
    for member in members:
        member.kill()
    assert edge.fetch("/all/thing").body == before


# -- what clients send --

def test_credentials_of_a_client_reach_no_member(edge_of, members):
    members[1].add("/thing", size=10)
    assert edge_of().fetch("/all/thing", fields={"Authorization": "Bearer mine"}).status == 200
    assert all("authorization" not in r.fields for origin in members for r in origin.requests)


def test_no_member_is_shown_a_cookie(edge_of, members):
    members[1].add("/thing", size=10)
    assert edge_of().fetch("/all/thing", method="HEAD", fields={"Cookie": "session=mine"}).status == 200
    assert all("cookie" not in r.fields for origin in members for r in origin.requests)


def test_fields_that_the_conf_adds_are_those_of_the_repository_that_was_asked(edge_of, members):
    members[1].add("/thing", size=10)
    edge = edge_of("add_header X-Of all;", member="add_header X-Of member;")
    for _ in range(3):
        assert edge.fetch("/all/thing").fields["x-of"] == "all"
        edge.wait_idle()


# -- what hangs on an image --

def add_image(origin, image="app"):
    """The path of its manifest, and that of what refers to it."""
    data = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                       "config": {"mediaType": "x/y", "digest": "sha256:" + "c" * 64, "size": 2}, "layers": []}).encode()
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    origin.add(f"/v2/{image}/manifests/{digest}", data,
               fields={"Content-Type": "application/vnd.oci.image.manifest.v1+json"})
    return f"/v2/{image}/manifests/{digest}", f"/v2/{image}/referrers/{digest}"


def add_referrers(origin, path, *digests):
    kind = "application/vnd.oci.image.index.v1+json"
    return origin.add(path, json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": digests}).encode(),
                      fields={"Content-Type": kind})


@pytest.mark.parametrize("pulled", [False, True])
def test_signatures_are_told_by_the_member_that_has_the_image(edge_of, members, pulled):
    """A registry has an empty list for each image that it does not have."""
    manifest, referrers = add_image(members[1])
    for origin in (members[0], members[2]):
        add_referrers(origin, referrers)
    signed = add_referrers(members[1], referrers, {"digest": "sha256:" + "d" * 64, "size": 1})
    edge = edge_of(kind="oci", member="proxy_cache_valid 404 1h;")
    if pulled:
        assert edge.fetch("/all" + manifest).status == 200
        edge.wait_idle()
        for origin in members:
            origin.forget()
    for _ in range(2):
        assert edge.fetch("/all" + referrers).body == signed.data
        edge.wait_idle()
    questions = [] if pulled else [("HEAD", manifest)]
    assert [[(r.method, r.target) for r in origin.requests] for origin in members] == [
        questions, [*questions, ("GET", referrers)], []]


def test_what_refers_to_an_image_that_nobody_has_is_told_by_the_first(edge_of, members):
    _, referrers = add_image(Origin())
    first = add_referrers(members[0], referrers)
    add_referrers(members[1], referrers, {"digest": "sha256:" + "d" * 64, "size": 1})
    assert edge_of(kind="oci").fetch("/all" + referrers).body == first.data


def test_signatures_wait_for_a_member_that_cannot_say_whether_it_has_the_image(edge_of, members):
    _, referrers = add_image(members[1])
    add_referrers(members[1], referrers)
    members[0].kill()
    edge = edge_of(kind="oci")
    assert edge.fetch("/all" + referrers).status == 502
    assert members[1].requests == []
    edge.wait_log("who has it is not known: .*oci: the manifest that is referred to")


# -- with a directory among them --

def test_a_directory_is_a_member_like_any_other(make_edge, members, tmp_path):
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv/thing").write_bytes(b"local")
    remote = members[0].add("/other", size=100)
    edge = make_edge("location /all/ { repository all; }",
                     http=f"repository here {{ format generic; root {tmp_path}/srv; }}"
                          f"repository there {{ format generic; proxy_pass {members[0].url}; }}"
                          f"repository all {{ format generic; members here there; }}").start()
    got = edge.fetch("/all/thing")
    assert (got.status, got.body) == (200, b"local")
    assert edge.fetch("/all/other").body == remote.data
    assert asked(members)[0] == ["/other"]
