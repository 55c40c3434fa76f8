#!/usr/bin/python3
"""CPU of a cache hit, edge beside nginx: see README.md, and hits.py --help. Run it as hits.sh."""
import argparse
import dataclasses
import hashlib
import os
import re
import statistics
import subprocess
import sys

import lab as bench

GIB = 1 << 30


@dataclasses.dataclass
class Case:
    name: str
    object: str
    clients: int
    streams: int
    options: tuple
    unit: str     # what CPU is divided by: "us/request" or "s/GiB"
    limit: float  # edge / nginx that the project holds itself to
    clear: bool = False

    def size(self):
        return bench.SIZES[self.object]


CASES = {case.name: case for case in [
    Case("1k-h2", "1k", 32, 32, (), "us/request", 0.5),
    Case("1k-h1", "1k", 32, 1, ("--h1",), "us/request", 1.0),  # two system calls a request are most of it
    Case("256k-h2", "256k", 32, 32, (), "s/GiB", 1.0),
    Case("10m-h2", "10m", 8, 4, (), "s/GiB", 1.0),
    Case("16k-h2", "16k", 32, 32, (), "us/request", 1.0),
    Case("10m-h1", "10m", 8, 1, ("--h1",), "s/GiB", 1.0),
    Case("1k-clear-h1", "1k", 32, 1, ("--h1",), "us/request", 1.0, clear=True),
]}
USUAL = "1k-h2,1k-h1,256k-h2,10m-h2"


@dataclasses.dataclass
class Run:
    server: float  # CPU in the case's unit
    client: float
    rate: float    # requests/s, or MB/s
    cores: float   # share of its core that the server used


def load(server, case, requests, core):
    """One h2load run: (seconds, server CPU, client CPU). Exits unless every answer was a whole 200."""
    scheme, port = ("http", server.clear_port) if case.clear else ("https", server.port)
    command = ["h2load", f"-n{requests}", f"-c{min(case.clients, requests)}", f"-m{case.streams}", "-t1",
               f"--connect-to=127.0.0.1:{port}", "--tls13-ciphers=TLS_AES_128_GCM_SHA256",
               "--groups=X25519:P-256", *case.options, f"{scheme}://{bench.NAME}:{port}/{case.object}"]
    before = server.cpu_seconds()
    said, client = bench.run_client(command, core)
    spent = server.cpu_seconds() - before
    good = re.search(r"status codes: (\d+) 2xx", said)
    data = re.search(r"\((\d+)\) data", said)
    if not good or int(good[1]) != requests or int(data[1]) != requests * case.size():
        sys.exit(f"{server.label} {case.name}: not {requests} whole answers:\n{said}")
    number, unit = re.search(r"finished in ([\d.]+)(us|ms|s)", said).groups()
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1}[unit], spent, client


def measure(server, case, seconds, core):
    """A short run to find how many requests fill `seconds`, then the one that counts."""
    first = max(case.clients, int({1 << 10: 4000, 16 << 10: 3000}.get(case.size(), (100 << 20) // case.size())))
    took, _, _ = load(server, case, first, core)
    requests = max(first, int(first / max(took, 1e-3) * seconds))
    took, spent, client = load(server, case, requests, core)
    if case.unit == "us/request":
        per, rate = requests / 1e6, requests / took
    else:
        per, rate = requests * case.size() / GIB, requests * case.size() / took / 1e6
    return Run(spent / per, client / per, rate, spent / took)


def check_bodies(lab, server, skip=()):
    """Fetches every object twice and compares: after that all of them are hits, and right."""
    for name in bench.SIZES.keys() - set(skip):
        with open(lab.path("objects", name), "rb") as file:
            wanted = hashlib.file_digest(file, "sha256").hexdigest()
        for _ in range(2):
            body = subprocess.run(["curl", "-sS", "--fail", "--insecure", "--resolve",
                                   f"{bench.NAME}:{server.port}:127.0.0.1",
                                   f"https://{bench.NAME}:{server.port}/{name}"], check=True, capture_output=True)
            if hashlib.sha256(body.stdout).hexdigest() != wanted:
                sys.exit(f"{server.label} serves a wrong /{name}")


def spread(values):
    return f"{statistics.median(values):9.3f} [{min(values):.3f}-{max(values):.3f}]"


def report(cases, runs):
    """Prints the table. Returns the names of cases over their limit."""
    over = []
    print(f"\n{'case':12} {'unit':10} {'nginx: median [min-max]':28} {'edge: median [min-max]':28} "
          f"{'edge/nginx':10} {'limit':5}  {'with client':11} {'rate':>5}  rounds")
    for case in cases:
        nginx, edge = runs["nginx", case.name], runs["edge", case.name]
        ratios = [e.server / n.server for e, n in zip(edge, nginx)]
        both = [(e.server + e.client) / (n.server + n.client) for e, n in zip(edge, nginx)]
        rates = [e.rate / n.rate for e, n in zip(edge, nginx)]
        ratio = statistics.median(ratios)
        over += [case.name] if ratio > case.limit else []
        print(f"{case.name:12} {case.unit:10} {spread([r.server for r in nginx]):28} "
              f"{spread([r.server for r in edge]):28} {ratio:10.3f} {case.limit:5.2f}{'!' if ratio > case.limit else ' '} "
              f"{statistics.median(both):11.3f} {statistics.median(rates):5.2f}  "
              f"{' '.join(f'{r:.2f}' for r in ratios)}")
    return over


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default=USUAL, help=f"of {','.join(CASES)}; default %(default)s")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of load per case, server and round")
    parser.add_argument("--server-core", default="0")
    parser.add_argument("--client-core", default="1")
    parser.add_argument("--edge", metavar="PORT:PID", help="an edge that runs already, its upstream on --origin-port")
    parser.add_argument("--origin-port", type=int)
    parser.add_argument("--only-edge", action="store_true", help="no nginx: to profile, not to compare")
    parser.add_argument("--gate", action="store_true", help="exit 1 when a ratio is over its limit")
    return parser.parse_args()


def start_servers(lab, options):
    origin = lab.start_file_origin(options.client_core, options.origin_port)
    if options.edge:
        port, pid = (int(part) for part in options.edge.split(":"))
        edge = bench.Server("edge", pid, port)
    else:
        edge = lab.start_edge(origin.port, options.server_core)
    servers = [edge] if options.only_edge else [lab.start_nginx(origin.port, options.server_core), edge]
    for server in servers:
        check_bodies(lab, server)
    return servers


def main():
    options = arguments()
    bench.require("h2load", "nginx", "curl", "openssl", "taskset")
    cases = [CASES[name] for name in options.cases.split(",")]
    runs = {}
    with bench.Lab() as lab:
        servers = start_servers(lab, options)
        asked = len(lab.origin_requests())
        print(f"load average {os.getloadavg()[0]:.2f}; server core {options.server_core}, "
              f"client core {options.client_core}; {options.rounds} rounds", flush=True)
        for turn in range(options.rounds):
            for case in cases:
                for server in servers if turn % 2 == 0 else reversed(servers):
                    run = measure(server, case, options.seconds, options.client_core)
                    runs.setdefault((server.label, case.name), []).append(run)
                    print(f"round {turn + 1} {case.name:12} {server.label:6} {run.server:9.3f} {case.unit:10} "
                          f"client {run.client:8.3f}  rate {run.rate:10.1f}  server {run.cores:.2f} of a core",
                          flush=True)
        if len(lab.origin_requests()) != asked:
            sys.exit(f"not all hits: the origin was asked for {lab.origin_requests()[asked:][:5]}")
        print("memory (PSS, MiB): " + ", ".join(f"{s.label} {s.memory_mib():.0f}" for s in servers))
    if options.only_edge:
        return
    over = report(cases, runs)
    if over:
        print(f"over the limit: {', '.join(over)}")
    sys.exit(1 if over and options.gate else 0)


if __name__ == "__main__":
    main()
