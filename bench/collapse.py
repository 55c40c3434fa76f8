#!/usr/bin/python3
"""Collapsing: 200 clients (HTTP/1.1 and HTTP/2 mixed, TLS) on one cold object from a slow upstream, the edge with
two workers beside Traffic Server, in turn. See README.md."""
import argparse
import os
import statistics
import sys

import lab as bench

from support.origin import Origin

LIMIT = 1.1


class SlowOrigin:
    """One object under many names, each answer at `rate` bytes per second."""

    def __init__(self, lab, size, rate):
        self.origin = Origin()
        self.rate = rate
        self.origin.add("/ready", data=b"ready\n", fields={"Cache-Control": "max-age=3600"})
        self._data = os.urandom(size)
        self.file = lab.path("expected")
        with open(self.file, "wb") as file:
            file.write(self._data)

    def new_path(self, name):
        thing = self.origin.add(f"/{name}", data=self._data, fields={"Cache-Control": "max-age=3600"})
        thing.tamper = lambda answer, request, n: setattr(answer, "rate", self.rate)
        return f"/{name}"


def measure(lab, server, slow, clients, turn, mode):
    path = slow.new_path(f"{server.label}-{turn}")
    slow.origin.forget()
    before = server.cpu_seconds()
    seen = lab.fanout(server, clients, path, slow.file, mode)
    gets = slow.origin.gets(path)
    seen.update(label=server.label, server_cpu=round(server.cpu_seconds() - before, 2), gets=len(gets),
                upstream=sum(get.body_sent for get in gets))
    return seen


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--mib", type=int, default=32)
    parser.add_argument("--rate", type=float, default=4e6, help="upstream, bytes per second")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--mode", choices=("mixed", "h1", "h2"), default="mixed")
    parser.add_argument("--gate", action="store_true", help="exit 1 when a ratio is over its limit")
    return parser.parse_args()


def check(seen, size):
    """What must hold of the edge whatever the machine does."""
    for run in seen:
        if run["gets"] != 1 or run["upstream"] != size or run["right"] != run["clients"] or run["new_connections"]:
            sys.exit(f"the edge: not one upstream GET and every body right: {run}")


def main():
    options = arguments()
    bench.require("traffic_server", "traffic_layout", "g++", "openssl", "taskset")
    size = options.mib << 20
    with bench.Lab() as lab:
        lab.build_fanout()
        slow = SlowOrigin(lab, size, options.rate)
        cores = f"0-{os.cpu_count() - 1}"
        edge = lab.start_edge(slow.origin.port, cores=cores, workers=2)
        ats = lab.start_traffic_server(slow.origin.port, cores=cores, workers=2)
        runs = {"edge": [], "ats": []}
        print(f"{options.clients} clients ({options.mode}), {options.mib} MiB at {options.rate / 1e6:g} MB/s: "
              f"the floor is {size / options.rate:.2f} s")
        for turn in range(options.rounds):
            for server in (ats, edge) if turn % 2 == 0 else (edge, ats):
                run = measure(lab, server, slow, options.clients, turn, options.mode)
                runs[server.label].append(run)
                print(f"round {turn + 1} {server.label:5} upstream GETs {run['gets']} ({run['upstream'] >> 20} MiB)  "
                      f"right {run['right']}/{run['clients']} (h1 {run['h1']}, h2 {run['h2']})  first byte p50 "
                      f"{run['first_p50'] * 1e3:.1f} max {run['first_max'] * 1e3:.1f} ms  end p50 "
                      f"{run['end_p50']:.3f} max {run['end_max']:.3f} s  CPU {run['server_cpu']} "
                      f"(client {run['client_cpu']:.2f}) s", flush=True)
    check(runs["edge"], size)
    over = False
    for name, what in (("first_p50", "first byte, p50"), ("first_max", "first byte, last client"),
                       ("end_p50", "finish, p50"), ("end_max", "finish, last client"), ("server_cpu", "server CPU")):
        ratios = [e[name] / a[name] for e, a in zip(runs["edge"], runs["ats"])]
        middle = statistics.median(ratios)
        held = name != "server_cpu"
        over |= held and middle > LIMIT
        print(f"edge/ats {what:24} {middle:6.3f} {f'(limit {LIMIT})' if held else '':12} "
              f"{'OVER' if held and middle > LIMIT else '':5} rounds {' '.join(f'{r:.2f}' for r in ratios)}")
    sys.exit(1 if over and options.gate else 0)


if __name__ == "__main__":
    main()
