"""explain: what a URL is to the edge, what is stored of it, and why. It asks nobody and changes nothing."""
import base64
import hashlib
import json
import os
import re
import signal
import threading

import pytest

from support.edge import wait_until

MIB = 1 << 20
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
FROM_DISK = "served from disk, without a question upstream"


def explain(edge, path, *options, tls=True):
    """What --json prints."""
    done = edge.command("explain", *options, "--json", edge.url(path, tls))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


def repository(origin, kind="generic", text="proxy_cache_valid 200 1h;"):
    return f"repository things {{ format {kind}; proxy_pass {origin.url}; {text} }}"


@pytest.fixture
def things(make_edge, origin):
    """things(format, directives): an edge whose whole tree is one repository of that format."""
    def make(kind="generic", text="proxy_cache_valid 200 1h;", prefix="/", **options):
        return make_edge(f"location {prefix} {{ repository things; }}", http=repository(origin, kind, text),
                         **options).start()
    return make


# -- what is stored --

def test_a_miss_is_told_without_a_request_upstream(things, origin):
    origin.add("/thing", size=1000)
    edge = things()
    for _ in range(2):
        told = explain(edge, "/thing")
        assert told["stored"] is None and told["answer"] == "asked upstream, then stored"
    assert origin.requests == [] and edge.metrics()["cache_blobs"] == 0
    assert told["server"]["names"] == ["localhost"]
    assert told["location"] == {"match": "prefix", "path": "/"}
    assert told["repository"] == {"name": "things", "kind": "remote", "format": "generic", "authorize": "nobody"}
    assert (told["class"], told["rule"]) == ("mutable", "generic: a path, fresh for as long as the upstream says")
    assert told["upstream"] == origin.url and told["asked"] == [origin.url + "/thing"]


def test_what_is_stored_is_told_with_its_age_and_its_end(things, origin):
    thing = origin.add("/thing", size=MIB)
    edge = things()
    edge.fetch("/thing")
    edge.wait_idle()
    told = explain(edge, "/thing")
    stored = told["stored"]
    assert told["answer"] == FROM_DISK
    assert (stored["status"], stored["length"], stored["bytes"], stored["verified"]) == (200, MIB, "whole", True)
    assert stored["sha256"] == thing.sha256 and stored["negative"] is False
    assert TIME.fullmatch(stored["fetched_at"]) and TIME.fullmatch(stored["fresh_until"])
    assert stored["fresh_until"] > stored["fetched_at"]
    assert len(origin.requests) == 1


def test_what_is_stale_is_told_to_be_validated_first(things, origin):
    origin.add("/thing", size=1000, fields={"Cache-Control": "max-age=0"})
    edge = things()
    edge.fetch("/thing")
    edge.wait_idle()
    told = explain(edge, "/thing")
    assert told["answer"] == "asked upstream whether what is stored is still right, then served"
    assert told["stored"]["bytes"] == "whole" and len(origin.requests) == 1


def test_an_absence_that_is_stored_is_told(things, origin):
    edge = things(text="proxy_cache_valid 404 1h;")
    assert edge.fetch("/absent").status == 404
    edge.wait_idle()
    told = explain(edge, "/absent")
    assert told["stored"]["status"] == 404 and told["stored"]["negative"] is True
    assert told["answer"] == FROM_DISK + ": the upstream's 404" and len(origin.requests) == 1


def test_a_part_is_told_with_the_bytes_that_are_there(things, origin):
    origin.add("/thing", size=8 * MIB)
    edge = things(text="proxy_cache_valid 200 1h; slice 1m;")
    edge.fetch("/thing", fields={"Range": "bytes=0-9"})
    edge.wait_idle()
    before = len(origin.requests)
    told = explain(edge, "/thing")
    stored = told["stored"]
    assert (stored["length"], stored["bytes"], stored["present"]) == (8 * MIB, "partial", MIB)
    assert stored["verified"] is False and stored["sha256"] is None
    assert told["answer"].startswith("asked upstream for the bytes that are missing")
    assert len(origin.requests) == before


def test_a_fill_that_runs_is_told(things, origin):
    thing, gate = origin.add("/thing", size=4 * MIB), threading.Event()
    thing.tamper = lambda answer, request, n: answer.gates.append((2 * MIB, gate))
    edge = things()
    with_fill = edge.start_fetch("/thing")
    origin.wait_until(lambda: origin.requests and origin.requests[0].body_sent == 2 * MIB)
    edge.wait_metric("upstream_bytes_total", lambda value: value >= 2 * MIB)
    told = explain(edge, "/thing")
    assert told["answer"] == "follows the fill that is running" and told["stored"] is None
    assert told["fill"]["length"] == 4 * MIB and 0 < told["fill"]["present"] <= 2 * MIB
    assert (told["fill"]["phase"], told["fill"]["readers"]) == ("bytes arrive", 1)
    gate.set()
    assert with_fill.result().body == thing.data and len(origin.requests) == 1


# -- what formats say --

def test_an_npm_tarball_needs_its_packument_first(things, origin):
    edge = things("npm")
    told = explain(edge, "/x/-/x-1.tgz")
    assert told["answer"] == "needs /x application/vnd.npm.install-v1+json from the upstream first"
    assert [(d["kind"], d["stored"]) for d in told["read"]] == [("document", False)] * 3
    assert origin.requests == []


def npm_package(origin, url=None):
    tarball = os.urandom(20000)
    digest = hashlib.sha512(tarball)
    version = {"name": "x", "version": "1", "dist": {
        "tarball": url or origin.url + "/x/-/x-1.tgz", "shasum": hashlib.sha1(tarball).hexdigest(),
        "integrity": "sha512-" + base64.b64encode(digest.digest()).decode()}}
    packument = json.dumps({"name": "x", "dist-tags": {"latest": "1"}, "versions": {"1": version}}).encode()
    origin.add("/x", packument, fields={"Content-Type": "application/json"})
    origin.add("/x/-/x-1.tgz", tarball)
    return digest.hexdigest()


def test_an_npm_tarball_is_told_by_its_stored_packument(things, origin):
    digest = npm_package(origin)
    edge = things("npm")
    assert edge.fetch("/x").status == 200
    edge.wait_idle()
    before = len(origin.requests)
    told = explain(edge, "/x/-/x-1.tgz")
    assert (told["class"], told["rule"]) == ("versioned", "npm: a tarball, by its packument")
    assert (told["digest"], told["digest_source"]) == ("sha512:" + digest, "index")
    assert told["name"] == "/x/-/x-1.tgz" and told["asked"] == [origin.url + "/x/-/x-1.tgz"]
    assert told["answer"] == "asked upstream, then stored"
    read = {line["name"]: line for line in told["read"]}
    assert read["/x application/json"]["stored"] and TIME.fullmatch(read["/x application/json"]["fresh_until"])
    assert len(origin.requests) == before
    assert edge.fetch("/x/-/x-1.tgz").status == 200
    edge.wait_idle()
    told = explain(edge, "/x/-/x-1.tgz")
    assert told["stored"]["fresh_until"] == "never stale" and told["answer"] == FROM_DISK


def test_a_host_that_file_hosts_does_not_allow_is_told(things, origin):
    npm_package(origin, url="http://files.invalid/x-1.tgz")
    edge = things("npm")
    edge.fetch("/x")
    edge.wait_idle()
    told = explain(edge, "/x/-/x-1.tgz")
    assert told["barred"] == 'the index names a host that "file_hosts" does not allow: files.invalid'
    assert told["answer"] == "refused: " + told["barred"]


def test_a_document_made_here_is_told_with_what_it_is_made_of(things, origin):
    npm_package(origin)
    edge = things("npm")
    assert explain(edge, "/x")["answer"] == "needs /x application/json from the upstream first"
    edge.fetch("/x")
    edge.wait_idle()
    told = explain(edge, "/x")
    assert (told["rule"], told["answer"]) == ("npm: a packument", FROM_DISK)
    assert told["name"].startswith("/x application/json for ") and TIME.fullmatch(told["stored"]["made_at"])
    # Another form, and so another document.
    accept = "Accept: application/vnd.npm.install-v1+json"
    told = explain(edge, "/x", "-H", accept)
    assert told["answer"] == "needs /x application/vnd.npm.install-v1+json from the upstream first"
    assert len(origin.requests) == 1


def test_an_oci_blob_is_told_by_the_digest_in_its_url(things, origin):
    blob = os.urandom(1000)
    digest = "sha256:" + hashlib.sha256(blob).hexdigest()
    origin.add("/v2/app/blobs/" + digest, blob)
    edge = things("oci", prefix="/v2/")
    told = explain(edge, "/v2/app/blobs/" + digest)
    assert (told["class"], told["rule"]) == ("digest", "oci: a blob, by the digest in its URL")
    assert (told["digest"], told["digest_source"]) == (digest, "url")
    edge.fetch("/v2/app/blobs/" + digest)
    edge.wait_idle()
    told = explain(edge, "/v2/app/blobs/" + digest)
    assert told["stored"]["fresh_until"] == "never stale" and told["stored"]["digest_source"] == "url"
    assert len(origin.requests) == 1


def test_a_stale_document_is_told_to_be_asked_about_first(things, origin):
    media_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": media_type, "layers": [], "config": {
        "mediaType": "x/y", "digest": "sha256:" + "a" * 64, "size": 2}}).encode()
    digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
    fields = {"Content-Type": media_type, "Docker-Content-Digest": digest, "Cache-Control": "max-age=0"}
    origin.add("/v2/app/manifests/1", manifest, fields=fields)
    origin.add("/v2/app/manifests/" + digest, manifest, fields=fields)
    edge = things("oci", prefix="/v2/")
    asked = "/v2/app/manifests/1", "-H", "Accept: " + media_type
    assert explain(edge, *asked)["answer"].startswith("needs HEAD /v2/app/manifests/1 ")
    assert edge.fetch("/v2/app/manifests/1", fields={"Accept": media_type}).status == 200
    edge.wait_idle()
    before = len(origin.requests)
    told = explain(edge, *asked)
    assert told["rule"] == "oci: a manifest, by the digest that its tag stands for"
    assert told["answer"].startswith("the upstream is asked first whether HEAD /v2/app/manifests/1 ")
    assert told["answer"].endswith(" is still right, then: served from disk")
    assert [(line["kind"], line["stored"]) for line in told["read"]] == [("fields", True), ("document", True)]
    assert len(origin.requests) == before


@pytest.mark.parametrize("authorize, says", [("edge", "the edge decides"), ("upstream", "the upstream decides: a HEAD"),
                                             (None, "nobody is asked")])
def test_rights_are_told_in_a_sentence(things, origin, authorize, says):
    edge = things(text=f"authorize {authorize};" if authorize else "")
    told = explain(edge, "/thing")
    assert told["repository"]["authorize"] == (authorize or "nobody") and told["rights"].startswith(says)


# -- other places --

def test_a_plain_location_is_told_by_its_key(edge, origin):
    thing = origin.add("/a?b=%2f", size=1000)
    told = explain(edge, "/a?b=%2f", tls=False)
    assert told["key"] == f"http127.0.0.1:{origin.port}/a?b=%2f" and "repository" not in told
    assert told["answer"] == "asked upstream, then stored"
    assert edge.fetch("/a?b=%2f", tls=False).body == thing.data
    edge.wait_idle()
    told = explain(edge, "/a?b=%2f", tls=False)
    assert told["answer"] == FROM_DISK and told["stored"]["sha256"] == thing.sha256
    assert explain(edge, "/a?b=%2f")["stored"] is None  # https is another key
    assert len(origin.requests) == 1


def test_places_without_a_cache_are_told(make_edge, origin, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    edge = make_edge(f"location /files/ {{ root {tmp_path}; }} location /local/ {{ repository local; }}"
                     f" location /moved {{ return 301 https://elsewhere/; }}"
                     f" location /pass/ {{ proxy_pass {origin.url}; proxy_cache off; }}",
                     http=f"repository local {{ format generic; root {tmp_path}; }}").start()
    assert explain(edge, "/files/a.txt")["answer"] == "refused: no file is served under this path"
    told = explain(edge, "/local/a.txt")
    assert (told["repository"]["kind"], told["answer"]) == ("local", "served from the file")
    assert explain(edge, "/moved")["answer"].startswith("answered here with 301")
    assert explain(edge, "/pass/x")["answer"].startswith("passed to the upstream and back")
    assert explain(edge, "/nothing")["answer"] == "refused: no location serves this path"
    assert origin.requests == []


def test_after_a_reload_the_new_conf_is_told(edge, origin):
    edge.write_conf(locations="location /new/ { repository things; }", http=repository(origin))
    edge.send_signal(signal.SIGHUP)
    wait_until(lambda: "repository" in explain(edge, "/new/x"), "the new conf")
    assert explain(edge, "/new/x")["repository"]["name"] == "things"


# -- the command --

def test_what_is_printed_for_people_is_aligned(things, origin):
    origin.add("/thing", size=1000)
    edge = things()
    edge.fetch("/thing")
    edge.wait_idle()
    done = edge.command("explain", edge.url("/thing"))
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert f"url             {edge.url('/thing')}" in lines
    assert "class           mutable" in lines
    assert "  status        200" in lines
    assert f"answer          {FROM_DISK}" in lines
    assert "null" not in done.stdout and "{" not in done.stdout


@pytest.mark.parametrize("url, says", [("http://nobody.example:1/x", "no server listens on port 1 or is named nobody"),
                                       ("not a url", "is no http or https URL")])
def test_what_no_server_has_is_an_error(edge, url, says):
    done = edge.command("explain", url)
    assert (done.returncode, done.stdout) == (1, "") and says in done.stderr


def test_an_edge_that_does_not_run_is_an_error(make_edge):
    edge = make_edge("")
    done = edge.command("explain", edge.url("/x"))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"no edge answers on its admin listener 127.0.0.1:{edge.admin_port}" in done.stderr


def test_a_conf_without_an_admin_listener_is_an_error(make_edge):
    edge = make_edge("")
    path = os.path.join(edge.folder, "edge.conf")
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"admin [^;]*;", "", file.read())
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    done = edge.command("explain", edge.url("/x"))
    assert (done.returncode, done.stdout) == (1, "") and 'no "admin" listener in ' in done.stderr


def test_an_admin_listener_on_a_unix_socket_is_asked_too(make_edge, origin):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; }}")
    path = os.path.join(edge.folder, "edge.conf")
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"admin [^;]*;", "admin unix:admin.sock;", file.read())
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    edge.launch()
    wait_until(lambda: edge.command("explain", edge.url("/x")).returncode == 0, "the edge to explain")


# -- what a response says of itself --

def test_cache_status_tells_class_and_digest_source(things, origin):
    blob = os.urandom(1000)
    digest = "sha256:" + hashlib.sha256(blob).hexdigest()
    path = "/v2/app/blobs/" + digest
    origin.add(path, blob)
    origin.add("/thing", size=1000)
    edge = things()
    detail = {path: "digest url", "/thing": "mutable"}
    for path, text in detail.items():
        assert edge.fetch(path).cache_status == f'entrepot; fwd=uri-miss; detail="{text}"'
        edge.wait_idle()
        for _ in range(3):
            assert edge.fetch(path).cache_status == f'entrepot; hit; detail="{text}"'


def test_cache_status_of_what_passes_says_so(things, origin):
    origin.add("/-/ping", b"{}")
    edge = things("npm")
    assert edge.fetch("/-/ping").cache_status == 'entrepot; fwd=bypass; detail="pass"'


def test_cache_status_of_a_plain_location_has_no_detail(edge, origin):
    origin.add("/thing", size=1000)
    assert edge.fetch("/thing").cache_status == "entrepot; fwd=uri-miss"
    edge.wait_idle()
    assert edge.fetch("/thing").cache_status == "entrepot; hit"


# -- rights to bytes --

def test_who_has_confirmed_the_bytes_is_told(make_edge, origin):
    data = os.urandom(1000)
    path = "/v2/x/blobs/sha256:" + hashlib.sha256(data).hexdigest()
    origin.add(path, data)
    http = "".join(f"repository {name} {{ format generic; proxy_pass {origin.url}; }}" for name in ("one", "other"))
    edge = make_edge("location /one/ { repository one; } location /other/ { repository other; }", http=http).start()
    assert explain(edge, "/one" + path)["grant"] is False
    assert explain(edge, "/one/nothing")["grant"] is None
    assert edge.fetch("/one" + path).body == data
    edge.wait_idle()
    assert explain(edge, "/one" + path)["grant"] is True
    assert explain(edge, "/other" + path)["grant"] is False  # the bytes are here, and not for it
    text = edge.command("explain", edge.url("/one" + path)).stdout
    assert re.search(r"^grant +yes$", text, re.M)


# -- virtual repositories, and what is refused --

def test_a_virtual_repository_tells_what_each_member_has(make_edge, origin, tmp_path):
    thing = origin.add("/thing", size=1000)
    (tmp_path / "srv").mkdir()
    edge = make_edge("location /all/ { repository all; }", http=f"""
        repository here {{ format generic; root {tmp_path}/srv; }}
        repository there {{ format generic; proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}
        repository never {{ format generic; proxy_pass http://127.0.0.1:9; }}
        repository all {{ format generic; members here there never; route /thing here there; }}""").start()
    told = explain(edge, "/all/thing")
    assert told["repository"]["kind"] == "virtual"
    assert told["answer"] == ("the first of these members that has it answers; one that cannot be asked ends the search")
    here, there = told["members"]
    assert (here["repository"]["name"], there["repository"]["name"]) == ("here", "there")
    assert here["answer"].startswith("no file is under this path")
    assert there["stored"] is None and there["asked"] == [origin.url + "/thing"]
    assert edge.fetch("/all/thing").body == thing.data
    edge.wait_idle()
    there = explain(edge, "/all/thing")["members"][1]
    assert there["answer"] == FROM_DISK and there["stored"]["sha256"] == thing.sha256 and there["grant"] is True
    assert len(origin.requests) == 1


def test_an_encoded_slash_is_told_to_be_refused(things, origin):
    told = explain(things(), "/a%2fb")
    assert told["answer"] == "refused: the path has an encoded slash, and repositories of this format have none"
    assert "name" not in told
