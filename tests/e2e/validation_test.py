"""RFC 9111 4.1, 4.3, 3.2 and 3.4 in several steps: variants side by side, validation and what it changes, HEAD, parts."""
import itertools
import json
import subprocess
import threading

import pytest

from support.caching_rows import Ask, Reply, Row, at, run
from support.edge import Edge
from support.origin import Origin

FRESH = ("Cache-Control", "max-age=3600")
STALE = [("Cache-Control", "max-age=60"), ("Date", at(-100))]
TAG = ("ETag", '"v1"')
numbers = itertools.count()


@pytest.fixture(scope="module")
def world(tmp_path_factory, certificate):
    origin = Origin()
    edge = Edge(tmp_path_factory.mktemp("validation"), certificate,
                f"location /p/ {{ proxy_pass {origin.url}; }}\n"
                f"location /s/ {{ proxy_pass {origin.url}; proxy_cache_use_stale updating; }}").start()
    yield origin, edge
    edge.stop()
    origin.close()


def play(world, replies, asks, place="p"):
    """What was seen, and the questions upstream."""
    origin, edge = world
    row = Row("", "", replies, asks, place)
    run([row], origin, edge, next(numbers))
    return row.seen, row.script.requests


def told(questions, name):
    return [question.fields.get(name) for question in questions]


# -- 4.1 --

def test_variants_are_stored_side_by_side(world):
    one, two = [("X-Foo", "1")], [("X-Foo", "2")]
    seen, questions = play(world, [[FRESH, ("Vary", "X-Foo")]], [one, two, one, two, one])
    assert told(questions, "x-foo") == [None, "1", "2"]  # that it counts was known after the first answer
    assert [s.body for s in seen] == [b"body 1", b"body 2", b"body 1", b"body 2", b"body 1"]
    assert all(s.fields["cache-status"].startswith("entrepot; hit") for s in seen[2:])


def test_who_sends_nothing_that_counts_is_answered_by_the_first_question(world):
    seen, questions = play(world, [[FRESH, ("Vary", "X-Foo")]], [[], [], [("X-Foo", "1")], []])
    assert told(questions, "x-foo") == [None, "1"]
    assert [s.body for s in seen] == [b"body 0", b"body 0", b"body 1", b"body 0"]


def test_a_response_that_varies_otherwise_adds_to_what_counts(world):
    replies = [[FRESH, ("Vary", "X-Foo")], [FRESH, ("Vary", "X-Bar")], [FRESH, ("Vary", "X-Bar")]]
    seen, _ = play(world, replies, [[], [("X-Foo", "1")], [("X-Foo", "1")], [("X-Foo", "1"), ("X-Bar", "2")],
                                    [("X-Foo", "1")], [("X-Foo", "1"), ("X-Bar", "2")]])
    bodies = [s.body for s in seen]
    assert bodies[1] == bodies[2] == bodies[4] != bodies[0]
    assert bodies[3] == bodies[5] not in (bodies[0], bodies[1])


def test_a_variant_is_validated_with_its_own_validator(world):
    def reply(tag):
        return STALE + [("ETag", tag), ("Vary", "X-Foo")]
    one, two = [("X-Foo", "1")], [("X-Foo", "2")]
    seen, questions = play(world, [reply('"untold"'), reply('"one"'), reply('"two"'), reply('"one"'), reply('"two"')],
                           [one, two, one, two])
    assert told(questions, "if-none-match") == [None, None, None, '"one"', '"two"']
    assert [s.body for s in seen] == [b"body 1", b"body 2", b"body 1", b"body 2"]


def test_who_waits_for_a_variant_shares_it_and_others_have_their_own(world):
    origin, edge = world
    path, everybody = "/p/collapsed", threading.Event()
    thing = origin.add(path, data=b"x" * 100, fields={"Cache-Control": "max-age=60", "Vary": "X-Foo"})
    edge.fetch(path, tls=False)
    edge.wait_idle()
    origin.forget()
    thing.tamper = lambda answer, request, n: setattr(answer, "head_gate", everybody)
    fetches = [edge.start_fetch(path, tls=False, version="1.1", fields={"X-Foo": str(i % 2)}) for i in range(6)]
    edge.wait_metric("fill_readers", lambda readers: readers == 6)
    everybody.set()
    assert all(fetch.result().body == thing.data for fetch in fetches)
    assert sorted(request.fields["x-foo"] for request in origin.requests) == ["0", "1"]


def test_a_part_of_a_variant_is_stored_for_that_variant(world):
    origin, edge = world
    thing = origin.add("/p/varying.bin", size=3 << 20, fields={"Cache-Control": "max-age=60", "Vary": "X-Foo"})
    ask = {"Range": "bytes=5-9", "X-Foo": "1"}
    for _ in range(2):
        part = edge.fetch("/p/varying.bin", tls=False, fields=ask)
        assert (part.status, part.body) == (206, thing.data[5:10])
        edge.wait_idle()
    whole = edge.fetch("/p/varying.bin", tls=False, fields={"X-Foo": "2"})
    assert (whole.status, whole.sha256) == (200, thing.sha256)
    assert told(origin.requests[-3:], "x-foo") == [None, "1", "2"]


def test_answers_to_credentials_cost_one_question_each(world):
    origin, edge = world
    thing = origin.add("/p/credentials", data=b"x", etag=None, fields={"Cache-Control": "max-age=60"})
    thing.tamper = lambda answer, request, n: setattr(answer, "body", request.fields["authorization"].encode())
    for user in "aabb":
        answer = edge.fetch("/p/credentials", tls=False, fields={"Authorization": f"Basic {user}"})
        assert answer.body == f"Basic {user}".encode()
    assert told(origin.requests[-4:], "authorization") == ["Basic a", "Basic a", "Basic b", "Basic b"]


def test_who_has_credentials_and_waits_for_anothers_answer_asks_where_that_is_not_shared(world):
    origin, edge = world
    go_on = threading.Event()
    thing = origin.add("/p/follower", data=b"x", etag=None, fields={"Cache-Control": "max-age=60"})

    def tamper(answer, request, n):
        answer.body, answer.head_gate = request.fields.get("authorization", "nobody").encode(), go_on
    thing.tamper = tamper
    first = edge.start_fetch("/p/follower", tls=False)
    edge.wait_metric("fill_readers", lambda readers: readers == 1)
    other = edge.start_fetch("/p/follower", tls=False, fields={"Authorization": "Basic c"})
    edge.wait_metric("fill_readers", lambda readers: readers == 2)
    go_on.set()
    assert first.result().body == b"nobody" and other.result().body == b"Basic c"


# -- 4.3, 3.2 --

def test_many_who_want_it_validated_cost_one_question(world):
    origin, edge = world
    path, everybody = "/p/validated", threading.Event()
    thing = origin.add(path, data=b"x" * 100, fields={"Cache-Control": "max-age=60"})
    edge.fetch(path, tls=False)
    edge.wait_idle()
    origin.forget()
    thing.tamper = lambda answer, request, n: setattr(answer, "head_gate", everybody)
    fetches = [edge.start_fetch(path, tls=False, version="1.1", fields={"Cache-Control": "no-cache"}) for _ in range(6)]
    edge.wait_metric("fill_readers", lambda readers: readers == 6)
    everybody.set()
    assert all(fetch.result().body == thing.data for fetch in fetches)
    assert [(r.status, r.fields.get("if-none-match")) for r in origin.requests] == [(304, '"v1"')]


def test_a_304_updates_the_stored_fields_but_those_of_the_content(world):
    first = STALE + [TAG, ("X-Foo", "old"), ("X-Gone", "stays"), ("Content-Type", "text/plain"), ("Content-Language", "en")]
    then = [FRESH, TAG, ("X-Foo", "new"), ("X-More", "1"), ("Content-Type", "text/html"), ("Content-Language", "de")]
    seen, questions = play(world, [first, then], [[], [], []])
    assert len(questions) == 2  # fresh again
    for answer in seen[1:]:
        assert answer.body == b"body 0"
        for name, value in (("x-foo", "new"), ("x-gone", "stays"), ("x-more", "1"), ("content-type", "text/plain"),
                            ("content-language", "en"), ("etag", '"v1"'), ("cache-control", "max-age=3600")):
            assert answer.fields[name] == value, name
        assert int(answer.fields["age"]) < 60


@pytest.mark.parametrize("tag", ['"v2"', 'W/"v2"'])
def test_a_304_of_another_representation_is_asked_again_without_conditions(world, tag):
    origin, edge = world
    path = f"/p/other{next(numbers)}"
    thing = origin.add(path, data=b"old", fields={"Cache-Control": "max-age=0"})
    edge.fetch(path, tls=False)
    edge.wait_idle()
    thing.tamper = lambda answer, request, n: answer.fields.update({"ETag": tag}) if answer.status == 304 else None
    thing.data = b"new"
    assert edge.fetch(path, tls=False).body == b"new"
    assert told(origin.requests[-2:], "if-none-match") == ['"v1"', None]


def test_a_head_whose_answer_agrees_makes_what_is_stored_fresh_again(world):
    seen, questions = play(world, [STALE + [TAG], [FRESH, TAG, ("X-Foo", "new")]], [Ask(), Ask(method="HEAD"), Ask()])
    assert [question.method for question in questions] == ["GET", "HEAD"]
    assert seen[2].body == b"body 0" and seen[2].fields["x-foo"] == "new"
    assert seen[2].fields["cache-status"].startswith("entrepot; hit")


def test_a_head_whose_answer_differs_ends_what_is_stored(world):
    seen, questions = play(world, [STALE + [TAG], [FRESH, ("ETag", '"v2"')]], [Ask(), Ask(method="HEAD"), Ask()])
    assert [question.method for question in questions] == ["GET", "HEAD", "GET"]
    assert told(questions, "if-none-match") == [None, None, None] and seen[2].body == b"body 2"


def test_those_who_come_while_it_is_had_anew_are_served_what_is_stale(world):
    origin, edge = world
    path, go_on = "/s/updating", threading.Event()
    thing = origin.add(path, data=b"old", fields={"Cache-Control": "max-age=0"})
    edge.fetch(path, tls=False)
    edge.wait_idle()
    thing.tamper = lambda answer, request, n: setattr(answer, "head_gate", go_on)
    thing.data, thing.etag = b"new", '"v2"'
    first = edge.start_fetch(path, tls=False)
    origin.wait_until(lambda: thing.asked == 2)
    assert edge.fetch(path, tls=False).body == b"old"
    go_on.set()
    assert first.result().body == b"new"


# -- 3.3, 3.4 --

def test_parts_that_are_stored_answer_other_parts_and_in_the_end_the_whole(world):
    origin, edge = world
    thing = origin.add("/p/parts.bin", size=3 << 20, fields={"Cache-Control": "max-age=600"})
    for asked, part in (("0-9", thing.data[:10]), ("5-7", thing.data[5:8])):
        answer = edge.fetch("/p/parts.bin", tls=False, fields={"Range": f"bytes={asked}"})
        assert (answer.status, answer.body) == (206, part)
    edge.wait_idle()
    assert edge.fetch("/p/parts.bin", tls=False, fields={"Range": "bytes=-4"}).body == thing.data[-4:]
    whole = edge.fetch("/p/parts.bin", tls=False)
    assert (whole.status, whole.sha256) == (200, thing.sha256)
    assert origin.body_bytes() >= 3 << 20


def test_an_answer_that_breaks_off_is_never_taken_for_the_whole(world):
    origin, edge = world
    thing = origin.add("/p/cut.bin", size=300_000, etag=None, fields={"Cache-Control": "max-age=600"})
    thing.tamper = lambda answer, request, n: setattr(answer, "cut_after", 100_000) if n == 0 else None
    edge.fetch("/p/cut.bin", tls=False)
    edge.wait_idle()
    again = edge.fetch("/p/cut.bin", tls=False)
    assert again.complete and again.sha256 == thing.sha256


def test_variants_are_there_after_a_restart_and_all_gone_with_their_name(make_edge, origin):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; }}").start()
    thing = origin.add("/varies", data=b"x", fields={"Cache-Control": "max-age=600", "Vary": "X-Foo"})
    thing.tamper = lambda answer, request, n: setattr(answer, "body", request.fields.get("x-foo", "-").encode())
    ask = lambda value: edge.fetch("/varies", tls=False, fields={"X-Foo": value}).body
    assert [ask("1"), ask("2")] == [b"1", b"2"]
    edge.wait_idle()
    edge.stop()
    edge.start()
    origin.forget()
    assert [ask("1"), ask("2"), ask("1")] == [b"1", b"2", b"1"] and origin.requests == []
    told = edge.command("explain", "--json", edge.url("/varies", tls=False))
    assert json.loads(told.stdout)["stored"] == {"varies_by": ["x-foo"]}
    key = f"http{origin.url.removeprefix('http://')}/varies"
    gone = subprocess.run([edge.program, "cache", "rm", edge.folder + "/cache", "zone:edge", key], capture_output=True,
                          text=True, timeout=60, check=False)
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert [ask("1"), ask("2")] == [b"1", b"2"]
    assert [request.fields.get("x-foo") for request in origin.requests] == [None, "1", "2"]


def test_a_304_that_varies_by_more_is_no_answer_for_all(make_edge, origin):
    page = origin.add("/x", data=b"page", etag='"v1"', fields={"Cache-Control": "max-age=0"})
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; }}").start()
    edge.fetch("/x", fields={"Accept-Language": "de"})
    edge.wait_idle()
    page.tamper = lambda answer, request, n: answer.fields.update(
        {"Cache-Control": "max-age=99", "Vary": "Accept-Language"})
    edge.fetch("/x", fields={"Accept-Language": "de"})
    edge.wait_idle()
    before = len(origin.requests)
    assert edge.fetch("/x", fields={"Accept-Language": "fr"}).body == b"page"
    assert len(origin.requests) > before


@pytest.mark.parametrize("control", ["private", "no-store"])
def test_a_304_that_is_one_clients_is_kept_for_nobody(make_edge, origin, control):
    page = origin.add("/x", data=b"page", etag='"v1"', fields={"Cache-Control": "max-age=0"})
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_use_stale error timeout; }}").start()
    edge.fetch("/x")
    edge.wait_idle()
    page.tamper = lambda answer, request, n: answer.fields.update({"Cache-Control": control, "X-User": "alice"})
    assert edge.fetch("/x").fields["x-user"] == "alice"
    edge.wait_idle()
    origin.kill()
    assert "x-user" not in edge.fetch("/x").fields
