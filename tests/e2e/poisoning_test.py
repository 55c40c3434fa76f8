"""Cache poisoning and denial by the cache: whatever the first client sends beside what names the answer, the second
one gets what it would have had without it. The origin reflects all that it is told, and answers what is odd by errors.
"""
import pytest

from support.origin import Answer

EVIL = "evil"  # in every value that an attacker chooses

# Unkeyed fields: what applications, frameworks and other proxies are known to heed.
FIELDS = """
X-Forwarded-Host X-Forwarded-Server X-Forwarded-Scheme X-Forwarded-Proto X-Forwarded-Port X-Forwarded-Prefix
X-Forwarded-Path X-Forwarded-Ssl X-Forwarded-By Forwarded X-Host X-Http-Host-Override X-Original-Host X-Backend-Host
X-Original-Url X-Rewrite-Url X-Original-Uri X-Override-Url X-Proxy-Url Request-Uri X-Http-Destinationurl Destination
X-Http-Method-Override X-Http-Method X-Method-Override X-Wap-Profile Profile X-Arbitrary Surrogate-Capability
X-Client-Ip X-Real-Ip True-Client-Ip Client-Ip X-Cluster-Client-Ip X-Originating-Ip X-Remote-Addr Cf-Connecting-Ip
Front-End-Https X-Url-Scheme X-Scheme Base-Url Http-Url Proxy Proxy-Host Url Uri Referer Origin From
Accept-Charset Cookie X-Requested-With X-Amz-Website-Redirect-Location X-Oss-Symlink
X-Api-Version X-Middleware-Prefetch X-Nextjs-Data Rsc Next-Router-Prefetch X-Debug X-Forwarded-For Max-Forwards
Access-Control-Request-Headers Sec-Fetch-Mode Upgrade-Insecure-Requests X-Surrogate-Key Purpose X-Trace-Id
""".split()
assert len(FIELDS) >= 50
# What an upstream is told in any case, to choose among representations by; it says so in Vary.
NEGOTIATED = ["Accept", "Accept-Language", "User-Agent"]

# Fields that an origin refuses, and what says of what kind of error (CPDoS).
OVERSIZED = [("X-Oversized", 7000 * "x"), ("X-Metachar", "\x7fx"), ("X-Http-Method-Override", "POST"),
             ("Authorization", "Basic x"), ("Expect", "nonsense"), ("Content-Type", "x"),
             ("Range", "bytes=9999999-"), ("If-Match", '"none"'), ("Transfer-Encoding", "nonsense"),
             ("Content-Length", "nonsense"), ("X-Forwarded-Proto", "http")]

# What another target, or authority, can look like that stands for the same to somebody.
FORMS = ["//NAME", "/./NAME", "/x/../NAME", "/NAME?evil=1", "/NAME?", "/NAME#evil", "/NAME;evil", "/NAME/", "/NAME%20",
         "/NAME%00evil", "/NAME%0d%0aevil", "/NAME%3fevil", "/NAME%23evil", "/NAME\\evil", "/%2e/NAME", "/NAME/evil.css",
         "/NAME%2fevil.css", "/NAME%5c", "http://evil.example/NAME", "/NAME?utm_source=evil", "/NAME&evil"]
HOSTS = ["evil.example", "localhost:evil", "localhost@evil", "LOCALHOST", "localhost.", "localhost evil", "evil.localhost",
         "localhost:99999", "", "localhost\r\nHost: evil.example", "localhost/evil"]


@pytest.fixture
def reflecting(make_edge, origin):
    """Every path of the origin says what it was told, and is not found where that is odd."""
    def tamper(answer, request, n):
        told = " ".join(f"{name}={value}" for name, value in request.fields.items()) + " " + request.target
        odd = len(told) > 4000 or "\x7f" in told or "nonsense" in told or request.target.count("NAME") > 1
        return Answer(400 if odd else 200, {"Cache-Control": "max-age=3600"}, told.encode())

    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}", workers=1).start()

    def add(name):
        origin.add(f"/{name}", size=1, etag=None).tamper = tamper

    edge.add_page = add
    return edge


def ask(edge, target, host="localhost", fields=()):
    """(status, body) of a request that is sent as it stands; status 0: it was not answered."""
    connection = edge.http1(tls=False)
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in fields),
             "Connection: close"]
    connection.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    try:
        status, head, body = connection.response()
        return status, body, head
    except (OSError, ValueError, IndexError):
        return 0, b"", {}
    finally:
        connection.close()


def expect_clean(edge, name, what):
    status, body, _ = ask(edge, f"/{name}")
    assert status == 200 and EVIL.encode() not in body, (what, status, body[:500])


def test_no_field_of_one_client_changes_what_the_next_one_gets(reflecting, origin):
    for i, field in enumerate(FIELDS):
        reflecting.add_page(f"p{i}")
        status, _, _ = ask(reflecting, f"/p{i}", fields=[(field, EVIL)])
        assert status in (200, 400, 403, 501), (field, status)
        expect_clean(reflecting, f"p{i}", field)
    assert not [r for r in origin.requests if "host" in r.fields and EVIL in r.fields["host"]]


def test_no_field_over_http2_does_either(reflecting, origin):
    connection = reflecting.http2()
    for i, field in enumerate(FIELDS):
        reflecting.add_page(f"p{i}")
        stream = connection.get(f"/p{i}", more=[(field.lower(), EVIL)])
        connection.wait_head(stream)
        if stream not in connection.resets:
            connection.wait_end(stream)
        plain = connection.get(f"/p{i}")
        body = connection.wait_end(plain)
        assert connection.heads[plain][0] == 200 and EVIL.encode() not in body, (field, body[:500])


# What is decided here: a fill tells the upstream what representations are chosen by, the credentials that RFC 9111 3.5
# speaks of, and what answers are known to vary by. All else, cookies too, goes up only with what is not stored.

def test_what_is_stored_was_asked_for_with_few_of_the_clients_fields(edge, origin):
    origin.add("/a", data=b"page")
    edge.fetch("/a", version="1.1", fields={name: "x" for name in FIELDS + NEGOTIATED if name != "Upgrade-Insecure-Requests"})
    assert set(origin.requests[0].fields) == {"host", "accept", "accept-language", "user-agent", "accept-encoding",
                                              "via", "cdn-loop"}
    assert origin.requests[0].fields["accept-encoding"] == "identity"


def greet(origin, field, **fields):
    """A page that tells who asks, by that field, and nothing of what may become of it but `fields`."""
    page = origin.add("/a", data=b"", etag=None)
    page.tamper = lambda answer, request, n: Answer(
        200, {name.replace("_", "-"): value for name, value in fields.items()},
        b"for " + request.fields.get(field, "anybody").encode())


def seen(edge, *values, field="Cookie"):
    bodies = []
    for value in values:
        bodies.append(edge.fetch("/a", fields={field: value} if value else {}).body.decode())
        edge.wait_idle()
    return bodies


def test_what_a_cookie_brings_is_nobody_elses_though_the_origin_says_nothing(edge, origin):
    greet(origin, "cookie")
    assert seen(edge, "user=ada", "user=bob", None) == ["for anybody"] * 3
    assert len(origin.requests) == 1


@pytest.mark.parametrize("fields", [{"Cache_Control": "private"}, {"Cache_Control": "no-store"}, {"Set_Cookie": "seen=1"}], ids=str)
def test_what_is_one_clients_is_asked_for_with_its_cookie(edge, origin, fields):
    greet(origin, "cookie", **fields)
    assert seen(edge, "user=ada", "user=bob", None) == ["for user=ada", "for user=bob", "for anybody"]


def test_once_that_is_known_it_costs_one_question(make_edge, origin):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}", workers=1).start()
    greet(origin, "cookie", Cache_Control="private")
    assert seen(edge, "user=ada", "user=ada", "user=bob") == ["for user=ada", "for user=ada", "for user=bob"]
    assert [r.fields.get("cookie") for r in origin.requests] == [None, "user=ada", "user=ada", "user=bob"]


def test_what_varies_by_cookie_is_stored_for_each(edge, origin):
    greet(origin, "cookie", Vary="Cookie")
    assert seen(edge, "user=ada", "user=bob", None, "user=ada") == ["for user=ada", "for user=bob", "for anybody", "for user=ada"]
    asked = len(origin.requests)
    assert seen(edge, "user=bob", "user=ada") == ["for user=bob", "for user=ada"] and len(origin.requests) == asked


def test_the_conf_may_store_by_a_cookie(make_edge, origin):
    edge = make_edge(f"""location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h;
                         proxy_set_header Cookie user=$cookie_user; proxy_cache_key $uri:$cookie_user; }}""").start()
    greet(origin, "cookie")
    assert seen(edge, "user=ada; x=1", "x=2; user=bob", "user=ada") == ["for user=ada", "for user=bob", "for user=ada"]
    assert len(origin.requests) == 2


def test_what_credentials_bring_is_nobody_elses_unless_the_origin_says_so(edge, origin):
    greet(origin, "authorization", Cache_Control="max-age=600")
    assert seen(edge, "Basic a", "Basic b", None, field="Authorization") == ["for Basic a", "for Basic b", "for anybody"]
    assert seen(edge, "Basic a", None, field="Authorization") == ["for Basic a", "for anybody"]
    origin.add("/a", data=b"shared", fields={"Cache-Control": "public, max-age=600"})
    edge.fetch("/a", method="PUT")  # what was stored is over
    origin.forget()
    assert seen(edge, None, "Basic a", field="Authorization") == ["shared", "shared"] and len(origin.requests) == 1


def test_what_is_negotiated_by_is_of_the_client_that_sent_it(reflecting, origin):
    for i, field in enumerate(NEGOTIATED):
        reflecting.add_page(f"p{i}")
        reflect = origin.resources[f"/p{i}"].tamper

        def vary(answer, request, n, field=field, reflect=reflect):
            answer = reflect(answer, request, n)
            answer.fields["Vary"] = field
            return answer
        origin.resources[f"/p{i}"].tamper = vary
        assert EVIL.encode() in ask(reflecting, f"/p{i}", fields=[(field, EVIL)])[1]
        expect_clean(reflecting, f"p{i}", field)


def test_no_form_of_a_path_or_host_is_stored_for_another(reflecting, origin):
    cases = [(form, "localhost") for form in FORMS] + [("/NAME", host) for host in HOSTS]
    for i, (form, host) in enumerate(cases):
        reflecting.add_page(f"p{i}")
        ask(reflecting, form.replace("NAME", f"p{i}"), host)
        expect_clean(reflecting, f"p{i}", (form, host))
    assert not [r for r in origin.requests if EVIL in r.fields.get("host", "")]


def test_no_error_that_one_client_provokes_is_what_the_next_one_gets(reflecting, origin):
    for i, (field, value) in enumerate(OVERSIZED):
        reflecting.add_page(f"p{i}")
        ask(reflecting, f"/p{i}", fields=[(field, value)])
        expect_clean(reflecting, f"p{i}", field)
    for i, method in enumerate(("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "HEAD", "GEt")):
        reflecting.add_page(f"m{i}")
        connection = reflecting.http1(tls=False)
        connection.send(f"{method} /m{i} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.head()
        connection.close()
        expect_clean(reflecting, f"m{i}", method)


def test_an_upstreams_errors_are_not_kept(reflecting, origin):
    for status in (400, 405, 413, 414, 431, 500, 502, 503):
        page = origin.add(f"/e{status}", data=b"good")
        page.tamper = lambda answer, request, n, status=status: Answer(status, {}, b"bad") if n == 0 else None
        assert ask(reflecting, f"/e{status}")[0] == status
        assert ask(reflecting, f"/e{status}")[:2] == (200, b"good"), status
