#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# qfuse eval on a case whose numbers are known: one square a frame, found exactly,
# against truth that lies right, a quarter off (IoU 0.6: three of COCO's ten
# thresholds) and half off (IoU 1/3).
here=$(dirname "$0")
. "$here/common.sh"
cd "$work" || exit 1

$helper model model.onnx && $helper square square.mkv 32 || exit 1
$helper truth square.txt 32 0 && $helper truth quarter.txt 32 4 &&
  $helper truth half.txt 32 8 || exit 1

run 0 eval model.onnx square.mkv --json
has "$out" '"pictures":32,"ap50":1.0,'
has "$out" '"best_f1":1.0,'
has "$out" '"per_class":{"square":{"ap50":1.0,'
[ -s "$err" ] && fail "a line on stderr: $(cat "$err")"
run 0 eval model.onnx square.mkv --truth quarter.txt
has "$out" "AP50 1.0000  AP 0.3000"
run 0 eval model.onnx square.mkv --truth half.txt
has "$out" "AP50 0.0000  AP 0.0000"

# Ranges and steps of frames; clips by list and by folder.
run 0 eval model.onnx square.mkv --frames 5-12
has "$out" "(8 pictures, 8 boxes, 8 detections)"
run 0 eval model.onnx square.mkv --frames 5-12 --every 3
has "$out" "(3 pictures, 3 boxes, 3 detections)"
mkdir clips
cp square.mkv clips/a.mkv && cp square.txt clips/a.txt
cp square.mkv clips/b.mkv && cp half.txt clips/b.txt
printf '# two clips\nclips/a.mkv\n\nclips/b.mkv\n' >list.txt
for clips in @list.txt clips; do
  run 0 eval model.onnx $clips
  has "$out" "(64 pictures, 64 boxes, 64 detections)"
  # half of the boxes found, precision 1/2: the best point of the curve is 32 of 32
  has "$out" "best F1 0.5000"
done

run 1 eval model.onnx square.mkv --frames 33-
has "$err" "no frame"
run 2 eval model.onnx square.mkv --frames 9-5
run 2 eval model.onnx clips --truth square.txt
cp square.mkv alone.mkv
run 1 eval model.onnx alone.mkv
has "$err" "alone.txt"
finish
