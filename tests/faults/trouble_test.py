"""A disk that is full, fails or is slow: clients have what is right, hits go on, and it heals by itself."""
import contextlib
import os
import random
import threading
import time

from faults.oracle import KIB, MIB, Report, add_things, nothing_at, outcome_of_one, read_all

LONG = bool(os.environ.get("ENTREPOT_LONG"))
RECOVERS_SECONDS = 10


def edge_on(disk, make_edge, origin, **options):
    return make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}",
                     store=os.path.join(disk.folder, "cache"), **options)


@contextlib.contextmanager
def filled_up(folder):
    """By somebody else's file: not a byte is free."""
    path = os.path.join(folder, "somebody-else's")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    size, piece = 0, MIB
    while piece >= 4 * KIB:
        try:
            os.posix_fallocate(descriptor, size, piece)
            size += piece
        except OSError:
            piece //= 2
    os.close(descriptor)
    yield
    os.unlink(path)


def test_a_disk_that_fills_up_in_the_middle_of_a_fill_costs_nobody_a_byte(make_disk, make_edge, origin, seed):
    report = Report("full disk")
    chance = random.Random(seed)
    disk = make_disk(size=96 * MIB)
    edge = edge_on(disk, make_edge, origin, cache="max_size=48m").start()
    kept = add_things(origin, [100, 20 * KIB, 300 * KIB], "/kept")
    for number in range(100 if LONG else 5):
        read_all(edge, kept, report)
        evicted_before = int(edge.metrics()["evicted_blobs_total"])
        cold = add_things(origin, [200, 10 * KIB, 100 * KIB, 2 * MIB], f"/cold/{number}")
        gate = threading.Event()
        giant = origin.add("/giant", size=6 * MIB, seed=number, etag=f'"{number}"')
        path = f"/giant/{number}"
        origin.resources[path] = giant
        at = chance.randrange(MIB, 5 * MIB)
        giant.tamper = lambda answer, request, n, at=at, gate=gate: setattr(answer, "gates", [(at, gate)])
        fetches = [edge.start_fetch(path, version=version) for version in ("1.1", "2")]
        origin.wait_until(lambda: any(r.body_sent >= at for r in origin.requests if r.target == path),  # noqa: B023
                          "the giant's first part")
        with filled_up(disk.folder):
            gate.set()
            for fetch in fetches:
                got = fetch.result()
                if not got.complete or got.status != 200:
                    report.other.append(f"loop {number}: the giant: {got.status}, {len(got.body)} bytes")
                elif got.body != giant.data:
                    report.wrong.append(f"loop {number}: the giant")
            for thing, outcome in read_all(edge, cold, report).items():
                if outcome == "refused":
                    report.other.append(f"loop {number}: {thing} was not served")
            missed = [thing for thing, outcome in read_all(edge, kept, report).items() if outcome != "hit"]
            evicted = int(edge.metrics()["evicted_blobs_total"]) - evicted_before
            if len(missed) > evicted:  # what goes to make room may be any
                report.lost.append(f"loop {number}: {missed} while it was full, {evicted} evicted")
        began, tries = time.monotonic(), 0
        while True:  # until something new is stored again
            probe = f"/probe/{number}/{tries}"
            thing = origin.add(probe, size=100 * KIB)
            outcome_of_one(edge, probe, thing, report)
            edge.wait_idle()
            if outcome_of_one(edge, probe, thing, report) == "hit":
                break
            tries += 1
            assert time.monotonic() < began + RECOVERS_SECONDS, f"loop {number}: nothing is stored again"
        report.took("stored again", time.monotonic() - began, RECOVERS_SECONDS)
        report.rounds += 1
    read_all(edge, kept, report)
    edge.wait_idle()
    edge.stop()
    edge.start()
    with nothing_at(origin):
        report.lost += [f"{path} after a restart" for path, outcome in read_all(edge, kept, report).items()
                        if outcome != "hit"]
    report.assert_clean()


def stored_and_out_of_memory(disk, make_edge, origin, report):
    """An edge with things in its store, of which the kernel has nothing in memory."""
    things = add_things(origin, [100, 5 * KIB, 300 * KIB, 400 * KIB, 3 * MIB])
    edge = edge_on(disk, make_edge, origin).start()
    read_all(edge, things, report)
    edge.wait_idle()
    edge.stop()
    disk.remount()
    return edge.start(), things


def test_what_cannot_be_read_is_fetched_again_and_the_rest_is_served(disk, make_edge, origin):
    report = Report("unreadable blob")
    edge, things = stored_and_out_of_memory(disk, make_edge, origin, report)
    bad = "/things/3"
    origin.forget()
    disk.fail(fail_reads=disk.extents(edge.blob_file(things[bad].sha256)))
    for _ in range(2):
        for path, outcome in read_all(edge, things, report).items():
            if path != bad and outcome != "hit":
                report.lost.append(path)
    if outcome_of_one(edge, bad, things[bad], report) == "refused":
        report.other.append(f"{bad} is not served again")
    assert {request.target for request in origin.gets()} == {bad}
    disk.fail()
    edge.stop()
    report.assert_clean()


def test_a_disk_that_takes_no_write_leaves_hits_and_right_answers(disk, make_edge, origin):
    report = Report("no writes")
    edge, things = stored_and_out_of_memory(disk, make_edge, origin, report)
    read_all(edge, things, report)
    disk.fail(fail_writes=disk.everywhere())
    cold = add_things(origin, [100, 50 * KIB, 300 * KIB, 2 * MIB] * 3, "/cold")
    for path, outcome in read_all(edge, cold, report).items():
        if outcome == "refused":
            report.other.append(f"{path} was not served")
    edge.wait_idle()
    with nothing_at(origin):
        report.lost += [path for path, outcome in read_all(edge, things, report).items() if outcome != "hit"]
    edge.kill()  # what it could not write it need not end well with
    disk.fail()
    disk.remount()
    edge.start()
    with nothing_at(origin):
        report.lost += [f"{path} after a restart" for path, outcome in read_all(edge, things, report).items()
                        if outcome != "hit"]
    for path, outcome in read_all(edge, cold, report).items():
        if outcome == "refused":
            report.other.append(f"{path} is not served after a restart")
    edge.stop()
    report.assert_clean()


def test_a_slow_disk_holds_up_only_what_must_be_read_from_it(disk, make_edge, origin):
    report = Report("slow disk")
    edge, things = stored_and_out_of_memory(disk, make_edge, origin, report)
    slow = "/things/4"
    fast = {path: thing for path, thing in things.items() if path != slow}
    read_all(edge, fast, report)  # they are in memory now
    disk.fail(delay=1)
    fetch = edge.start_fetch(slow, tls=False)
    for _ in range(20):
        with nothing_at(origin):
            report.lost += [path for path, outcome in read_all(edge, fast, report).items() if outcome != "hit"]
    held_up = fetch.running()
    disk.fail()
    got = fetch.result()
    assert got.complete and got.body == things[slow].data
    assert held_up, "the slow one was there before the others"
    edge.stop()
    report.assert_clean()
