"""What the edge shows to upstreams: its own credentials, tokens of registries. To whom, for how long, and that it never
tells them."""
import base64
import collections
import hashlib
import json
import re
import threading
from urllib.parse import parse_qs, urlsplit

import pytest

from support import client
from support.origin import Answer, Origin, made_bytes

MIB = 1 << 20
SECRET = "the-secret-of-the-edge"
FORMS = {
    "basic": (f"basic edge:{SECRET}", "authorization", "Basic " + base64.b64encode(f"edge:{SECRET}".encode()).decode()),
    "bearer": (f"bearer {SECRET}", "authorization", f"Bearer {SECRET}"),
    "header": (f"header X-JFrog-Art-Api {SECRET}", "x-jfrog-art-api", SECRET),
}
all_forms = pytest.mark.parametrize("form", FORMS)


@pytest.fixture
def other():
    origin = Origin()
    yield origin
    origin.close()


@pytest.fixture
def make(make_edge, origin, tmp_path):
    """make(the line of the credentials, ...): an edge of one worker, which shows them to `origin`."""
    def make(line, text="", kind="generic"):
        path = tmp_path / "credentials"
        path.write_text(line + "\n")
        path.chmod(0o600)
        return make_edge("location / { repository things; }", workers=1,
                         http=f"repository things {{ format {kind}; proxy_pass {origin.url}; proxy_cache_valid 200 1h; "
                              f"authorize edge; proxy_credentials {path}; {text} }}")
    return make


def closed_to_all_but(field, value):
    """Answers others with 401."""
    def tamper(answer, request, n):
        if request.fields.get(field) != value:
            return Answer(401, {"WWW-Authenticate": 'Basic realm="things"'}, b"no\n")
        return answer
    return tamper


# -- credentials --

@all_forms
def test_the_upstream_is_shown_what_the_file_says(make, origin, form):
    line, field, value = FORMS[form]
    thing = origin.add("/thing", size=MIB)
    thing.tamper = closed_to_all_but(field, value)
    edge = make(line).start()
    for _ in range(2):
        got = edge.fetch("/thing", fields={"Authorization": "Bearer client's", "X-JFrog-Art-Api": "client's"})
        assert (got.status, got.body) == (200, thing.data)
        edge.wait_idle()
    [asked] = origin.requests
    assert {name for name in ("authorization", "x-jfrog-art-api") if name in asked.fields} == {field}


@all_forms
def test_whom_the_upstream_sends_us_to_is_shown_nothing(make, origin, other, form):
    line, field, value = FORMS[form]
    origin.add("/thing", b"").tamper = lambda answer, request, n: Answer(302, {"Location": other.url + "/file"}, b"")
    file = other.add("/file", size=MIB)
    edge = make(line, f"file_hosts 127.0.0.1:{other.port};").start()
    assert edge.fetch("/thing").body == file.data
    assert [r.fields.get(field) for r in origin.requests] == [value]
    assert len(other.requests) == 1 and SECRET not in json.dumps(other.requests[0].fields)
    assert {"authorization", "x-jfrog-art-api"}.isdisjoint(other.requests[0].fields)


@all_forms
def test_credentials_that_the_upstream_refuses_are_no_matter_of_the_clients(make, origin, form):
    """A client that answered its challenge would show its own password to somebody it does not know of."""
    line, _, _ = FORMS[form]
    origin.add("/thing", size=1000).tamper = closed_to_all_but("authorization", "changed meanwhile")
    edge = make(line).start()
    for number in range(2):
        got = edge.fetch("/thing")
        assert (got.status, got.body) == (403, b"no\n") and "www-authenticate" not in got.fields
        assert len(origin.requests) == number + 1
    edge.wait_log('repository "things": the upstream answered 401 to its proxy_credentials')


# -- registries' tokens --

class Registry:
    """Images of `origin` whose blobs want the token of their scope; a realm that gives them, and counts.

    `tokens`: scope -> the token that is good now.
    """

    def __init__(self, origin, realm=None):
        self.origin, self.tokens, self.host = origin, {}, realm or origin
        self.realm = f"{self.host.url}/token"
        self.lifetime = 300
        self.host._answer = self._wrap(self.host._answer)

    def _wrap(self, answer):
        return lambda request: self._token(request) if request.target.startswith("/token?") else answer(request)

    def _token(self, request):
        scope = parse_qs(urlsplit(request.target).query)["scope"][0]
        body = json.dumps({"token": self.tokens[scope], "expires_in": self.lifetime}).encode()
        return Answer(200, {"Content-Type": "application/json"}, body)

    def add(self, image, size=1000):
        """(path, resource) of a blob."""
        scope = f"repository:{image}:pull"
        self.tokens.setdefault(scope, f"token of {image}".replace(" ", "-"))
        data = made_bytes(size, seed=f"{image} {len(self.origin.resources)}")
        path = f"/v2/{image}/blobs/sha256:{hashlib.sha256(data).hexdigest()}"
        resource = self.origin.add(path, data)

        def tamper(answer, request, n):
            if request.fields.get("authorization") == f"Bearer {self.tokens[scope]}":
                return answer
            return Answer(401, {"WWW-Authenticate": f'Bearer realm="{self.realm}",service="reg",scope="{scope}"'}, b"{}")
        resource.tamper = tamper
        return path, resource

    def asked(self):
        """scope -> how often its token was asked for."""
        return collections.Counter(parse_qs(urlsplit(r.target).query)["scope"][0] for r in self.host.gets()
                                   if r.target.startswith("/token?"))


def test_each_scope_has_a_token_of_its_own(make, origin):
    registry = Registry(origin)
    blobs = [registry.add(image) for _ in range(3) for image in ("a", "b/c")]
    edge = make(FORMS["basic"][0], kind="oci").start()
    for path, blob in blobs:
        got = edge.fetch(path)
        assert (got.status, got.body) == (200, blob.data)
    assert registry.asked() == {"repository:a:pull": 1, "repository:b/c:pull": 1}
    assert [r.status for r in origin.gets() if "/blobs/" in r.target].count(401) == 2
    shown = {r.target: r.fields["authorization"] for r in origin.gets() if "/blobs/" in r.target}
    assert set(shown.values()) == {"Bearer token-of-a", "Bearer token-of-b/c"}


@pytest.mark.parametrize("lifetime", [1, 3600])
def test_a_token_that_is_refused_is_renewed(make, origin, lifetime):
    """Whatever it said of its lifetime."""
    registry = Registry(origin)
    registry.lifetime = lifetime
    (first, of_first), (second, of_second), (third, of_third) = (registry.add("a") for _ in range(3))
    edge = make(FORMS["basic"][0], kind="oci").start()
    assert edge.fetch(first).body == of_first.data
    registry.tokens["repository:a:pull"] = "newer"
    assert edge.fetch(second).body == of_second.data
    assert registry.asked() == {"repository:a:pull": 2}
    assert edge.fetch(third).body == of_third.data
    assert origin.gets(third)[0].fields["authorization"] == "Bearer newer"
    edge.wait_idle()
    origin.kill()
    for path, blob in ((first, of_first), (second, of_second), (third, of_third)):
        assert edge.fetch(path).body == blob.data


def test_a_download_goes_on_under_another_token(make, origin):
    registry = Registry(origin)
    path, blob = registry.add("a", size=4 * MIB)
    admits = blob.tamper

    def tamper(answer, request, n):
        answer = admits(answer, request, n)
        if answer.status == 200:  # it breaks off, and its token is good no more
            answer.cut_after = MIB
            registry.tokens["repository:a:pull"] = "newer"
        return answer

    blob.tamper = tamper
    edge = make(FORMS["basic"][0], kind="oci").start()
    got = edge.fetch(path)
    assert (got.status, got.complete, got.body) == (200, True, blob.data), got.error
    assert [r.status for r in origin.gets(path)] == [401, 200, 401, 206]
    assert registry.asked() == {"repository:a:pull": 2}


def test_many_that_wait_for_a_token_wait_for_one_question(make, origin):
    registry = Registry(origin)
    blobs = [registry.add("a") for _ in range(8)]
    gate = threading.Event()
    give = origin._answer

    def late(request):
        answer = give(request)
        if request.target.startswith("/token?"):
            answer.head_gate = gate
        return answer

    origin._answer = late
    edge = make(FORMS["basic"][0], kind="oci").start()
    fetches = [edge.start_fetch(path) for path, _ in blobs]
    origin.wait_until(lambda: [r.status for r in origin.requests].count(401) == len(blobs), "all to be refused")
    gate.set()
    for (_, blob), fetch in zip(blobs, fetches):
        assert fetch.result().body == blob.data
    assert registry.asked() == {"repository:a:pull": 1}


def test_who_waits_for_a_token_goes_on_when_who_asked_is_gone(make, origin):
    registry = Registry(origin)
    tag = "/v2/a/manifests/latest"  # asked for by a HEAD, which ends with its client
    path, blob = registry.add("a")
    origin.resources[tag] = origin.resources[path]
    gate = threading.Event()
    give = origin._answer
    asked = []

    def late(request):
        answer = give(request)
        if request.target.startswith("/token?"):
            asked.append(request)
            if len(asked) == 1:
                answer.head_gate = gate
        return answer

    origin._answer = late
    edge = make(FORMS["basic"][0], kind="oci").start()
    first = edge.http2()
    stream = first.get(tag)
    origin.wait_until(lambda: len(asked) == 1, "the first question for a token")
    second = edge.start_fetch(path)
    origin.wait_until(lambda: [r.status for r in origin.requests].count(401) == 2, "both to be refused")
    first.reset(stream)
    assert second.result().body == blob.data
    gate.set()
    first.close()


@pytest.mark.parametrize("allowed", [True, False], ids=["allowed", "not allowed"])
def test_a_realm_on_another_host_is_shown_no_credentials_in_clear_text(make, origin, other, allowed):
    registry = Registry(origin, realm=other)
    path, blob = registry.add("a")
    edge = make(FORMS["basic"][0], f"file_hosts 127.0.0.1:{other.port};" if allowed else "", kind="oci").start()
    got = edge.fetch(path)
    if allowed:
        assert (got.status, got.body) == (200, blob.data)
        assert registry.asked() == {"repository:a:pull": 1}
        assert "authorization" not in other.requests[0].fields
    else:
        assert got.status == 403 and other.connections == 0
        edge.wait_log(rf'repository "things": no token of 127.0.0.1:{other.port}: .*no public address')
    assert origin.gets(path)[0].fields["authorization"] == FORMS["basic"][2]


def test_a_realm_that_leads_elsewhere_is_not_followed(make, origin, other):
    registry = Registry(origin)
    path, _ = registry.add("a")
    origin._answer = lambda request, give=origin._answer: (
        Answer(307, {"Location": other.url + "/token?scope=x"}, b"") if request.target.startswith("/token?")
        else give(request))
    edge = make(FORMS["basic"][0], f"file_hosts 127.0.0.1:{other.port};", kind="oci").start()
    assert edge.fetch(path).status == 403
    assert other.connections == 0


# -- what is told --

def told(edge, urls):
    """Everything that an operator can have of it."""
    said = [edge.error_log(), edge.stderr(), edge.admin("/metrics")[1], edge.command("-T").stdout,
            *(edge.command("explain", url).stdout for url in urls)]
    edge.stop()
    said += [edge.error_log(), client.read_file(f"{edge.folder}/access.log").decode(),
             client.read_file(f"{edge.folder}/combined.log").decode()]
    return "\n".join(said)


@all_forms
def test_credentials_stand_in_no_log_and_no_answer(make, origin, other, form):
    line, field, value = FORMS[form]
    let_in = closed_to_all_but(field, value)
    answers = {"/thing": None, "/absent": Answer(404, {}, b"no\n"), "/refused": Answer(401, {}, b"no\n"),
               "/forbidden": Answer(403, {}, b"no\n"), "/broken": Answer(500, {}, b"no\n"),
               "/elsewhere": Answer(302, {"Location": other.url + "/x"}, b""),
               "/badly": Answer(302, {"Location": "http://"}, b"")}
    for path, fixed in answers.items():
        origin.add(path, size=1000).tamper = lambda answer, request, n, fixed=fixed: fixed or let_in(answer, request, n)
    lie = f"/v2/a/blobs/sha256:{'0' * 64}"
    origin.add(lie, size=MIB)
    edge = make(line)
    edge.write_conf(error_level="debug", server="access_log access.log main; access_log combined.log;")
    edge.start()
    shown = {"Authorization": "Bearer of-the-client", "Cookie": "session=of-the-client"}
    paths = [*answers, lie]
    bodies = [edge.fetch(path, fields=shown) for path in paths]
    edge.wait_idle()
    origin.kill()
    bodies += [edge.fetch(path, fields=shown) for path in ("/dead", "/thing")]
    assert bodies[0].status == bodies[-1].status == 200 and bodies[-2].status == 502
    text = told(edge, [edge.url(path) for path in paths])
    assert "/dead" in text and "/refused" in text and "GET /thing" in text
    for secret in (SECRET, value, base64.b64encode(SECRET.encode()).decode(), "of-the-client"):
        assert secret not in text
        assert all(secret.encode() not in got.body and secret not in str(got.fields) for got in bodies)


def test_tokens_of_registries_stand_in_no_log_and_no_answer(make, origin):
    registry = Registry(origin)
    registry.tokens["repository:a:pull"] = "token-nobody-may-see"
    path, blob = registry.add("a")
    closed, _ = registry.add("b")
    origin.resources[closed].tamper = lambda answer, request, n: Answer(401, {
        "WWW-Authenticate": f'Bearer realm="{registry.realm}",service="reg",scope="repository:b:pull"'}, b"{}")
    edge = make(FORMS["basic"][0], kind="oci")
    edge.write_conf(error_level="debug", server="access_log access.log main; access_log combined.log;")
    edge.start()
    assert edge.fetch(path).body == blob.data
    refused = edge.fetch(closed)
    assert refused.status == 403 and registry.asked() == {"repository:a:pull": 1, "repository:b:pull": 1}
    text = told(edge, [edge.url(path), edge.url(closed)])
    for secret in ("token-nobody-may-see", "token-of-b", SECRET, FORMS["basic"][2]):
        assert secret not in text and secret not in str(refused.fields)
    assert re.search(r"GET /v2/b/blobs/", text)
