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

run 0 eval model.onnx @list.txt
has "$out" "./clips/a.mkv                          32      32  1.0000  1.0000  1.0000"
has "$out" "./clips/b.mkv                          32      32  0.0000  0.0000  0.0000"
run 0 eval model.onnx @list.txt --frames 5-12 --json
for want in clips=2 pictures=16 'per_clip[0].clip=./clips/a.mkv' \
  'per_clip[0].pictures=8' 'per_clip[0].ap50=1.0' 'per_clip[1].ap50=0.0' \
  'per_clip[1].truth=8' 'per_clip[1].detections=8'; do
  $helper json "$out" "\$.${want%=*}" "${want#*=}" || fail "$want"
done

# By size: the squares are small, 16x16; a quarter off is IoU 0.6.
run 0 eval model.onnx square.mkv --truth quarter.txt --json
for want in ap50=1.0 ap75=0.0 best_f1_precision=1.0 best_f1_recall=1.0 \
  size.small.truth=32 size.small.ap50=1.0 size.medium.truth=0 size.medium.ap=null \
  per_class.square.size.small.ap50=1.0; do
  $helper json "$out" "\$.${want%=*}" "${want#*=}" || fail "$want"
done
run 0 eval model.onnx square.mkv --truth quarter.txt
has "$out" "all                 32  1.0000  0.0000  0.3000  0.3000  1.0000       -"
has "$out" "small  to 32x32       32  1.0000  0.0000  0.3000  0.3000"
has "$out" "medium to 96x96        0       -"

# Pictures: PNG of the size that is drawn, and not the same for other figures.
run 0 eval model.onnx square.mkv --truth quarter.txt --picture quarter.png
run 0 eval model.onnx square.mkv --truth quarter.txt -p again.png
run 0 eval model.onnx square.mkv --truth half.txt --picture half.png
is_png() {
  [ "$(od -An -tx1 -N8 "$1" | tr -d ' ')" = 89504e470d0a1a0a ] || fail "$1 is no PNG"
}
is_png quarter.png
is_png half.png
cmp -s quarter.png again.png || fail "the same figures, another picture"
cmp -s quarter.png half.png && fail "other figures, the same picture"
run 1 eval model.onnx square.mkv --picture no/such/folder.png
has "$err" "no/such"
[ -s "$out" ] && fail "measured before it found that it cannot write"
run 2 eval model.onnx square.mkv --max-detections -1

# Actions: the square is in the upper half of the picture half of the time.
$helper halves halves.onnx || exit 1
printf 'square.mkv\tupper\nalone.mkv\tlower\n' >actions.txt
cp square.mkv alone.mkv
run 0 eval halves.onnx square.mkv --action upper --picture actions.png
has "$out" "accuracy 0.5000  mean over classes 0.5000  (32 pictures)"
has "$out" "upper                32  0.5000  1.0000  0.6667         16         16          0"
has "$out" "lower                 0       -"
is_png actions.png
# Mostly said: upper in the first 8 frames, which one clip of two is.
run 0 eval halves.onnx @actions.txt --frames 1-8
has "$out" "accuracy 0.5000  mean over classes 0.5000  (16 pictures)  of 2 clips 0.5000"
has "$out" "./square.mkv                            8  1.0000   upper          upper"
has "$out" "./alone.mkv                             8  0.0000   lower          upper"
run 0 eval halves.onnx @actions.txt --frames 1-8 --json
for want in pictures=16 accuracy=0.5 mean_accuracy=0.5 'confusion[0][0]=8' \
  'confusion[1][0]=8' 'confusion[1][1]=0' 'said_none[1]=0' \
  per_class.upper.accuracy=1.0 per_class.upper.precision=0.5 \
  per_class.lower.accuracy=0.0 per_class.lower.pictures=8 clip_accuracy=0.5 \
  'per_clip[1].clip=./alone.mkv' 'per_clip[1].pictures=8' \
  'per_clip[1].accuracy=0.0' 'per_clip[1].action=lower' \
  'per_clip[1].mostly_said=upper'; do
  $helper json "$out" "\$.${want%=*}" "${want#*=}" || fail "$want"
done

# Actions of single frames: in rows of 4 places the square is in the upper half in
# frames 1 to 8; frames that the file does not name do not count.
mkdir lines
cp square.mkv lines/a.mkv
cp square.mkv lines/b.mkv
for i in 1 2 3 9 10; do
  echo "{\"frame\":$i,\"action\":{\"label\":\"upper\",\"score\":1}}"
done >lines/a.jsonl
echo '{"frame":9,"action":{"label":"lower"}}' >lines/b.jsonl
run 0 eval halves.onnx lines
has "$out" "accuracy 0.6667  mean over classes 0.8000  (6 pictures)  of 2 clips 1.0000"
has "$out" "upper                 5  0.6000  1.0000  0.7500          3          2          0"
has "$out" "lines/a.mkv                             5  0.6000   upper          upper"
has "$out" "lines/b.mkv                             1  1.0000   lower          lower"
# What annotate says is read as truth and found again, frame by frame.
run 0 annotate -m halves.onnx square.mkv -d lines/said.jsonl
run 0 eval halves.onnx square.mkv --truth lines/said.jsonl
has "$out" "accuracy 1.0000  mean over classes 1.0000  (32 pictures)"
has "$out" "upper                16  1.0000"
echo '{"frame":9,"action":{"label":4}}' >>lines/b.jsonl
run 1 eval halves.onnx lines
has "$err" "b.jsonl:2: an action's label is not its name"

# Layer by layer at 4 bits. Weights of one value are such codes already.
cp model.onnx before.onnx
run 0 eval model.onnx square.mkv --sensitivity --json
for want in pictures=32 clips=1 bits=4 ap50=1.0 'layers[0].name=box_16' \
  'layers[0].op=Conv' 'layers[0].bits=32' 'layers[0].weights=1024' \
  'layers[0].bytes_saved=3568' 'layers[0].changed=false' 'layers[0].ap50=1.0' \
  'layers[0].change=0.0' 'layers[1].name=cls_16' 'layers[1].bytes_saved=892'; do
  $helper json "$out" "\$.${want%=*}" "${want#*=}" || fail "$want"
done
cmp model.onnx before.onnx || fail "--sensitivity touched the model"
run 0 eval halves.onnx @actions.txt --frames 1-8 --sensitivity
has "$out" "accuracy 0.5000 as it is  (16 pictures); with one layer's weights at 4 bits"
has "$out" "logits                   Conv    32      8192     28664   0.5000  +0.0000  the same weights"
run 1 eval model.onnx square.mkv --frames 33- --sensitivity
has "$err" "no frame"
# A learned one: only layers that are of 8 bits change, all figures are eval's.
run 0 train -o learned.onnx --size 192x192 --planes Y --labels square --epochs 1 \
  --batch-size 8 --weight-bits 4 --validation 0 square.mkv
run 0 eval learned.onnx square.mkv --json
ap50=$($helper numbers "$out" '$.ap50')
run 0 eval learned.onnx square.mkv --sensitivity --threads 1 --json
[ "$($helper numbers "$out" '$.ap50')" = "$ap50" ] || fail "another AP50 than eval's"
grep -o '"bits":8,"weights"[^}]*"changed":[a-z]*' "$out" | grep -q true || fail "no layer changed"
grep -o '"bits":8,"weights"[^}]*"changed":false' "$out" && fail "8 bits did not change"
grep -o '"bits":4,"weights"[^}]*"changed":true' "$out" && fail "4 bits changed"
grep -q '"bits":4,"weights"[^}]*"changed":false' "$out" || fail "no layer of 4 bits"
run 1 eval learned.onnx square.mkv --sensitivity --memory-limit 1
has "$err" "memory limit of 1 MB: take fewer"
[ -s "$out" ] && fail "a table of some pictures"
run 2 eval model.onnx square.mkv --sensitivity --bits 9
run 2 eval model.onnx square.mkv --sensitivity --picture x.png

run 1 eval model.onnx square.mkv --frames 33-
has "$err" "no frame"
run 2 eval model.onnx square.mkv --frames 9-5
run 2 eval model.onnx clips --truth square.txt
run 1 eval model.onnx alone.mkv
has "$err" "alone.txt"
finish
