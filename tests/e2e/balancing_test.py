"""Which server of an upstream group is asked, for what is stored and for what passes."""
import threading

import pytest

from support.origin import Origin


@pytest.fixture
def origins():
    three = [Origin() for _ in range(3)]
    yield three
    for origin in three:
        origin.close()


def group(origins, lines="", options=("", "", "")):
    servers = "".join(f"server 127.0.0.1:{o.port} {option};" for o, option in zip(origins, options))
    return f"upstream u {{ {lines} {servers} }}"


def add(origins, *paths):
    for path in paths:
        for number, origin in enumerate(origins):
            origin.add(path, data=f"{number}".encode())


PASSING = "location / { proxy_cache off; proxy_pass http://u; }"


def counts(origins):
    return [len(origin.requests) for origin in origins]


def test_round_robin_by_weight_for_what_passes_and_for_fills(make_edge, origins):
    paths = [f"/{i}" for i in range(7)]
    add(origins, *paths)
    for locations in (PASSING, "location / { proxy_pass http://u; }"):
        for origin in origins:
            origin.forget()
        edge = make_edge(locations, http=group(origins, options=("weight=5", "", "")), workers=1).start()
        for path in paths:
            assert edge.fetch(path).status == 200
        assert counts(origins) == [5, 1, 1]
        edge.stop()


def test_a_key_stays_with_its_server(make_edge, origins):
    paths = [f"/{i}" for i in range(12)]
    add(origins, *paths)
    edge = make_edge(PASSING, http=group(origins, "hash $uri consistent;")).start()
    first = {path: edge.fetch(path).body for path in paths}
    assert len(set(first.values())) > 1
    assert {path: edge.fetch(path).body for path in paths} == first, "whichever worker it is"


def test_ip_hash_keeps_a_client(make_edge, origins):
    add(origins, "/x")
    edge = make_edge(PASSING, http=group(origins, "ip_hash;")).start()
    assert len({edge.fetch("/x").body for _ in range(6)}) == 1


def test_who_is_busy_is_spared(make_edge, origins):
    add(origins, "/slow", "/x")
    gate = threading.Event()
    for origin in origins:
        origin.resources["/slow"].tamper = lambda answer, request, n: setattr(answer, "head_gate", gate)
    edge = make_edge(PASSING, http=group(origins, "least_conn;"), workers=1).start()
    waiting = [edge.start_fetch("/slow") for _ in range(2)]
    for origin in origins[:2]:
        origin.wait_until(lambda o=origin: o.requests)
    assert {edge.fetch("/x").body for _ in range(3)} == {b"2"}
    gate.set()
    assert [fetch.result().status for fetch in waiting] == [200, 200]


def test_max_conns_backup_and_down(make_edge, origins):
    add(origins, "/slow", "/x")
    gate = threading.Event()
    origins[1].resources["/slow"].tamper = lambda answer, request, n: setattr(answer, "head_gate", gate)
    edge = make_edge(PASSING, http=group(origins, options=("down", "max_conns=1", "backup")), workers=1).start()
    waiting = edge.start_fetch("/slow")
    origins[1].wait_until(lambda: origins[1].requests)
    assert edge.fetch("/x").body == b"2"
    gate.set()
    assert waiting.result().body == b"1"
    assert edge.fetch("/x").body == b"1" and counts(origins) == [0, 2, 1]


def test_who_failed_is_left_out_for_its_time(make_edge, origins):
    add(origins, "/x")
    origins[0].kill()
    edge = make_edge(PASSING, http=group(origins, options=("fail_timeout=1h", "", "")), workers=1).start()
    assert {edge.fetch("/x").body for _ in range(3)} <= {b"1", b"2"}
    origins[0].restart()
    assert {edge.fetch("/x").body for _ in range(6)} == {b"1", b"2"}
    assert counts(origins)[0] == 0
