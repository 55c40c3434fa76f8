"""The edge beside its peers, row by row. See ../README.md."""
import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import lab as bench  # noqa: E402

import report  # noqa: E402
import rows  # noqa: E402

PEERS = "nginx,h2o,haproxy,varnish,ats"
TOOLS = {"nginx": "nginx", "h2o": "h2o", "haproxy": "haproxy", "varnish": "varnishd", "ats": "traffic_server"}


def arguments():
    names = ",".join(row.name for row in rows.ROWS)
    parser = argparse.ArgumentParser(prog="bench/peers.sh", description=__doc__)
    parser.add_argument("--rows", default=names, help="default: %(default)s")
    parser.add_argument("--peers", default=PEERS, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="of load per row, server and round")
    parser.add_argument("--report", action="store_true", help="write bench/REPORT.md and bench/plots")
    parser.add_argument("--gate", action="store_true", help="exit 1 when a row is missed")
    options = parser.parse_args()
    options.peers = options.peers.split(",")
    return options


def main():
    options = arguments()
    wanted = set(options.rows.split(","))
    unknown = wanted - {row.name for row in rows.ROWS}
    if unknown:
        sys.exit(f"no such row: {', '.join(sorted(unknown))}")
    bench.require("h2load", "nginx", "curl", "openssl", "taskset", "g++", *(TOOLS[peer] for peer in options.peers),
                  *(["hitch"] if "varnish" in options.peers else []))
    figures = rows.Figures()
    print(f"load average {os.getloadavg()[0]:.2f}; {options.rounds} rounds", flush=True)
    for measure in rows.GROUPS:
        measure(options, wanted, figures)
    report.print_table(figures, rows.ROWS)
    if options.report:
        command = " ".join(["bench/peers.sh", *(arg for arg in sys.argv[1:])])
        report.write(os.path.dirname(HERE), command, bench.binary(), options, figures, rows.ROWS)
    missed = [row.name for row in rows.ROWS if any(not is_held for *_, is_held in report.holds(figures, row))]
    sys.exit(1 if missed and options.gate else 0)


main()
