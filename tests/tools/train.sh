#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# qfuse train: two clips, a model that runs, the same file for the same seed; it
# goes on from a model.
here=$(dirname "$0")
. "$here/common.sh"
cd "$work" || exit 1

$helper square a.mkv 16 && $helper truth a.txt 16 0 || exit 1
cp a.mkv b.mkv && cp a.txt b.txt
common="--size 64x64 --planes Y,D1x2t8 --labels square --epochs 2 --batch-size 8"

run 0 train -o one.onnx $common a.mkv b.mkv
has "$out" "epoch 2 of 2"
has "$out" "one.onnx"
run 0 train -o two.onnx $common --threads 1 --json a.mkv b.mkv
has "$out" '"epochs":[{"epoch":1,"loss":'
cmp one.onnx two.onnx || fail "the same seed gave another file"
run 0 train -o three.onnx $common --seed 2 a.mkv b.mkv
cmp -s one.onnx three.onnx && fail "another seed gave the same file"
run 0 info one.onnx
has "$out" "Y,D1x2t8"
run 0 eval one.onnx a.mkv
run 0 train -m one.onnx -o four.onnx --epochs 1 a.mkv

# a limit of memory changes nothing, figures go to a file, augmentation is used
run 0 train -o six.onnx $common --memory-limit 1 --metrics m.csv \
  --curves curves.png a.mkv b.mkv
cmp one.onnx six.onnx || fail "a limit of memory gave another file"
has curves.png PNG
has m.csv "epoch,loss,loss-class,loss-box,ap50"
[ "$(wc -l <m.csv)" = 3 ] || fail "m.csv has not a row an epoch"
run 0 train -o six.onnx $common --mosaic 0.5 --paste 0.5 --noise 3 a.mkv b.mkv
cmp -s one.onnx six.onnx && fail "mosaic, paste and noise change nothing"

run 0 train -o six.onnx $common --zoom 1 a.mkv b.mkv
cmp -s one.onnx six.onnx && fail "zoom changes nothing"
run 0 train -o seven.onnx $common --zoom 1 --shift 0 --brightness 0 a.mkv b.mkv
cmp -s six.onnx seven.onnx && fail "shift and brightness change nothing"
run 0 train -o six.onnx $common --speed 2 a.mkv b.mkv
cmp -s one.onnx six.onnx && fail "speed changes nothing"
run 0 train -o seven.onnx $common --speed 2 --backwards a.mkv b.mkv
cmp -s six.onnx seven.onnx && fail "backwards changes nothing"
run 0 train -o six.onnx $common --speed 2 --backwards --memory-limit 1 \
  --threads 1 a.mkv b.mkv
cmp six.onnx seven.onnx || fail "a limit of memory changes what speed gives"

# clips that measure are not learnt from; a picture changes nothing
run 0 train -o six.onnx $common --epochs 1 --validation 0 --json a.mkv
grep -q ap50 "$out" && fail "there is nothing to measure on, but AP50"
run 0 train -o seven.onnx $common --validation-clips b.mkv --json a.mkv
has "$out" ap50
mkdir val && cp b.mkv b.txt val
echo b.mkv >list.txt
run 0 train -o eight.onnx $common --validation-clips val \
  --validation-clips @list.txt --picture seen.png a.mkv
cmp seven.onnx eight.onnx || fail "a folder, a list or a picture gave another file"
has seen.png PNG
run 1 train -o x.onnx --picture no/such/folder/x.png a.mkv
run 1 train -o x.onnx --validation-clips missing.mkv a.mkv
run 2 train -o x.onnx --validation-clips b.mkv --validation 0.1 a.mkv

# actions of single frames: those without one are not learned, which gives what
# leaving them out gives; the file beside the clip is found
cp a.mkv acts.mkv
for i in 2 3 4 5 6 7 8 9 11 12 13 14 15 16; do
  [ $i -lt 10 ] && label=early || label=late
  echo "{\"frame\":$i,\"action\":{\"label\":\"$label\",\"score\":0.5}}"
done >acts.jsonl
acts="--size 64x64 --planes Y,D1x2t8 --epochs 2 --batch-size 4 --validation 0"
run 0 train -o acts.onnx $acts --head classify acts.mkv
run 0 info acts.onnx
has "$out" early
has "$out" late
run 0 eval acts.onnx acts.mkv
has "$out" "(14 pictures)"
run 0 train -o acts2.onnx $acts --head classify --frames 2-16 acts.mkv
cmp acts.onnx acts2.onnx || fail "frames without an action were learned"
run 0 train -o acts3.onnx $acts --head classify --max-samples 14 acts.mkv
cmp acts.onnx acts3.onnx || fail "frames without an action count as samples"
run 1 train -o x.onnx $acts --head classify --frames 1 acts.mkv
has "$err" "hold no action"
run 1 train -o x.onnx $acts --head classify --labels early,other acts.mkv
has "$err" '"late"'

# checkpoints: killed at any moment and resumed, it ends in the same file
run 2 train -o x.onnx --resume a.mkv
run 2 train -o x.onnx --learning-rate 1001 a.mkv
has "$err" "at most 1000"
run 2 train -o x.onnx --learning-rate nan a.mkv
kill_after () { # SECONDS
  "$qfuse" train -o five.onnx $common --checkpoint c.qfc --resume \
    --checkpoint-interval 0 a.mkv b.mkv >killed.out 2>&1 &
  pid=$!
  sleep "$1"
  kill -9 $pid 2>/dev/null
  wait $pid 2>/dev/null
}
for moment in 0.1 0.25 0.4 0.55; do kill_after $moment; done
run 0 train -o five.onnx $common --checkpoint c.qfc --resume a.mkv b.mkv
cmp one.onnx five.onnx || fail "kills and resumes gave another file"
rm five.onnx
run 0 train -o five.onnx $common --checkpoint c.qfc --resume a.mkv b.mkv
cmp one.onnx five.onnx || fail "a checkpoint of the end gave another file"
run 1 train -o five.onnx $common --checkpoint c.qfc --resume --seed 3 a.mkv b.mkv
has "$err" "other options"
rm c.qfc

# batches for others: 8 + 32 bytes, then 3 batches of 8 pictures of 2 planes with
# one box each (2 epochs; a tenth of 32 frames is held back)
run 0 train -o none.onnx $common --batches batches.bin a.mkv b.mkv
[ -e none.onnx ] && fail "--batches trained"
[ "$(head -c 8 batches.bin)" = QFBATCH1 ] || fail "batches.bin begins otherwise"
bytes=$(wc -c <batches.bin)
[ $(((bytes - 40) / 2 / 3 / 8)) -ge $((64 * 64 * 2 + 8)) ] &&
  [ $(((bytes - 40) / 2 / 3 / 8)) -le $((64 * 64 * 2 + 32)) ] ||
  fail "batches.bin has $bytes bytes"
run 1 train -o none.onnx $common --batches no/such/folder/b a.mkv
run 1 train -o x.onnx --assignment best a.mkv
has "$err" "tal and simota"
run 2 train -o x.onnx --average 1 a.mkv
run 2 train -o x.onnx --speed 0.5 a.mkv
has "$err" "at least 1 and at most 16"
run 2 train -o x.onnx --batch-size 257 a.mkv

run 2 train a.mkv
run 2 train -o x.onnx --planes Z9 a.mkv
run 2 train -o x.onnx --size 12 a.mkv
run 1 train -o x.onnx missing.mkv
run 1 train -o no/such/folder/x.onnx a.mkv
printf '1,1,5,5,16,16,1,1,1\n2,1,five,5,16,16,1,1,1\n' >b.txt
run 1 train -o x.onnx $common b.mkv
has "$err" "b.txt:2"
[ -e x.onnx ] && fail "a model was written in spite of an error"
left=$(ls -A | grep -c '^\.')
[ "$left" = 0 ] || fail "$left hidden files are left"
finish
