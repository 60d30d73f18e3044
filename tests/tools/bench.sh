#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What bench prints: its members, their ranges, and that they agree.
here=$(dirname "$0")
. "$here/common.sh"
cd "$work" || exit 1

# among PATH COUNT LOW HIGH: COUNT numbers at PATH of $out, all of LOW … HIGH.
among() {
  numbers=$($helper numbers "$out" "$1") || { fail "$1"; return; }
  echo "$numbers" | awk -v n="$2" -v low="$3" -v high="$4" '
    $1 < low || $1 > high { print $1 " is outside " low " … " high; bad = 1 }
    END { if (NR != n) print NR " numbers, not " n; exit bad || NR != n }' ||
    fail "$1"
}

# sum PATH: of all numbers there.
sum() {
  $helper numbers "$out" "$1" | awk '{ s += $1 } END { printf "%.9g", s }'
}

# near A B SHARE: they differ by at most that share of B.
near() {
  echo "$1 $2 $3" | awk '{ d = $1 - $2; exit (d < 0 ? -d : d) > $3 * $2 }' ||
    fail "$1 is not near $2"
}

$helper model model.onnx || exit 1
run 0 bench --json --layers --runs 9 --threads 1 model.onnx
$helper json "$out" '$.runs' 9 || fail "runs"
$helper json "$out" '$.threads' 1 || fail "threads"
among '$.memory_bytes' 1 1000 1e9
QF_CPU=c run 0 bench --json --runs 9 model.onnx
$helper json "$out" '$.isa' c || fail "isa"
run 0 bench --layers --seconds 0.05 model.onnx
has "$out" "GMAC/s"
has "$out" "layers together"

# A network of some size: times in their order, rates from times, shares of 1.
run 0 bench --json --layers --seconds 0.5 --threads 1 "$here/../../models/pedestrian.onnx"
isa=$(sed -n 's/.*"isa":"\([a-z0-9]*\)".*/\1/p' "$out")
n=$($helper numbers "$out" '$.layers[*].macs' | wc -l)
[ "$n" -ge 10 ] || fail "only $n layers"
among '$.runs' 1 9 1e6
for at in '$' '$.layers[*]'; do
  [ "$at" = '$' ] && many=1 || many=$n
  among "$at.median_ms" "$many" 1e-5 1e5
  among "$at.min_ms" "$many" 1e-5 1e5
  among "$at.macs" "$many" 0 1e9
  among "$at.gmacs_per_s" "$many" 0 1e5
done
near "$(sum '$.layers[*].macs')" "$(sum '$.macs')" 0
near "$(sum '$.layers[*].median_ms')" "$(sum '$.layers_ms')" 1e-6
near "$(sum '$.layers[*].time_share')" 1 1e-6
near "$(sum '$.gmacs_per_s')" \
  "$(echo "$(sum '$.macs') $(sum '$.median_ms')" | awk '{ print $1 * 1e-6 / $2 }')" 1e-5
[ "$(echo "$(sum '$.min_ms') $(sum '$.median_ms')" | awk '{ print $1 <= $2 }')" = 1 ] ||
  fail "the least time is over the median"
# Layers one by one take about what all take; how near depends on what else runs.
[ "$(echo "$(sum '$.layers[*].min_ms') $(sum '$.min_ms')" |
  awk '{ print $1 < 3 * $2 && $2 < 3 * $1 }')" = 1 ] ||
  fail "the layers' times are not those of the whole"
if grep -q peak_gmacs_per_s "$out"; then
  # of one thread: between an old laptop and twice 64 products at 6 GHz
  among '$.peak_gmacs_per_s' 1 5 800
  among '$.peak_share' 1 0.001 4
  among '$.layers[*].peak_share' "$n" 0 4
  near "$(sum '$.peak_share')" "$(echo "$(sum '$.gmacs_per_s') $(sum '$.peak_gmacs_per_s')" |
    awk '{ print $1 / $2 }')" 1e-5
  case $isa in
    c) has "$out" '"peak_instruction":"pmaddwd' ;;
    avx2) has "$out" '"peak_instruction":"vpmaddwd' ;;
    *) has "$out" '"peak_instruction":"vpdpbusd' ;;
  esac
elif [ "$(uname -m)" = x86_64 ]; then
  fail "no peak"
fi

# A clip's planes, everything and only where something moves.
$helper model differences.onnx D1t8 && $helper square square.mkv 32 || exit 1
run 0 bench --json --clip square.mkv differences.onnx
$helper json "$out" '$.pictures' 32 || fail "pictures"
$helper json "$out" '$.bytes_differ' 0 || fail "bytes that differ"
for key in still time_share mac_share still_time_share; do
  has "$out" "\"$key\":"
done
run 0 bench --clip square.mkv --threads 1 differences.onnx
has "$out" "32 pictures"
run 1 bench --clip square.mkv model.onnx
has "$err" "dead band"
run 1 bench --clip no-such-file differences.onnx
has "$err" "no-such-file"
run 1 bench --clip differences.onnx differences.onnx
finish
