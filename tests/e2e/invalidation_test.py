"""What an unsafe request makes of what is stored (RFC 9111 4.4): that much ends, and nothing else."""
import threading

import pytest

from support.origin import Answer

PAGES = ("/a", "/b", "/c?x=1")


LOCATION = "location / {{ proxy_pass {}; proxy_cache_valid 200 1h; }}"


@pytest.fixture
def edge(make_edge, origin):
    return make_edge(LOCATION.format(origin.url) + f"""
                         location /own/ {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; proxy_cache_key own:$uri; }}
                         location /moved/ {{ proxy_pass {origin.url}/; proxy_cache_valid 200 1h; }}""",
                     workers=1).start()


def get(edge, path, **fields):
    """Twice: what is stored answers in two ways."""
    for _ in range(2):
        assert edge.fetch(path, fields=fields).status == 200
        edge.wait_idle()


def asked_again(edge, origin, pages=PAGES):
    """Which of these are not stored any more."""
    before = {page: len(origin.gets(page)) for page in pages}
    for page in pages:
        get(edge, page)
    return [page for page in pages if len(origin.gets(page)) > before[page]]


def answer_to_unsafe(thing, status, **fields):
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    thing.tamper = lambda answer, request, n: None if request.method in ("GET", "HEAD") else Answer(status, named)


@pytest.fixture
def stored(edge, origin):
    for page in PAGES:
        origin.add(page, size=100)
        get(edge, page)
    assert len(origin.requests) == len(PAGES)
    return edge


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH", "PURGE", "UNHEARD-OF"])
@pytest.mark.parametrize("status", [200, 204, 303])
def test_an_unsafe_method_that_succeeds_ends_what_is_stored_of_its_target(stored, origin, method, status):
    answer_to_unsafe(origin.resources["/a"], status)
    assert stored.fetch("/a", method=method).status == status
    assert asked_again(stored, origin) == ["/a"]


def test_it_ends_for_both_workers(make_edge, origin):
    edge = make_edge(LOCATION.format(origin.url), workers=2).start()
    thing = origin.add("/a", data=b"old", etag=None)

    def bodies():
        return {edge.fetch("/a", version="2" if n % 2 else "1.1").body for n in range(12)}

    assert bodies() == {b"old"} and len(origin.requests) == 1
    answer_to_unsafe(thing, 204)
    thing.data = b"new"
    assert bodies() == {b"old"}
    assert edge.fetch("/a", method="PUT").status == 204
    assert bodies() == {b"new"} and len(origin.gets("/a")) == 2


@pytest.mark.parametrize("status", [400, 404, 405, 412, 500, 503])
def test_one_that_fails_ends_nothing(stored, origin, status):
    answer_to_unsafe(origin.resources["/a"], status)
    assert stored.fetch("/a", method="PUT").status == status
    assert asked_again(stored, origin) == []


def test_one_that_nobody_answers_ends_nothing(stored, origin):
    origin.kill()
    assert stored.fetch("/a", method="DELETE").status == 502
    origin.restart()
    assert asked_again(stored, origin) == []


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "GET"])
def test_a_safe_method_ends_nothing(stored, origin, method):
    content = ("--request", "GET", "--data-binary", "x") if method == "GET" else ()
    assert stored.fetch("/a", method=method, curl=content).status == 200
    assert asked_again(stored, origin) == []


def test_the_query_is_part_of_the_target(stored, origin):
    answer_to_unsafe(origin.add("/c", size=10), 200)
    assert stored.fetch("/c", method="POST").status == 200
    assert asked_again(stored, origin) == []


def test_all_variants_end(edge, origin):
    thing = origin.add("/a", size=100, fields={"Vary": "X-Kind"})
    kinds = ("one", "two")

    def missed():
        origin.forget()
        for kind in kinds:
            get(edge, "/a", **{"X-Kind": kind})
        return {r.fields["x-kind"] for r in origin.requests if "x-kind" in r.fields}  # else it learns what counts

    assert missed() == set(kinds)
    assert missed() == set()
    answer_to_unsafe(thing, 204)
    assert edge.fetch("/a", method="PUT", fields={"X-Kind": "three"}).status == 204
    assert missed() == set(kinds)


@pytest.mark.parametrize("field", ["Location", "Content_Location"])
@pytest.mark.parametrize("reference", ["/b", "b", "./x/../b", "{edge}/b", "//{authority}/b"])
def test_what_the_answer_names_within_the_origin_ends_too(stored, origin, field, reference):
    url = stored.url("")
    answer_to_unsafe(origin.resources["/a"], 201,
                     **{field: reference.format(edge=url, authority=url.removeprefix("https://"))})
    assert stored.fetch("/a", method="POST").status == 201
    assert asked_again(stored, origin) == ["/a", "/b"]


@pytest.mark.parametrize("field", ["Location", "Content_Location"])
@pytest.mark.parametrize("reference", ["https://elsewhere.example/b", "//localhost:1/b", "http://localhost/b",
                                       "https:/b", "mailto:b", "https://localhost.elsewhere.example/b"])
def test_what_it_names_elsewhere_does_not(stored, origin, field, reference):
    answer_to_unsafe(origin.resources["/a"], 201, **{field: reference})
    assert stored.fetch("/a", method="POST").status == 201
    assert asked_again(stored, origin) == ["/a"]


def test_a_location_means_what_the_client_is_told(edge, origin):
    origin.add("/b", size=100)
    get(edge, "/moved/b")
    answer_to_unsafe(origin.add("/a", size=10), 201, Location=f"{origin.url}/b")
    answer = edge.fetch("/moved/a", method="POST")
    assert answer.fields["location"].endswith("/moved/b")
    before = len(origin.gets("/b"))
    get(edge, "/moved/b")
    assert len(origin.gets("/b")) == before + 1


def test_what_is_named_by_another_key_ends_by_that(edge, origin):
    origin.add("/own/b", size=100)
    get(edge, "/own/b")
    answer_to_unsafe(origin.add("/a", size=10), 201, Location="/own/b?any=1")
    assert edge.fetch("/a", method="POST").status == 201
    assert asked_again(edge, origin, ["/own/b"]) == ["/own/b"]


def test_a_fill_that_began_before_is_not_stored(edge, origin):
    thing = origin.add("/a", data=b"old", etag=None)
    go_on = threading.Event()
    thing.tamper = lambda answer, request, n: (Answer(204, {}) if request.method == "PUT"
                                               else setattr(answer, "head_gate", go_on))
    reader = edge.start_fetch("/a")
    origin.wait_until(lambda: len(origin.requests) == 1)
    assert edge.fetch("/a", method="PUT").status == 204
    thing.data = b"new"
    go_on.set()
    assert reader.result().body == b"old"
    assert {edge.fetch("/a").body for _ in range(6)} == {b"new"}


def test_what_the_conf_makes_of_the_answer_changes_nothing(make_edge, origin):
    edge = make_edge(f"""location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; proxy_intercept_errors on;
                                       error_page 303 =200 /done; }}
                         location = /done {{ return 200 done; }}""", workers=1).start()
    thing = origin.add("/a", size=100)
    get(edge, "/a")
    answer_to_unsafe(thing, 303, Location="/elsewhere")
    assert edge.fetch("/a", method="POST").body == b"done"
    assert asked_again(edge, origin, ["/a"]) == ["/a"]
