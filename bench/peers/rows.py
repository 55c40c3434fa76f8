"""What is measured, and what it is held to. A row has one figure per server and round; the report makes ratios of
figures of the same round."""
import contextlib
import dataclasses
import json
import os
import subprocess
import sys

import cold_tail
import collapse
import hits
import lab as bench
import servers

HERE = os.path.dirname(os.path.abspath(__file__))
GIB_FILE = {"1g": 1 << 30}


@dataclasses.dataclass
class Row:
    name: str
    title: str
    unit: str
    limits: dict = dataclasses.field(default_factory=dict)  # peer -> most that edge / peer may be
    most: float = 0.0                                       # that the edge's own figure may be; 0: any
    total: bool = False                                     # a second figure: with the load generator's


HITS = [
    (Row("1k-h2", "1 KiB hits, HTTP/2, 32 x 32 streams", "us/request", {"nginx": .2, "h2o": .8}, total=True),
     hits.CASES["1k-h2"]),
    (Row("16k-h2", "16 KiB hits, HTTP/2", "us/request", {"nginx": .5, "h2o": 1}, total=True), hits.CASES["16k-h2"]),
    (Row("256k-h2", "256 KiB hits, HTTP/2", "s/GiB", {"nginx": .5, "h2o": .85}, total=True), hits.CASES["256k-h2"]),
    (Row("10m-h2", "10 MiB hits, HTTP/2", "s/GiB", {"nginx": .7, "h2o": .95}, total=True), hits.CASES["10m-h2"]),
    (Row("1g-h2", "1 GiB hits, HTTP/2", "s/GiB", {"nginx": .7, "h2o": .95}, total=True),
     hits.Case("1g-h2", "1g", 1, 1, (), "s/GiB", .7)),
    (Row("1k-h1", "1 KiB hits, HTTP/1.1 kept alive", "us/request", {"nginx": .6, "h2o": 1}, total=True),
     hits.CASES["1k-h1"]),
    (Row("10m-h1", "10 MiB hits, HTTP/1.1", "s/GiB", {"nginx": .7, "h2o": 1, "ats": 1}, total=True),
     hits.CASES["10m-h1"]),
]
HANDSHAKES = [
    (Row("handshake-full", "TLS 1.3 handshakes, full", "us", {"nginx": 1, "h2o": 1}, total=True), "full"),
    (Row("handshake-resumed", "TLS 1.3 handshakes, resumed", "us", {"nginx": 1, "h2o": 1}, total=True), "resumed"),
]
LOG = Row("access-log", "1 KiB hits, HTTP/2: what the access log adds", "us/request", most=.3)
FANOUT = [
    Row("fanout-first", "200 clients, a cold 32 MiB object at 4 MB/s: first byte, last client", "s", {"ats": 1}, most=.1),
    Row("fanout-end", "the same: finish, last client, by the upstream's own time", "of it", {"ats": 1}, most=1.03),
    Row("fanout-cpu", "the same: server CPU", "s", {"ats": .85}),
]
TAIL = Row("cold-tail", "last 1 MiB of a cold 1 GiB object: first byte", "ms", {"nginx-1m": 1})
SPREAD = Row("cold-ranges", "50 ranges of 64 KiB spread over a cold 1 GiB: from upstream, by slices touched", "of them",
             most=1)
MEMORY = [
    Row("memory-process", "memory: process with nothing to do", "MiB", most=40),
    Row("memory-idle", "memory: idle TLS connection, HTTP/2", "KiB", most=30),
    Row("memory-stalled", "memory: client that has asked for 10 MiB and does not read", "KiB", most=64),
]
ROWS = [row for row, _ in HITS + HANDSHAKES] + [LOG, *FANOUT, TAIL, SPREAD, *MEMORY]


class Figures:
    """(row, server) -> figures, one a round; None: the server cannot do it."""

    def __init__(self):
        self.of = {}

    def add(self, row, server, value, total=None):
        self.of.setdefault((row.name, server), []).append((value, total))
        print(f"{row.name:18} {server:9} {value:10.3f} {row.unit:10}"
              + (f" with the client {total:.3f}" if total is not None else ""), flush=True)


def in_turn(started, turn):
    return started if turn % 2 == 0 else list(reversed(started))


def start_all(lab, options, origin):
    starts = {"nginx": lambda: lab.start_nginx(origin.port), "h2o": lambda: servers.start_h2o(lab),
              "haproxy": lambda: servers.start_haproxy(lab, origin.port),
              "varnish": lambda: servers.start_varnish(lab, origin.port),
              "ats": lambda: lab.start_traffic_server(origin.port, cores="0", workers=1)}
    return [lab.start_edge(origin.port)] + [starts[name]() for name in options.peers]


def can(server, row):
    """HAProxy stores nothing so large."""
    return not (server.label == "haproxy" and row.name.startswith("1g"))


# -- one core, all in memory or the page cache --

def measure_hits(options, wanted, figures):
    rows = [(row, case) for row, case in HITS if row.name in wanted]
    if not rows:
        return
    extra = GIB_FILE if any(case.object == "1g" for _, case in rows) else {}
    bench.SIZES.update(extra)
    with bench.Lab() as lab:
        origin = lab.start_file_origin()
        started = start_all(lab, options, origin)
        for server in started:
            hits.check_bodies(lab, server, skip=("1g",) if server.label == "haproxy" else ())
        asked = len(lab.origin_requests())
        for turn in range(options.rounds):
            for row, case in rows:
                for server in in_turn(started, turn):
                    if can(server, row):
                        run = hits.measure(server, case, options.seconds, "1")
                        figures.add(row, server.label, run.server, run.server + run.client)
        if fetched := lab.origin_requests()[asked:]:
            sys.exit(f"not all hits: {fetched[:3]}")


def measure_handshakes(options, wanted, figures):
    rows = [(row, mode) for row, mode in HANDSHAKES if row.name in wanted]
    if not rows:
        return
    with bench.Lab() as lab:
        client = build_client(lab)
        started = start_all(lab, options, lab.start_file_origin())
        for turn in range(options.rounds):
            for row, mode in rows:
                for server in in_turn(started, turn):
                    count = int(1000 * options.seconds)
                    before = server.cpu_seconds()
                    said, spent = bench.run_client([client, str(server.port), bench.NAME, mode, str(count)], "1")
                    mine = (server.cpu_seconds() - before) / count * 1e6
                    told = json.loads(said)
                    if mode == "resumed" and told["resumed"] == 0:  # this one resumes nothing
                        continue
                    if mode == "resumed" and told["resumed"] < count:
                        sys.exit(f"{server.label}: {told} of {count}")
                    figures.add(row, server.label, mine, mine + spent / count * 1e6)


def measure_log(options, wanted, figures):
    if LOG.name not in wanted:
        return
    case = hits.CASES["1k-h2"]
    with bench.Lab() as lab:
        origin = lab.start_file_origin()
        without = lab.start_edge(origin.port)
        logged = lab.start_edge(origin.port, location=f"access_log {lab.path('access.log')} combined;", label="logged")
        for server in (without, logged):
            hits.check_bodies(lab, server)
        for turn in range(options.rounds):
            cost = {server.label: hits.measure(server, case, options.seconds, "1").server
                    for server in in_turn([without, logged], turn)}
            figures.add(LOG, "edge", cost["logged"] - cost["edge"])


# -- both cores, a slow or a cold origin --

def measure_fanout(options, wanted, figures):
    if not wanted & {row.name for row in FANOUT}:
        return
    size, rate = 32 << 20, 4e6
    with bench.Lab() as lab:
        lab.build_fanout()
        slow = collapse.SlowOrigin(lab, size, rate)
        started = [lab.start_edge(slow.origin.port, cores="0-1", workers=2)]
        if "ats" in options.peers:
            started.append(lab.start_traffic_server(slow.origin.port, cores="0-1", workers=2))
        for turn in range(options.rounds):
            for server in in_turn(started, turn):
                run = collapse.measure(lab, server, slow, 200, turn, "mixed")
                if server.label == "edge":
                    collapse.check([run], size)
                for row, value in zip(FANOUT, (run["first_max"], run["end_max"] / (size / rate), run["server_cpu"])):
                    figures.add(row, server.label, value)


def measure_cold(options, wanted, figures):
    if not wanted & {TAIL.name, SPREAD.name}:
        return
    big = cold_tail.BigOrigin(1 << 30, 0)
    with bench.Lab() as lab:
        started = cold_tail.start_servers(lab, big.origin.port, "1m")
        for turn in range(options.rounds):
            for server in in_turn(started, turn) if TAIL.name in wanted else []:
                path = big.new_path(f"{server.label}-{turn}")
                tail = cold_tail.get(lab, server, big, path, "--range", f"-{cold_tail.TAIL}")
                if server.label == "edge":
                    again = cold_tail.get(lab, server, big, path, "--range", f"-{cold_tail.TAIL}")
                    cold_tail.check_edge(big, tail, again, None)
                figures.add(TAIL, server.label, tail.first_ms)
        if SPREAD.name in wanted:
            figures.add(SPREAD, "edge", spread(lab, started[0], big))


def spread(lab, edge, big):
    """What came from upstream for 50 ranges, one after the other, and again, by the slices that they lie in."""
    path, touched, came = big.new_path("spread"), set(), 0
    for i in range(50):
        first = (i * 7919 * (64 << 10)) % (big.size - (64 << 10))
        last = first + (64 << 10) - 1
        touched |= {first // cold_tail.SLICE, last // cold_tail.SLICE}
        for _ in range(2):
            came += cold_tail.get(lab, edge, big, path, "--range", f"{first}-{last}").upstream
    return came / (len(touched) * cold_tail.SLICE)


# -- memory --

def measure_memory(options, wanted, figures):
    if not wanted & {row.name for row in MEMORY}:
        return
    process, idle, stalled = MEMORY
    with bench.Lab() as lab:
        client = build_client(lab)
        origin = lab.start_file_origin()
        started = [server for server in start_all(lab, options, origin) if server.label in ("edge", "nginx", "h2o")]
        for server in started:
            figures.add(process, server.label, server.memory_mib())
            hits.check_bodies(lab, server)
            for row, mode, count in ((idle, "idle", 2000), (stalled, "stalled", 200)):
                with held(client, server, mode, 50):  # what the first ones cost once
                    pass
                before = server.memory_mib()
                with held(client, server, mode, count):
                    figures.add(row, server.label, (server.memory_mib() - before) * 1024 / count)


@contextlib.contextmanager
def held(client, server, mode, count):
    command = [client, str(server.port), bench.NAME, mode, str(count), "/10m"]
    with subprocess.Popen(["prlimit", "--nofile=16384", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if process.stdout.readline() != b"ready\n":
            sys.exit(f"{server.label}: {mode} connections failed")
        yield
        process.stdin.close()


def build_client(lab):
    subprocess.run(["g++", "-O2", "-std=c++20", "-o", lab.path("tls_client"), os.path.join(HERE, "tls_client.cc"),
                    "-lssl", "-lcrypto"], check=True)
    return lab.path("tls_client")


GROUPS = [measure_hits, measure_handshakes, measure_log, measure_fanout, measure_cold, measure_memory]
