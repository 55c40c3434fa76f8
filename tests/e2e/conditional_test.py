"""Conditional requests, for what is stored and what is not (RFC 9110 13, 15.3.7, 15.4.5)."""
import json

import pytest

MODIFIED, LATER = "Sun, 06 Nov 1994 08:49:37 GMT", "Mon, 07 Nov 1994 08:49:37 GMT"
TOLD = {"Last-Modified": MODIFIED, "Date": LATER, "Cache-Control": "max-age=2000000000", "Expires": LATER,
        "Content-Location": "/real", "Vary": "x-a", "Content-Language": "en", "X-Own": "mine"}


@pytest.fixture
def stored(edge, origin):
    thing = origin.add("/a", size=1000, fields=TOLD)
    assert edge.fetch("/a").status == 200
    edge.wait_idle()
    origin.forget()
    yield edge, thing
    assert origin.requests == []


@pytest.mark.parametrize("version", ["2", "1.1"])
def test_a_304_has_the_fields_that_the_standard_names_and_no_others(stored, version):
    edge, _ = stored
    answer = edge.fetch("/a", version=version, fields={"If-None-Match": '"v1"'})
    assert (answer.status, answer.body) == (304, b"")
    for name in ("Date", "Cache-Control", "Expires", "Content-Location", "Vary"):
        assert answer.fields[name.lower()] == TOLD[name], name
    assert answer.fields["etag"] == '"v1"'
    assert not {"content-type", "content-length", "content-language", "x-own"} & set(answer.fields)


def test_a_part_has_the_fields_of_the_whole(stored):
    edge, thing = stored
    answer = edge.fetch("/a", fields={"Range": "bytes=5-9"})
    assert (answer.status, answer.body) == (206, thing.data[5:10])
    for name, value in TOLD.items():
        assert answer.fields[name.lower()] == value, name
    assert answer.fields["etag"] == '"v1"'


@pytest.mark.parametrize("fields", [{"If-Match": '"v2"'}, {"If-Match": 'W/"v1"'},
                                    {"If-Unmodified-Since": "Sun, 06 Nov 1994 08:49:36 GMT"}],
                         ids=["another tag", "a weak tag", "modified since"])
def test_a_failed_condition_is_412_with_a_reason(stored, fields):
    edge, _ = stored
    answer = edge.fetch("/a", fields=fields)
    assert (answer.status, json.loads(answer.body)["error"]) == (412, "precondition")
    assert answer.fields["etag"] == '"v1"' and answer.cache_status == "entrepot; hit"
    head = edge.fetch("/a", method="HEAD", fields=fields)
    assert (head.status, head.body) == (412, b"")


def test_head_is_answered_as_get_is(stored):
    edge, _ = stored
    assert edge.fetch("/a", method="HEAD", fields={"If-None-Match": '"v1"'}).status == 304
    assert edge.fetch("/a", method="HEAD", fields={"If-Modified-Since": MODIFIED}).status == 304
    assert edge.fetch("/a", method="HEAD", fields={"If-None-Match": '"v2"'}).status == 200


@pytest.mark.parametrize("fields,status", [
    ({"If-Match": '"v2"', "If-None-Match": '"v1"'}, 412),
    ({"If-Match": '"v1"', "If-None-Match": '"v1"'}, 304),
    ({"If-Match": '"v1"', "If-Unmodified-Since": "Sun, 06 Nov 1994 08:49:36 GMT"}, 200),
    ({"If-None-Match": '"v2"', "If-Modified-Since": MODIFIED}, 200),
    ({"If-None-Match": '"v1"', "Range": "bytes=0-0"}, 304),
    ({"If-Match": '"v2"', "Range": "bytes=5000-"}, 412),
    ({"If-None-Match": '"v2"', "Range": "bytes=5000-"}, 416),
    ({"If-None-Match": '"v2"', "Range": "bytes=0-0", "If-Range": '"v1"'}, 206),
    ({"If-None-Match": '"v1"', "Range": "bytes=0-0", "If-Range": '"v2"'}, 304),
    ({"Range": "bytes=5000-", "If-Range": '"v2"'}, 200),
    ({"Range": "bytes=0-0", "If-Range": MODIFIED}, 206),
    ({"Range": "bytes=0-0", "If-Range": "Sunday, 06-Nov-94 08:49:37 GMT"}, 206),
    ({"Range": "bytes=0-0", "If-Range": "Sun Nov  6 08:49:37 1994"}, 206),
    ({"Range": "bytes=0-0", "If-Range": LATER}, 200),
])
def test_precedence(stored, fields, status):
    assert stored[0].fetch("/a", fields=fields).status == status


def test_conditions_of_what_is_not_there_are_not_looked_at(edge, origin):
    thing = origin.add("/gone", size=10, fields={"Cache-Control": "max-age=60"})
    thing.tamper = lambda answer, request, n: setattr(answer, "status", 404)
    for _ in range(2):
        assert edge.fetch("/gone", fields={"If-Match": '"v2"'}).status == 404
        edge.wait_idle()


def test_conditions_go_on_to_the_upstream_where_nothing_is_stored(make_edge, origin):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache off; }}").start()
    origin.add("/a", size=10)
    asked = {"If-None-Match": '"v1"', "If-Modified-Since": MODIFIED, "If-Unmodified-Since": LATER}
    assert edge.fetch("/a", fields=asked).status == 304
    got = origin.requests[0].fields
    assert {name: got[name.lower()] for name in asked} == asked
