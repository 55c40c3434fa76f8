"""A long mixed run over links that lose packets: fills, hits, evictions, reloads, clients that are slow or leave.

The bytes are held against the oracle's all the while; memory, descriptors and the index must not grow once the
cache has been full for a while. ENTREPOT_LONG=1: an hour instead of a minute.
"""
import contextlib
import ctypes
import dataclasses
import os
import random
import signal
import statistics
import subprocess
import threading
import time

from faults.oracle import KIB, MIB, Load, Report, add_things

SECONDS = 3600 if os.environ.get("ENTREPOT_LONG") else 60
THINGS = 1200 if os.environ.get("ENTREPOT_LONG") else 150
CLONE_NEWNET = 0x40000000


@contextlib.contextmanager
def own_network():
    """A network namespace with a loopback of its own, for this thread and what it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as before:
        assert libc.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
        finally:
            assert libc.setns(before.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())


def lose(port, probability):
    """Of the packets from and to `port` that many are lost. REQUIRES: own_network()."""
    for end in ("--sport", "--dport"):
        subprocess.run(["iptables", "-A", "INPUT", "-p", "tcp", end, str(port), "-m", "statistic", "--mode", "random",
                        "--probability", str(probability), "-j", "DROP"], check=True)


def sizes(chance, count):
    """Many small things that go into the index, some of megabytes."""
    kinds = (lambda: chance.randrange(1, 16 * KIB), lambda: chance.randrange(16 * KIB, 2 * MIB),
             lambda: chance.randrange(2 * MIB, 20 * MIB))
    return [chance.choices(kinds, (50, 44, 6))[0]() for _ in range(count)]


@dataclasses.dataclass
class Sample:
    memory: int  # bytes of the serving process that no file backs
    descriptors: int
    index: int  # bytes of data.mdb


def sample(edge):
    pid = edge.serving_pid()
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        memory = next(int(line.split()[1]) * KIB for line in file if line.startswith("RssAnon:"))
    index = os.stat(os.path.join(edge.folder, "cache", "index", "data.mdb"))
    return Sample(memory, len(os.listdir(f"/proc/{pid}/fd")), index.st_blocks * 512)


class Background:
    """Calls `act` again and again, `pause` seconds apart, until it is left."""

    def __init__(self, act, pause):
        self._act, self._pause, self._stop = act, pause, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._stop.wait(self._pause):
            self._act()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def read_slowly(edge, things, report, chance):
    """Takes 64 KiB each tenth of a second for a while, then all the rest."""
    path, thing = chance.choice([(p, t) for p, t in things.items() if len(t.data) > MIB])
    connection = edge.http1(tls=True, receive_buffer=256 * KIB)
    connection.get(path)
    status, fields = connection.head()
    body = b""
    for _ in range(30):
        body += connection.read(64 * KIB)
        time.sleep(0.1)
    body += connection.read(len(thing.data) - len(body))
    connection.close()
    report.judge(thing, path, None, status, fields, body)
    report.note("slow readers")


def leave_early(edge, things, report, chance):
    path = chance.choice(list(things))
    connection = edge.http1(tls=False)
    connection.get(path)
    connection.head()
    connection.read(min(100 * KIB, len(things[path].data) // 2))
    connection.reset()
    report.note("clients that left")


def held_against_the_end(samples, what):
    """(median of the middle third, of the last third)."""
    third = len(samples) // 3
    values = [getattr(s, what) for s in samples]
    return statistics.median(values[third:2 * third]), statistics.median(values[-third:])


def soak(edge, origin, things, report, seed):
    chance = random.Random(f"{seed}/soak")
    samples = []

    def watch():
        samples.append(sample(edge))
        origin.forget()

    def reload():
        edge.send_signal(signal.SIGHUP)
        report.note("reloads")

    with contextlib.ExitStack() as parts:
        parts.enter_context(Background(watch, SECONDS / 60))
        parts.enter_context(Background(reload, 5))
        parts.enter_context(Background(lambda: read_slowly(edge, things, report, chance), 1))
        parts.enter_context(Background(lambda: leave_early(edge, things, report, chance), 0.5))
        load = Load(edge, things, report, seed, clients=6)
        parts.callback(load.stop)
        time.sleep(SECONDS)  # how long it runs is what a soak is
    return samples


def test_a_mixed_run_over_lossy_links_is_right_and_does_not_grow(make_edge, seed):
    from support.origin import Origin  # made in the namespace

    report = Report("soak")
    with own_network():
        origin = Origin()
        things = add_things(origin, sizes(random.Random(seed), THINGS), "/soak")
        total = sum(len(thing.data) for thing in things.values())
        edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}",
                         cache=f"max_size={total * 4 // 10 // MIB}m").start()
        lose(origin.port, 0.01)
        lose(edge.tls_port, 0.002)
        samples = soak(edge, origin, things, report, seed)
        evicted = edge.metrics()["evicted_blobs_total"]
        edge.stop()
        origin.close()
    report.rounds = len(samples)
    figures = {what: held_against_the_end(samples, what) for what in ("memory", "descriptors", "index")}
    print(f"{total // MIB} MiB at the origin, {evicted:.0f} evicted; " + "; ".join(
        f"{what} {middle:.0f} -> {end:.0f}" for what, (middle, end) in figures.items()))
    report.assert_clean()
    assert report.refused == 0 and evicted > 0
    middle, end = figures["memory"]
    assert end <= middle + max(16 * MIB, middle * 0.05)
    middle, end = figures["descriptors"]
    assert end <= middle + 32  # as many as there are clients, and blobs that they have open
    middle, end = figures["index"]
    assert end <= 1.5 * middle
