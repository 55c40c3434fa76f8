"""Too few descriptors, too little memory, a clock that jumps: it stays, serves what is right, and serves on."""
import contextlib
import datetime
import email.utils
import glob
import os
import time

import pytest

from faults.oracle import KIB, MIB, Report, add_things, read_all
from support.edge import wait_until

LONG = bool(os.environ.get("ENTREPOT_LONG"))
# 64 of each worker are verified chunks; the rest is for clients, 64 KiB each, and the kernel.
LIMIT_MIB = 512 if LONG else 320
YEAR = 365 * 24 * 3600


def location(origin):
    return f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}"


def test_more_connections_than_descriptors_end_nothing_and_all_are_served_after_it(make_edge, origin):
    report = Report("descriptors")
    edge = make_edge(location(origin), wrapper=["prlimit", "--nofile=256:256", "--"]).start()
    things = add_things(origin, [100, 50 * KIB, 300 * KIB] * 10)
    read_all(edge, things, report)
    serving = edge.serving_pid()
    connections = []
    for _ in range(1000 if LONG else 400):
        with contextlib.suppress(OSError):
            connections.append(edge.http1(tls=False))
    for connection in connections:
        with contextlib.suppress(OSError):
            connection.get("/things/2")
    for connection in connections:
        connection.reset()
    edge.wait_metric("connections_active", lambda value: value <= 2)
    for path, outcome in read_all(edge, things, report).items():
        if outcome == "refused":
            report.other.append(f"{path} is not served")
    new = add_things(origin, [100, 300 * KIB] * 10, "/new")
    for path, outcome in read_all(edge, new, report).items():
        if outcome == "refused":
            report.other.append(f"{path} is not served")
    assert edge.serving_pid() == serving
    edge.stop()
    report.assert_clean()


class MemoryGroup:
    """A group of processes with a limit of memory: cgroup v1, or v2 where that is mounted."""

    def __init__(self, name, limit_bytes):
        second = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
        self.folder = os.path.join("/sys/fs/cgroup" if second else "/sys/fs/cgroup/memory", name)
        os.mkdir(self.folder)
        self._events = "memory.events" if second else "memory.oom_control"
        self._write("memory.max" if second else "memory.limit_in_bytes", limit_bytes)

    def _write(self, name, value):
        with open(os.path.join(self.folder, name), "w", encoding="ascii") as file:
            file.write(str(value))

    def wrapper(self):
        return ["sh", "-c", f'echo $$ > {self.folder}/cgroup.procs; exec "$@"', "sh"]

    def kills(self):
        with open(os.path.join(self.folder, self._events), encoding="ascii") as file:
            return int(dict(line.split() for line in file)["oom_kill"])

    def close(self):
        os.rmdir(self.folder)


@pytest.fixture
def memory_group(request):
    """Set up before make_edge, so that it goes after the edge has."""
    group = MemoryGroup(f"entrepot-{os.getpid()}", LIMIT_MIB * MIB)
    yield group
    group.close()


def test_a_crowd_does_not_take_more_memory_than_there_is(memory_group, make_edge, origin):
    """Clients that read nothing of what is large, cold and hot, while others are served."""
    report = Report("memory")
    edge = make_edge(location(origin), wrapper=memory_group.wrapper()).start()
    giants = add_things(origin, [48 * MIB] * 3, "/giant")
    things = add_things(origin, [100, 50 * KIB, 300 * KIB] * 10)
    connections = []
    for number in range(5000 if LONG else 1000):
        connections.append(edge.http1(tls=False, receive_buffer=4096))
        connections[-1].get(list(giants)[number % 3])
    for _ in range(3):
        for path, outcome in read_all(edge, things, report).items():
            if outcome == "refused":
                report.other.append(f"{path} is not served")
    for path, outcome in read_all(edge, giants, report).items():
        if outcome == "refused":
            report.other.append(f"{path} is not served")
    report.note("MiB resident", int(edge.metrics()["process_resident_memory_bytes"]) // MIB)
    for connection in connections:
        connection.reset()
    edge.stop()
    assert memory_group.kills() == 0
    report.note("MiB allowed", LIMIT_MIB)
    report.assert_clean()


class Clock:
    """A clock that stands wherever it is set, read anew at every look; time spans go on."""

    def __init__(self, folder):
        self._path = str(folder / "clock")
        self.set(0)
        self.environment = {"LD_PRELOAD": glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")[0],
                            "FAKETIME_TIMESTAMP_FILE": self._path, "FAKETIME_NO_CACHE": "1",
                            "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def set(self, seconds):
        with open(self._path + ".new", "w", encoding="ascii") as file:
            file.write(f"{seconds:+d}\n")
        os.rename(self._path + ".new", self._path)


def wait_date(edge, origin, years):
    """Until the edge has seen its clock, at which it looks once a second: what it asks for says the time."""
    year = str(datetime.datetime.utcfromtimestamp(time.time() + years * YEAR).year)
    origin.add("/date", size=10)
    wait_until(lambda: year in edge.fetch("/date").fields["date"], f"the year {year}")


@pytest.mark.parametrize("years", [3, -3], ids=["forwards", "backwards"])
def test_a_clock_that_jumps_by_years_makes_nothing_of_an_old_version_fresh(make_edge, origin, tmp_path, years):
    """The origin has a new version by then. Who serves the old one must know that it is fresh, and after such a
    jump nobody does."""
    report = Report(f"clock, {years} years")
    clock = Clock(tmp_path)
    edge = make_edge(location(origin), environment=clock.environment).start()
    things = add_things(origin, [100, 50 * KIB, 300 * KIB])
    read_all(edge, things, report)
    edge.wait_idle()
    assert set(read_all(edge, things, report).values()) == {"hit"}
    clock.set(years * YEAR)
    wait_date(edge, origin, years)
    for path in things:
        things[path] = origin.add(path, size=len(things[path].data), seed=f"new {path}", etag='"v2"')
    for _ in range(2):
        for path, outcome in read_all(edge, things, report).items():
            if outcome == "refused":
                report.other.append(f"{path} is not served")
    clock.set(0)
    wait_date(edge, origin, 0)
    for path in things:
        things[path] = origin.add(path, size=len(things[path].data), seed=f"newest {path}", etag='"v3"')
    if years > 0:  # what was stored in a future that has not come
        read_all(edge, things, report)
    edge.wait_idle()
    edge.stop()
    edge.start()
    read_all(edge, things, report)
    edge.stop()
    report.assert_clean()


def test_what_was_one_clients_is_asked_for_everybody_again_a_minute_later(make_edge, origin, tmp_path):
    """And not a minute after the last who was given his own."""
    clock = Clock(tmp_path)
    edge = make_edge(location(origin) + " location /clock { return 200 x; }", environment=clock.environment,
                     workers=1).start()
    thing = origin.add("/page", size=100, fields={"Cache-Control": "private"})

    def ask(seconds):
        clock.set(seconds)
        wait_until(lambda: abs(seconds_of(edge.fetch("/clock")) - time.time() - seconds) < 20, f"{seconds} s later")
        answer = edge.fetch("/page", fields={"Cookie": "name=value"})
        edge.wait_idle()
        return answer.cache_status, origin.requests[-1].fields.get("cookie")

    ask(0)
    thing.fields["Cache-Control"] = "max-age=1000"
    assert ask(50) == ("entrepot; fwd=uri-miss", "name=value")
    assert ask(80) == ("entrepot; fwd=uri-miss", None)
    assert ask(80) == ("entrepot; hit", None)


def seconds_of(response):
    return email.utils.parsedate_to_datetime(response.fields["date"]).timestamp()
