#!/bin/bash
# Every row that speed is held to, the edge beside nginx, h2o, Varnish, HAProxy and Traffic Server in one interleaved
# run. Binary: ENTREPOT_BIN or build/release/entrepot.
#   bench/peers.sh [--rows 1k-h2,handshake-full] [--peers nginx,h2o] [--rounds 3] [--seconds 2] [--report]; more: --help
exec /usr/bin/python3 -B "$(dirname "$0")/peers" "$@"
