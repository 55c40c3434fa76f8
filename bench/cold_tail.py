#!/usr/bin/python3
"""The last MiB of a cold 1 GiB object, then again, then the whole: the edge (slice 4m) beside nginx with its slice
module, in turn. See README.md."""
import argparse
import dataclasses
import hashlib
import json
import os
import statistics
import sys
import time

import lab as bench

from support.origin import Origin, made_bytes

MIB = 1 << 20
TAIL = MIB
SLICE = 4 * MIB
LIMIT = 1.5


@dataclasses.dataclass
class Got:
    first_ms: float  # from the request's last byte to the body's first
    total_ms: float
    size: int
    sha256: str
    upstream: int    # body bytes that the origin wrote for it
    ranges: list     # what the origin was asked for


class BigOrigin:
    def __init__(self, size, rate):
        self.origin = Origin()
        piece = 64 * MIB
        data = b"".join(made_bytes(min(piece, size - at), seed=at) for at in range(0, size, piece))
        self.size, self.rate = size, rate
        self.whole = hashlib.sha256(data).hexdigest()
        self.tail = hashlib.sha256(data[-TAIL:]).hexdigest()
        self._data = memoryview(data)

    def new_path(self, name):
        # A memoryview: a slice of it is no copy, and a copy of 1 GiB would stand in the first byte's time.
        thing = self.origin.add(f"/{name}", data=self._data, fields={"Cache-Control": "max-age=3600"})
        if self.rate:
            thing.tamper = lambda answer, request, n: setattr(answer, "rate", self.rate)
        return f"/{name}"

    def settled(self, path):
        """The GETs, when the upstream has been quiet for a while: a slice goes on after the client has its part."""
        before = None
        while (now := (len(self.origin.gets(path)), self.origin.body_bytes())) != before:
            before = now
            time.sleep(0.3)
        return self.origin.gets(path)


def get(lab, server, big, path, *options):
    big.origin.forget()
    body = lab.path("body")
    said, _ = bench.run_client(
        ["curl", "-sS", "--fail", "--http2", "--cacert", lab.certificate, "--resolve",
         f"{bench.NAME}:{server.port}:127.0.0.1", "--output", body, "--write-out", "%{json}", *options,
         f"https://{bench.NAME}:{server.port}{path}"], "1")
    times = json.loads(said)
    with open(body, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    asked = big.settled(path)
    return Got((times["time_starttransfer"] - times["time_pretransfer"]) * 1e3, times["time_total"] * 1e3,
               os.path.getsize(body), digest, sum(r.body_sent for r in asked),
               [r.fields.get("range", "(all)") for r in asked])


def bounds(text, size):
    """(first byte, one past the last) of a Range that the origin was asked for."""
    first, _, last = text.removeprefix("bytes=").partition("-")
    if not first:
        return size - int(last), size
    return int(first), min(int(last) + 1, size)


def aligned(ranges, size):
    """True when the ranges together are whole slices, no byte twice. One slice may come in two requests."""
    end = None
    for first, stop in sorted(bounds(text, size) for text in ranges):
        if first != end and (first % SLICE or end is not None and end % SLICE):
            return False
        end = stop
    return end is not None and (end % SLICE == 0 or end == size)


def expect(holds, what, got):
    if not holds:
        sys.exit(f"{what}: {got}")


def check_edge(big, tail, again, whole):
    expect(tail.sha256 == big.tail and again.sha256 == big.tail, "the tail is wrong", tail)
    expect(aligned(tail.ranges, big.size), "not only aligned slices were asked for", tail)
    expect(again.upstream == 0 and not again.ranges, "the second time was no hit", again)
    if whole:
        expect(whole.sha256 == big.whole, "the whole is wrong", whole)
        expect(whole.upstream + tail.upstream == big.size, "slices were fetched twice",
               (tail.upstream, whole.upstream, whole.ranges[:3]))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=7, help="the whole is fetched in the first one only")
    parser.add_argument("--rate", type=float, default=0, help="upstream, bytes per second; default: all it can")
    parser.add_argument("--nginx-slice", default="1m,4m", help="sizes that nginx runs with; default %(default)s")
    parser.add_argument("--gate", action="store_true", help="exit 1 when a ratio is over its limit")
    return parser.parse_args()


def start_servers(lab, port, sizes):
    servers = [lab.start_edge(port, location="slice 4m;")]
    for size in sizes.split(","):
        servers.append(lab.start_nginx(
            port, key="$uri$is_args$args$slice_range", label=f"nginx-{size}",
            location=f"slice {size}; proxy_set_header Range $slice_range;"))
    return servers


def main():
    options = arguments()
    bench.require("nginx", "curl", "openssl", "taskset")
    big = BigOrigin(options.mib * MIB, options.rate)
    first = {}
    with bench.Lab() as lab:
        servers = start_servers(lab, big.origin.port, options.nginx_slice)
        for turn in range(options.rounds):
            for server in servers if turn % 2 == 0 else reversed(servers):
                path = big.new_path(f"{server.label}-{turn}")
                tail = get(lab, server, big, path, "--range", f"-{TAIL}")
                again = get(lab, server, big, path, "--range", f"-{TAIL}")
                whole = get(lab, server, big, path) if turn == 0 else None
                first.setdefault(server.label, []).append(tail.first_ms)
                print(f"round {turn + 1} {server.label:9} tail: first byte {tail.first_ms:7.2f} ms, end "
                      f"{tail.total_ms:7.2f} ms, upstream {tail.upstream / MIB:g} MiB {tail.ranges}  again: "
                      f"{again.first_ms:.2f} ms, upstream {again.upstream} bytes"
                      + (f"  whole: {whole.total_ms / 1e3:.2f} s, upstream {whole.upstream / MIB:g} MiB in "
                         f"{len(whole.ranges)} requests, digest {'right' if whole.sha256 == big.whole else 'WRONG'}"
                         if whole else ""), flush=True)
                if server.label == "edge":
                    check_edge(big, tail, again, whole)
    sys.exit(1 if report(first) and options.gate else 0)


def report(first):
    over = False
    for label, times in first.items():
        if label == "edge":
            continue
        ratios = [e / n for e, n in zip(first["edge"], times)]
        middle = statistics.median(ratios)
        over |= middle > LIMIT
        print(f"first byte: edge {statistics.median(first['edge']):.2f} ms, {label} {statistics.median(times):.2f} ms, "
              f"edge/{label} {middle:.3f} (limit {LIMIT}) {'OVER ' if middle > LIMIT else ''}"
              f"rounds {' '.join(f'{r:.2f}' for r in ratios)}")
    return over


if __name__ == "__main__":
    main()
