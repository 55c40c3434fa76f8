"""Answers in the edge's own words: what they tell of how they came about, and what the log has of refusals."""
import hashlib
import json
import re

import pytest

from support.origin import Answer

DIGEST = "sha256:" + "a" * 64
IMAGE = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def edge_of(make_edge, origin):
    def make(kind, location="/", text=""):
        return make_edge(f"location {location} {{ repository things; }}", workers=1,
                         http=f"repository things {{ format {kind}; proxy_pass {origin.url}; "
                              f"proxy_cache_valid 200 1h; {text} }}").start()
    return make


def blob(digest=DIGEST):
    return {"mediaType": "x/y", "digest": digest, "size": 1}


# -- Cache-Status --

@pytest.mark.parametrize("path, data, kind", [
    ("/v2/", b"{}", "application/json"), ("/v2/app/tags/list", b"{}", "application/json"),
    (f"/v2/app/referrers/{DIGEST}", b"{}", "application/json"),
    ("/v2/app/manifests/latest", json.dumps({"schemaVersion": 2, "config": blob(), "layers": []}).encode(), IMAGE)])
def test_lists_the_root_and_tags_without_a_digest_say_how_they_were_had(edge_of, origin, path, data, kind):
    origin.add(path, data, fields={"Content-Type": kind}, etag=None)
    edge = edge_of("oci")
    said = []
    for _ in range(2):
        said.append(edge.fetch(path).cache_status)
        edge.wait_idle()
    assert said == ['entrepot; fwd=uri-miss; detail="mutable"', 'entrepot; hit; detail="mutable"']


def test_a_redirect_to_the_right_spelling_is_made_here(edge_of, origin):
    got = edge_of("pypi").fetch("/simple/Thing/")
    assert (got.status, got.cache_status) == (301, 'entrepot; detail="made here"')
    assert origin.requests == []


# -- refusals in the log: one line, with the reason and the rule --

def lines(edge, pattern):
    edge.wait_log(pattern)
    return [line for line in edge.error_log().splitlines() if re.search(pattern, line)]


@pytest.mark.parametrize("path", ["/%zz", "/a%00b", "/../x", "/a%5c..%5cb"])
def test_a_path_that_cannot_be_resolved(edge_of, path):
    edge = edge_of("generic")
    connection = edge.http1()
    connection.get(path + "?secret=1")
    assert connection.head()[0] == 400
    connection.close()
    line, = lines(edge, "refused with 400")
    assert "[info]" in line and "the request target is not a path that can be resolved (paths: " in line
    assert line.endswith(", client: 127.0.0.1") and "secret" not in line


def test_a_name_that_no_registry_takes(edge_of, origin):
    edge = edge_of("oci")
    assert edge.fetch("/v2/App/manifests/latest").status == 400
    line, = lines(edge, "refused with 400")
    assert "[info]" in line and "/v2/App/manifests/latest" in line
    assert "oci: a malformed name, tag or digest" in line
    assert origin.requests == []


@pytest.mark.parametrize("kind", ["generic", "oci", "maven", "pypi", "apt"])
def test_an_encoded_slash_is_refused_where_the_format_has_none(edge_of, origin, kind):
    edge = edge_of(kind)
    for path in ("/v2/a%2fb/manifests/1", "/a%2Fb"):
        got = edge.fetch(path)
        assert (got.status, json.loads(got.body)["error"]) == (400, "encoded-slash")
    assert origin.requests == []
    assert len(lines(edge, r"\(paths: no encoded slash in a repository, but for npm's scopes\)")) == 2


def test_an_encoded_slash_is_npms_and_that_of_plain_locations(make_edge, origin):
    origin.add("/@s%2fthing", b'{"name": "@s/thing", "versions": {}}')
    plain = origin.add("/plain/a%2fb", b"plain")
    edge = make_edge(f"location / {{ repository modules; }} location /plain/ {{ proxy_pass {origin.url}; }}",
                     http=f"repository modules {{ format npm; proxy_pass {origin.url}; }}").start()
    assert edge.fetch("/@s%2fthing").status == 200
    assert edge.fetch("/plain/a%2fb").body == plain.data


def test_an_index_that_is_malformed(edge_of, origin):
    origin.add("/g/a/maven-metadata.xml", b"<html>")
    edge = edge_of("maven")
    assert edge.fetch("/g/a/LATEST/a-LATEST.jar").status == 502
    edge.wait_log(r"\[error\] .*(malformed.*maven: metadata|maven: metadata.*malformed)")


def test_a_document_that_cannot_be_rewritten(edge_of, origin):
    origin.add("/thing", b"<html>")
    edge = edge_of("npm")
    assert edge.fetch("/thing").status == 502
    edge.wait_log(r"\[error\] .*/thing.*(malformed.*npm: a packument|npm: a packument.*malformed)")


def test_a_registry_in_trouble(edge_of, origin):
    origin.add("/v2/app/manifests/latest", b"").tamper = lambda answer, request, n: Answer(503, {}, b"")
    edge = edge_of("oci")
    assert edge.fetch("/v2/app/manifests/latest").status == 502
    line, = lines(edge, "oci: a tag")
    assert "[error]" in line and "the upstream answered 503" in line


def test_an_index_that_sends_the_edge_elsewhere(edge_of, origin):
    digest = hashlib.sha256(b"x").hexdigest()
    origin.add("/simple/thing/", f'<a href="http://192.0.2.1/t-1.tar.gz#sha256={digest}">t-1.tar.gz</a>'.encode(),
               fields={"Content-Type": "text/html"})
    edge = edge_of("pypi")
    assert edge.fetch("/files/thing/t-1.tar.gz").status == 502
    line, = lines(edge, "file_hosts")
    assert "[error]" in line and line.endswith("192.0.2.1 (pypi: a file, by its project's page)")


def test_the_log_has_no_such_lines_where_it_begins_above_info(make_edge, origin):
    edge = make_edge("location / { repository things; }",
                     http=f"repository things {{ format oci; proxy_pass {origin.url}; }}")
    with open(f"{edge.folder}/edge.conf", encoding="utf-8") as file:
        text = file.read()
    with open(f"{edge.folder}/edge.conf", "w", encoding="utf-8") as file:
        file.write(text.replace("error_log error.log info", "error_log error.log notice"))
    edge.start()
    assert edge.fetch("/v2/App/manifests/latest").status == 400
    edge.stop()
    assert "refused with" not in edge.error_log()
