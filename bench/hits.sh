#!/bin/bash
# CPU of a cache hit, edge beside nginx, in one interleaved run. Binary: ENTREPOT_BIN or build/release/entrepot.
#   bench/hits.sh [--cases 1k-h2,10m-h2] [--rounds 5] [--seconds 2] [--gate]; more: bench/hits.sh --help
exec /usr/bin/python3 -B "$(dirname "$0")/hits.py" "$@"
