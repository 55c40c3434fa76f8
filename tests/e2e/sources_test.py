"""Where a fill's bytes come from: whoever breaks off is taken over from, whoever lies is set aside."""
import concurrent.futures
import hashlib
import json
import os
import random
import subprocess
import threading

import pytest

from support.origin import Origin, made_bytes

MIB = 1 << 20
LONG = bool(os.environ.get("ENTREPOT_LONG"))


def digest_path(data, image="app"):
    return f"/v2/{image}/blobs/sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.fixture
def pair():
    origins = [Origin(), Origin()]
    yield origins
    for origin in origins:
        origin.close()


@pytest.fixture
def edge_of(make_edge, pair):
    """An edge over a group of both, the second for when the first fails."""
    def make(**options):
        servers = f"server 127.0.0.1:{pair[0].port}; server 127.0.0.1:{pair[1].port} backup;"
        return make_edge("location / { proxy_pass http://both; proxy_cache_valid 200 1h; }",
                         http=f"upstream both {{ {servers} }}", **options).start()
    return make


def labelled(edge, name):
    """Of a metric with an upstream each: how much for whom."""
    lines = [line for line in edge.admin("/metrics")[1].splitlines() if line.startswith(f"entrepot_{name}{{")]
    return {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in lines}


def other_byte(data, at=None):
    at = len(data) // 2 if at is None else at
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


# -- who breaks off is taken over from --

def cut_once_and_for_all(origin, thing, after):
    """The server dies when it has sent so much; a client that connects afterwards is refused."""
    stalled = threading.Event()
    thing.tamper = lambda answer, request, n: answer.gates.append((after, stalled))

    def kill(edge):
        # A reset takes what was sent and not yet read with it.
        edge.wait_metric("upstream_bytes_total", lambda received: received >= after)
        origin.kill()
        stalled.set()
    return kill


@pytest.mark.parametrize("known_by", ["digest", "etag"])
def test_when_a_server_of_the_group_dies_another_goes_on_in_the_same_stream(edge_of, pair, known_by):
    data = made_bytes(32 * MIB)
    path = digest_path(data) if known_by == "digest" else "/thing.bin"
    first = pair[0].add(path, data=data)
    # Servers that tell the same bytes by entity tags of their own are combined where the digest is known.
    pair[1].add(path, data=data, etag='"other"' if known_by == "digest" else '"v1"')
    kill = cut_once_and_for_all(pair[0], first, 12 * MIB)
    edge = edge_of()
    fetch = edge.start_fetch(path)
    kill(edge)
    got = fetch.result()
    assert got.complete and got.sha256 == first.sha256
    [taken_over] = pair[1].requests
    assert taken_over.status == 206 and ("if-range" in taken_over.fields) == (known_by == "etag")
    assert pair[0].body_bytes() + pair[1].body_bytes() <= 1.02 * len(data)
    assert edge.metrics()["fill_source_changes_total"] == 1
    edge.wait_log("goes on from both 127.0.0.1:%d at byte" % pair[1].port)
    edge.wait_idle()
    assert edge.fetch(path).cache_status.startswith("entrepot; hit")


def test_a_server_with_other_content_does_not_go_on(edge_of, pair):
    path = "/thing.bin"
    first = pair[0].add(path, size=8 * MIB)
    second = pair[1].add(path, size=8 * MIB, seed="other", etag='"v2"')
    kill = cut_once_and_for_all(pair[0], first, 3 * MIB)
    edge = edge_of()
    fetch = edge.start_fetch(path)
    kill(edge)
    assert not fetch.result().complete
    edge.wait_idle()
    assert edge.fetch(path).body == second.data


# -- who lies is set aside --

def test_a_small_lie_is_not_noticed_where_another_server_has_it_right(edge_of, pair):
    data = made_bytes(100_000)
    path = digest_path(data)
    pair[0].add(path, data=other_byte(data))
    pair[1].add(path, data=data)
    edge = edge_of()
    got = edge.fetch(path)
    assert (got.status, got.complete, got.body) == (200, True, data)
    assert [len(origin.requests) for origin in pair] == [1, 1]
    liar = f"both 127.0.0.1:{pair[0].port}"
    assert labelled(edge, "upstream_lies_total") == {liar: 1}
    edge.wait_log(f"upstream {liar}: what it sent is not sha256:")


def test_who_lied_is_not_asked_for_it_again_and_for_other_things_as_before(edge_of, pair):
    data, other = made_bytes(4 * MIB), made_bytes(4 * MIB, seed=2)
    path = digest_path(data)
    pair[0].add(path, data=other_byte(data))
    pair[0].add(digest_path(other), data=other)
    pair[1].add(path, data=data)
    edge = edge_of()
    broken = edge.fetch(path)
    assert not broken.complete and broken.body == other_byte(data)[:len(broken.body)]
    edge.wait_idle()
    got = edge.fetch(path)
    assert got.complete and got.body == data
    assert edge.fetch(digest_path(other)).body == other
    assert [[r.target for r in origin.requests] for origin in pair] == [[path, digest_path(other)], [path]]


@pytest.mark.parametrize("size", [100_000, 4 * MIB])
def test_where_all_lie_it_is_502_until_they_may_be_asked_again(edge_of, pair, size):
    data = made_bytes(size)
    path = digest_path(data)
    things = [origin.add(path, data=other_byte(data, at)) for at, origin in enumerate(pair)]
    edge = edge_of()
    for _ in range(4):
        got = edge.fetch(path)
        assert got.status == 502 or not got.complete
        edge.wait_idle()
    assert (got.status, json.loads(got.body)["error"]) == (502, "digest-mismatch")
    assert 0 < int(got.fields["retry-after"]) <= 60
    told = json.loads(edge.admin("/explain?url=" + edge.url(path, tls=False))[1])
    assert [line.endswith("set aside: what it sent was not this") for line in told["asked"]] == [True, True]
    assert [len(origin.requests) for origin in pair] == [1, 1]
    assert edge.metrics()["cache_blobs"] == 0
    for thing in things:
        thing.data = data
    edge.reload()  # whoever mended them says so
    assert edge.fetch(path).body == data


def test_a_third_lie_puts_a_server_last(edge_of, pair):
    blobs = [made_bytes(1000, seed=i) for i in range(5)]
    for i, data in enumerate(blobs):
        pair[0].add(digest_path(data), data=other_byte(data) if i < 3 else data)
        pair[1].add(digest_path(data), data=data)
    edge = edge_of()
    for data in blobs[:4]:
        assert edge.fetch(digest_path(data)).body == data
    assert [len(origin.requests) for origin in pair] == [3, 4], [origin.summary() for origin in pair]
    pair[1].kill()
    assert edge.fetch(digest_path(blobs[4])).body == blobs[4]  # last is not never


def test_when_bytes_of_two_are_wrong_together_the_next_fill_is_one_s_alone(edge_of, pair):
    data = made_bytes(8 * MIB)
    path = digest_path(data)
    first = pair[0].add(path, data=other_byte(data, 0))
    pair[1].add(path, data=data)
    kill = cut_once_and_for_all(pair[0], first, 3 * MIB)
    edge = edge_of()
    fetch = edge.start_fetch(path)
    kill(edge)
    assert not fetch.result().complete
    edge.wait_idle()
    pair[0].restart()
    assert edge.fetch(path).body == data
    assert [r.status for r in pair[1].requests] == [206, 200]
    assert labelled(edge, "upstream_lies_total").get(f"both 127.0.0.1:{pair[1].port}", 0) == 0


# -- other repositories lend --

def member(name, origin, tmp_path, more=""):
    credentials = tmp_path / f"{name}.credentials"
    credentials.write_text(f"bearer of-{name}\n")
    credentials.chmod(0o600)
    return (f"repository {name} {{ format generic; proxy_pass {origin.url}; proxy_cache_valid 200 1h; "
            f"authorize edge; proxy_credentials {credentials}; {more} }}\n")


def test_a_member_of_a_virtual_repository_goes_on_with_its_own_credentials(make_edge, pair, tmp_path):
    data = made_bytes(16 * MIB)
    path = digest_path(data)
    first = pair[0].add(path, data=data)
    pair[1].add(path, data=data, etag='"theirs"')
    kill = cut_once_and_for_all(pair[0], first, 5 * MIB)
    http = (member("ours", pair[0], tmp_path) + member("theirs", pair[1], tmp_path)
            + "repository all { format generic; authorize edge; members ours theirs; }")
    edge = make_edge("location /all/ { repository all; }", http=http).start()
    fetch = edge.start_fetch("/all" + path, fields={"Authorization": "Bearer of-the-client", "Cookie": "a=b"})
    kill(edge)
    got = fetch.result()
    assert got.complete and got.sha256 == first.sha256
    [lent] = pair[1].requests
    assert lent.status == 206 and lent.fields["authorization"] == "Bearer of-theirs" and "cookie" not in lent.fields
    assert {r.fields["authorization"] for r in pair[0].requests} == {"Bearer of-ours"}
    assert pair[0].body_bytes() + pair[1].body_bytes() <= 1.02 * len(data)


def test_a_member_that_a_route_leaves_out_is_not_asked(make_edge, pair, tmp_path):
    data = made_bytes(4 * MIB)
    path = digest_path(data)
    first = pair[0].add(path, data=data)
    pair[1].add(path, data=data)
    kill = cut_once_and_for_all(pair[0], first, MIB)
    http = (member("ours", pair[0], tmp_path, "proxy_read_timeout 300ms;") + member("theirs", pair[1], tmp_path)
            + "repository all { format generic; authorize edge; members ours theirs; route * ours; }")
    edge = make_edge("location /all/ { repository all; }", http=http).start()
    fetch = edge.start_fetch("/all" + path)
    kill(edge)
    assert not fetch.result().complete
    assert pair[1].requests == []


@pytest.mark.parametrize("had_it", [True, False])
def test_another_repository_lends_only_what_both_upstreams_have_brought_before(make_edge, pair, tmp_path, had_it):
    data = made_bytes(16 * MIB)
    path = digest_path(data)
    first = pair[0].add(path, data=data)
    pair[1].add(path, data=data)
    http = member("ours", pair[0], tmp_path, "proxy_read_timeout 300ms;") + member("theirs", pair[1], tmp_path)
    edge = make_edge("location /a/ { repository ours; } location /b/ { repository theirs; }", http=http).start()
    for place in ("/a", "/b") if had_it else ("/b",):
        assert edge.fetch(place + path).body == data
        edge.wait_idle()
    edge.stop()
    lose_blobs(edge)
    edge.start()
    for origin in pair:
        origin.forget()
    kill = cut_once_and_for_all(pair[0], first, 5 * MIB)
    fetch = edge.start_fetch("/a" + path)
    kill(edge)
    got = fetch.result()
    assert got.complete == had_it and (not had_it or got.body == data)
    assert [r.status for r in pair[1].requests] == ([206] if had_it else [])


def lose_blobs(edge):
    """The bytes go, what is known of them stays."""
    removed = 0
    for folder, _, files in os.walk(os.path.join(edge.folder, "cache")):
        for name in files:
            if os.path.getsize(os.path.join(folder, name)) > 8 * MIB and not name.endswith(".mdb"):
                os.remove(os.path.join(folder, name))
                removed += 1
    assert removed


# -- much of it --

def test_nothing_that_an_upstream_tells_wrongly_is_kept_or_given_as_whole(edge, origin):
    count, chance = (1000 if LONG else 100), random.Random(4)
    wrong, right = {}, {}
    for i in range(count):
        data = chance.randbytes(chance.choice([100, 5000, 200_000, MIB]))
        kind = ("byte", "digest", "long", "short", "byte", "digest", "long", "byte", "digest", "long")[i % 10]
        thing = origin.add(digest_path(data), data=data)
        wrong[digest_path(data)] = data
        if kind == "byte":
            thing.data = other_byte(data, chance.randrange(len(data)))
        elif kind == "digest":
            thing.data = chance.randbytes(len(data))
        elif kind == "long":
            thing.data, thing.ranges = data + b"x", False
            thing.tamper = lambda answer, request, n: setattr(answer, "framing", "chunked")
        else:
            keep = len(data) // 2
            thing.tamper = lambda answer, request, n, keep=keep: shorten(answer, request, keep)
        if i % 10 == 0:
            good = chance.randbytes(3000)
            right[digest_path(good)] = good
            origin.add(digest_path(good), data=good)
    with concurrent.futures.ThreadPoolExecutor(8) as clients:
        for path, got in zip(wrong, clients.map(edge.fetch, wrong)):
            assert not got.complete or got.status == 502, (path, got.status, len(got.body))
        for path, got in zip(right, clients.map(edge.fetch, right)):
            assert got.complete and got.body == right[path]
    edge.wait_idle()
    assert edge.metrics()["cache_blobs"] == len(right)
    with concurrent.futures.ThreadPoolExecutor(8) as clients:
        for got in clients.map(edge.fetch, wrong):
            assert got.status == 502


def shorten(answer, request, keep):
    """All that is sent of the whole is its first `keep` bytes, whoever asks for whatever."""
    begin = (request.range() or (0, None))[0]
    answer.length = len(answer.body)
    answer.body = answer.body[:max(0, keep - begin)]
    answer.cut_after = len(answer.body)


def download(edge, path, size):
    """SHA-256 of a download of which no more than a piece is in memory."""
    client, seen = edge.http1(), hashlib.sha256()
    client.get(path)
    assert client.head()[0] == 200
    while size:
        piece = client.read(min(size, MIB))
        seen.update(piece)
        size -= len(piece)
    client.close()
    return seen.hexdigest()


def test_a_fill_cut_at_random_offsets_is_right_and_costs_no_byte_twice(edge, origin):
    size, cuts, chance = (1024 * MIB, 20, random.Random(11)) if LONG else (64 * MIB, 5, random.Random(11))
    data = chance.randbytes(MIB) * (size // MIB)
    thing = origin.add("/big.bin", data=data)
    offsets = sorted(chance.sample(range(1, size), cuts))

    def cut(answer, request, n):
        begin = (request.range() or (0, None))[0]
        later = [offset for offset in offsets if offset > begin]
        if later:
            answer.cut_after = later[0] - begin

    thing.tamper = cut
    assert download(edge, "/big.bin", size) == thing.sha256
    assert len(origin.requests) == cuts + 1
    assert origin.body_bytes() <= 1.02 * size
    edge.wait_idle()
    assert edge.metrics()["cache_blobs"] == 1


def test_what_changes_while_it_is_resumed_is_never_mixed(edge, origin):
    chance = random.Random(12)
    old, new = made_bytes(3 * MIB, seed="old"), made_bytes(3 * MIB, seed="new")
    for i in range(100 if LONG else 10):
        path = f"/thing{i}.bin"
        thing = origin.add(path, data=old, etag='"old"')
        cut_after = chance.randrange(1, len(old))

        def change(answer, request, n, thing=thing, cut_after=cut_after):
            if n == 0:
                answer.cut_after = cut_after
                thing.data, thing.etag = new, '"new"'

        thing.tamper = change
        got = edge.fetch(path)
        assert not got.complete or got.body == new
        assert got.body in (old[:len(got.body)], new)
        edge.wait_idle()
        assert edge.fetch(path).body == new


class Digesting:
    """A curl whose body is hashed and not kept."""

    def __init__(self, url, how):
        command = f"curl --silent --fail --show-error --no-buffer {how} --max-time 900 {url} | sha256sum"
        self._process = subprocess.Popen(["bash", "-o", "pipefail", "-c", command], stdout=subprocess.PIPE, text=True)

    def result(self):
        said, _ = self._process.communicate(timeout=1000)
        return said.split()[0] if self._process.returncode == 0 else f"curl's {self._process.returncode}"


def test_many_clients_of_one_cold_blob_cost_one_fetch(edge, origin):
    clients, size = (1000, 256 * MIB) if LONG else (100, 32 * MIB)
    data = made_bytes(MIB) * (size // MIB)
    thing = origin.add("/big.bin", data=data)
    everybody = threading.Event()
    thing.tamper = lambda answer, request, n: answer.gates.append((MIB, everybody))
    hows = ("--http1.1", "--http2-prior-knowledge")
    fetches = [Digesting(edge.url("/big.bin", tls=False), hows[i % 2]) for i in range(clients)]
    edge.wait_metric("fill_readers", lambda readers: readers == clients)
    everybody.set()
    assert {fetch.result() for fetch in fetches} == {thing.sha256}
    assert len(origin.requests) == 1 and origin.body_bytes() <= 1.01 * size
