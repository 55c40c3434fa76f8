"""Purges: each kind, hard and soft, at once on both workers, in the middle of fills, and after a restart."""
import json
import re
import subprocess
import threading
import urllib.error
import urllib.request

import pytest

from support.edge import binary, wait_until

MIB = 1 << 20


def ask(edge, order, method="POST", query="", fields=()):
    """(status, what was answered)."""
    body = json.dumps(order).encode() if isinstance(order, dict) else order
    request = urllib.request.Request(f"http://127.0.0.1:{edge.admin_port}/purge{query}", method=method, data=body,
                                     headers=dict(fields))
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def purge(edge, **order):
    """How many names."""
    status, told = ask(edge, order)
    assert status == 200 and told["complete"] and told["by"] in order, told
    return told["names"]


def statuses(edge, path, count=8):
    """cache-status of downloads over connections of their own, so that both workers answer some."""
    results = [edge.fetch(path, version="2" if i % 2 else "1.1") for i in range(count)]
    assert all(r.status == 200 and r.complete for r in results)
    return [r.fields["cache-status"] for r in results]


def warm(edge, origin, *paths):
    """On both workers, and every path is asked for once."""
    for path in paths:
        statuses(edge, path)
    edge.wait_idle()
    asked = {path: len(origin.gets(path)) for path in paths}
    assert set(asked.values()) == {1}, asked


@pytest.fixture
def stored(edge, origin):
    """An edge that has /a/1 and /a/2 (tagged one, two), and /b."""
    origin.add("/a/1", size=1000, fields={"Surrogate-Key": "one all"})
    origin.add("/a/2", size=200_000, fields={"Cache-Tag": "two, all"})
    origin.add("/b", size=1000)
    warm(edge, origin, "/a/1", "/a/2", "/b")
    return edge


ORDERS = {
    "url": (lambda edge: {"url": edge.url("/a/1")}, ["/a/1"]),
    "urls": (lambda edge: {"url": [edge.url("/a/1"), edge.url("/b")]}, ["/a/1", "/b"]),
    "prefix": (lambda edge: {"prefix": edge.url("/a/")}, ["/a/1", "/a/2"]),
    "tag": (lambda edge: {"tag": "two"}, ["/a/2"]),
    "tags": (lambda edge: {"tag": ["one", "two", "none"]}, ["/a/1", "/a/2"]),
    "tag of many": (lambda edge: {"tag": ["all"]}, ["/a/1", "/a/2"]),
    "zone": (lambda edge: {"zone": "edge"}, ["/a/1", "/a/2", "/b"]),
}


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize("kind", ORDERS)
def test_what_is_meant_is_asked_for_again_on_both_workers_and_nothing_else(stored, origin, kind, soft):
    order, meant = ORDERS[kind]
    assert purge(stored, **order(stored), soft=soft) == len(meant)
    origin.forget()
    for path in ("/a/1", "/a/2", "/b"):
        statuses(stored, path)
    stored.wait_idle()
    assert {r.target for r in origin.requests} == set(meant) and len(origin.requests) == len(meant)
    conditional = ["if-none-match" in r.fields for r in origin.requests]
    assert conditional == [soft] * len(meant)
    assert [r.status for r in origin.requests] == [304 if soft else 200] * len(meant)
    assert stored.metrics()["purged_names_total"] == len(meant)


def test_the_digest_takes_the_bytes_and_all_their_names(edge, origin):
    same = origin.add("/x", size=200_000, seed=1)
    origin.add("/y", size=200_000, seed=1)
    warm(edge, origin, "/x", "/y")
    assert purge(edge, digest="sha256:" + same.sha256) == 2
    assert edge.metrics()["cache_blobs"] == 0
    assert edge.fetch("/x").body == same.data and edge.fetch("/y").body == same.data
    assert len(origin.gets("/x")) == 2


def test_what_is_changed_upstream_comes_with_the_next_request(stored, origin):
    origin.add("/a/1", data=b"new", etag='"v2"')
    assert stored.fetch("/a/1").body != b"new"
    purge(stored, url=stored.url("/a/1"), soft=True)
    assert {stored.fetch("/a/1").body for _ in range(4)} == {b"new"}


def test_soft_serves_stale_where_the_upstream_is_in_trouble_and_hard_does_not(make_edge, origin):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h;"
                     " proxy_cache_use_stale error timeout http_500; }").start()
    thing = origin.add("/a", size=1000)
    warm(edge, origin, "/a")
    purge(edge, url=edge.url("/a"), soft=True)
    origin.kill()
    result = edge.fetch("/a")
    assert (result.status, result.body) == (200, thing.data) and "hit" in result.fields["cache-status"]
    purge(edge, url=edge.url("/a"))
    assert edge.fetch("/a").status == 502


def test_soft_serves_stale_while_it_is_validated_where_the_response_says_so(edge, origin):
    thing = origin.add("/a", size=1000,
                       fields={"Cache-Control": "max-age=3600, stale-while-revalidate=600"})
    warm(edge, origin, "/a")
    origin.forget()
    purge(edge, url=edge.url("/a"), soft=True)
    go_on = threading.Event()
    thing.tamper = lambda answer, request, n: setattr(answer, "head_gate", go_on)
    assert edge.fetch("/a").body == thing.data  # while the origin has not answered
    origin.wait_until(lambda: len(origin.requests) == 1)
    go_on.set()
    wait_until(lambda: edge.metrics()["validations_total"] == 1, "the validation")
    assert len(origin.requests) == 1


@pytest.mark.parametrize("order", [{"tag": "t"}, {"prefix": "/"}, {"url": "/big"}, {"zone": "edge"}], ids=str)
def test_readers_in_the_middle_of_a_fill_get_their_bytes_and_nobody_later_does(edge, origin, order):
    old = origin.add("/big", size=2 * MIB, seed=1, fields={"Surrogate-Key": "t"})
    go_on = threading.Event()
    old.tamper = lambda answer, request, n: answer.gates.append((MIB, go_on))
    readers = [edge.start_fetch("/big", version=version) for version in ("1.1", "2", "1.1", "2")]
    edge.wait_metric("fill_readers", lambda count: count == 4)
    new = origin.add("/big", size=2 * MIB, seed=2, etag='"v2"')
    order = {by: edge.url(value) if value.startswith("/") else value for by, value in order.items()}
    purge(edge, **order)
    later = [edge.fetch("/big", version=version) for version in ("1.1", "2", "2")]
    go_on.set()
    assert all(r.complete and r.sha256 == new.sha256 for r in later)
    assert all(r.complete and r.sha256 == old.sha256 for r in (reader.result() for reader in readers))
    edge.wait_idle()
    assert all(edge.fetch("/big").sha256 == new.sha256 for _ in range(4))
    assert len(origin.requests) == 2


def test_a_fill_that_waits_for_its_head_is_not_joined_after_a_purge_by_tag(edge, origin):
    old = origin.add("/a", data=b"old", fields={"Surrogate-Key": "t"})
    go_on = threading.Event()
    old.tamper = lambda answer, request, n: setattr(answer, "head_gate", go_on)
    reader = edge.start_fetch("/a")
    origin.wait_until(lambda: len(origin.requests) == 1)
    origin.add("/a", data=b"new", etag='"v2"')
    purge(edge, tag="t")
    assert edge.fetch("/a").body == b"new"
    go_on.set()
    assert reader.result().body == b"old"
    edge.wait_idle()
    assert edge.fetch("/a").body == b"new" and len(origin.requests) == 2


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_purge_outlives_a_restart(stored, origin, end):
    purge(stored, tag="one")
    purge(stored, url=stored.url("/b"), soft=True)
    getattr(stored, end)()
    stored.start()
    origin.forget()
    assert stored.fetch("/a/1").status == stored.fetch("/b").status == 200
    assert {r.target: r.status for r in origin.requests} == {"/a/1": 200, "/b": 304}


def test_what_is_purged_softly_is_not_exported(stored, tmp_path):
    purge(stored, tag="one", soft=True)
    stored.stop()
    done = subprocess.run([binary(), "cache", "export", f"{stored.folder}/cache", str(tmp_path / "seed.tar")],
                          capture_output=True, text=True, timeout=60, check=True)
    assert "and 2 names written" in done.stderr


def test_all_variants_of_a_url_go_with_it(edge, origin):
    origin.add("/a", size=100, fields={"Vary": "X-Kind"})

    def asked_for():
        origin.forget()
        for kind in ("one", "two"):
            assert edge.fetch("/a", fields={"X-Kind": kind}).status == 200
            edge.wait_idle()
        return {r.fields["x-kind"] for r in origin.requests if "x-kind" in r.fields}  # else it learns what counts

    assert asked_for() == {"one", "two"}
    assert asked_for() == set()
    purge(edge, url=edge.url("/a"))
    assert asked_for() == {"one", "two"}
    purge(edge, url=edge.url("/a"), soft=True)
    assert asked_for() == {"one", "two"} and all(r.status == 304 for r in origin.requests)


# -- repositories --

REPOSITORY = "repository %s {{ format generic; proxy_pass {0}; proxy_cache_valid 200 1h; }}"


@pytest.fixture
def repositories(make_edge, origin):
    """/things/ and /others/ of one origin, and /all/ that has both."""
    both = (REPOSITORY % "things" + REPOSITORY % "others").format(origin.url)
    edge = make_edge("location /things/ { repository things; } location /others/ { repository others; }"
                     " location /all/ { repository all; }",
                     http=both + "repository all { format generic; members things others; }").start()
    for path in ("/x/1", "/x/2", "/y"):
        origin.add(path, size=1000)
    for path in ("/things/x/1", "/things/x/2", "/things/y", "/others/y"):
        statuses(edge, path)
    edge.wait_idle()
    origin.forget()
    return edge


@pytest.mark.parametrize("order, meant", [
    ({"repository": "things"}, ["/things/x/1", "/things/x/2", "/things/y"]),
    ({"repository": "things", "path": "/x/"}, ["/things/x/1", "/things/x/2"]),
    ({"repository": "all"}, ["/things/x/1", "/things/x/2", "/things/y", "/others/y"]),
    ({"url": "/things/y"}, ["/things/y"]),
    ({"url": "/all/y"}, ["/things/y", "/others/y"]),
    ({"prefix": "/things/x"}, ["/things/x/1", "/things/x/2"]),
    ({"prefix": "/"}, ["/things/x/1", "/things/x/2", "/things/y", "/others/y"]),
], ids=str)
@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
def test_a_repository_forgets_what_is_meant(repositories, origin, order, meant, soft):
    order = {by: repositories.url(value) if by in ("url", "prefix") else value for by, value in order.items()}
    purge(repositories, **order, soft=soft)
    for path in ("/things/x/1", "/things/x/2", "/things/y", "/others/y"):
        before = len(origin.requests)
        statuses(repositories, path, 4)
        assert len(origin.requests) - before == (1 if path in meant else 0), path
    assert [r.status for r in origin.requests] == [304 if soft else 200] * len(meant)


# -- who asks, and how --

@pytest.mark.parametrize("order, status, why", [
    ({}, 400, "what is to be purged"),
    (b"{", 400, "a JSON object is expected"),
    ({"url": "nonsense"}, 404, "no http or https URL"),
    ({"url": "http://elsewhere.example:1/"}, 404, "no server listens on port 1"),
    ({"repository": "none"}, 404, 'no repository "none"'),
    ({"zone": "none"}, 404, 'no zone "none"'),
    ({"digest": "sha256:12"}, 400, "expected sha256: and 64 hex digits"),
    ({"digest": "md5:" + 32 * "0"}, 400, "expected sha256: and 64 hex digits"),
], ids=str)
def test_what_cannot_be_purged_is_refused_and_said(edge, order, status, why):
    got, told = ask(edge, order)
    assert (got, why in told["detail"]) == (status, True), told


def test_only_a_post_purges_and_only_on_the_admin_listener(stored, origin):
    assert ask(stored, None, "GET", "?tag=all")[0] == 405
    assert ask(stored, {"tag": "all"}, fields=[("Origin", "https://elsewhere.example")])[0] == 403
    assert stored.fetch("/purge?tag=all", method="POST").status == 404  # the origin's
    origin.forget()
    assert stored.fetch("/a/1").status == 200 and origin.requests == []
    assert ask(stored, None, "POST", "?tag=one&tag=two&soft=0")[1]["names"] == 2


def test_each_purge_is_counted_and_has_a_line_that_says_who_asked(stored):
    purge(stored, tag="all", soft=True)
    text = stored.admin("/metrics")[1]
    assert 'entrepot_purges_total{by="tag",soft="true"} 1\n' in text
    assert 'entrepot_purges_total{by="url",soft="false"} 0\n' in text
    stored.wait_log(r'\[notice\].*purge by tag "all", soft, asked for by 127\.0\.0\.1: 2 names')


def test_the_command_asks_the_edge_that_runs(stored, origin):
    done = stored.command("purge", stored.url("/a/1"), stored.url("/b"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 names gone\n", "")
    done = stored.command("purge", "--tag", "two", "--soft", "--json")
    told = json.loads(done.stdout)
    assert (told["by"], told["soft"], told["names"], told["complete"]) == ("tag", True, 1, True)
    done = stored.command("purge", "--repository", "none")
    assert (done.returncode, done.stdout) == (1, "") and 'no repository "none"' in done.stderr
    stored.stop()
    done = stored.command("purge", "--zone", "edge")
    assert done.returncode == 1 and re.search("no edge answers on its admin listener", done.stderr)
