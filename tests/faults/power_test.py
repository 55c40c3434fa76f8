"""The power goes while things are filled and evicted: nothing wrong is served, all starts succeed, commits stay, and
a large fill goes on from its last checkpoint."""
import os
import random
import time

from faults.oracle import KIB, MIB, Feed, Load, Report, add_things, nothing_at, read_all, verify_store
from support.edge import wait_until

CUTS = 500 if os.environ.get("ENTREPOT_LONG") else 20
CUTS_PER_DISK = 20  # then another: what is held as committed grows with every round
CUTS_PER_GIANT = 4


class Giant:
    """A thing that comes slowly while a client follows. What it had some MiB ago is saved, in steps of 1 MiB."""
    SIZE, RATE = 32 * MIB, 3 * MIB

    def __init__(self, edge, origin, path):
        self.path, self._origin = path, origin
        self.thing = origin.add(path, size=self.SIZE)
        self.thing.tamper = lambda answer, request, n: setattr(answer, "rate", self.RATE if n == 0 else None)
        self._fetch = edge.start_fetch(path, tls=False, version="1.1")
        self._wait(2 * MIB)

    def is_coming(self):
        return self._fetch.running()

    def _wait(self, count):
        wait_until(lambda: self._fetch.bytes_so_far() >= count or not self.is_coming(), "the giant to come")

    def hold(self):
        """From here on, what has come by now is at its checkpoint. A commit later it must outlive everything."""
        self._held = self._fetch.bytes_so_far()
        self._wait(self._held + 2 * MIB)

    def end(self, report):
        """After the cut: how much of it had come."""
        self._had = len(self._fetch.result().body)
        report.note("giants" if self._had < self.SIZE else "giants that were there before the cut")

    def goes_on(self, edge, report):
        """Only what came since is asked for again."""
        outcome = read_all(edge, {self.path: self.thing}, report)[self.path]
        again = self._origin.gets(self.path)[1:]
        if self._had == self.SIZE:
            return
        begin = again[0].range()[0] if len(again) == 1 and again[0].range() else 0
        report.note("MiB of giants that came again", (self._had - begin) // MIB)
        if outcome == "refused" or len(again) != 1 or again[0].body_sent != self.SIZE - begin:
            report.other.append(f"{self.path}: {outcome}, asked for again: {again}")
        if begin < self._held - 2 * MIB:
            report.lost.append(f"{self.path}: {self._held} bytes had come and were saved, it goes on at {begin}")


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
                end(evicting, ample, report)
                disk.close()
            disk, committed = make_disk(size=512 * MIB), {}
            evicting, ample = (make_edge(location, workers=1, store=os.path.join(disk.folder, name),
                                         cache=f"max_size={size} checkpoint=1m", **binary).start()
                               for name, size in (("evicting", "12m"), ("ample", "4g")))
        giant = Giant(ample, origin, f"/giant/{number}") if number % CUTS_PER_GIANT == 1 else None
        anchors = add_things(origin, (100, 50 * KIB, 300 * KIB, 700 * KIB), f"/anchor/{number}")
        read_all(ample, anchors, report)
        ample.wait_metric("fills_running",
                          lambda value: value <= (giant is not None and giant.is_coming()))  # noqa: B023
        if giant:
            giant.hold()
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
        if giant:
            giant.end(report)
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
        if giant:
            giant.goes_on(ample, report)
    end(evicting, ample, report)
    return report


def end(evicting, ample, report):
    for edge in (evicting, ample):
        edge.stop()
        verify_store(edge, report)


def test_a_power_cut_leaves_no_wrong_byte_and_loses_nothing_committed(make_disk, make_edge, origin, seed):
    power_cuts(make_disk, make_edge, origin, CUTS, seed).assert_clean()


def test_an_index_that_is_not_synced_is_found_out(make_disk, make_edge, origin, seed, seeded):
    assert power_cuts(make_disk, make_edge, origin, 3, seed, **seeded("index-unsynced")).complaints()
