"""The power goes while things are filled and evicted: nothing wrong is served, all starts succeed, commits stay."""
import os
import random
import time

from faults.oracle import KIB, MIB, Feed, Load, Report, add_things, nothing_at, read_all

CUTS = 200 if os.environ.get("ENTREPOT_LONG") else 20
CUTS_PER_DISK = 20  # then another: what is held as committed grows with every round


def power_cuts(make_disk, make_edge, origin, cuts, seed, **binary):
    """Two edges on one disk. One is small and evicts without end. In the other is room for all: what it has
    committed must be a hit after the cut, and nothing but a loss can be the reason when it is not."""
    report = Report("power cuts")
    chance = random.Random(seed)
    # Within the index, in files of one chunk and of several; all together twice what the small edge holds.
    sizes = [chance.randrange(1, 8 * KIB) for _ in range(40)]
    sizes += [chance.randrange(70 * KIB, 300 * KIB) for _ in range(24)] + [1200 * KIB] * 6
    small = add_things(origin, sizes, "/small")
    things = {**small, **add_things(origin, [5 * MIB, 6 * MIB], "/large")}
    location = f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}"
    disk = None
    for number in range(cuts):
        if number % CUTS_PER_DISK == 0:
            if disk:
                evicting.stop()
                ample.stop()
                disk.close()
            disk, committed = make_disk(), {}
            evicting, ample = (make_edge(location, workers=1, store=os.path.join(disk.folder, name),
                                         cache=f"max_size={size}", **binary).start()
                               for name, size in (("evicting", "12m"), ("ample", "4g")))
        anchors = add_things(origin, (100, 50 * KIB, 300 * KIB, 700 * KIB), f"/anchor/{number}")
        read_all(ample, anchors, report)
        ample.wait_idle()
        commits = ample.metrics()["commits_total"]
        load = Load(evicting, things, report, f"{seed}/{number}", clients=3)
        feed = Feed(ample, origin, f"/feed/{number}", report, seed)
        # The first commit seen may have begun before the anchors were handed over, the second did not.
        ample.wait_metric("commits_total", lambda value: value >= commits + 2)
        time.sleep(chance.uniform(0, 0.3))  # where in its work it is cut is chance, and nothing waits for it
        disk.wait_unflushed(chance.choice((0, 1, 64 * KIB, 512 * KIB)))
        disk.cut(evicting, ample)
        report.note("unflushed writes", disk.unflushed)
        report.note("of them kept", disk.kept)
        for clients in (load, feed):
            clients.stop()
        committed.update(anchors)
        report.rounds += 1
        try:
            evicting.start()
            ample.start()
        except AssertionError as error:
            report.other.append(f"round {number}: no start: {error}")
            evicting.abandon()
            ample.abandon()
            return report
        with nothing_at(origin):
            for path, outcome in read_all(ample, committed, report).items():
                if outcome != "hit":
                    report.lost.append(f"round {number}: {path}")
            read_all(ample, feed.fed, report)
            read_all(evicting, small, report)
        for path, outcome in read_all(evicting, things, report).items():
            if outcome == "refused":
                report.other.append(f"round {number}: {path} is not served any more")
    for edge in (evicting, ample):
        edge.stop()
    return report


def test_a_power_cut_leaves_no_wrong_byte_and_loses_nothing_committed(make_disk, make_edge, origin, seed):
    power_cuts(make_disk, make_edge, origin, CUTS, seed).assert_clean()


def test_an_index_that_is_not_synced_is_found_out(make_disk, make_edge, origin, seed, seeded):
    assert power_cuts(make_disk, make_edge, origin, 3, seed, **seeded("index-unsynced")).complaints()
