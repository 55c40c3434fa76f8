"""A long mixed run over links that lose packets: fills, hits, evictions, reloads, clients that are slow or leave.

The bytes are held against the oracle's all the while; memory, descriptors and the index must not grow once the
cache has been full for a while: a line is fitted to what was measured in the second half. ENTREPOT_LONG=1: an hour.
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

LONG = bool(os.environ.get("ENTREPOT_LONG"))
SECONDS, SAMPLES, THINGS = (3600, 240, 1200) if LONG else (40, 60, 150)
CLONE_NEWNET = 0x40000000
# So much may the fitted line rise in the second half: twice to thrice what runs of 40 s without a leak have shown
# (memory -5.5 to 2.9 MiB, descriptors -4.1 to 7.6, of a dozen clients that come and go). In the long form that finds a
# leak of 16 MiB or 32 descriptors an hour; the short one looks at 20 s, and finds what leaks with each request.
MEMORY_RISES, DESCRIPTORS_RISE = (8 if LONG else 32) * MIB, 16
INDEX_TIMES = 1.5  # what it may become of what it was when the cache had been full for a while


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
    seconds: float
    memory: int  # bytes of the serving process that no file backs
    descriptors: int
    index: int  # bytes of data.mdb


def sample(edge):
    pid = edge.serving_pid()
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        memory = next(int(line.split()[1]) * KIB for line in file if line.startswith("RssAnon:"))
    index = os.stat(os.path.join(edge.folder, "cache", "index", "data.mdb"))
    return Sample(time.monotonic(), memory, descriptors(pid), index.st_blocks * 512)


def descriptors(pid):
    """But those of blobs that stand in the store: of these there are as many as the cache holds just now."""
    count = 0
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            place = os.readlink(f"/proc/{pid}/fd/{number}")
            count += "/blobs/" not in place or place.endswith(" (deleted)")
    return count


class Background:
    """Calls `act` again and again, `pause` seconds apart, until it is left. What it raises ends it, and goes to
    `failures`."""

    def __init__(self, failures, act, pause):
        self._failures, self._act, self._pause, self._stop = failures, act, pause, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            while not self._stop.wait(self._pause):
                self._act()
        except Exception as failure:
            self._failures.append(failure)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def read_slowly(edge, things, report, chance):
    """Takes 64 KiB each tenth of a second for a while, then all the rest."""
    path, thing = chance.choice([(p, t) for p, t in things.items() if len(t.data) > 2 * MIB])
    connection = edge.http1(tls=True, receive_buffer=MIB)
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


@dataclasses.dataclass
class Line:
    """Fitted to the second half of the samples by least squares."""
    begin: float  # of the line, and how much higher its end is
    rise: float
    an_hour: float

    def __init__(self, samples, what):
        half = samples[len(samples) // 2:]
        times, values = [s.seconds for s in half], [getattr(s, what) for s in half]
        slope, at_zero = statistics.linear_regression(times, values)
        self.begin = at_zero + slope * times[0]
        self.rise = slope * (times[-1] - times[0])
        self.an_hour = slope * 3600


def test_a_line_finds_a_leak_in_noise_and_none_where_there_is_none():
    chance = random.Random(1)
    noise = [Sample(t, 100 * MIB + chance.randrange(8 * MIB), 50 + chance.randrange(12), 0) for t in range(0, 3600, 15)]
    assert abs(Line(noise, "memory").rise) < MEMORY_RISES and abs(Line(noise, "descriptors").rise) < DESCRIPTORS_RISE
    for leaking in noise:
        leaking.memory += leaking.seconds * 4 * MEMORY_RISES // 3600  # twice what is allowed, in the second half
        leaking.descriptors += leaking.seconds * 4 * DESCRIPTORS_RISE // 3600
    assert Line(noise, "memory").rise > MEMORY_RISES and Line(noise, "descriptors").rise > DESCRIPTORS_RISE
    assert abs(Line(noise, "memory").an_hour - 4 * MEMORY_RISES) < 4 * MIB


def soak(edge, origin, things, report, seed):
    """The samples; what could not go on is raised."""
    chance = random.Random(f"{seed}/soak")
    samples, failures = [], []

    def watch():
        samples.append(sample(edge))
        origin.forget()

    def reload():
        edge.send_signal(signal.SIGHUP)
        report.note("reloads")

    with contextlib.ExitStack() as parts:
        # Left in the other order: what runs out is not measured, and the slow ones have the machine for themselves.
        for act, pause in ((reload, 5), (lambda: read_slowly(edge, things, report, chance), 1),
                           (lambda: leave_early(edge, things, report, chance), 0.5)):
            parts.enter_context(Background(failures, act, pause))
        parts.callback(Load(edge, things, report, seed, clients=6).stop)
        parts.enter_context(Background(failures, watch, SECONDS / SAMPLES))
        end = time.monotonic() + SECONDS  # how long it runs is what a soak is
        while time.monotonic() < end and not failures and not report.complaints():
            time.sleep(0.1)
    for failure in failures:
        raise failure
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
    report.note("MiB at the origin", total // MIB)
    report.note("evicted", int(evicted))
    report.assert_clean()
    assert report.refused == 0 and evicted > 0
    assert len(samples) >= SAMPLES * 3 // 4, "it was too busy to be measured"
    memory, descriptors, index = (Line(samples, what) for what in ("memory", "descriptors", "index"))
    report.say(f"memory {memory.begin / MIB:.0f} {memory.rise / MIB:+.1f} MiB ({memory.an_hour / MIB:+.1f} an hour)")
    report.say(f"descriptors {descriptors.begin:.0f} {descriptors.rise:+.1f} ({descriptors.an_hour:+.1f} an hour)")
    report.say(f"index {index.begin / MIB:.1f} {index.rise / MIB:+.2f} MiB ({index.an_hour / MIB:+.2f} an hour)")
    assert memory.rise <= MEMORY_RISES
    assert descriptors.rise <= DESCRIPTORS_RISE
    assert index.begin + index.rise <= INDEX_TIMES * index.begin
