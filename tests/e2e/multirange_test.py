"""Several ranges in one request: what comes, and what it costs upstream when nothing, a part or all is stored."""
import email
import random
import subprocess

import pytest

from support import client

MIB = 1 << 20
SIZE = 6 * MIB + 4321


@pytest.fixture
def edge(make_edge, origin):
    return make_edge(f"slice 256k; location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}",
                     workers=1).start()


def parts_of(response):
    """[(begin, end, bytes)], as a client of MIME reads them."""
    kind = response.fields["content-type"]
    assert kind.startswith("multipart/byteranges; boundary=") and "content-range" not in response.fields
    assert int(response.fields["content-length"]) == len(response.body)
    boundary = b"--" + kind.partition("=")[2].encode()
    pieces = response.body.split(b"\r\n" + boundary)
    pieces[0] = pieces[0].removeprefix(boundary)
    assert pieces.pop() == b"--\r\n"
    parts = []
    for piece in pieces:
        head, _, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        fields = email.message_from_bytes(head + b"\r\n\r\n")
        assert fields["content-type"] == "application/octet-stream"
        first, last = fields["content-range"].removeprefix("bytes ").partition("/")[0].split("-")
        assert fields["content-range"].endswith(f"/{SIZE}")
        parts.append((int(first), int(last) + 1, data))
    return parts


def ask(edge, ranges, **options):
    text = ",".join(f"{begin}-{end - 1}" for begin, end in ranges)
    return edge.fetch("/big.bin", fields={"Range": f"bytes={text}"}, **options)


def expect(thing, response, ranges):
    assert (response.status, response.complete) == (206, True)
    assert parts_of(response) == [(begin, end, thing.data[begin:end]) for begin, end in ranges]


@pytest.mark.parametrize("version", ["2", "1.1"])
def test_several_ranges_of_something_cold_cost_the_slices_that_hold_them(edge, origin, version):
    thing = origin.add("/big.bin", size=SIZE)
    ranges = [(5 * MIB, 5 * MIB + 100), (10, 20), (3 * MIB - 5, 3 * MIB + 5)]
    expect(thing, ask(edge, ranges, version=version), ranges)
    edge.wait_idle()
    assert origin.body_bytes() <= 4 * 256 * 1024
    asked = len(origin.requests)
    again = ask(edge, ranges, version=version)
    expect(thing, again, ranges)
    assert len(origin.requests) == asked and again.cache_status.startswith("entrepot; hit")


def test_several_ranges_of_an_upstream_that_gives_none_cost_the_whole_once(edge, origin):
    thing = origin.add("/big.bin", size=SIZE, ranges=False)
    ranges = [(5 * MIB, 5 * MIB + 100), (10, 20)]
    expect(thing, ask(edge, ranges), ranges)
    edge.wait_idle()
    assert len(origin.requests) == 1
    expect(thing, ask(edge, ranges), ranges)
    assert len(origin.requests) == 1


def test_what_is_out_of_reach_first_does_not_hide_what_is_there(edge, origin):
    thing = origin.add("/big.bin", size=SIZE)
    response = ask(edge, [(900 * MIB, 901 * MIB), (7, 9)])
    assert (response.status, response.body) == (206, thing.data[7:9])
    assert response.fields["content-range"] == f"bytes 7-8/{SIZE}"
    assert ask(edge, [(900 * MIB, 901 * MIB), (800 * MIB, 801 * MIB)]).status == 416


def test_many_small_ranges_of_something_small_are_answered_whole(edge, origin):
    thing = origin.add("/small.bin", size=1000)
    response = edge.fetch("/small.bin", fields={"Range": "bytes=" + ",".join(f"{i}-{i}" for i in range(0, 200, 2))})
    assert (response.status, response.body) == (200, thing.data)


@pytest.mark.parametrize("ranges", [
    ",".join(f"{i * 10}-{i * 10}" for i in range(1000)),
    ",".join(["0-"] * 100),
    ",".join(f"{1000 - i}-" for i in range(120)),
    ",".join(["-99999999999999999999", "5-99999999999999999999"])],
    ids=["too many", "all, often", "overlapping", "huge numbers"])
def test_no_set_of_ranges_gives_more_than_the_object(edge, origin, ranges):
    thing = origin.add("/big.bin", size=SIZE)
    response = edge.fetch("/big.bin", fields={"Range": f"bytes={ranges}"})
    assert response.complete and len(response.body) <= SIZE
    edge.wait_idle()
    assert origin.body_bytes() <= 2 * SIZE, origin.summary()  # a whole may be helped along by slices
    assert response.status in (200, 206) and thing.sha256 is not None


def test_a_head_is_answered_as_if_no_range_was_there(edge, origin):
    origin.add("/big.bin", size=SIZE)
    edge.fetch("/big.bin")
    head = edge.fetch("/big.bin", method="HEAD", fields={"Range": "bytes=0-0,5-6"})
    assert (head.status, head.fields["content-length"], head.body) == (200, str(SIZE), b"")


@pytest.mark.parametrize("condition,status", [('"v1"', 206), ('"v2"', 200), ('W/"v1"', 200)])
def test_if_range_decides_about_all_of_them(edge, origin, condition, status):
    thing = origin.add("/big.bin", size=SIZE)
    edge.fetch("/big.bin")
    response = edge.fetch("/big.bin", fields={"Range": "bytes=0-0,5-6", "If-Range": condition})
    assert response.status == status
    assert len(parts_of(response)) == 2 if status == 206 else response.body == thing.data


def test_two_range_fields_ask_for_nothing(edge, origin):
    origin.add("/big.bin", size=SIZE)
    edge.fetch("/big.bin")
    connection = edge.http2()
    stream = connection.get("/big.bin", more=[("range", "bytes=0-0"), ("range", "bytes=5-6")])
    assert connection.wait_head(stream)[0] == 200
    connection.close()


def test_curl_is_served(edge, origin, tmp_path):
    thing = origin.add("/big.bin", size=SIZE)
    out = tmp_path / "out"
    subprocess.run(["curl", "-sSf", "--cacert", edge.ca, "-r", "0-0,100-200", "-o", out, edge.url("/big.bin")],
                   check=True, timeout=client.TIMEOUT_SECONDS)
    text = out.read_bytes()
    assert thing.data[:1] in text and thing.data[100:201] in text and text.startswith(b"--")


@pytest.mark.parametrize("version", ["2", "1.1"])
def test_any_ranges_over_any_presence_give_the_bytes_of_the_whole(edge, origin, version):
    thing = origin.add("/big.bin", size=SIZE)
    draw = random.Random(version)

    def some(count):
        """Ranges that neither overlap nor touch, in any order."""
        edges = sorted(draw.sample(range(SIZE), 2 * count))
        ranges = [(begin, min(end, begin + draw.choice([1, 100, 70_000]))) for begin, end in
                  zip(edges[::2], edges[1::2])]
        draw.shuffle(ranges)
        return ranges

    for round_ in range(12):  # cold at first; what the earlier rounds brought is there later
        if round_ == 9:
            assert edge.fetch("/big.bin").sha256 == thing.sha256
        together = [some(draw.choice([2, 3, 9])) for _ in range(3)]
        text = [",".join(f"{begin}-{end - 1}" for begin, end in ranges) for ranges in together]
        fetches = [edge.start_fetch("/big.bin", version=version, fields={"Range": f"bytes={one}"}) for one in text]
        for fetch, ranges in zip(fetches, together):
            expect(thing, fetch.result(), ranges)
    edge.wait_idle()
    assert origin.body_bytes() <= 2 * SIZE  # a slice may be broken off when nobody waits for it any more
