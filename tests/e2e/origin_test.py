"""The scripted origin itself: a tool that lies would make every other test worthless."""
import threading

from support import client
from support.origin import Answer

MIB = 1 << 20


def test_it_gives_the_whole_and_ranges(origin):
    thing = origin.add("/a", size=1000)
    whole = client.fetch(origin.url + "/a", version="1.1")
    part = client.fetch(origin.url + "/a", version="1.1", fields={"Range": "bytes=10-19"})
    end = client.fetch(origin.url + "/a", version="1.1", fields={"Range": "bytes=-5"})
    past = client.fetch(origin.url + "/a", version="1.1", fields={"Range": "bytes=1000-"})
    assert [r.status for r in (whole, part, end, past)] == [200, 206, 206, 416]
    assert (whole.body, part.body, end.body) == (thing.data, thing.data[10:20], thing.data[-5:])
    assert part.fields["content-range"] == "bytes 10-19/1000"
    assert [r.body_sent for r in origin.requests] == [1000, 10, 5, 0]


def test_a_cut_is_seen_as_a_cut(origin):
    thing = origin.add("/a", size=MIB)
    for reset in (False, True):
        thing.tamper = lambda answer, request, n: answer.__dict__.update(cut_after=1000, reset=reset)
        response = client.fetch(origin.url + "/a", version="1.1")
        assert not response.complete and len(response.body) <= 1000


def test_a_gate_holds_the_body(origin):
    thing = origin.add("/a", size=MIB)
    gate = threading.Event()
    thing.tamper = lambda answer, request, n: answer.gates.append((1000, gate))
    fetch = client.Fetch(origin.url + "/a", version="1.1")
    origin.wait_until(lambda: origin.requests and origin.requests[0].body_sent == 1000)
    gate.set()
    assert fetch.result().body == thing.data


def test_it_can_be_killed_and_come_back_on_its_port(origin):
    origin.add("/a", size=MIB)
    port = origin.port
    origin.kill()
    assert client.fetch(origin.url + "/a", version="1.1").exit_code == 7
    origin.restart()
    assert origin.port == port and client.fetch(origin.url + "/a", version="1.1").complete


def test_a_tamper_may_return_another_answer(origin):
    origin.add("/a", size=10).tamper = lambda answer, request, n: Answer(503, {}, b"no")
    assert client.fetch(origin.url + "/a", version="1.1").status == 503
