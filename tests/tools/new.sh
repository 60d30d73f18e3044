#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# qfuse new: networks of each size and head within their limits; what is trained
# from one is what is trained without it; nonsense is refused.
here=$(dirname "$0")
. "$here/common.sh"
cd "$work" || exit 1

# name, head, most MMAC
while read -r name head most; do
  run 0 new -o $name-$head.onnx --network $name --head $head --size 320x256 \
    --planes Y,D5,D15 --labels a,b,c,d --json
  macs=$(sed -n 's/.*"macs":\([0-9]*\).*/\1/p' "$out")
  [ "$macs" -gt 1000000 ] && [ "$macs" -le "${most}000000" ] ||
    fail "$name for $head takes $macs multiplications, limit $most million"
  grep -q '"parameters":[1-9]' "$out" || fail "no parameters are told"
  run 0 info $name-$head.onnx
  has "$out" "Y,D5,D15"
done <<END
nano fcos 60
small fcos 200
base fcos 600
nano classify 60
small classify 200
base classify 600
END
run 0 bench base-classify.onnx --runs 1

run 0 new -o one.onnx --size 64x64 --planes Y,D1x2t8 --labels square
has "$out" "1 label;"
run 0 new -o two.onnx --size 64x64 --planes Y,D1x2t8 --labels square
cmp one.onnx two.onnx || fail "the same seed gave another file"
run 0 new -o three.onnx --size 64x64 --planes Y,D1x2t8 --labels square --seed 2
cmp -s one.onnx three.onnx && fail "another seed gave the same file"

$helper square a.mkv 16 && $helper truth a.txt 16 0 || exit 1
common="--size 64x64 --planes Y,D1x2t8 --labels square --epochs 1 --batch-size 8"
run 0 train -o with.onnx -m one.onnx $common a.mkv
run 0 train -o without.onnx $common a.mkv
cmp with.onnx without.onnx || fail "starting from qfuse new's file differs"

run 2 new --network small
run 2 new -o x.onnx --network huge
has "$err" "nano, small and base"
run 2 new -o x.onnx --size 100x100
has "$err" "multiples of 16"
run 2 new -o x.onnx --planes Y,Q
run 2 new -o x.onnx --labels a,,b
run 2 new -o x.onnx --labels a,a
run 2 new -o x.onnx --head yolo
run 2 new -o x.onnx --head classify --labels one
run 2 new -o x.onnx --fit crop
run 1 new -o no/such/folder/x.onnx
[ -e x.onnx ] && fail "a model was written in spite of an error"
finish
