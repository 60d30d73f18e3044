#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What info and bench print: text, and JSON that a parser reads.
here=$(dirname "$0")
. "$here/common.sh"
cd "$work" || exit 1

$helper model model.onnx || exit 1
run 0 info model.onnx
has "$out" "cls_16"
has "$out" "1 x 64 x 64"
run 0 info --json model.onnx
$helper json "$out" '$.macs' 20480 || fail "macs"
$helper json "$out" '$.inputs[0].shape[1]' 64 || fail "shape"
$helper json "$out" '$.outputs[1].name' box_16 || fail "outputs"
$helper json "$out" "\$.metadata['qfuse.planes']" Y || fail "metadata"
run 0 bench --json --layers --runs 9 --threads 1 model.onnx
$helper json "$out" '$.runs' 9 || fail "runs"
$helper json "$out" '$.threads' 1 || fail "threads"
for key in median_ms min_ms gmacs_per_s isa memory_bytes; do
  has "$out" "\"$key\":"
done
QF_CPU=c run 0 bench --json --runs 9 model.onnx
$helper json "$out" '$.isa' c || fail "isa"
run 0 bench --layers --seconds 0.05 model.onnx
has "$out" "GMAC/s"

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
