#!/usr/bin/python3
"""Instructions that a cache hit costs, function by function (callgrind): where to look for what can be saved, and
with `--gate` what a test holds the hit path to. Not a measure of time: a system call counts nothing here, a cache
miss nothing, and AES as many as it has rounds. See README.md."""
import argparse
import collections
import dataclasses
import glob
import os
import re
import sys

import lab as bench

# What serves a connection, from the event to the write: all that a hit is. Startup and other threads are not.
SERVES = "entrepot::http::Connection::Connection*_FUN*"
# What is ours or goes as we call it, whatever the processor: our code, nghttp2, llhttp (which is in our binary), and
# allocation. The rest of libc, libcrypto and libssl choose their code by what it can.
COUNTED = re.compile(r"entrepot .*|libnghttp2\S* .*|libc\.\S* (_int_)?(malloc|free|calloc|realloc|unlink_chunk).*")
CLIENTS = 4


@dataclasses.dataclass
class Row:
    name: str
    options: tuple
    object: str
    requests: int
    limit: int  # instructions a request, of COUNTED: what it was when somebody last made it less, and 8 %


ROWS = {row.name: row for row in [
    Row("1k-h2", ("-m32",), "1k", 3000, 17_100),
    Row("1k-h1", ("--h1",), "1k", 3000, 10_400),
    Row("256k-h2", ("-m8",), "256k", 200, 34_000),
]}


def read_profile(path):
    """{"object function": instructions of its own} of what callgrind wrote (its manual's format, names compressed)."""
    own, names = collections.Counter(), {}
    where, function, is_inclusive = "", "", False

    def name_of(kind, text):
        number, _, name = text.partition(" ")
        if name:
            names[kind, number] = name
        return names[kind, number]

    with open(path, encoding="utf-8") as file:
        for line in map(str.rstrip, file):
            key, _, value = line.partition("=")
            if key == "ob":
                where = os.path.basename(name_of("ob", value))
            elif key == "fn":
                function = name_of("fn", value)
            elif key in ("cob", "cfn"):
                name_of(key[1:], value)
            elif key == "calls":
                is_inclusive = True  # the next line tells what the call took
            elif line[:1] in "+-*0123456789" and " " in line:
                if not is_inclusive:
                    own[f"{where} {function}"] += int(line.split()[1])
                is_inclusive = False
    return own


def measure(row):
    """{"object function": instructions a request}"""
    with bench.Lab() as lab:
        out = lab.path("callgrind")
        origin = lab.start_file_origin()
        edge = lab.start_edge(origin.port, wrapper=["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}.%p",
                                                    f"--toggle-collect={SERVES}"])
        said, _ = bench.run_client(["h2load", f"-n{row.requests}", f"-c{CLIENTS}", "-t1", *row.options,
                                    f"--connect-to=127.0.0.1:{edge.port}",
                                    "--tls13-ciphers=TLS_AES_128_GCM_SHA256",
                                    f"https://{bench.NAME}:{edge.port}/{row.object}"], "1")
        if f" {row.requests} 2xx" not in said:
            sys.exit(f"{row.name}: not {row.requests} whole answers:\n{said}")
        edge.stop()
        # Of the process that serves: the other one waits for it.
        own = max(map(read_profile, glob.glob(out + ".*")), key=collections.Counter.total)
    return {name: count / row.requests for name, count in own.items()}


def counted(cost):
    return sum(count for name, count in cost.items() if COUNTED.fullmatch(name))


def report(row, cost, top):
    objects = collections.Counter()
    for name, count in cost.items():
        objects[name.partition(" ")[0]] += count
    print(f"{row.name:8} {counted(cost):8.0f} a request of what counts (limit {row.limit}); all: "
          + ", ".join(f"{name} {count:.0f}" for name, count in objects.most_common(6)))
    for name, count in sorted(cost.items(), key=lambda item: -item[1])[:top]:
        print(f"{count:10.1f} {name[:150]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default=",".join(ROWS), help=f"of {', '.join(ROWS)}")
    parser.add_argument("--top", type=int, default=0, help="list so many functions")
    parser.add_argument("--gate", action="store_true", help="exit 1 when one is over its limit")
    options = parser.parse_args()
    bench.require("valgrind", "h2load", "nginx", "openssl", "taskset")
    over = False
    for name in options.rows.split(","):
        cost = measure(ROWS[name])
        report(ROWS[name], cost, options.top)
        over |= counted(cost) > ROWS[name].limit
    sys.exit(1 if over and options.gate else 0)


if __name__ == "__main__":
    main()
