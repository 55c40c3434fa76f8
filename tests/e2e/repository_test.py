"""What every repository does, whatever its format: how its upstream is asked, and who may have what."""
import base64
import hashlib
import json
import os
import threading

import pytest

from support.edge import wait_until
from support.origin import Answer, Origin

MIB = 1 << 20


def repository(origin, text="", kind="generic"):
    return (f"repository things {{ format {kind}; proxy_pass {origin.url}; proxy_cache_valid 200 1h; {text} }}")


@pytest.fixture
def other():
    origin = Origin()
    yield origin
    origin.close()


def redirect(location, status=302):
    return lambda answer, request, n: Answer(status, {"Location": location}, b"elsewhere\n")


def credentials_file(tmp_path, text, mode=0o600):
    path = tmp_path / "credentials"
    path.write_text(text)
    path.chmod(mode)
    return path


# -- redirects --

def test_a_redirect_of_the_upstream_is_followed_inside_the_edge(make_edge, origin):
    origin.add("/thing", size=10).tamper = redirect("/real?X-Amz-Signature=abc")
    real = origin.add("/real?X-Amz-Signature=abc", size=MIB)
    edge = make_edge("location / { repository things; }", http=repository(origin)).start()
    for _ in range(2):
        got = edge.fetch("/thing")
        assert (got.status, got.body) == (200, real.data)
        edge.wait_idle()
    assert [r.target for r in origin.requests] == ["/thing", "/real?X-Amz-Signature=abc"]


def test_a_redirect_to_a_private_address_is_refused(make_edge, origin, other):
    secret = other.add("/secret", size=100)
    origin.add("/thing", size=10).tamper = redirect(other.url + "/secret")
    edge = make_edge("location / { repository things; }", http=repository(origin)).start()
    got = edge.fetch("/thing")
    assert got.status == 502 and secret.data not in got.body
    assert "no public address" in json.loads(got.body)["detail"]
    edge.wait_idle()
    assert other.requests == [] and edge.metrics()["cache_blobs"] == 0


def test_a_redirect_to_a_host_that_is_allowed_is_followed_without_credentials(make_edge, origin, other, tmp_path):
    origin.add("/thing", size=10).tamper = redirect(other.url + "/file")
    file = other.add("/file", size=MIB)
    path = credentials_file(tmp_path, "basic edge:secret\n")
    edge = make_edge("location / { repository things; }",
                     http=repository(origin, f"authorize edge; proxy_credentials {path}; "
                                             f"file_hosts 127.0.0.1:{other.port};")).start()
    assert edge.fetch("/thing").body == file.data
    shown = "Basic " + base64.b64encode(b"edge:secret").decode()
    assert origin.requests[0].fields["authorization"] == shown
    assert "authorization" not in other.requests[0].fields
    assert other.requests[0].fields["host"] == f"127.0.0.1:{other.port}"


def test_redirects_that_never_end_are_given_up(make_edge, origin):
    origin.add("/thing", size=10).tamper = redirect("/thing")
    edge = make_edge("location / { repository things; }", http=repository(origin)).start()
    assert edge.fetch("/thing").status == 302
    assert len(origin.requests) == 6


# -- credentials and rights --

def test_a_credentials_file_that_others_can_read_is_an_error_of_the_conf(make_edge, origin, tmp_path):
    path = credentials_file(tmp_path, "bearer abc\n", mode=0o644)
    edge = make_edge("location / { repository things; }",
                     http=repository(origin, f"authorize edge; proxy_credentials {path};"))
    done = edge.command("-t")
    assert done.returncode == 1 and "can be read by others than its owner" in done.stderr
    assert "abc" not in done.stderr


def test_credentials_of_the_edge_need_it_to_decide(make_edge, origin, tmp_path):
    path = credentials_file(tmp_path, "bearer abc\n")
    edge = make_edge("location / { repository things; }", http=repository(origin, f"proxy_credentials {path};"))
    assert '"proxy_credentials" without "authorize edge"' in edge.command("-t").stderr


def test_where_the_edge_decides_what_clients_show_is_not_passed_on(make_edge, origin):
    thing = origin.add("/thing", size=1000)
    edge = make_edge("location / { repository things; }", http=repository(origin, "authorize edge;")).start()
    for _ in range(2):
        assert edge.fetch("/thing", fields={"Authorization": "Bearer client"}).body == thing.data
        edge.wait_idle()
    assert len(origin.requests) == 1 and "authorization" not in origin.requests[0].fields


def closed_to_all_but(credentials):
    def answer(answer, request, n):
        if request.fields.get("authorization") != credentials:
            return Answer(401, {"WWW-Authenticate": 'Basic realm="things"'}, b"no\n")
        return answer
    return answer


def test_where_the_upstream_decides_only_whom_it_lets_in_is_given_stored_bytes(make_edge, origin):
    thing = origin.add("/thing", size=MIB)
    thing.tamper = closed_to_all_but("Bearer good")
    edge = make_edge("location / { repository things; }", http=repository(origin, "authorize upstream;"),
                     workers=1).start()
    assert edge.fetch("/thing", fields={"Authorization": "Bearer good"}).body == thing.data
    edge.wait_idle()
    for fields in ({}, {"Authorization": "Bearer bad"}):
        got = edge.fetch("/thing", fields=fields)
        assert got.status == 401 and got.fields["www-authenticate"] == 'Basic realm="things"'
    assert edge.fetch("/thing", fields={"Authorization": "Bearer good"}).body == thing.data
    assert [r.method for r in origin.requests] == ["HEAD", "GET", "HEAD", "HEAD"]


def test_a_right_to_one_image_opens_no_other(make_edge, origin):
    blobs = {image: os.urandom(1000) for image in ("a", "b")}
    paths = {image: f"/v2/{image}/blobs/sha256:" + hashlib.sha256(data).hexdigest() for image, data in blobs.items()}

    def let_in(*credentials):
        def answer(answer, request, n):
            return answer if request.fields.get("authorization") in credentials else Answer(401, {}, b"no\n")
        return answer

    origin.add(paths["a"], blobs["a"]).tamper = let_in("Bearer of-a", "Bearer of-both")
    origin.add(paths["b"], blobs["b"]).tamper = let_in("Bearer of-both")
    edge = make_edge("location /v2/ { repository things; }",
                     http=repository(origin, "authorize upstream;", kind="oci"), workers=1).start()
    fetch = lambda image, who: edge.fetch(paths[image], fields={"Authorization": who})  # noqa: E731
    for image, data in blobs.items():
        assert fetch(image, "Bearer of-both").body == data
    edge.wait_idle()
    assert fetch("a", "Bearer of-a").body == blobs["a"]
    assert fetch("b", "Bearer of-a").status == 401
    assert edge.fetch(paths["a"]).status == 401


@pytest.mark.parametrize("status", [302, 404, 405])
def test_what_is_no_consent_of_the_upstream_opens_nothing(make_edge, origin, status):
    thing = origin.add("/thing", size=1000)
    login = origin.add("/login", b"log in, please\n")

    def answer(answer, request, n):
        return answer if request.fields.get("authorization") == "Bearer good" else Answer(
            status, {"Location": "/login"} if status == 302 else {}, b"no\n")

    thing.tamper = answer
    edge = make_edge("location / { repository things; }", http=repository(origin, "authorize upstream;"),
                     workers=1).start()
    assert edge.fetch("/thing", fields={"Authorization": "Bearer good"}).body == thing.data
    edge.wait_idle()
    for _ in range(2):
        got = edge.fetch("/thing")
        assert got.body == (login.data if status == 302 else b"no\n")
    assert edge.fetch("/thing", fields={"Authorization": "Bearer good"}).body == thing.data


def test_a_silent_upstream_opens_nothing(make_edge, origin):
    thing = origin.add("/thing", size=1000)
    edge = make_edge("location / { repository things; }", http=repository(origin, "authorize upstream;"),
                     workers=1).start()
    assert edge.fetch("/thing", fields={"Authorization": "Bearer good"}).body == thing.data
    edge.wait_idle()
    thing.tamper = lambda answer, request, n: Answer(503, {}, b"down\n")
    got = edge.fetch("/thing", fields={"Authorization": "Bearer other"})
    assert got.status == 502 and thing.data not in got.body


def test_the_question_whether_it_is_allowed_shows_the_credentials_and_nothing_else(make_edge, origin):
    origin.add("/thing", size=1000)
    edge = make_edge("location / { repository things; }", http=repository(origin, "authorize upstream;"),
                     workers=1).start()
    edge.fetch("/thing", fields={"Authorization": "Bearer good", "Cookie": "a=b", "Range": "bytes=0-9"})
    question = origin.requests[0]
    assert question.method == "HEAD" and question.fields["authorization"] == "Bearer good"
    assert {"cookie", "range", "referer"}.isdisjoint(question.fields)


# -- registries' tokens --

def test_a_registrys_token_is_had_and_kept(make_edge, origin, tmp_path):
    blobs = [os.urandom(1000) for _ in range(3)]
    for blob in blobs:
        resource = origin.add("/v2/team/app/blobs/sha256:" + hashlib.sha256(blob).hexdigest(), blob)

        def tamper(answer, request, n):
            if request.fields.get("authorization") != "Bearer tok":
                challenge = f'Bearer realm="{origin.url}/token",service="reg",scope="repository:team/app:pull"'
                return Answer(401, {"WWW-Authenticate": challenge}, b"{}")
            return answer
        resource.tamper = tamper
    token = origin.add("/token?service=reg&scope=repository%3Ateam%2Fapp%3Apull", b'{"token":"tok","expires_in":300}')
    path = credentials_file(tmp_path, "basic edge:secret\n")
    edge = make_edge("location /v2/ { repository things; }",
                     http=repository(origin, f"authorize edge; proxy_credentials {path};", kind="oci"),
                     workers=1).start()
    for blob in blobs:
        got = edge.fetch("/v2/team/app/blobs/sha256:" + hashlib.sha256(blob).hexdigest())
        assert (got.status, got.body) == (200, blob), got.body
    assert token.asked == 1
    edge.wait_idle()
    origin.kill()
    for blob in blobs:  # neither the registry nor its token server is needed for what is stored
        assert edge.fetch("/v2/team/app/blobs/sha256:" + hashlib.sha256(blob).hexdigest()).body == blob


# -- staleness --

def test_what_is_stored_outlives_an_upstream_in_trouble(make_edge, origin):
    thing = origin.add("/thing", size=1000)
    edge = make_edge("location / { repository things; }",
                     http=repository(origin).replace("200 1h", "200 1s")).start()
    assert edge.fetch("/thing").body == thing.data
    edge.wait_idle()
    thing.tamper = lambda answer, request, n: Answer(503, {}, b"down\n")
    origin_saw = lambda: [r.status for r in origin.requests]  # noqa: E731
    while 503 not in origin_saw():
        got = edge.fetch("/thing")
        assert (got.status, got.body) == (200, thing.data)
    assert "stale" in got.cache_status
    thing.tamper = None
    edge.wait_idle()
    assert edge.fetch("/thing").body == thing.data


# -- prefetch --

def test_a_manifest_brings_its_blobs_in_before_they_are_asked_for(make_edge, origin):
    def add(kind, data, **options):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        return digest, origin.add(f"/v2/app/{kind}/{digest}", data, **options)

    layers = [add("blobs", os.urandom(size)) for size in (100, 5 * MIB)]
    config = add("blobs", b"{}")
    of = lambda blob, kind: {"mediaType": kind, "digest": blob[0], "size": len(blob[1].data)}  # noqa: E731
    media_type = "application/vnd.oci.image.manifest.v1+json"
    manifest, _ = add("manifests", json.dumps({
        "schemaVersion": 2, "mediaType": media_type, "config": of(config, "application/vnd.oci.image.config.v1+json"),
        "layers": [of(layer, "application/vnd.oci.image.layer.v1.tar") for layer in layers]}).encode(),
        fields={"Content-Type": media_type})
    edge = make_edge("location /v2/ { repository things; }",
                     http=repository(origin, "prefetch on;", kind="oci")).start()
    assert edge.fetch(f"/v2/app/manifests/{manifest}").status == 200
    origin.wait_until(lambda: len(origin.requests) == 4)
    edge.wait_metric("cache_blobs", lambda blobs: blobs == 4)
    edge.wait_idle()
    origin.kill()
    for digest, resource in [config, *layers]:
        got = edge.fetch(f"/v2/app/blobs/{digest}")
        assert got.body == resource.data and "hit" in got.cache_status


# -- staleness, pins, and an upstream that is away --

def expire(edge, path):
    """Until what is stored is no longer fresh: its age is told in full seconds."""
    wait_until(lambda: int(edge.fetch(path, method="HEAD").fields.get("age", 9)) >= 1, "it to be stale")


def test_what_is_stale_is_served_at_once_and_had_anew_behind(make_edge, origin):
    thing = origin.add("/thing", b"first", fields={"Cache-Control": "max-age=1, stale-while-revalidate=600"})
    edge = make_edge("location / { repository things; }", http=repository(origin)).start()
    assert edge.fetch("/thing").body == b"first"
    edge.wait_idle()
    gate = threading.Event()
    thing.data, thing.etag = b"second", '"v2"'
    thing.tamper = lambda answer, request, n: setattr(answer, "head_gate", gate)
    wait_until(lambda: edge.fetch("/thing").cache_status.startswith("entrepot; hit") and len(origin.gets()) == 2,
               "a question behind")
    for _ in range(3):  # the upstream is silent, and nobody waits for it
        assert edge.fetch("/thing").body == b"first"
    assert len(origin.gets()) == 2
    gate.set()
    edge.wait_idle()
    assert edge.fetch("/thing").body == b"second"


def test_the_conf_may_let_every_stale_answer_be_had_anew_behind(make_edge, origin):
    thing = origin.add("/thing", b"first", fields={"Cache-Control": "max-age=1"})
    edge = make_edge("location / { repository things; }",
                     http=repository(origin, "proxy_cache_background_update on;")).start()
    assert edge.fetch("/thing").body == b"first"
    edge.wait_idle()
    gate = threading.Event()
    thing.tamper = lambda answer, request, n: setattr(answer, "head_gate", gate)
    wait_until(lambda: edge.fetch("/thing").body == b"first" and len(origin.gets()) == 2, "a question behind")
    gate.set()


def test_what_must_be_revalidated_is_never_served_before_it_is(make_edge, origin):
    thing = origin.add("/thing", b"first", fields={"Cache-Control": "max-age=1, must-revalidate"})
    edge = make_edge("location / { repository things; }",
                     http=repository(origin, "proxy_cache_background_update on;")).start()
    assert edge.fetch("/thing").body == b"first"
    edge.wait_idle()
    thing.data, thing.etag = b"second", '"v2"'
    wait_until(lambda: len(origin.gets()) == 2 or edge.fetch("/thing").body == b"second", "it to be stale")
    assert edge.fetch("/thing").body == b"second"


def test_a_head_of_what_is_stale_is_answered_while_the_upstream_is_away(make_edge, origin):
    origin.add("/thing", b"stored", fields={"Cache-Control": "max-age=1"})
    edge = make_edge("location / { repository things; }", http=repository(origin)).start()
    assert edge.fetch("/thing").body == b"stored"
    edge.wait_idle()
    expire(edge, "/thing")
    origin.kill()
    got = edge.fetch("/thing", method="HEAD")
    assert (got.status, got.fields["content-length"]) == (200, "6")


def test_a_server_that_gave_no_answer_is_assumed_offline_for_a_while(make_edge, origin):
    origin.add("/thing", b"stored", fields={"Cache-Control": "max-age=1"})
    edge = make_edge("location / { repository things; }", workers=1,
                     http=repository(origin, "proxy_assumed_offline 1h;")).start()
    assert edge.fetch("/thing").body == b"stored"
    edge.wait_idle()
    origin.kill()
    assert edge.fetch("/other").status == 502
    origin.restart()
    origin.add("/other", b"there")
    got = edge.fetch("/other")
    assert got.status == 502 and "assumed offline" in json.loads(got.body)["detail"]
    assert edge.fetch("/thing").body == b"stored"
    assert [r.target for r in origin.requests] == ["/thing"]


def evict(edge, origin):
    """Everything that was stored before, of a cache of 3 MiB."""
    for i in range(6):
        origin.add(f"/g/a/2.{i}/a-2.{i}.jar", size=MIB, seed=i)
        edge.fetch(f"/g/a/2.{i}/a-2.{i}.jar")
        edge.wait_idle()
    edge.wait_metric("evicted_blobs_total", lambda value: value >= 3)


def test_a_version_whose_bytes_were_evicted_must_come_back_the_same(make_edge, origin):
    """Without an index, what came first is what it is."""
    first = origin.add("/g/a/1.0/a-1.0.jar", size=MIB, seed="first")
    edge = make_edge("location / { repository things; }", http=repository(origin, kind="maven"),
                     cache="max_size=3m").start()
    assert edge.fetch("/g/a/1.0/a-1.0.jar").body == first.data
    edge.wait_idle()
    evict(edge, origin)
    origin.add("/g/a/1.0/a-1.0.jar", size=MIB, seed="published again")
    got = edge.fetch("/g/a/1.0/a-1.0.jar")
    assert got.status != 200 or not got.complete
    edge.wait_idle()
    edge.wait_log("a-1.0.jar")
    origin.add("/g/a/1.0/a-1.0.jar", size=MIB, seed="first")
    edge.reload()
    assert edge.fetch("/g/a/1.0/a-1.0.jar").body == first.data


def test_matrix_parameters_are_part_of_a_name_and_of_nothing_that_lasts(make_edge, origin):
    data = os.urandom(1000)
    lasting = "/v2/a/blobs/sha256:" + hashlib.sha256(data).hexdigest()
    paths = ["/thing", "/thing;build=7", "/thing;build=8", "/thing;build=7;os=linux", "/thing%3Bbuild=7", "/a;x=1/thing"]
    things = {path: origin.add(path, os.urandom(1000)) for path in paths}
    things |= {path: origin.add(path, data) for path in (lasting, lasting + ";build=7")}
    edge = make_edge("location / { repository things; }", http=repository(origin)).start()
    for _ in range(2):
        for path, thing in things.items():
            got = edge.fetch(path)
            assert (got.status, got.body) == (200, thing.data), path
            assert ("digest" in got.cache_status, "immutable" in got.fields.get("cache-control", "")) == \
                (path == lasting,) * 2, path
            edge.wait_idle()
    assert [r.target for r in origin.requests] == list(things)


@pytest.mark.parametrize("kind", ["generic", "maven"])
def test_matrix_parameters_ask_for_what_fits_them_now(make_edge, origin, kind):
    path = "/g/a/1.0/a-1.0.jar;build=7"
    origin.add(path, b"first", fields={"Cache-Control": "max-age=1"})
    edge = make_edge("location / { repository things; }",
                     http=f"repository things {{ format {kind}; proxy_pass {origin.url}; }}").start()
    assert edge.fetch(path).body == b"first"
    edge.wait_idle()
    origin.add(path, b"second", etag='"v2"')
    wait_until(lambda: edge.fetch(path).body == b"second", "what fits now")
    assert [r.target for r in origin.requests] == [path] * 2
    assert origin.requests[1].fields["if-none-match"] == '"v1"'


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_absence_that_was_stored_is_no_pin_of_what_comes_later(make_edge, origin, framing):
    path = "/g/a/1.0/a-1.0.jar"
    edge = make_edge("location / { repository things; }",
                     http=repository(origin, "proxy_cache_valid 404 1s;", kind="maven")).start()
    assert edge.fetch(path).status == 404
    edge.wait_idle()
    jar = origin.add(path, size=1000, etag=None)
    jar.tamper = lambda answer, request, n: setattr(answer, "framing", framing)
    wait_until(lambda: edge.fetch(path).status == 200, "the absence to be forgotten")
    assert edge.fetch(path).body == jar.data


def test_a_version_that_comes_back_with_another_promise_is_refused(make_edge, origin):
    """What it first was stands above what the upstream says of it now."""
    path = "/g/a/1.0/a-1.0.jar"
    promise = lambda data: {"X-Checksum-Sha256": hashlib.sha256(data).hexdigest()}  # noqa: E731
    first = origin.add(path, size=MIB, seed="first")
    first.fields = promise(first.data)
    edge = make_edge("location / { repository things; }", http=repository(origin, kind="maven"),
                     cache="max_size=3m").start()
    assert edge.fetch(path).body == first.data
    edge.wait_idle()
    evict(edge, origin)
    again = origin.add(path, size=MIB, seed="published again")
    again.fields = promise(again.data)
    got = edge.fetch(path)
    assert got.status != 200 or not got.complete
