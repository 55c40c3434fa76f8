"""Resolved here, served there: who is sent to the CDN, by which link, and what the link opens.

The CDN of most of these tests is the edge itself: it asks its origin, the edge, for the same target.
"""
import base64
import email.utils
import hashlib
import hmac
import json
import os
import signal
import subprocess
import time
from urllib.parse import urlsplit

import pytest

from support import client
from support.origin import Answer

MIB = 1 << 20
SECRET = "a secret of links"
OWN_FIELD = {"X-Entrepot-No-Redirect": "1"}


def add_blob(origin, size=2 * MIB, query=""):
    """(path, resource): its path has its digest, so that it never changes."""
    made = origin.add("/", size=size, seed=query + str(size))
    del origin.resources["/"]
    path = f"/v2/app/blobs/sha256:{made.sha256}{query}"
    return path, origin.add(path, data=made.data)


def repository(origin, cdn, more="", kind="generic"):
    return f"repository things {{ format {kind}; proxy_pass {origin.url}; proxy_cache_valid 200 1h; {cdn} {more} }}"


def start(make_edge, origin, options="sign=secure_link:secret", base="", more="", kind="generic", location="/"):
    """An edge of one worker; its CDN is itself unless `base` names another."""
    edge = make_edge(f"location {location} {{ repository things; }}", workers=1)
    secret = f"{edge.folder}/secret"
    with open(secret, "w", encoding="ascii") as file:
        file.write(SECRET + "\n")
    os.chmod(secret, 0o600)
    cdn = f"cdn_redirect {base or edge.url('')} {options};"
    edge.write_conf(http=repository(origin, cdn, more, kind))
    return edge.start()


def signed(target, expires, secret=SECRET):
    """The link to a target, made as its documentation says."""
    text = f"{target}{'&' if '?' in target else '?'}expires={expires}"
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return f"{text}&sig={base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def answered_at(got):
    return email.utils.parsedate_to_datetime(got.fields["date"]).timestamp()


def link_of(edge, got):
    """The target of a redirect to the edge itself; its signature has been verified."""
    assert got.status == 307 and got.body == b"" and got.fields["cache-control"] == "no-store"
    location = got.fields["location"]
    assert location.startswith(edge.url("/"))
    target = location[len(edge.url("")):]
    covered, _, _ = target.rpartition("&sig=")
    plain, _, expires = covered.rpartition("expires=")
    assert signed(plain[:-1], int(expires)) == target
    assert 599 <= int(expires) - answered_at(got) <= 601
    return target


def store(edge, path, **options):
    got = edge.fetch(path, **options)
    edge.wait_idle()
    return got


def test_what_is_stored_is_had_by_a_signed_link(make_edge, origin):
    path, blob = add_blob(origin)
    edge = start(make_edge, origin)
    cold = store(edge, path)
    assert (cold.status, cold.sha256) == (200, blob.sha256)
    for _ in range(3):  # from the index, then from the hot table
        link = link_of(edge, edge.fetch(path))
        served = edge.fetch(link)
        assert (served.status, served.sha256) == (200, blob.sha256)
        assert served.cache_status == 'entrepot; hit; detail="digest url"'
    metrics = edge.metrics()
    assert metrics["cdn_redirects_total"] == 3 and metrics["cache_hits_total"] == 6
    assert [r.target for r in origin.requests] == [path]


def test_a_client_that_follows_ends_with_the_bytes(make_edge, origin):
    path, blob = add_blob(origin)
    edge = start(make_edge, origin)
    store(edge, path)
    got = edge.fetch(path, curl=["--location", "--max-redirs", "1"])
    assert (got.status, got.sha256, got.exit_code) == (200, blob.sha256, 0)
    assert len(origin.requests) == 1


def test_a_link_is_for_the_target_that_was_asked_for_with_its_query(make_edge, origin):
    path, blob = add_blob(origin, query="?a=1&b=%2F")
    edge = start(make_edge, origin)
    store(edge, path)
    link = link_of(edge, edge.fetch(path))
    assert link.startswith(path + "&expires=")
    assert edge.fetch(link).sha256 == blob.sha256
    assert [r.target for r in origin.requests] == [path]


def test_neither_the_upstream_nor_the_name_of_what_is_stored_knows_the_signature(make_edge, origin):
    path, blob = add_blob(origin)
    edge = start(make_edge, origin, more="proxy_set_header X-Asked $request_uri;")
    first, second = (signed(path, int(time.time()) + 100 + n) for n in range(2))
    assert store(edge, first).sha256 == blob.sha256  # cold: the CDN is the first that asks
    assert edge.fetch(second).cache_status == 'entrepot; hit; detail="digest url"'
    assert edge.fetch(path).status == 307
    [asked] = origin.requests
    assert asked.target == asked.fields["x-asked"] == path
    edge.stop()
    assert "sig=" not in client.read_file(f"{edge.folder}/access.log").decode()


@pytest.mark.parametrize("stored", [False, True])
def test_a_link_that_was_tampered_with_is_refused(make_edge, origin, stored):
    path, _ = add_blob(origin)
    edge = start(make_edge, origin)
    if stored:
        store(edge, path)
    asked = len(origin.requests)
    link = signed(path, int(time.time()) + 100)
    for bad in (link[:-1], link + "&x=1", link.replace("expires=", "expires=1"), "/other" + link,
                signed(path, int(time.time()) + 100, "another secret"), path + "?sig="):
        got = edge.fetch(bad)
        assert got.status == 403 and json.loads(got.body)["error"] == "bad-signature", bad
        assert got.fields["cache-control"] == "no-store"
    assert len(origin.requests) == asked
    edge.wait_log(rf"\[info\] .*{path}: refused with 403: the signature is not of this path and query "
                  r"\(cdn_redirect: a link is good by its signature, until its time\), client: 127.0.0.1")
    assert "sig=" not in edge.error_log()


def test_a_link_that_has_run_out_is_refused(make_edge, origin):
    path, blob = add_blob(origin)
    edge = start(make_edge, origin)
    store(edge, path)
    got = edge.fetch(signed(path, int(time.time()) - 10))
    assert got.status == 403 and json.loads(got.body)["error"] == "expired-link"
    edge.wait_log(r"\[info\] .*refused with 403: this link has run out")
    assert edge.fetch(signed(path, int(time.time()) + 100)).sha256 == blob.sha256
    assert len(origin.requests) == 1


def test_small_things_are_served_from_here(make_edge, origin):
    (small, of_small), (large, _) = add_blob(origin, size=MIB - 1), add_blob(origin, size=MIB)
    edge = start(make_edge, origin)
    for path in (small, large):
        store(edge, path)
    for _ in range(2):
        assert edge.fetch(small).sha256 == of_small.sha256
        assert edge.fetch(large).status == 307
    edge.write_conf(http=edge.http.replace("sign=", "min_size=4m sign="))
    edge.send_signal(signal.SIGHUP)
    edge.wait_log("reconfigured")
    for _ in range(2):
        assert edge.fetch(small).status == edge.fetch(large).status == 200
    assert len(origin.requests) == 2


def test_a_client_can_ask_not_to_be_sent_away(make_edge, origin):
    path, blob = add_blob(origin)
    edge = start(make_edge, origin)
    store(edge, path)
    for _ in range(2):
        assert edge.fetch(path, fields=OWN_FIELD).sha256 == blob.sha256
        assert edge.fetch(path).status == 307
    assert len(origin.requests) == 1 and "x-entrepot-no-redirect" not in origin.requests[0].fields


def test_heads_and_ranges_are_sent_there_too(make_edge, origin):
    path, blob = add_blob(origin)
    edge = start(make_edge, origin)
    store(edge, path)
    for _ in range(2):
        assert edge.fetch(path, method="HEAD").status == 307
        assert edge.fetch(path, fields={"Range": "bytes=5-9"}).status == 307
        assert edge.fetch(path, fields={"If-None-Match": blob.etag}).status == 307
    part = edge.fetch(path, fields={"Range": "bytes=5-9"}, curl=["--location"])
    assert (part.status, part.body) == (206, blob.data[5:10])
    assert len(origin.requests) == 1


def test_a_part_that_is_stored_is_not_sent_there(make_edge, origin):
    path, blob = add_blob(origin, size=16 * MIB)
    edge = start(make_edge, origin, more="slice 1m;")
    for _ in range(2):
        got = store(edge, path, fields={"Range": "bytes=0-99"})
        assert (got.status, got.body) == (206, blob.data[:100])


def test_what_may_change_is_served_from_here(make_edge, origin):
    thing = origin.add("/thing", size=2 * MIB)
    edge = start(make_edge, origin)
    for _ in range(3):
        assert store(edge, "/thing").body == thing.data
    assert edge.fetch("/none").status == edge.fetch("/none").status == 404
    assert edge.metrics()["cdn_redirects_total"] == 0


def test_a_tag_is_not_sent_there_though_its_manifest_is(make_edge, origin):
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
                           "manifests": []}).encode()
    digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
    fields = {"Content-Type": "application/vnd.oci.image.index.v1+json", "Docker-Content-Digest": digest}
    for reference in ("latest", digest):
        origin.add(f"/v2/app/manifests/{reference}", data=manifest, fields=fields)
    edge = start(make_edge, origin, options="min_size=0", kind="oci", location="/v2/")
    for _ in range(3):
        tag = store(edge, "/v2/app/manifests/latest")
        assert (tag.status, tag.body) == (200, manifest)
        assert "immutable" not in tag.fields.get("cache-control", "")
    named = edge.fetch(f"/v2/app/manifests/{digest}")
    assert named.status == 307 and named.fields["location"] == edge.url(f"/v2/app/manifests/{digest}")
    here = edge.fetch(f"/v2/app/manifests/{digest}", fields=OWN_FIELD)
    assert here.body == manifest and "immutable" in here.fields["cache-control"]


def test_other_repositories_serve_from_here(make_edge, origin):
    path, blob = add_blob(origin)
    edge = make_edge("location / { repository things; }", http=repository(origin, "cdn_redirect off;")).start()
    for _ in range(3):
        assert store(edge, path).sha256 == blob.sha256
    assert edge.fetch(path + "?sig=x").status == 404  # a query like any other


# -- CloudFront --

def test_cloudfronts_public_key_verifies_what_clients_are_sent_with(make_edge, origin, tmp_path):
    key, public = tmp_path / "key.pem", tmp_path / "public.pem"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    subprocess.run(["openssl", "rsa", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)
    key.chmod(0o600)
    path, blob = add_blob(origin)
    edge = start(make_edge, origin, options=f"sign=cloudfront:K2JCJMDEHXQW5F:{key} expires=1h",
                 base="https://d111.cloudfront.net/edge/")
    store(edge, path)
    for _ in range(2):
        got = edge.fetch(path)
        assert got.status == 307
        url, _, query = got.fields["location"].partition("?")
        assert url == "https://d111.cloudfront.net/edge" + path
        parameters = dict(part.split("=", 1) for part in query.split("&"))
        assert parameters["Key-Pair-Id"] == "K2JCJMDEHXQW5F"
        assert 3599 <= int(parameters["Expires"]) - answered_at(got) <= 3601
        signature = parameters["Signature"].replace("-", "+").replace("_", "=").replace("~", "/")
        (tmp_path / "signature").write_bytes(base64.b64decode(signature, validate=True))
        policy = ('{"Statement":[{"Resource":"%s","Condition":{"DateLessThan":{"AWS:EpochTime":%s}}}]}'
                  % (url, parameters["Expires"]))
        done = subprocess.run(["openssl", "dgst", "-sha1", "-verify", public, "-signature", tmp_path / "signature"],
                              input=policy.encode(), capture_output=True, check=False)
        assert done.returncode == 0, done.stdout
    # CloudFront keeps these parameters to itself, and is told by the field that it is set to send.
    assert edge.fetch(path, fields=OWN_FIELD).sha256 == blob.sha256
    assert len(origin.requests) == 1


# -- rights --

def let_in_good(answer, request, n):
    return answer if request.fields.get("authorization") == "Bearer good" else Answer(401, {}, b"no\n")


def test_a_link_carries_the_right_of_whom_it_was_given_to(make_edge, origin):
    path, blob = add_blob(origin)
    blob.tamper = let_in_good
    edge = start(make_edge, origin, more="authorize upstream;")
    good = {"Authorization": "Bearer good"}
    store(edge, path, fields=good)
    link = link_of(edge, edge.fetch(path, fields=good))
    assert edge.fetch(path).status == edge.fetch(path, fields={"Authorization": "Bearer bad"}).status == 401
    before = len(origin.requests)
    served = edge.fetch(link)
    assert (served.status, served.sha256) == (200, blob.sha256)
    assert served.fields["cache-control"] == "private, max-age=31536000, immutable"
    assert edge.fetch(path).status == 401  # it opened nothing else
    assert [r.method for r in origin.requests][before:] == ["HEAD"]


def test_a_link_to_what_is_gone_shows_the_upstream_no_right(make_edge, origin):
    path, blob = add_blob(origin)
    blob.tamper = let_in_good
    edge = start(make_edge, origin, more="authorize upstream;")
    got = edge.fetch(signed(path, int(time.time()) + 100))
    assert got.status == 401 and urlsplit(origin.requests[0].target).query == ""
    edge.wait_idle()
    assert edge.metrics()["cache_blobs"] == 0
