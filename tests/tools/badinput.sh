#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Bad input: one clear line, exit code 1, within a second, and nothing left behind.
here=$(dirname "$0")
. "$here/common.sh"
cd "$work" || exit 1
export GST_DEBUG=
limit=${QFUSE_SANITIZE:+10000}
limit=${limit:-1000} # milliseconds; a sanitizer costs its time

$helper model model.onnx && $helper square square.mkv 32 &&
  $helper truth square.txt 32 0 || exit 1
# Whatever is to be started once (plugins, caches) has been.
run 0 annotate square.mkv -m model.onnx -o warm.mkv
rm warm.mkv

# bad WORD ARGUMENT...: fails in time with one line that holds WORD.
bad() {
  word=$1
  shift
  begin=$(date +%s%N)
  run 1 "$@" || return
  ms=$((($(date +%s%N) - begin) / 1000000))
  [ $ms -le $limit ] || fail "qfuse $* took $ms ms"
  [ "$(wc -l <"$err")" = 1 ] || fail "qfuse $* printed not one line: $(cat "$err")"
  grep -q '^qfuse: ' "$err" || fail "no \"qfuse: \" in $(cat "$err")"
  has "$err" "$word"
  now=$(ls -A)
  [ "$now" = "$before" ] || fail "qfuse $* left files: $now"
}

: >empty.mkv
head -c 100000 /dev/urandom >noise.mkv
head -c $(($(wc -c <square.mkv) / 2)) square.mkv >short.mkv
head -c 30000 /dev/zero >zeros.mp4
echo "no video" >text.mkv
: >empty.onnx
head -c 3000 model.onnx >short.onnx
head -c 5000 /dev/urandom >noise.onnx
echo "no model" >text.onnx
{ printf 'RIFF\377\377\377\177AVI LIST'; head -c 3000 /dev/zero; } >fake.avi
gst-launch-1.0 -q audiotestsrc num-buffers=20 ! vorbisenc ! matroskamux ! \
  filesink location=sound.mkv
mkdir folder
before=$(ls -A)

for video in missing empty noise short zeros text sound fake folder; do
  file=$(ls -d $video.* 2>/dev/null | head -n 1)
  [ $video = folder ] && file=folder
  file=${file:-missing.mkv}
  bad "$file" annotate $file -m model.onnx -o out.mkv -d out.jsonl
  bad "$file" annotate $file -m model.onnx -d out.jsonl
  case $video in
    # a folder is searched for clips; what is left of a cut file can be learned
    folder | short) continue ;;
  esac
  bad "$file" eval model.onnx $file --truth square.txt
  bad "$file" train -o out.onnx --truth square.txt $file
done
for model in missing empty short noise text; do
  bad "$model.onnx" annotate square.mkv -m $model.onnx -o out.mkv -d out.jsonl
  bad "$model.onnx" eval $model.onnx square.mkv
  bad "$model.onnx" info $model.onnx
  bad "$model.onnx" bench $model.onnx
  bad "$model.onnx" train -m $model.onnx -o out.onnx square.mkv
done
bad "no/such" annotate square.mkv -m model.onnx -o no/such/out.mkv
bad "no/such" annotate square.mkv -m model.onnx -o out.mkv -d no/such/out.jsonl
bad "folder" annotate square.mkv -m model.onnx -d out.jsonl -o folder/no/out.mkv
bad "out.xyz" annotate square.mkv -m model.onnx -o out.xyz -d out.jsonl
bad "square.mkv" annotate square.mkv -m model.onnx -o square.mkv
bad "/dev/full" annotate square.mkv -m model.onnx -o /dev/full/out.mkv
bad "no/such" eval model.onnx square.mkv --truth no/such.txt
printf '1,1,5,5,16,16,1,1,1\n2,1,five,5,16,16,1,1,1\n' >wrong.txt
before=$(ls -A)
bad "wrong.txt:2" eval model.onnx square.mkv --truth wrong.txt

# One that ends half-way leaves nothing either.
"$qfuse" annotate square.mkv -m model.onnx -o out.mkv >/dev/null 2>&1 &
kill -INT $!
wait $!
ls -A | grep -q '^\.' && fail "an interrupted annotate left $(ls -A)"
finish
