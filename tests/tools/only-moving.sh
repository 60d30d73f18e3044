#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# qfuse annotate --only-moving keeps the stretches with motion, without gaps, the
# sound with the frames with which it was recorded.
here=$(dirname "$0")
. "$here/common.sh"
cd "$work" || exit 1
cut=$QFUSE_BUILD/tests/tools/cut-helper

$helper model model.onnx || exit 1
$cut clip pcm.mkv identity 1 || exit 1
run 0 annotate pcm.mkv -m model.onnx -o out.mkv -d found.jsonl --only-moving
[ -s "$err" ] && fail "a line on stderr: $(cat "$err")"
has "$out" " of 260 frames, "
$cut check found.jsonl out.mkv || fail "pcm.mkv to out.mkv"

# Sound that is encoded anew, sound that stays as it is, and detections alone.
$cut clip opus.mkv "audioconvert ! opusenc" 1 || exit 1
for to in webm mp4; do
  if [ $to = webm ] || gst-inspect-1.0 --exists openh264enc; then
    run 0 annotate opus.mkv -m model.onnx -o out.$to -d found.jsonl --only-moving
    $cut check found.jsonl out.$to || fail "opus.mkv to out.$to"
  fi
done
run 0 annotate pcm.mkv -m model.onnx -o out.webm -d found.jsonl --only-moving
$cut check found.jsonl out.webm || fail "pcm.mkv to out.webm"
cp found.jsonl before.jsonl
run 0 annotate pcm.mkv -m model.onnx -d found.jsonl --only-moving --json
cmp -s before.jsonl found.jsonl || fail "other detections without a video"
has "$out" '"frames_read":260'

# Nothing moves: no video, and that is no error.
$cut clip still.mkv identity 0 || exit 1
run 0 annotate still.mkv -m model.onnx -o none.mkv --only-moving
[ -e none.mkv ] && fail "a video of nothing"
has "$err" "nothing moves in it"

left=$(ls -A | grep -c '^\.')
[ "$left" = 0 ] || fail "$left hidden files are left"
finish
