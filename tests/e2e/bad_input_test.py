"""What clients and upstreams send that is wrong: an error for that request, a reason in the log, nothing else."""
import base64
import hashlib
import json

import pytest

from support.origin import Answer, Origin

MIB = 1 << 20


@pytest.fixture
def other():
    origin = Origin()
    yield origin
    origin.close()


def start(make_edge, *repositories):
    """repositories: (name, format, origin), each below /name/."""
    locations = "".join(f"location /{name}/ {{ repository {name}; }}" for name, _, _ in repositories)
    http = "".join(f"repository {name} {{ format {kind}; proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}"
                   for name, kind, origin in repositories)
    return make_edge(locations, http=http).start()


def is_refused(got, error=None):
    assert got.status in (400, 404, 502) or not got.complete, got.status
    if error:
        assert json.loads(got.body)["error"] == error
    return True


def serves_on(edge, origin):
    good = origin.add("/good", size=1000)
    assert edge.fetch("/things/good").body == good.data


@pytest.mark.parametrize("kind, path", [("npm", "/thing"), ("maven", "/g/a/LATEST/a-LATEST.jar")])
def test_an_index_over_the_limit_is_refused(make_edge, origin, kind, path):
    asked = "/g/a/maven-metadata.xml" if kind == "maven" else path
    origin.add(asked, b" " * (257 * MIB))
    edge = start(make_edge, ("index", kind, origin), ("things", "generic", origin))
    got = edge.fetch("/index" + path)
    assert got.status == 502 and "256 MiB" in json.loads(got.body)["detail"]
    edge.wait_log("longer than 256 MiB")
    serves_on(edge, origin)


@pytest.mark.parametrize("lie", [False, True])
def test_a_blob_that_is_named_by_sha512(make_edge, origin, lie):
    data = b"content" * 1000
    path = f"/v2/thing/blobs/sha512:{hashlib.sha512(data).hexdigest()}"
    origin.add(path, b"another" * 1000 if lie else data)
    edge = start(make_edge, ("v2", "oci", origin), ("things", "generic", origin))
    got = edge.fetch(path)
    edge.wait_idle()
    if lie:
        assert is_refused(got) and got.body != b"another" * 1000
        edge.wait_log("digest")
    else:
        assert got.body == data and edge.fetch(path).cache_status.startswith("entrepot; hit")
    serves_on(edge, origin)


@pytest.mark.parametrize("name", ["sha512:abc", "sha256:" + "g" * 64, "sha256:" + "A" * 64, "md5:" + "a" * 32, "sha256"])
def test_a_digest_of_no_right_form_is_refused(make_edge, origin, name):
    edge = start(make_edge, ("v2", "oci", origin), ("things", "generic", origin))
    assert is_refused(edge.fetch(f"/v2/thing/blobs/{name}"))
    assert origin.requests == []
    serves_on(edge, origin)


@pytest.mark.parametrize("length", [1 << 62, 10 ** 19, 10 ** 30, -1])
def test_an_absurd_content_length_breaks_one_request(make_edge, origin, length):
    thing = origin.add("/thing", size=1000)
    thing.tamper = lambda answer, request, n: setattr(answer, "length", length)
    edge = start(make_edge, ("things", "generic", origin))
    assert is_refused(edge.fetch("/things/thing"))
    edge.wait_idle()
    thing.tamper = None
    assert edge.fetch("/things/thing").body == thing.data
    serves_on(edge, origin)


@pytest.mark.parametrize("field", ["X-Checksum-Sha256", "Docker-Content-Digest", "Repr-Digest"])
def test_whoever_claims_anothers_digest_is_given_nothing_of_its_bytes(make_edge, origin, other, field):
    """Both repositories share one cache. That an upstream names a digest does not show that it has the bytes."""
    secret = origin.add("/secret", size=1000)
    digest = hashlib.sha256(secret.data)
    origin.add("/secret", secret.data, fields={"X-Checksum-Sha256": digest.hexdigest()})
    edge = start(make_edge, ("private", "generic", origin), ("things", "generic", other))
    assert edge.fetch("/private/secret").body == secret.data
    edge.wait_idle()
    value = {"X-Checksum-Sha256": digest.hexdigest(), "Docker-Content-Digest": f"sha256:{digest.hexdigest()}",
             "Repr-Digest": "sha-256=:" + base64.b64encode(digest.digest()).decode() + ":"}[field]
    other.add("/claim", b"x" * 1000, fields={field: value})
    for version in ("1.1", "2"):
        got = edge.fetch("/things/claim", version=version)
        assert is_refused(got) and secret.data[:100] not in got.body
        edge.wait_idle()
    assert edge.fetch("/private/secret").body == secret.data
    serves_on(edge, other)


@pytest.mark.parametrize("path", ["/things/../private/secret", "/things/%2e%2e/private/secret",
                                  "/things/..%2fprivate/secret", "/things/%2e%2e%2fprivate/secret",
                                  "/things/a/..%2f..%2f..%2fsecret", "/things/%252e%252e/secret", "/things/..;/secret"])
def test_no_way_to_write_a_path_leads_out_of_the_repository(make_edge, origin, other, path):
    """The upstream's base is a folder of it: what stands beside that folder is not the repository's."""
    for target in ("/secret", "/private/secret"):
        other.add(target, b"secret")
    edge = make_edge("location /things/ { repository things; }",
                     http=f"repository things {{ format generic; proxy_pass {other.url}/base/; }}").start()
    got = edge.fetch(path)
    assert got.status in (400, 404) and b"secret" != got.body
    for request in other.requests:
        assert request.target.startswith("/base/") and "/../" not in request.target
        assert "%2e%2e/" not in request.target.lower().replace("%252e", "")


def test_a_page_instead_of_a_document_is_no_document(make_edge, origin):
    page = b"<html>log in</html>"
    origin.add("/thing", page, fields={"Content-Type": "text/html"})
    origin.add("/v2/thing/manifests/1", page).tamper = lambda answer, request, n: Answer(
        200, {"Content-Type": "text/html"}, page)
    edge = start(make_edge, ("npm", "npm", origin), ("v2", "oci", origin), ("things", "generic", origin))
    assert is_refused(edge.fetch("/npm/thing"), "malformed-index")
    got = edge.fetch("/v2/thing/manifests/1")
    assert got.status >= 400 and page not in got.body
    serves_on(edge, origin)
