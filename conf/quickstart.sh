#!/usr/bin/env bash
# Builds entrepot, starts an origin and an edge on this machine, and shows with curl what the edge promises.
# Leaves both running; `conf/quickstart.sh stop` ends them. Exits non-zero when a promise is not kept.
#   ENTREPOT_BIN=...   use this binary, build nothing
#   QUICKSTART_DIR=... where certificates, artifacts, caches and logs go (default: build/quickstart)
#   QUICKSTART_PORTS="EDGE EDGE-ADMIN ORIGIN ORIGIN-ADMIN" instead of those in the confs
set -Eeuo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=${QUICKSTART_DIR:-$top/build/quickstart}
bin=${ENTREPOT_BIN:-$top/build/release/entrepot}
read -r edge_port edge_admin_port origin_port origin_admin_port <<< "${QUICKSTART_PORTS:-8443 9443 8081 9081}"
edge=https://localhost:$edge_port
edge_admin=http://127.0.0.1:$edge_admin_port
origin_admin=http://127.0.0.1:$origin_admin_port

say() { printf '%s\n' "${*//$PWD\//}"; } # paths as seen from here
fail() { printf 'FAIL  %s\n' "$*" >&2; exit 1; } # the edge and its logs stay, to look at
trap 'printf "FAIL  %s (line %s)\n" "$BASH_COMMAND" "$LINENO" >&2' ERR # of what is not checked one by one
pass() { printf 'PASS  %s\n' "$*"; }
check() { # check CLAIM TEST...
  local claim=$1; shift
  if [ "$@" ]; then pass "$claim"; else fail "$claim"; fi
}

get() { curl --silent --show-error --http2 --cacert "$dir/certs/localhost.pem" "$@"; }
metric() { curl --silent --fail "$1/metrics" | awk -v name="entrepot_$2" '$1 == name { printf "%.0f", $2 }'; }
origin_requests() { metric $origin_admin requests_total; }
origin_bytes() { metric $edge_admin upstream_bytes_total; }
sha() { sha256sum "$@" | cut -d' ' -f1; }
mib() { awk -v b="$1" 'BEGIN { printf "%.1f MiB", b / 1048576 }'; }
until_true() { # until_true SECONDS COMMAND...
  local limit=$(( $(date +%s) + $1 )); shift
  until "$@"; do [ "$(date +%s)" -lt "$limit" ] || return 1; sleep 0.05; done
}

build() {
  [ -z "${ENTREPOT_BIN:-}" ] || return 0
  if [ "$(id -u)" = 0 ]; then "$top/.ci/packages.sh" build; fi
  (cd "$top" && cmake --preset release -DENTREPOT_TESTS=OFF >/dev/null && cmake --build --preset release --target entrepot)
}

make_certificate() {
  mkdir -p "$dir/certs"
  [ -s "$dir/certs/localhost.pem" ] && openssl x509 -checkend 86400 -noout -in "$dir/certs/localhost.pem" >/dev/null && return
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
    -keyout "$dir/certs/localhost.key" -out "$dir/certs/localhost.pem" 2>/dev/null
}

# Real files of this machine; the large one is as much of /usr as its size takes.
make_artifacts() {
  local root=$dir/artifacts tar
  mkdir -p "$root/v2/demo/blobs"
  cp "$bin" "$root/entrepot.bin"
  cp "$(ldd "$bin" | awk '/libcrypto/ { print $3 }')" "$root/libcrypto.so"
  tar -cf - -C /usr lib share 2>/dev/null | head -c $((16 << 20)) > "$root/firmware-16m.tar" || true
  tar -cf - -C /usr lib share 2>/dev/null | head -c $((128 << 20)) > "$root/firmware-128m.tar" || true
  tar=$root/firmware-large.tar
  # The large one must take the wire some time, so that its upstream can be killed in between.
  if [ ! -s "$tar" ]; then
    for _ in 1 2 3 4 5 6 7 8; do cat "$root/firmware-128m.tar"; done > "$tar"
  fi
  local layer=$root/libcrypto.so
  good_digest=$(sha "$layer")
  cp "$layer" "$root/v2/demo/blobs/sha256:$good_digest"
}

start_one() { # start_one NAME CONF
  cp "$top/conf/mime.types" "$dir/"
  sed "s/:8443/:$edge_port/; s/:9443/:$edge_admin_port/; s/:8081/:$origin_port/; s/:9081/:$origin_admin_port/" \
    "$top/conf/$2" > "$dir/$2"
  # In a subshell, so that it is no job of this shell, which would have its say when it is killed.
  (setsid "$bin" -p "$dir" -c "$2" >> "$dir/logs/$1-stderr.log" 2>&1 < /dev/null & echo $! > "$dir/run/$1.started")
}
is_ready() { curl --silent --fail --output /dev/null "$1/readyz"; }
start_origin() {
  start_one origin quickstart-origin.conf
  until_true 10 is_ready $origin_admin || fail "the origin does not start: $(tail -3 "$dir"/logs/origin-*.log)"
}
start_edge() {
  start_one edge quickstart.conf
  until_true 10 is_ready $edge_admin || fail "the edge does not start: $(tail -3 "$dir"/logs/edge-*.log)"
}
kill_origin() { # at once, master and serving process, as a crash would
  local master children
  master=$(cat "$dir/run/origin.started")
  children=$(cat "/proc/$master/task/$master/children" 2>/dev/null || true)
  # shellcheck disable=SC2086
  kill -9 "$master" $children 2>/dev/null || true
}

stop() {
  local name pid
  for name in edge origin; do
    pid=$(cat "$dir/run/$name.started" 2>/dev/null || true)
    if [ -n "$pid" ] && grep -q entrepot "/proc/$pid/comm" 2>/dev/null; then
      kill "$pid"
      until_true 10 test ! -d "/proc/$pid" || fail "process $pid does not end"
    fi
    rm -f "$dir/run/$name.started"
  done
}

show_miss_and_hit() {
  say; say "1. A miss, then a hit"
  local before after name=entrepot.bin first second
  before=$(origin_requests)
  get -o "$dir/got/1" -D "$dir/got/1.head" $edge/$name
  until_true 10 idle
  get -o "$dir/got/2" -D "$dir/got/2.head" $edge/$name
  after=$(origin_requests)
  first=$(tr -d '\r' < "$dir/got/1.head" | awk -F': ' 'tolower($1) == "cache-status" { print $2 }')
  second=$(tr -d '\r' < "$dir/got/2.head" | awk -F': ' 'tolower($1) == "cache-status" { print $2 }')
  second=${second%%; ttl=*}
  say "      $(head -1 "$dir/got/1.head" | tr -d '\r')  cache-status: $first"
  say "      $(head -1 "$dir/got/2.head" | tr -d '\r')  cache-status: $second"
  check "both are the artifact" "$(sha "$dir/got/1")$(sha "$dir/got/2")" = "$(sha "$dir/artifacts/$name")$(sha "$dir/artifacts/$name")"
  check "the second is a hit, and the origin saw $((after - before)) request" "$second $((after - before))" = "entrepot; hit 1"
}

show_cold_range() {
  say; say "2. One mebibyte in the middle of something cold and large"
  local before cost
  before=$(origin_bytes)
  get -o "$dir/got/range" -r $((60 << 20))-$(((61 << 20) - 1)) $edge/firmware-128m.tar
  until_true 10 idle
  cost=$(($(origin_bytes) - before))
  tail -c +$(((60 << 20) + 1)) "$dir/artifacts/firmware-128m.tar" | head -c $((1 << 20)) > "$dir/got/range.right" || true
  check "the bytes are right" "$(sha "$dir/got/range")" = "$(sha "$dir/got/range.right")"
  check "of 128 MiB the upstream sent $(mib $cost): one slice" "$cost" -eq $((4 << 20))
  before=$(origin_bytes)
  get -o "$dir/got/range" -r $((60 << 20))-$(((61 << 20) - 1)) $edge/firmware-128m.tar
  check "the same range again cost $(($(origin_bytes) - before)) bytes" "$(($(origin_bytes) - before))" -eq 0
  get -o "$dir/got/whole" $edge/firmware-128m.tar
  cost=$(($(origin_bytes) - before))
  check "the whole, after that: $(mib $cost), the slice was not fetched again" "$cost" -eq $((124 << 20))
  check "and it is the artifact" "$(sha "$dir/got/whole")" = "$(sha "$dir/artifacts/firmware-128m.tar")"
}

show_collapsing() {
  say; say "3. Fifty downloads of something cold, all at once"
  local requests bytes i right clients=()
  requests=$(origin_requests) bytes=$(origin_bytes)
  for i in $(seq 50); do
    get $edge/firmware-16m.tar | sha256sum | cut -d' ' -f1 > "$dir/got/parallel.$i" &
    clients+=($!)
  done
  for i in "${clients[@]}"; do wait "$i" || true; done
  right=$(cat "$dir"/got/parallel.* | grep -c "$(sha "$dir/artifacts/firmware-16m.tar")" || true)
  requests=$(($(origin_requests) - requests)) bytes=$(($(origin_bytes) - bytes))
  check "50 of 50 are the artifact" "$right" -eq 50
  check "the origin saw $requests request and sent $(mib $bytes)" "$requests $bytes" = "1 $((16 << 20))"
}

mended() { grep -q reconfigured "$dir/logs/edge-error.log"; }
idle() { [ "$(metric $edge_admin fills_running)" = 0 ]; }
half_way() { [ "$(origin_bytes)" -ge $((begin + size / 2)) ]; }

show_unbreakable() {
  say; say "4. The upstream killed half way through a download, back two seconds later"
  local client at
  size=$(stat -c %s "$dir/artifacts/firmware-large.tar")
  begin=$(origin_bytes)
  get -o "$dir/got/large" $edge/firmware-large.tar &
  client=$!
  until_true 120 half_way || fail "after two minutes it is not half way"
  kill_origin
  at=$(( ($(origin_bytes) - begin) * 100 / size ))
  say "      origin killed (signal 9) when it had sent $at % of $(mib "$size")"
  check "there was something left to break" "$at" -lt 100
  sleep 2
  start_origin
  wait $client || fail "curl ended with $?"
  check "curl ended cleanly, and it is the artifact" "$(sha "$dir/got/large")" = "$(sha "$dir/artifacts/firmware-large.tar")"
  check "resumed $(metric $edge_admin fill_resumes_total) time(s): the upstream sent $(mib $(($(origin_bytes) - begin))) in all" \
    "$(($(origin_bytes) - begin))" -lt $((size + size / 20))
}

show_refusal() {
  say; say "5. An upstream whose bytes are not those that the name promises"
  local path=/v2/demo/blobs/sha256:$good_digest code=0 file
  file=$dir/artifacts$path
  printf 'X' | dd of="$file" bs=1 seek=1000 conv=notrunc status=none
  get -o "$dir/got/corrupt" $edge"$path" 2>"$dir/got/corrupt.error" || code=$?
  say "      $(cat "$dir/got/corrupt.error")"
  check "the corrupted blob had no clean end at the client" "$code" -ne 0
  until_true 10 idle
  check "it was counted, and the log says why" "$(metric $edge_admin digest_mismatches_total)" -ge 1
  say "      $(grep -m1 -o 'the body does not match.*' "$dir/logs/edge-error.log" || fail "nothing in the log")"
  cp "$dir/artifacts/libcrypto.so" "$file"
  # Who lied is not asked for this again for a minute, unless the edge is told that it was mended.
  kill -HUP "$(cat "$dir/run/edge.pid")"
  until_true 10 mended
  get -o "$dir/got/right" $edge"$path"
  check "the right bytes under that name are served" "$(sha "$dir/got/right")" = "$good_digest"
}

if [ "${1:-}" = stop ]; then stop; exit 0; fi

build
mkdir -p "$dir"/{logs,run,got,artifacts}
stop
rm -rf "$dir/cache" "$dir"/got/* "$dir"/logs/*
make_certificate
make_artifacts
start_origin
start_edge
say "An origin on http://127.0.0.1:$origin_port ($dir/artifacts), an edge on $edge"
show_miss_and_hit
show_cold_range
show_collapsing
show_unbreakable
show_refusal
rm -rf "$dir"/got/*
say
say "The edge runs: curl --http2 --cacert $dir/certs/localhost.pem $edge/entrepot.bin"
say "What it counts: $edge_admin/metrics   its logs: $dir/logs   to end it: conf/quickstart.sh stop"
