#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What info prints: text, and JSON that a parser reads.
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
finish
