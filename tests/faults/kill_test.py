"""kill -9 at any moment of a load: nothing wrong is served, commits stay, what was renamed comes back."""
import os
import random
import re
import time

from faults.oracle import KIB, MIB, Feed, Load, Report, add_things, nothing_at, read_all, verify_store
from support.edge import wait_until

LONG = bool(os.environ.get("ENTREPOT_LONG"))
KILLS = 1000 if LONG else 50
HELD = 200  # of what is committed, the newest: what a round costs must not grow


def kills(make_edge, origin, rounds, seed, **binary):
    report = Report("kill -9")
    chance = random.Random(seed)
    things = add_things(origin, [chance.randrange(1, 400 * KIB) for _ in range(40)] + [3 * MIB])
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}", **binary).start()
    committed = {}
    for number in range(rounds):
        feed = Feed(edge, origin, f"/feed/{number}", report, seed)
        load = Load(edge, things, report, f"{seed}/{number}", clients=2)
        if number % 2:  # what is done before a commit begins is in it: the second one seen began after
            anchors = add_things(origin, (100, 90 * KIB), f"/anchor/{number}")
            read_all(edge, anchors, report)
            files = [edge.blob_file(thing.sha256) for thing in list(anchors.values())[1:]]
            wait_until(lambda: all(map(os.path.exists, files)), "the anchors' files")  # noqa: B023
            commits = edge.metrics()["commits_total"]
            edge.wait_metric("commits_total", lambda value: value >= commits + 2)
            committed.update(anchors)
        time.sleep(chance.uniform(0, 0.5))  # where in its work it dies is chance, and nothing waits for it
        edge.kill()
        load.stop()
        feed.stop()
        edge.start()
        with nothing_at(origin):
            held = dict(list(committed.items())[-HELD:])
            report.lost += [f"round {number}: {path}" for path, outcome in read_all(edge, held, report).items()
                            if outcome != "hit"]
            read_all(edge, feed.fed, report)
        for path in feed.fed:
            origin.resources.pop(path)
        report.other += [f"round {number}: {path} is not served"
                         for path, outcome in read_all(edge, things, report).items() if outcome == "refused"]
        report.rounds += 1
    edge.stop()
    verify_store(edge, report)
    return report


def test_a_kill_leaves_no_wrong_byte_and_loses_nothing_that_was_committed(make_edge, origin, seed):
    kills(make_edge, origin, KILLS, seed).assert_clean()


def test_blobs_that_were_renamed_and_not_committed_come_back_by_their_footers(make_edge, origin, seed):
    """Every blob here is a file, so that as many as there are files must be known."""
    report = Report("adoption")
    chance = random.Random(seed)
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}").start()
    for number in range(100 if LONG else 5):
        feed = Feed(edge, origin, f"/feed/{number}", report, seed, size=90 * KIB)
        wait_until(lambda: len(feed.fed) > 5, "a few fills")  # noqa: B023
        time.sleep(chance.uniform(0, 0.5))
        edge.kill()
        feed.stop()
        edge.start()
        files = sum(len(names) for _, _, names in os.walk(os.path.join(edge.folder, edge.store, "blobs")))
        edge.wait_metric("cache_blobs", lambda value: value == files)  # noqa: B023
        report.rounds += 1
    back = [int(count) for count in re.findall(r"(\d+) blobs that the index did not know are back", edge.error_log())]
    report.note("blobs adopted", sum(back))
    assert sum(back) > 0
    report.assert_clean()
