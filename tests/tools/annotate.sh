#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# qfuse annotate keeps frames, their times and the sound, in several containers;
# detections are where the squares are.
here=$(dirname "$0")
. "$here/common.sh"
cd "$work" || exit 1
tick=1000000 # Matroska's: a millisecond; MP4's here are finer

$helper model model.onnx || exit 1
vp8="vp8enc timebase=1/1000 deadline=1"
$helper clip in.mkv "$vp8" vorbisenc || exit 1
$helper clip in.webm "$vp8" opusenc || exit 1
inputs="in.mkv in.webm"
if gst-inspect-1.0 --exists openh264enc && gst-inspect-1.0 --exists avenc_aac; then
  $helper clip in.mp4 "openh264enc ! h264parse" "avenc_aac ! aacparse" || exit 1
  inputs="$inputs in.mp4"
fi

for in in $inputs; do
  for to in mkv webm mp4 mov; do
    run 0 annotate $in -m model.onnx -o out.$to
    [ -s "$err" ] && fail "$in to $to: a line on stderr: $(cat "$err")"
    $helper compare $in out.$to $tick || fail "$in to $to"
    rm -f out.$to
  done
done

# Several inputs go into a folder.
run 0 annotate in.mkv in.webm -m model.onnx -o several -d several --json
[ -s several/in.mkv ] && [ -s several/in.webm ] || fail "no video in the folder"
[ -s several/in.jsonl ] || fail "no detections in the folder"
has "$out" '"frames":40'

# Detections alone, and where they are.
run 0 annotate in.mkv -m model.onnx --detections found.jsonl
[ "$(wc -l <found.jsonl)" = 40 ] || fail "found.jsonl has not 40 lines"
has found.jsonl '"frame":2,"pts":53000000,"width":64,"height":64'
has found.jsonl '"box":[16,0,16,16]'
[ "$(grep -c '"label":"square"' found.jsonl)" = 40 ] || fail "squares were missed"
run 0 annotate in.mkv -m model.onnx --no-overlay -o plain.mkv --interval 4
$helper compare in.mkv plain.mkv $tick || fail "without an overlay"

left=$(ls -A | grep -c '^\.')
[ "$left" = 0 ] || fail "$left hidden files are left"
finish
