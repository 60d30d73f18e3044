#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Two detectors that others trained, quantized on one clip and compared with
# their float form on others, then timed. For docs/results.md, not a test.
#   tests/bench/quantize.sh QFUSE MODELS CLIPS PEDESTRIANS
set -eu
qfuse=$1 models=$2 clips=$3 pedestrians=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$qfuse" import "$models/yunet_n_320_320.onnx" -o "$work/faces.onnx" >/dev/null
"$qfuse" quantize "$work/faces.onnx" "$clips/face-head-pose.mp4" \
  -o "$work/faces-int8.onnx" --frames 60 \
  --check "$clips/face-signing-book.mp4" --check "$clips/face-walking.mp4" \
  --check "$clips/face-signing-sister.mp4" \
  --check "$clips/face-signing-student.mp4"
"$qfuse" import "$models/FastestDet.onnx" -o "$work/things.onnx" >/dev/null
"$qfuse" quantize "$work/things.onnx" "$pedestrians/vtest.avi" \
  -o "$work/things-int8.onnx" --frames 64 \
  --check "$clips/bottle-detection.mp4" \
  --check "$clips/one-by-one-person-detection.mp4" \
  --check "$clips/car-detection.mp4"
for model in faces faces-int8 things things-int8
do
  echo "$model"
  "$qfuse" bench "$work/$model.onnx" --threads 1
done
