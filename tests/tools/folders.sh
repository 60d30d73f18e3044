#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Folders of pictures with COCO's labels are clips: each picture in its own size
# with its own boxes, those without labels passed over; they have no past.
here=$(dirname "$0")
. "$here/common.sh"
folder_helper=$QFUSE_BUILD/tests/tools/folder-helper
cd "$work" || exit 1

mkdir pics && $folder_helper pics pics.json && $helper model model.onnx || exit 1
[ "$(ls pics | wc -l)" = 9 ] || fail "the helper made $(ls pics | wc -l) pictures"

# the model finds the squares; every box where its picture has it
run 0 eval model.onnx pics
has "$out" "(8 pictures, 8 boxes, 8 detections)"
has "$out" "AP50 1.0000"
run 0 eval model.onnx pics/ --truth pics.json
has "$out" "(8 pictures, 8 boxes, 8 detections)"
mkdir inside && cp pics/* inside && cp pics.json inside/_annotations.coco.json
run 0 eval model.onnx inside
has "$out" "(8 pictures, 8 boxes, 8 detections)"

common="--size 64x64 --epochs 1 --batch-size 4"
run 0 train -o one.onnx $common pics
has "$out" "epoch 1 of 1"
run 0 info one.onnx
has "$out" "square"
run 0 train -o two.onnx $common --planes Y --validation-clips inside --json pics
has "$out" ap50
run 0 train -o rgb.onnx $common --planes R,G,B pics inside
run 0 train -o one.onnx -m two.onnx --epochs 1 pics

# no differences, whoever asks for them
run 2 train -o x.onnx $common --planes Y,D1x2 pics
has "$err" "no past"
$helper square clip.mkv 16 && $helper truth clip.txt 16 0 || exit 1
run 0 train -o moving.onnx $common --planes Y,D1x2t8 clip.mkv
run 2 train -o x.onnx -m moving.onnx pics
has "$err" "no past"
run 1 eval moving.onnx pics
has "$err" "no past"
run 1 eval --sensitivity moving.onnx pics
has "$err" "no past"
run 0 train -o x.onnx $common --planes Y clip.mkv pics

# errors name what is wrong
mv pics.json away.json
run 1 train -o y.onnx $common pics
has "$err" "no label file"
echo '{"images":[],"annotations":[],"categories":[]}' >pics.json
run 1 train -o y.onnx $common pics
has "$err" "none of the 9 pictures in pics is named in pics.json"
mv away.json pics.json
echo 'no picture' >pics/picture_000000000926.png
run 1 train -o y.onnx $common pics
has "$err" "pics/picture_000000000926.png"
mkdir empty
run 1 train -o y.onnx $common empty
has "$err" "no pictures"
[ -e y.onnx ] && fail "a model was written in spite of an error"
finish
