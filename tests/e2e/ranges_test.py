"""Cold ranges: what they cost, and what follows from each thing that an upstream may do to a Range."""
import threading

import pytest

MIB = 1 << 20


@pytest.fixture
def edge(make_edge, origin):
    return make_edge(f"slice 1m; location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}").start()


def part(edge, begin, end, path="/big.bin", **fields):
    response = edge.fetch(path, fields={"Range": f"bytes={begin}-{end - 1}", **fields})
    return response


def asked_ranges(origin):
    return [r.fields.get("range") for r in origin.gets()]


def test_a_cold_range_costs_the_slices_that_hold_it(edge, origin):
    thing = origin.add("/big.bin", size=16 * MIB)
    response = part(edge, 5 * MIB + 100, 6 * MIB + 200)
    assert (response.status, response.body) == (206, thing.data[5 * MIB + 100:6 * MIB + 200])
    assert response.fields["content-range"] == f"bytes {5 * MIB + 100}-{6 * MIB + 199}/{16 * MIB}"
    edge.wait_idle()
    assert origin.body_bytes() == 2 * MIB
    assert asked_ranges(origin) == [f"bytes={5 * MIB}-{7 * MIB - 1}"]


def test_the_same_range_again_is_a_hit(edge, origin):
    thing = origin.add("/big.bin", size=16 * MIB)
    part(edge, 5 * MIB, 5 * MIB + 10)
    edge.wait_idle()
    again = part(edge, 5 * MIB + 1000, 6 * MIB)
    assert again.body == thing.data[5 * MIB + 1000:6 * MIB]
    assert again.cache_status.startswith("entrepot; hit")
    assert len(origin.requests) == 1


def test_the_whole_after_ranges_fetches_only_what_is_missing(edge, origin):
    thing = origin.add("/big.bin", size=16 * MIB)
    part(edge, 2 * MIB, 3 * MIB)
    edge.wait_idle()
    part(edge, 9 * MIB, 11 * MIB)
    edge.wait_idle()
    whole = edge.fetch("/big.bin")
    assert whole.complete and whole.sha256 == thing.sha256
    edge.wait_idle()
    assert origin.body_bytes() == 16 * MIB
    asked = len(origin.requests)
    assert edge.fetch("/big.bin").sha256 == thing.sha256 and len(origin.requests) == asked


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_a_cold_whole_costs_one_request_however_small_the_slices(make_edge, origin, version):
    edge = make_edge(f"slice 128k; location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}").start()
    for number in range(12):
        thing = origin.add(f"/{number}.bin", size=12 * MIB + number)
        assert edge.fetch(f"/{number}.bin", version=version).sha256 == thing.sha256
        edge.wait_idle()
        assert len(origin.gets(f"/{number}.bin")) == 1, origin.summary()
    assert origin.body_bytes() == sum(12 * MIB + number for number in range(12))


def test_ranges_of_many_clients_at_once_never_fetch_a_slice_twice(edge, origin):
    thing = origin.add("/big.bin", size=16 * MIB)
    spots = [i * 250_007 % (15 * MIB) for i in range(40)]
    fetches = [edge.start_fetch("/big.bin", version="2" if i % 2 else "1.1",
                                fields={"Range": f"bytes={spot}-{spot + 99_999}"})
               for i, spot in enumerate(spots)]
    for spot, fetch in zip(spots, fetches):
        assert fetch.result().body == thing.data[spot:spot + 100_000]
    edge.wait_idle()
    assert origin.body_bytes() <= 16 * MIB


# -- the table of what an upstream may do to a Range --

def test_206_as_asked_is_stored(edge, origin):
    thing = origin.add("/big.bin", size=8 * MIB)
    assert part(edge, MIB, 2 * MIB).body == thing.data[MIB:2 * MIB]
    edge.wait_idle()
    assert part(edge, MIB, 2 * MIB).body == thing.data[MIB:2 * MIB]
    assert len(origin.requests) == 1 and edge.metrics()["cache_partial_bytes"] == MIB


def test_200_to_a_range_becomes_the_whole_fill(edge, origin):
    thing = origin.add("/big.bin", size=8 * MIB, ranges=False)
    response = part(edge, 5 * MIB, 5 * MIB + 100)
    assert (response.status, response.body) == (206, thing.data[5 * MIB:5 * MIB + 100])
    edge.wait_idle()
    assert edge.fetch("/big.bin").sha256 == thing.sha256
    assert len(origin.requests) == 1


def test_after_a_200_to_a_range_no_range_is_asked_for_again(make_edge, origin):
    edge = make_edge(f"slice 1m; location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1s; }}", workers=1)
    edge.start()
    thing = origin.add("/big.bin", size=4 * MIB, ranges=False, fields={"Cache-Control": "max-age=0"})
    part(edge, MIB, MIB + 10)
    edge.wait_idle()
    thing.etag = '"v2"'
    assert part(edge, MIB, MIB + 10).body == thing.data[MIB:MIB + 10]
    assert asked_ranges(origin)[1] is None


def test_206_without_strong_validator_or_digest_is_never_combined(edge, origin):
    thing = origin.add("/big.bin", size=4 * MIB, etag=None)
    for begin in (0, 2 * MIB):
        response = part(edge, begin + 10, begin + 20)
        assert (response.status, response.body) == (206, thing.data[begin + 10:begin + 20])
        edge.wait_idle()
    assert edge.fetch("/big.bin").sha256 == thing.sha256
    assert edge.metrics()["cache_partial_bytes"] == 0


def test_a_weak_validator_counts_as_none(edge, origin):
    thing = origin.add("/big.bin", size=4 * MIB, etag='W/"v1"')
    response = part(edge, 2 * MIB, 2 * MIB + 10)
    assert (response.status, response.body) == (206, thing.data[2 * MIB:2 * MIB + 10])
    edge.wait_idle()
    assert edge.metrics()["cache_partial_bytes"] == 0


WRONG = {
    "start": lambda fields: fields.update({"Content-Range": f"bytes 0-{MIB - 1}/{8 * MIB}"}),
    "total": lambda fields: fields.update({"Content-Range": f"bytes {MIB}-{2 * MIB - 1}/{3 * MIB // 2}"}),
    "form": lambda fields: fields.update({"Content-Range": "pieces 1-2/3"}),
    "absence": lambda fields: fields.pop("Content-Range"),
    "encoding": lambda fields: fields.update({"Content-Encoding": "gzip"}),
    "multipart": lambda fields: fields.update({"Content-Type": "multipart/byteranges; boundary=x"}),
}


@pytest.mark.parametrize("what", WRONG)
def test_206_with_a_wrong_head_is_abandoned_for_the_whole(edge, origin, what):
    thing = origin.add("/big.bin", size=8 * MIB)
    thing.tamper = lambda answer, request, n: WRONG[what](answer.fields) if answer.status == 206 else None
    response = part(edge, MIB, MIB + 50)
    assert (response.status, response.body) == (206, thing.data[MIB:MIB + 50])
    edge.wait_idle()
    assert asked_ranges(origin) == [f"bytes={MIB}-{2 * MIB - 1}", None]
    assert edge.fetch("/big.bin").sha256 == thing.sha256


def test_a_head_of_what_is_stored_in_part_asks_nobody(edge, origin):
    thing = origin.add("/big.bin", size=8 * MIB)
    assert part(edge, MIB, MIB + 50).body == thing.data[MIB:MIB + 50]
    edge.wait_idle()
    origin.kill()
    for fields in ({}, {"Range": "bytes=0-9"}):
        head = edge.fetch("/big.bin", method="HEAD", fields=fields)
        assert (head.status, head.complete, head.fields["content-length"]) == (200, True, str(8 * MIB))
        assert (head.fields["etag"], head.fields["accept-ranges"]) == (thing.etag, "bytes")
    assert [r.method for r in origin.requests] == ["GET"]


def test_416_makes_the_edge_learn_the_length_once(edge, origin):
    origin.add("/small.bin", size=1000)
    response = part(edge, 5 * MIB, 6 * MIB, "/small.bin")
    assert (response.status, response.fields["content-range"]) == (416, "bytes */1000")
    assert [r.method for r in origin.requests] == ["GET", "HEAD"]


def test_a_suffix_of_unknown_length_costs_itself_and_its_edges(edge, origin):
    thing = origin.add("/big.bin", size=16 * MIB + 4321)
    response = edge.fetch("/big.bin", fields={"Range": "bytes=-1000"})
    assert (response.status, response.body) == (206, thing.data[-1000:])
    edge.wait_idle()
    assert origin.body_bytes() <= 1000 + 131072
    again = edge.fetch("/big.bin", fields={"Range": "bytes=-500"})
    assert again.body == thing.data[-500:] and len(origin.requests) == 1


def test_a_slice_that_breaks_off_is_resumed_where_it_stopped(edge, origin):
    thing = origin.add("/big.bin", size=8 * MIB)
    cuts = {0: 300_000, 1: 200_000}
    thing.tamper = lambda answer, request, n: setattr(answer, "cut_after", cuts.get(n))
    assert part(edge, 2 * MIB, 3 * MIB).body == thing.data[2 * MIB:3 * MIB]
    edge.wait_idle()
    asked = origin.gets()
    assert [r.range()[0] for r in asked] == [2 * MIB, 2 * MIB + 300_000, 2 * MIB + 500_000]
    assert [r.fields.get("if-range") for r in asked] == [None, '"v1"', '"v1"']
    assert origin.body_bytes() == MIB and edge.metrics()["fill_resumes_total"] == 2


def test_another_validator_on_resume_resets_readers_and_begins_anew(edge, origin):
    thing = origin.add("/big.bin", size=4 * MIB)
    new_data = bytes(reversed(thing.data))

    def change(answer, request, n):
        if n == 0:
            answer.cut_after = 2 * MIB
            thing.data, thing.etag = new_data, '"v2"'

    thing.tamper = change
    first = edge.fetch("/big.bin")
    assert not first.complete
    edge.wait_idle()
    again = edge.fetch("/big.bin")
    assert again.complete and again.body == new_data


def test_a_changed_validator_between_slices_never_mixes_two_versions(edge, origin):
    thing = origin.add("/big.bin", size=4 * MIB)
    old_data, new_data = thing.data, bytes(reversed(thing.data))
    part(edge, 0, 100)
    edge.wait_idle()
    thing.data, thing.etag = new_data, '"v2"'
    later = part(edge, 2 * MIB, 2 * MIB + 100)
    assert later.body == new_data[2 * MIB:2 * MIB + 100]
    edge.wait_idle()
    whole = edge.fetch("/big.bin")
    assert whole.complete and whole.body == new_data
    assert part(edge, 0, 100).body in (new_data[:100],) and old_data[:100] != new_data[:100]


def test_a_range_reader_does_not_wait_for_what_stands_before_it(edge, origin):
    thing = origin.add("/big.bin", size=16 * MIB)
    stalled = threading.Event()
    thing.tamper = lambda answer, request, n: answer.gates.append((MIB, stalled)) if n == 0 else None
    whole = edge.http1()
    whole.get("/big.bin")
    whole.head()
    whole.read(MIB // 2)
    response = part(edge, 15 * MIB, 15 * MIB + 1000)
    assert response.body == thing.data[15 * MIB:15 * MIB + 1000]
    assert not stalled.is_set()
    stalled.set()
    rest = whole.read(16 * MIB - MIB // 2)
    assert rest == thing.data[MIB // 2:]
    edge.wait_idle()
    assert origin.body_bytes() <= 17 * MIB
    whole.close()
