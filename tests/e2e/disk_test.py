"""The disk rots, fails or is full: no client ever notices more than that something comes from the origin again."""
import contextlib
import os
import random
import subprocess
import threading

import pytest

KIB, MIB = 1024, 1024 * 1024
LONG = bool(os.environ.get("ENTREPOT_LONG"))


def is_hit(response):
    return response.cache_status.startswith("entrepot; hit")


def blob_path(edge, thing):
    return os.path.join(edge.folder, "cache/blobs", thing.sha256[:2], thing.sha256)


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ (1 << random.randrange(8))]))


# -- it rots --

def test_one_bit_flipped_in_each_blob_reaches_nobody_and_each_comes_again(make_edge, origin):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}",
                     cache="max_size=4g scrub=off").start()
    count = 1000 if LONG else 40
    things = [origin.add(f"/thing{i}.bin", size=random.choice((20, 120, 300, 900)) * KIB + i, seed=i)
              for i in range(count)]
    for i in range(count):
        edge.fetch(f"/thing{i}.bin")
    edge.wait_idle()
    edge.stop()
    at = [random.randrange(os.path.getsize(blob_path(edge, thing))) for thing in things]  # content or footer
    for thing, byte in zip(things, at):
        flip(blob_path(edge, thing), byte)
    edge.start()
    origin.forget()
    delivered = 0
    for i, (thing, byte) in enumerate(zip(things, at)):
        begin = max(0, min(byte, len(thing.data)) - 50)
        part = {"Range": f"bytes={begin}-{begin + 99}"} if i % 2 else {}
        expected = thing.data[begin:begin + 100] if part else thing.data
        answer = edge.fetch(f"/thing{i}.bin", fields=part, version="2" if i % 4 < 2 else "1.1")
        delivered += answer.complete and answer.body != expected
        healed = edge.fetch(f"/thing{i}.bin")
        assert healed.complete and healed.sha256 == thing.sha256, i
    edge.wait_idle()
    assert delivered == 0
    assert edge.metrics()["quarantined_total"] == count
    assert all(thing.asked >= 2 for thing in things)
    origin.forget()
    assert all(is_hit(edge.fetch(f"/thing{i}.bin")) for i in range(count)) and origin.requests == []


@pytest.mark.parametrize("fields", [{}, {"Cache-Control": "max-age=1000000"}], ids=["valid", "max-age"])
def test_of_a_large_blob_only_the_rotten_chunk_is_fetched_again(make_edge, origin, fields):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}",
                     cache="max_size=4g scrub=off").start()
    thing = origin.add("/large.bin", size=9 * MIB + 5, fields=fields)
    edge.fetch("/large.bin")
    edge.wait_idle()
    edge.stop()
    flip(blob_path(edge, thing), 5_000_000)
    edge.start()
    origin.forget()
    assert not edge.fetch("/large.bin").complete  # it ends before the rotten chunk
    part = edge.fetch("/large.bin", fields={"Range": "bytes=100-199"})
    assert part.body == thing.data[100:200] and origin.requests == []
    healed = edge.fetch("/large.bin")
    assert healed.complete and healed.sha256 == thing.sha256
    edge.wait_idle()
    assert [request.range() for request in origin.gets()] == [(38 * 128 * KIB, 39 * 128 * KIB - 1)]
    assert origin.body_bytes() == 128 * KIB
    origin.forget()
    again = edge.fetch("/large.bin")
    assert is_hit(again) and again.sha256 == thing.sha256 and origin.requests == []


def test_the_scrub_finds_what_rots_before_anybody_asks(make_edge, origin):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}",
                     cache="max_size=4g scrub=1s").start()
    things = [origin.add(f"/thing{i}.bin", size=700 * KIB, seed=i) for i in range(3)]
    for i in range(3):
        edge.fetch(f"/thing{i}.bin")
    edge.wait_idle()
    flip(blob_path(edge, things[1]), 333_333)
    edge.wait_metric("scrub_rotten_total", lambda rotten: rotten == 1)
    answer = edge.fetch("/thing1.bin")
    assert answer.complete and answer.sha256 == things[1].sha256 and things[1].asked == 2
    assert is_hit(edge.fetch("/thing0.bin")) and things[0].asked == 1
    edge.wait_metric("scrub_passes_total", lambda passes: passes >= 2)
    assert edge.metrics()["scrub_rotten_total"] == 1


# -- it fails --

def test_a_disk_that_fails_costs_storing_and_nothing_else(edge, origin):
    hit = origin.add("/hit.bin", size=MIB)
    edge.fetch("/hit.bin")
    edge.wait_idle()
    os.rename(edge.folder + "/cache/partial", edge.folder + "/cache/gone")
    for i in range(8):
        thing = origin.add(f"/cold{i}.bin", size=2 * MIB)
        answer = edge.fetch(f"/cold{i}.bin")
        assert answer.complete and answer.sha256 == thing.sha256
    small = origin.add("/small", size=100)
    assert edge.fetch("/small").body == small.data
    metrics = edge.metrics()
    assert metrics["cache_read_only"] == 1 and metrics["disk_write_failures_total"] == 3
    assert edge.admin("/readyz")[0] == 200
    again = edge.fetch("/hit.bin")
    assert is_hit(again) and again.sha256 == hit.sha256
    assert edge.error_log().count("three within an hour") == 1
    assert edge.error_log().count("not stored") <= 3

    os.rename(edge.folder + "/cache/gone", edge.folder + "/cache/partial")
    edge.wait_metric("cache_read_only", lambda value: value == 0)
    edge.wait_log("the disk takes writes again")
    edge.fetch("/cold0.bin")
    edge.wait_idle()
    assert is_hit(edge.fetch("/cold0.bin"))


# -- it is full --

@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 MiB where the edge will have its cache."""
    folder = tmp_path / "cache"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def take_all(folder):
    """Somebody else's file takes all that is free."""
    with open(folder / "filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(64 * KIB))


@contextlib.contextmanager
def storing(edge, size):
    """Waits for so much to come: it has been given to the disk, and is being stored, when the disk gets full."""
    before = edge.metrics()["upstream_bytes_total"]
    yield
    edge.wait_metric("upstream_bytes_total", lambda count: count >= before + size)


def test_a_disk_that_is_full_in_the_middle_of_a_fill_breaks_no_body(small_disk, make_edge, origin):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}",
                     folder=small_disk.parent, cache="max_size=1g").start()
    hit = origin.add("/hit.bin", size=MIB)
    edge.fetch("/hit.bin")
    edge.wait_idle()
    for number in range(100 if LONG else 3):
        path, go_on = f"/cold{number}.bin", threading.Event()
        thing = origin.add(path, size=30 * MIB, seed=number, ranges=number % 3 != 1)
        thing.tamper = lambda answer, request, n, gate=go_on: answer.gates.append((4 * MIB, gate)) if n == 0 else None
        with storing(edge, 4 * MIB):
            readers = [edge.start_fetch(path, version=version) for version in ("1.1", "2", "2")]
        edge.wait_metric("fill_readers", lambda count: count == 3)
        take_all(small_disk)
        go_on.set()
        for reader in readers:
            answer = reader.result()
            assert answer.complete and answer.sha256 == thing.sha256, number
        edge.wait_metric("cache_disk_full", lambda full: full == 1)
        again = edge.fetch("/hit.bin")
        assert is_hit(again) and again.sha256 == hit.sha256
        other = edge.fetch(path)  # passed from its first byte on
        assert other.complete and other.sha256 == thing.sha256

        os.unlink(small_disk / "filler")
        edge.wait_metric("cache_disk_full", lambda full: full == 0)
        origin.add(f"/after{number}.bin", size=50 * KIB)
        edge.fetch(f"/after{number}.bin")
        edge.wait_idle()
        assert is_hit(edge.fetch(f"/after{number}.bin")), number


def stopped_in_the_middle(origin, path, size, at, **fields):
    """(thing, event): the origin sends `at` bytes of its first answer, then the rest when the event is set."""
    go_on = threading.Event()
    thing = origin.add(path, size=size, fields=fields)
    thing.tamper = lambda answer, request, n: answer.gates.append((at, go_on)) if n == 0 else None
    return thing, go_on


def test_what_goes_on_beside_a_full_disk_is_held_against_its_digest_and_ends_well_only_if_right(
        small_disk, make_edge, origin):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}",
                     folder=small_disk.parent, cache="max_size=1g").start()
    for path, lies, etag in (("/right.bin", False, '"v1"'), ("/unpinned.bin", False, None), ("/wrong.bin", True, '"v1"')):
        thing, go_on = stopped_in_the_middle(origin, path, 20 * MIB, 4 * MIB)
        thing.etag, thing.fields["X-Checksum-Sha256"] = etag, thing.sha256

        def tamper(answer, request, n, gate=go_on, lies=lies):
            if n == 0:
                answer.gates.append((4 * MIB, gate))
            elif lies:
                answer.body = answer.body[:-1] + bytes([answer.body[-1] ^ 1])

        thing.tamper = tamper
        with storing(edge, 4 * MIB):
            readers = [edge.start_fetch(path, version=version) for version in ("1.1", "2")]
        edge.wait_metric("fill_readers", lambda count: count == 2)
        take_all(small_disk)
        go_on.set()
        for reader in readers:
            answer = reader.result()
            assert answer.complete != lies and (lies or answer.sha256 == thing.sha256), path
        assert len(origin.gets(path)) == 3  # each reader went on by itself, once
        assert origin.gets(path)[1].range() is not None
        os.unlink(small_disk / "filler")
        edge.wait_metric("cache_disk_full", lambda full: full == 0)


def test_who_waits_for_a_body_that_the_disk_does_not_take_is_given_the_origins(small_disk, make_edge, origin):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}",
                     folder=small_disk.parent, cache="max_size=1g").start()
    thing, go_on = stopped_in_the_middle(origin, "/held.bin", 100 * KIB, 50 * KIB)
    thing.fields["X-Checksum-Sha256"] = thing.sha256  # and so short that its head waits for the digest
    readers = [edge.start_fetch("/held.bin", version=version) for version in ("1.1", "2")]
    origin.wait_until(lambda: any(request.body_sent >= 50 * KIB for request in origin.gets("/held.bin")))
    edge.wait_metric("fill_readers", lambda count: count == 2)
    take_all(small_disk)
    go_on.set()
    for reader in readers:
        answer = reader.result()
        assert answer.complete and answer.status == 200 and answer.sha256 == thing.sha256


def test_a_body_that_the_origin_has_changed_meanwhile_is_cut_and_not_mixed(small_disk, make_edge, origin):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}",
                     folder=small_disk.parent, cache="max_size=1g").start()
    go_on = threading.Event()
    thing = origin.add("/cold.bin", size=30 * MIB)

    def tamper(answer, request, n):
        if n == 0:
            answer.gates.append((4 * MIB, go_on))

    thing.tamper = tamper
    with storing(edge, 4 * MIB):
        reader = edge.start_fetch("/cold.bin")
    thing.data, thing.etag = os.urandom(30 * MIB), '"v2"'
    take_all(small_disk)
    go_on.set()
    assert not reader.result().complete
    edge.wait_idle()
    assert edge.fetch("/cold.bin").sha256 == thing.sha256
