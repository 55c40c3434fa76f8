"""kill -9 in the middle of load: it starts again each time, and what was committed is a hit."""
import concurrent.futures
import json
import os
import random
import subprocess
import threading
import time

from support.edge import wait_until

KIB, MIB = 1024, 1024 * 1024
ROUNDS = 50 if os.environ.get("ENTREPOT_LONG") else 10


class Load:
    """Fetches new things, small and large, until it is told to stop."""

    def __init__(self, edge, origin, number):
        self._edge, self._origin, self._number = edge, origin, number
        self._stop = threading.Event()
        self._pool = concurrent.futures.ThreadPoolExecutor(4)
        self.things = {}
        self._tasks = [self._pool.submit(self._run, worker) for worker in range(4)]

    def _run(self, worker):
        count = 0
        while not self._stop.is_set():
            path = f"/load/{self._number}/{worker}/{count}"
            size = random.choice([10, 20 * KIB, 200 * KIB, 3000 * KIB])
            self.things[path] = self._origin.add(path, size=size)
            self._edge.fetch(path, version="2" if worker % 2 else "1.1")
            count += 1

    def stop(self):
        self._stop.set()
        for task in self._tasks:
            task.result()
        self._pool.shutdown()


def get_all(edge, paths):
    """(path, fields, body) of each, one after the other over one connection."""
    client = edge.http2()
    for path in paths:
        stream = client.get(path)
        body = client.wait_end(stream)
        yield path, client.heads[stream][1], body
    client.close()


def test_kill_9_in_the_middle_of_load_loses_nothing_that_was_committed(edge, origin):
    committed = {}
    for number in range(ROUNDS):
        anchors = {f"/anchor/{number}/{i}": origin.add(f"/anchor/{number}/{i}", size=size)
                   for i, size in enumerate((100, 50 * KIB, 700 * KIB, 5000 * KIB))}
        for path, _, body in get_all(edge, anchors):
            assert body == anchors[path].data
        edge.wait_idle()
        commits = edge.metrics()["commits_total"]
        load = Load(edge, origin, number)
        # The first commit seen may have begun before the anchors were handed over, the second did not.
        edge.wait_metric("commits_total", lambda value: value >= commits + 2)
        time.sleep(random.uniform(0, 0.5))  # where in its work it dies is chance, and nothing waits for it
        edge.kill()
        load.stop()
        committed.update(anchors)
        edge.start()
        origin.forget()
        for path, fields, body in get_all(edge, committed):
            assert body == committed[path].data
            assert fields["cache-status"].startswith("entrepot; hit"), (number, path)
        assert origin.requests == []
        for path, _, body in get_all(edge, load.things):
            assert body == load.things[path].data, (number, path)


def saved_bytes(edge):
    """Of partial blobs, as of the last commit."""
    stat = [edge.program, "cache", "stat", os.path.join(edge.folder, edge.store), "--json"]
    return json.loads(subprocess.run(stat, capture_output=True, check=True).stdout)["partial"]["bytes"]


def test_a_fill_that_a_kill_breaks_off_goes_on_from_its_last_checkpoint(make_edge, origin):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}",
                     cache="max_size=4g checkpoint=1m").start()
    size, before = 24 * MIB, 10 * MIB + 200 * KIB
    thing = origin.add("/thing.bin", size=size)
    go_on = threading.Event()
    thing.tamper = lambda answer, request, n: answer.gates.append((before, go_on)) if n == 0 else None
    client = edge.http2()
    client.get("/thing.bin")
    wait_until(lambda: saved_bytes(edge) > before - 2 * MIB, "the last checkpoint to be committed")
    edge.kill()
    client.close()
    go_on.set()
    edge.start()
    origin.forget()
    answer = edge.fetch("/thing.bin")
    assert answer.complete and answer.sha256 == thing.sha256
    request, = origin.gets()
    assert request.status == 206 and request.range()[0] > before - 2 * MIB
    assert request.body_sent == size - request.range()[0]


def test_a_dead_serving_process_is_started_again_and_the_port_stays_open(edge, origin):
    thing = origin.add("/thing.bin", size=100 * KIB)
    assert edge.fetch("/thing.bin").body == thing.data
    old = edge.serving_pid()
    os.kill(old, 9)
    response = edge.fetch("/thing.bin", curl=("--retry", "5", "--retry-all-errors", "--retry-delay", "1"))
    assert response.body == thing.data
    assert edge.serving_pid() not in (None, old)
    edge.wait_log("exited on signal 9")
