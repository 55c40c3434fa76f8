"""proxy_next_upstream: whom a request that passes through is shown besides, and when. Each test counts what each server
of the group was asked."""
import threading

import pytest

from support.caching_rows import Never
from support.origin import Answer, Origin


@pytest.fixture
def servers():
    three = [Origin() for _ in range(3)]
    for number, server in enumerate(three):
        server.add("/x", b"from %d" % number)
    yield three
    for server in three:
        server.kill()


@pytest.fixture
def edge_of_group(make_edge, servers):
    """The servers are asked in their order: each test makes one request of the one worker."""
    def make(directives="", count=2):
        group = " ".join(f"server 127.0.0.1:{server.port} max_fails=0;" for server in servers[:count])
        return make_edge(f"location / {{ proxy_pass http://group; proxy_cache off; {directives} }}", workers=1,
                         http=f"upstream group {{ {group} }}").start()
    return make


def asked(servers):
    return [[r.method for r in server.requests] for server in servers]


def breaks_off(server):
    """Hears the request, and closes."""
    server.resources["/x"].tamper = lambda answer, request, n: setattr(answer, "head_gate", Never())


def answers(server, status):
    server.resources["/x"].tamper = lambda answer, request, n: Answer(status, {}, b"trouble")


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "PATCH", "DELETE"])
def test_a_server_that_is_not_there_is_followed_by_the_next_whatever_was_to_be_sent(edge_of_group, servers, method):
    edge = edge_of_group()
    servers[0].kill()
    got = edge.fetch("/x", curl=("--request", method, "--data-binary", "content"))
    assert (got.status, got.body) == (200, b"from 1")
    assert [(r.method, r.body) for r in servers[1].requests] == [(method, b"content")]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "UNHEARD-OF"])
def test_one_that_breaks_off_is_followed_where_the_method_may_be_repeated(edge_of_group, servers, method):
    edge = edge_of_group()
    breaks_off(servers[0])
    assert edge.fetch("/x", method=method).status == 200
    assert asked(servers) == [[method], [method], []]


@pytest.mark.parametrize("method", ["POST", "LOCK", "PATCH"])
def test_what_may_not_be_repeated_goes_to_one_that_heard_it_and_no_other(edge_of_group, servers, method):
    edge = edge_of_group()
    breaks_off(servers[0])
    assert edge.fetch("/x", method=method).status == 502
    assert asked(servers) == [[method], [], []]


@pytest.mark.parametrize("method", ["POST", "LOCK", "PATCH"])
def test_it_is_repeated_where_the_conf_says_so(edge_of_group, servers, method):
    edge = edge_of_group("proxy_next_upstream error non_idempotent;")
    breaks_off(servers[0])
    assert edge.fetch("/x", method=method).body == b"from 1"
    assert asked(servers) == [[method], [method], []]


def test_content_that_has_gone_cannot_be_repeated(edge_of_group, servers):
    edge = edge_of_group("proxy_next_upstream error non_idempotent;")
    breaks_off(servers[0])
    assert edge.fetch("/x", method="PUT", curl=("--data-binary", "content")).status == 502
    assert asked(servers) == [["PUT"], [], []] and servers[0].requests[0].body == b"content"


def test_content_that_the_conf_makes_is_sent_again(edge_of_group, servers):
    edge = edge_of_group("proxy_method PUT; proxy_set_body made;")
    breaks_off(servers[0])
    assert edge.fetch("/x").body == b"from 1"
    assert [server.requests[0].body for server in servers[:2]] == [b"made", b"made"]


@pytest.mark.parametrize("words, seen, second", [("error timeout", 200, ["GET"]), ("timeout", 200, ["GET"]),
                                                 ("error", 504, [])])
def test_silence_is_a_timeout(edge_of_group, servers, words, seen, second):
    edge = edge_of_group(f"proxy_read_timeout 200ms; proxy_next_upstream {words};")
    never = threading.Event()
    servers[0].resources["/x"].tamper = lambda answer, request, n: setattr(answer, "head_gate", never)
    assert edge.fetch("/x").status == seen
    never.set()
    assert asked(servers)[1] == second


@pytest.mark.parametrize("status", [403, 404, 429, 500, 502, 503, 504])
def test_a_status_counts_where_it_is_named(edge_of_group, servers, status):
    edge = edge_of_group(f"proxy_next_upstream http_{status};")
    answers(servers[0], status)
    assert edge.fetch("/x").body == b"from 1"
    assert asked(servers) == [["GET"], ["GET"], []]


@pytest.mark.parametrize("status", [403, 404, 429, 500, 502, 503, 504])
def test_a_status_that_is_not_named_is_the_answer(edge_of_group, servers, status):
    edge = edge_of_group()
    answers(servers[0], status)
    got = edge.fetch("/x")
    assert (got.status, got.body) == (status, b"trouble") and asked(servers) == [["GET"], [], []]


def test_a_status_is_no_reason_to_repeat_a_post(edge_of_group, servers):
    edge = edge_of_group("proxy_next_upstream http_503;")
    answers(servers[0], 503)
    assert edge.fetch("/x", method="POST").status == 503
    assert asked(servers) == [["POST"], [], []]


def test_a_head_that_is_none_counts_where_it_is_named(edge_of_group, servers):
    edge = edge_of_group("proxy_next_upstream invalid_header;")
    servers[0].resources["/x"].interim = b"nonsense\r\n\r\n"
    assert edge.fetch("/x").body == b"from 1"
    assert asked(servers)[1] == ["GET"]


def test_where_all_are_in_trouble_the_last_one_answers(edge_of_group, servers):
    edge = edge_of_group("proxy_next_upstream http_500 http_503;", count=3)
    for server, status in zip(servers, (500, 503, 500)):
        answers(server, status)
    assert edge.fetch("/x").status == 500
    assert asked(servers) == [["GET"]] * 3


def test_off_asks_nobody_else(edge_of_group, servers):
    edge = edge_of_group("proxy_next_upstream off;")
    servers[0].kill()
    assert edge.fetch("/x").status == 502 and asked(servers) == [[], [], []]


def test_tries_count_the_first_one_too(edge_of_group, servers):
    edge = edge_of_group("proxy_next_upstream http_503; proxy_next_upstream_tries 2;", count=3)
    for server in servers:
        answers(server, 503)
    assert edge.fetch("/x").status == 503
    assert asked(servers) == [["GET"], ["GET"], []]


@pytest.mark.parametrize("limit, second", [("100ms", []), ("1h", ["GET"]), ("0", ["GET"])])
def test_when_its_time_is_over_nobody_else_is_asked(edge_of_group, servers, limit, second):
    edge = edge_of_group(f"proxy_read_timeout 300ms; proxy_next_upstream_timeout {limit};")
    never = threading.Event()
    servers[0].resources["/x"].tamper = lambda answer, request, n: setattr(answer, "head_gate", never)
    assert edge.fetch("/x").status == (200 if second else 504)
    never.set()
    assert asked(servers)[1] == second


def test_nobody_else_is_asked_once_an_answer_has_begun(edge_of_group, servers):
    edge = edge_of_group()
    servers[0].resources["/x"].tamper = lambda answer, request, n: setattr(answer, "cut_after", 3)
    got = edge.fetch("/x")
    assert got.status == 200 and not got.complete and asked(servers) == [["GET"], [], []]
