#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# qfuse import: a float network with a head that is recognised or told finds what
# it should; what cannot be imported is refused, and then nothing is written.
here=$(dirname "$0")
. "$here/common.sh"
cd "$work" || exit 1

$helper foreign float.onnx square && $helper foreign two.onnx two &&
  $helper square a.mkv 16 && $helper truth a.txt 16 0 || exit 1

# found MODEL: it finds the square in every frame, and nothing else.
found() {
  run 0 eval "$1" a.mkv --truth a.txt --json
  cp "$out" eval.json
  $helper json eval.json '$.ap50' "${2:-1.0}" || fail "$1 finds something else"
}

run 0 import float.onnx -o ours.onnx --labels square,other
has "$out" "head fastestdet, by its outputs' names and shapes"
has "$out" "/ 255"
found ours.onnx
run 0 annotate a.mkv -m ours.onnx -o b.mkv --detections b.jsonl
[ "$(grep -c '"label":"square"' b.jsonl)" = 16 ] || fail "not one square a frame"
grep -q '"label":"other"' b.jsonl && fail "the other class was seen"
run 0 info ours.onnx --json
cp "$out" info.json
for pair in version=1 planes=Y head=fastestdet fit=stretch threshold=0.6 iou=0.45
do
  $helper json info.json "\$.metadata['qfuse.${pair%%=*}']" "${pair#*=}" ||
    fail "metadata: $pair"
done
$helper json info.json '$.inputs[0].type' uint8 || fail "the input is not uint8"

# Told instead of recognised; labels from a file; a network that sees nothing of
# codes divided by 25500.
printf 'square\nother\n' >names.txt
run 0 import float.onnx -o told.onnx --head fastestdet --labels names.txt \
  --planes Y --mean 0 --scale 1/255 --fit letterbox --threshold 0.7 --iou 0.3 --json
cp "$out" told.json
$helper json told.json '$.head' fastestdet && $helper json told.json '$.fit' letterbox &&
  $helper json told.json '$.labels' 2 || fail "not as told"
found told.onnx
run 0 import float.onnx -o told.onnx --head fastestdet --labels names.txt \
  --set any=1,2 --set more=a=b --json
run 0 info told.onnx --json
cp "$out" info.json
$helper json info.json "\$.metadata['qfuse.head.any']" 1,2 &&
  $helper json info.json "\$.metadata['qfuse.head.more']" a=b ||
  fail "--set is not in the metadata"
run 0 import float.onnx -o dark.onnx --labels names.txt --std 25500
run 0 annotate a.mkv -m dark.onnx -o b.mkv --detections c.jsonl
grep -q '"label"' c.jsonl && fail "another scale changed nothing"
# Imported again: what takes codes already keeps what it knows.
run 0 import ours.onnx -o again.onnx
has "$out" "as the file says"
has "$out" "as the file takes them"
found again.onnx

# refused CODE WORD ARGUMENT...
refused() {
  want=$1 word=$2
  shift 2
  run "$want" import -o no.onnx "$@" && has "$err" "$word"
  [ "$(grep -c '^qfuse: ' "$err")" = 1 ] || fail "$*: not one line: $(cat "$err")"
  [ -s "$out" ] && fail "$*: an error printed to stdout"
  [ -e no.onnx ] && fail "$*: a model was written in spite of an error"
}
refused 1 "none is recognised" float.onnx # 7 channels are not 85
refused 1 "none is recognised" float.onnx --labels a,b,c
refused 1 "is not known" float.onnx --head nosuch
refused 1 "yunet" float.onnx --head yunet
refused 1 "2 inputs" two.onnx
head -c 2000 float.onnx >short.onnx
refused 1 "damaged" short.onnx
echo "no model" >text.onnx
refused 1 "not an ONNX file" text.onnx
refused 1 "cannot be opened" absent.onnx
refused 2 "1 input channels" float.onnx --labels square,other --planes R,G,B
refused 2 "not a plane" float.onnx --labels square,other --planes Q
refused 2 "mean" float.onnx --labels square,other --mean 1,2,3
refused 2 "std" float.onnx --labels square,other --std 0
refused 2 "scale" float.onnx --labels square,other --scale x
refused 2 "takes codes already" ours.onnx --mean 1
refused 2 "give one" float.onnx --std 1 --scale 1
refused 2 "there twice" float.onnx --labels a,a
refused 2 "letterbox or stretch" float.onnx --fit crop
refused 2 "640x384" float.onnx --size 64
refused 2 "like boxes" float.onnx --set boxes
refused 2 "0 to 1" float.onnx --threshold 2
refused 2 "one model file" float.onnx float.onnx
run 2 import float.onnx
run 1 import float.onnx --labels square,other -o no/such/folder/x.onnx

# Detectors that others trained, where they lie beside the source.
shared=$QFUSE_SOURCE/../shared
if [ -r "$shared/models/yunet_n_320_320.onnx" ]; then
  run 0 import "$shared/models/yunet_n_320_320.onnx" -o faces.onnx
  has "$out" "head yunet"
  run 0 annotate "$shared/data/clips/face-head-pose.mp4" -m faces.onnx \
    -o faces.mkv --detections faces.jsonl --threshold 0.7
  # two people: a box of each in each of 56 frames, five points a box
  [ "$(grep -o '"label":"face"' faces.jsonl | wc -l)" = 112 ] ||
    fail "$(grep -o '"label":"face"' faces.jsonl | wc -l) faces, not 112"
  [ "$(grep -oE '"points":(\[|,?\[[^]]*\]){6}' faces.jsonl | wc -l)" = 112 ] ||
    fail "not five points a face"
  run 0 import "$shared/models/FastestDet.onnx" -o things.onnx
  has "$out" "80, COCO's names assumed"
else
  echo "skipped: no ../shared/models/yunet_n_320_320.onnx beside the source"
fi
finish
