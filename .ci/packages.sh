#!/usr/bin/env bash
# Makes sure that the packages of some sections of packages.txt are installed: .ci/packages.sh build test
# Says nothing when they are. When some are not, root installs them and everybody else is told their names.
set -euo pipefail

list=$(dirname "${BASH_SOURCE[0]}")/packages.txt
[ $# -gt 0 ] || { echo "usage: packages.sh SECTION..." >&2; exit 2; }

wanted=$(for section; do
  awk -v section="[$section]" '/^\[/ { inside = $0 == section; found = found || inside; next }
    inside && NF && !/^#/ { print $1 }
    END { if (!found) { print "packages.txt has no section " section > "/dev/stderr"; exit 1 } }' "$list" || exit 1
done)
command -v dpkg-query >/dev/null || { echo "packages.sh: this is not a Debian; install the like of:" $wanted >&2; exit 1; }
missing() {
  # What another package provides is there too, as npm is with a nodejs that is not Debian's.
  comm -23 <(sort -u <<< "$wanted") \
    <(dpkg-query -W -f='${db:Status-Status} ${binary:Package}, ${Provides}\n' 2>/dev/null |
      awk '$1 == "installed" { gsub(/:[a-z0-9]+|\([^)]*\)|,/, ""); for (i = 2; i <= NF; i++) print $i }' | sort -u)
}

packages=$(missing)
[ -n "$packages" ] || exit 0
if [ "$(id -u)" != 0 ]; then
  echo "packages.sh: not root, so install these first: apt-get install --no-install-recommends" $packages >&2
  exit 1
fi
echo "installing:" $packages
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for step in "update" "install --yes --no-install-recommends ${packages//$'\n'/ }"; do
  apt-get -qq -o Acquire::Retries=3 $step > "$log" 2>&1 || {
    tail -20 "$log" >&2
    echo "packages.sh: apt-get ${step%% *} failed" >&2
    exit 1
  }
done
left=$(missing)
[ -z "$left" ] || { echo "packages.sh: still not installed:" $left >&2; exit 1; }
