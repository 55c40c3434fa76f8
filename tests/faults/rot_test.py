"""Bytes of the store change behind the edge's back: what rotted is found out and fetched again, never served."""
import os
import random
import time

import pytest

from faults.oracle import KIB, MIB, Report, add_things, nothing_at, outcome_of_one, read_all

LONG = bool(os.environ.get("ENTREPOT_LONG"))
BLOBS = 1000 if LONG else 60
DAMAGES = 100 if LONG else 3  # of each kind
READY_SECONDS = 10


def flip_bit(path, bit):
    with open(path, "r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def rot(make_edge, origin, seed, blobs, running, **binary):
    """One bit flipped in each blob's file, content or footer. Of half of them a range around the place is asked
    for first, where it is in the content."""
    report = Report("bit rot, " + ("running" if running else "stopped"))
    chance = random.Random(seed)
    # Above what is kept in the index. open files and chunks in memory are few beside them.
    things = add_things(origin, [chance.randrange(70 * KIB, 600 * KIB) for _ in range(blobs)], "/rot")
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}", **binary).start()
    read_all(edge, things, report)
    edge.wait_idle()
    edge.stop()
    if running:
        edge.start()
        read_all(edge, dict(list(things.items())[::2]), report)  # some of them are open, or in memory
    origin.forget()
    flipped = {}
    for path, thing in things.items():
        file = edge.blob_file(thing.sha256)
        flipped[path] = chance.randrange(os.path.getsize(file) * 8)
        flip_bit(file, flipped[path])
    if not running:
        edge.start()
    for number, (path, thing) in enumerate(things.items()):
        at, size = flipped[path] // 8, len(thing.data)
        if number % 2 and at < size:
            outcome_of_one(edge, path, thing, report, (max(0, at - 1000), min(size - 1, at + 1000)))
        # An answer that has begun when the rot is found breaks off; who asks again has it from the origin.
        if outcome_of_one(edge, path, thing, report) == "refused":
            outcome_of_one(edge, path, thing, report)
        report.rounds += 1
    if running:  # what memory held is right, and may hide the rot of a file until another process reads it
        edge.wait_idle()
        edge.stop()
        edge.start()
        for _ in range(2):
            read_all(edge, things, report)
    edge.wait_idle()
    report.note("fetched again", len({request.target for request in origin.gets()}))
    for path in set(things) - {request.target for request in origin.gets()}:
        report.other.append(f"bit {flipped[path]} of {path} ({len(things[path].data)} bytes) was not found out")
    with nothing_at(origin):
        for path, outcome in read_all(edge, things, report).items():
            if outcome != "hit":
                report.other.append(f"{path} was not stored again: {outcome}")
    edge.stop()
    return report


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
def test_a_bit_that_flipped_in_a_blob_file_is_never_served_and_fetched_again(make_edge, origin, seed, running):
    rot(make_edge, origin, seed, BLOBS, running).assert_clean()


def test_checksums_that_are_not_looked_at_are_found_out(make_edge, origin, seed, seeded):
    assert rot(make_edge, origin, seed, 20, False, **seeded("checksums-unchecked")).wrong


def damage_index(path, kind, chance):
    page = 4096
    pages = os.path.getsize(path) // page
    with open(path, "r+b") as file:
        def swap(first, second):
            file.seek(first * page)
            one = file.read(page)
            file.seek(second * page)
            other = file.read(page)
            file.seek(first * page)
            file.write(other)
            file.seek(second * page)
            file.write(one)
        if kind == "flipped":
            flip_bit(path, chance.randrange(pages * page * 8))
        elif kind == "swapped":
            swap(chance.randrange(pages), chance.randrange(pages))
        elif kind == "zeroed":
            file.seek(chance.randrange(pages) * page)
            file.write(bytes(page))
        elif kind == "truncated":
            file.truncate(chance.randrange(pages * page))


def index_damage(make_edge, origin, seed, kind, rounds):
    report = Report(f"index {kind}")
    chance = random.Random(f"{seed}/{kind}")
    things = add_things(origin, [chance.randrange(1, 6 * KIB) for _ in range(150)] + [100 * KIB] * 30 + [2 * MIB] * 2)
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}", workers=1)
    index = os.path.join(edge.folder, edge.store, "index", "data.mdb")
    for number in range(rounds):
        edge.start()
        read_all(edge, things, report)
        edge.wait_idle()
        edge.stop()
        damage_index(index, kind, chance)
        began = time.monotonic()
        edge.start()
        report.took("ready", time.monotonic() - began, READY_SECONDS)
        for path, outcome in read_all(edge, things, report).items():
            if outcome == "refused":
                report.other.append(f"round {number}: {path} is not served")
        edge.wait_idle()
        edge.stop()
        report.rounds += 1
    return report


@pytest.mark.parametrize("kind", ["flipped", "swapped", "zeroed", "truncated"])
def test_a_damaged_index_costs_hits_and_neither_the_process_nor_a_right_byte(make_edge, origin, seed, kind):
    index_damage(make_edge, origin, seed, kind, DAMAGES).assert_clean()
