#!/usr/bin/env bash
# Builds and passes the tests. Installs what they need when root; a missing tool is a failure, never a skip.
# Last line: `N passed, N failed`; the end is 0 only when nothing failed and nothing was skipped.
#   tests/run.sh [STAGE...]         release asan tsan fuzz faults: all of them unless told; the last needs root
#   tests/run.sh --long [STAGE...]  the long forms (500 power cuts instead of 20, 1,000 kills instead of 50, 10 minutes
#                                   of new inputs for each fuzz target, an hour of soak, ...): goes on by itself, says
#                                   where its log is and how to end it
#   ENTREPOT_STAGES="fuzz faults", ENTREPOT_LONG=1   the same by the environment; the long forms here and now
#   ENTREPOT_RESULTS=build/results                   where logs, figures and JUnit files go
set -uo pipefail
exec 2>&1

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top" || exit 1
long=${ENTREPOT_LONG:-}
jobs=$(nproc)
python=/usr/bin/python3 # Debian's, which has the packages: another may stand before it in PATH

by_itself=
if [ "${1:-}" = --long ]; then
  shift
  by_itself=yes
  export ENTREPOT_RESULTS=${ENTREPOT_RESULTS:-$top/build/results-long}
fi
stages=${*:-${ENTREPOT_STAGES:-release asan tsan fuzz faults}}
results=$(realpath -m "${ENTREPOT_RESULTS:-$top/build/results}")
export ENTREPOT_RESULTS=$results

# What runs under TSan: what hands something from one thread to another.
threaded=(cache_tests io_tests serve_tests)
threaded_e2e=(tests/e2e/{collapsing,ranges,broken_upstream,sources,storing,process,disk,cache_command,mixed,purge}_test.py)

export ASAN_OPTIONS=detect_stack_use_after_return=1:check_initialization_order=1:strict_init_order=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=second_deadlock_stack=1:history_size=4:suppressions=$top/tests/sanitizers/tsan.supp

declare -A configured

configure() { # configure PRESET OPTION...
  local preset=$1; shift
  configured[$preset]=yes
  cmake --fresh --preset "$preset" "$@" > "$results/$preset-configure.log" 2>&1 || { cat "$results/$preset-configure.log"; return 1; }
}

build() { # build PRESET TARGET...
  local preset=$1; shift
  cmake --build "build/$preset" -j "$jobs" --target "$@" -- -k 0 > "$results/$preset-build.log" 2>&1 ||
    { grep -E -A12 'FAILED|error:' "$results/$preset-build.log" | head -150; return 1; }
}

cpp_tests() { # cpp_tests PRESET CTEST-OPTION...
  local preset=$1; shift
  : > "$results/$preset-cpp.xml" # a run that dies leaves an empty one, which counts as a failure
  # Of each executable both speak: ctest says how it ended, GoogleTest how each of its tests did.
  local limit=1200
  [ -z "$long" ] || limit=10800
  GTEST_OUTPUT=xml:$results/$preset-cpp/ ctest --test-dir "build/$preset" -j "$jobs" --timeout "$limit" --no-tests=error \
    --output-on-failure --output-junit "$results/$preset-cpp.xml" "$@" > "$results/$preset-cpp.log" 2>&1 ||
    grep -vE '^\[ +(OK|RUN) +\]' "$results/$preset-cpp.log" | tail -400
}

e2e_tests() { # e2e_tests PRESET NAME OPTION... FOLDER...
  local preset=$1 run=$1-$2; shift 2
  : > "$results/$run.xml"
  ENTREPOT_BIN=$top/build/$preset/entrepot "$python" -m pytest -q -n "$jobs" --dist loadfile --durations=10 \
    --basetemp "/tmp/entrepot-$run-$$" --junitxml "$results/$run.xml" "$@" > "$results/$run.log" 2>&1 ||
    tail -400 "$results/$run.log"
  rm -rf "/tmp/entrepot-$run-$$"
}

# Each test runs where it says most: all that is ours under `asan`, what crosses threads under `tsan`, too; real
# clients, memory, the hit path's instructions and what breaks beneath it with the binary that is shipped. The long forms run all with that.
stage_release() {
  configure release -DENTREPOT_TESTS="${long:+ON}" -DENTREPOT_BENCH=ON && build release all || return 1
  [ -z "$long" ] || cpp_tests release
  e2e_tests release clients tests/clients tests/hitpath ${long:+tests/e2e} tests/e2e/memory_test.py
}

stage_asan() {
  configure asan && build asan all || return 1
  cpp_tests asan
  e2e_tests asan e2e tests/e2e
}

stage_tsan() {
  configure tsan && build tsan entrepot "${threaded[@]}" || return 1
  # Who leaves a fault's handler by a jump is in it for ever, as this sanitizer sees it.
  GTEST_FILTER='-FaultGuard.*:*IndexDamage.*' cpp_tests tsan --tests-regex "^($(IFS='|'; echo "${threaded[*]}"))\$"
  e2e_tests tsan e2e "${threaded_e2e[@]}"
}

# The second compiler, with -Wthread-safety: it builds what is fuzzed, and reads the rest of what is shipped.
stage_fuzz() {
  configure fuzz && build fuzz fuzz_targets || return 1
  "$python" tests/support/syntax_only.py build/fuzz "$results/fuzz-syntax.xml" fuzz_targets
  : > "$results/fuzz.xml"
  ASAN_OPTIONS='' "$python" tests/fuzz/run.py build/fuzz "$results" || true # tally.py reads what came of it
}

# What breaks disks, syscalls, limits and clocks: with the binary that is shipped, and with the one that can be
# asked to do without a protection, which is built with `asan`.
stage_faults() {
  [ "$(id -u)" = 0 ] || { echo "run.sh: the stage faults mounts disks and limits memory: it needs root"; return 1; }
  local preset
  for preset in release asan; do # what a stage before has built is good
    [ "${configured[$preset]:-}" ] || configure "$preset" || return 1
    build "$preset" entrepot || return 1
  done
  ENTREPOT_SEEDED_BIN=$top/build/asan/entrepot e2e_tests release faults --dist load tests/faults
  cat "$results/faults-figures.txt"
}

for stage in $stages; do
  declare -F "stage_$stage" > /dev/null || { echo "run.sh: there is no stage $stage"; exit 2; }
done
if [ "$by_itself" ]; then
  mkdir -p "$top/build"
  log=$top/build/long-$(date +%Y%m%d-%H%M%S).log
  # shellcheck disable=SC2086
  ENTREPOT_LONG=1 setsid nohup "$top/tests/run.sh" $stages > "$log" < /dev/null &
  echo "The long forms of $stages run by themselves, as process group $!."
  echo "  log:     $log, with what each stage and each test took; its last line sums up"
  echo "  follow:  tail -F $log $results/faults-figures.txt"
  echo "  end:     kill -- -$!"
  echo "They use what is built here: build elsewhere meanwhile."
  exit 0
fi

mkdir -p "$results"
rm -rf "$results"/{*.xml,*.log,*-cpp,fuzz-*,faults-figures.txt}
.ci/packages.sh build test || exit 1

broken=0
for stage in $stages; do
  echo "== $stage"
  TIMEFORMAT="== $stage: %0R s, of processor time %0U + %0S s"
  time "stage_$stage" || { echo "== $stage: broken before its tests"; broken=$((broken + 1)); }
done
shopt -s nullglob
"$python" tests/support/tally.py ${long:+--over 1} --broken "$broken" "$results"/*.xml "$results"/*/*.xml
