#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# qfuse quantize: an imported float network finds in int8 what it found in float;
# what cannot be quantized is refused, and then nothing is written.
here=$(dirname "$0")
. "$here/common.sh"
cd "$work" || exit 1

$helper foreign float.onnx square && $helper square a.mkv 16 &&
  $helper truth a.txt 16 0 || exit 1
run 0 import float.onnx -o ours.onnx --labels square,other

for ranges in minmax percentile mse entropy
do
  run 0 quantize ours.onnx a.mkv -o int8.onnx --ranges $ranges --frames 8 --json
  cp "$out" report.json
  layers=$(sed -n 's/.*"layers" *: *\([0-9]*\).*/\1/p' report.json)
  [ "${layers:-0}" -gt 0 ] || fail "no layers"
  $helper json report.json '$.int8_layers' "$layers" || fail "not all in int8"
  $helper json report.json '$.clips[0].found' 8 &&
    $helper json report.json '$.clips[0].new' 0 || fail "$ranges finds otherwise"
done
run 0 eval int8.onnx a.mkv --truth a.txt --json
cp "$out" eval.json
$helper json eval.json '$.ap50' 1.0 || fail "int8 finds something else"

run 0 quantize ours.onnx a.mkv -o float8.onnx --keep-float '*' --check a.mkv
has "$out" ": 0 of "
has "$out" "kept in float"

refused() {
  want=$1 word=$2
  shift 2
  run "$want" quantize -o no.onnx "$@" && has "$err" "$word"
  [ "$(grep -c '^qfuse: ' "$err")" = 1 ] || fail "$*: not one line: $(cat "$err")"
  [ -e no.onnx ] && fail "$*: a model was written in spite of an error"
}
refused 1 "already" int8.onnx a.mkv
refused 1 "import" float.onnx a.mkv
refused 2 "no layer" ours.onnx a.mkv --keep-float nosuch
refused 2 "ranges" ours.onnx a.mkv --ranges best
refused 2 "frames" ours.onnx a.mkv --frames 0
refused 1 "absent.mkv" ours.onnx absent.mkv
refused 1 "absent.mkv" ours.onnx a.mkv --check absent.mkv
finish
