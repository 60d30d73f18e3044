#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What computing only where something moves saves, clip by clip: shares of time
# and of multiply-accumulates on a pyramid of 166 MMAC that sees D1t10.
# usage: sparse.sh BUILD TAGGED-CLIP TRUTH CLIP…
# The network is trained for one short epoch on 60 frames of the tagged clip; its
# weights do not matter. Run it on an idle machine.
[ $# -ge 4 ] || { sed -n '3,7s/^# //p' "$0" >&2; exit 2; }
qfuse=$1/tools/qfuse
tagged=$2 truth=$3
shift 3
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
model=$work/pyramid.onnx
"$qfuse" train -o "$model" --planes D1t10 --size 576x432 --frames 1-60 \
  --epochs 1 --truth "$truth" "$tagged" >&2 || exit 1
"$qfuse" info "$model" | tail -1
for clip; do
  for threads in 1 2; do
    echo "== $(basename "$clip"), $threads threads"
    "$qfuse" bench --threads $threads --clip "$clip" "$model" || exit 1
  done
done
