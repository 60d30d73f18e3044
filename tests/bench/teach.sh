#!/bin/sh
# Teaches nano on a tagged recording through gst-launch-1.0 and measures what was
# written, for several kinds of input planes and seeds: the table "Taught by a
# stream" of docs/results.md. A study, not a test: minutes a training.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# sh tests/bench/teach.sh TRUTH [TEACH EVAL [SEEDS [PLANES…]]]
#   TRUTH  MOTChallenge text of vtest.avi (PETS 2009 S2.L1, 2D MOT 2015)
#   TEACH  frames to learn from (1-500), EVAL frames to measure on (501-795)
#   SEEDS  "1 2 3"
# EPOCHS, RATE, BUILD and OUT in the environment: epochs, peak learning rate,
# build folder, models' folder.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
truth=$1
teach=${2:-1-500}
eval=${3:-501-795}
seeds=${4:-1 2 3}
[ $# -gt 4 ] && shift 4 || set -- Y D1x2t8,D5x2t8 Y,D1x2t8,D5x2t8
build=${BUILD:-$top/build}
out=${OUT:-$build/teach}
epochs=${EPOCHS:-24}
rate=${RATE:-0.04}
clip=/usr/share/doc/opencv-doc/examples/data/vtest.avi
export GST_PLUGIN_PATH_1_0="$build/plugins"
mkdir -p "$out"

printf '%-20s %5s %8s %8s %8s %8s\n' planes seed seconds AP50 AP F1
for planes in "$@"; do
  for seed in $seeds; do
    model=$out/$(echo "$planes" | tr , _)-$seed.onnx
    start=$(date +%s)
    gst-launch-1.0 -q filesrc location="$clip" ! decodebin ! \
      qfusetag location="$truth" labels=person ! \
      qfusetrain model-file="$model" planes="$planes" frames="$teach" \
      validation=0 epochs="$epochs" learning-rate="$rate" \
      seed="$seed" > "$out/log" 2>&1 ||
      { cat "$out/log" >&2; exit 1; }
    end=$(date +%s)
    "$build/tools/qfuse" eval "$model" "$clip" --truth "$truth" \
      --frames "$eval" --json > "$out/eval.json"
    figure() { # the first: of all classes and sizes
      grep -o "\"$1\" *: *[0-9.]*" "$out/eval.json" | head -n 1 | sed 's/.*: *//'
    }
    printf '%-20s %5s %8s %8s %8s %8s\n' "$planes" "$seed" "$((end - start))" \
      "$(figure ap50)" "$(figure ap)" "$(figure best_f1)"
  done
done
