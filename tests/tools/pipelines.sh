#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs every line of docs/pipelines.md and looks at what came of it: each ### heading
# with a block has a check_ function here, and the other way round. What a line
# shows on a screen goes to screen.raw; a camera is a live test picture.
here=$(dirname "$0")
. "$here/common.sh"
checks=$(grep -c '^check_' "$0")
cd "$work" || exit 1
if [ -n "${QFUSE_SANITIZE:-}" ]; then
  echo "skipped: gst-launch has no sanitizer inside"
  exit 77
fi
pictures=$QFUSE_BUILD/tests/tools/pictures
vtest=/usr/share/doc/opencv-doc/examples/data/vtest.avi

# --- clips ----------------------------------------------------------------------

test_source() { # PATTERN FRAMES [OPTION...]
  pattern=$1 n=$2
  shift 2
  echo "videotestsrc pattern=$pattern num-buffers=$n $* ! video/x-raw,format=I420,width=320,height=240,framerate=30/1"
}

# ball.avi: 60 frames of nothing, in 60 a ball moves, 60 of nothing.
# shellcheck disable=SC2046 # words are wanted
timeout 30 gst-launch-1.0 -q concat name=c ! jpegenc ! avimux ! \
  filesink location=ball.avi $(test_source black 60) ! c. \
  $(test_source ball 60) ! c. $(test_source black 60) ! c. || exit 1

# on_grey FILE GREY: a ball of that grey on light grey.
on_grey() {
  # shellcheck disable=SC2046 # words are wanted
  timeout 30 gst-launch-1.0 -q \
    $(test_source ball 60 background-color=0xffb0b0b0 foreground-color="$2") ! \
    jpegenc ! avimux ! filesink location="$1" || exit 1
}
on_grey shade.avi 0xff909090
# square.avi: lossless Matroska of 64x64, a square jumps from cell to cell.
$helper square square.avi 64 && $helper truth square.txt 64 0 || exit 1
people=
if [ -e "$vtest" ]; then
  people=yes size="384 288"
  head -c 500000 "$vtest" >begin.avi
  timeout 30 gst-launch-1.0 -q filesrc location=begin.avi ! decodebin ! videoconvert ! \
    videoscale ! video/x-raw,width=384,height=288 ! jpegenc quality=90 ! avimux ! \
    filesink location=people.avi || exit 1
else
  echo "without vtest.avi no people are looked for"
  on_grey people.avi 0xff202020
  size="320 240"
fi

# --- what came of a line ----------------------------------------------------------

# frames FILE: how many frames it decodes to.
frames() {
  rm -f count.raw
  timeout 30 gst-launch-1.0 -q filesrc location="$1" ! decodebin ! videoconvert ! \
    videoscale ! video/x-raw,format=GRAY8,width=16,height=16 ! \
    filesink location=count.raw >count.log 2>&1 || cat count.log >&2
  echo $(($(stat -c %s count.raw) / 256))
}

# decode FILE RAW [SIZE]: its frames as I420.
decode() {
  timeout 30 gst-launch-1.0 -q filesrc location="$1" ! decodebin ! videoconvert ! \
    videoscale ! "video/x-raw,format=I420${3:+,$3}" ! filesink location="$2"
}

equal() { # WHAT GOT WANT
  [ "$2" = "$3" ] || fail "$slug: $1: $2, not $3"
}
within() { # WHAT GOT LEAST MOST
  [ -z "${VERBOSE:-}" ] || echo "  $slug: $1: $2 ($3 to $4)"
  [ "${2:--1}" -ge "$3" ] && [ "${2:--1}" -le "$4" ] || fail "$slug: $1: $2, not $3 to $4"
}

# changes RAW LEAST MOST: it has all frames of the clip, and of 10000 bytes so many
# are clearly others than in the clip.
changes() {
  decode street.avi plain.raw
  within "of 10000 bytes changed" "$("$pictures" changed plain.raw "$1")" "$2" "$3"
}

# luma RAW WIDTH HEIGHT LOW HIGH LEAST MOST: of 10000 luma bytes so many lie in LOW
# to HIGH.
luma() {
  within "of 10000 in $4 to $5" "$("$pictures" between "$1" "$2" "$3" "$4" "$5")" "$6" "$7"
}

# boxes JSONL: a line a box: FRAME LABEL X Y W H.
boxes() {
  awk '{
    match($0, /"frame":[0-9]+/)
    frame = substr($0, RSTART + 8, RLENGTH - 8)
    n = split($0, part, "{\"label\":\"")
    for (i = 2; i <= n; i++) {
      label = part[i]; sub(/".*/, "", label)
      box = part[i]; sub(/.*"box":\[/, "", box); sub(/\].*/, "", box)
      gsub(",", " ", box)
      print frame, label, box
    }
  }' "$1"
}

# lines JSONL COUNT LABEL FRAMES-WITH: it has so many lines, and at least so many
# frames with a box of that label.
lines() {
  equal "lines of $1" "$(wc -l <"$1")" "$2"
  with=$(boxes "$1" | awk -v label="$3" '$2 == label { print $1 }' | uniq | wc -l)
  within "frames with $3 in $1" "$with" "$4" "$2"
}

# finds JSONL TRUTH LEAST: at least so many true boxes have a box that lies within 3
# pixels of their corner and of their size.
finds() {
  boxes "$1" >found.boxes
  hits=$(awk -F '[ ,]' '
    function near(a, b) { return a - b <= 3 && b - a <= 3 }
    FNR == NR { box[$1, ++n[$1]] = $3 " " $4 " " $5 " " $6; next }
    {
      for (i = 1; i <= n[$1]; i++) {
        split(box[$1, i], b, " ")
        if (near(b[1], $3 - 1) && near(b[2], $4 - 1) && near(b[3], $5) && near(b[4], $6)) {
          hits++
          break
        }
      }
    }
    END { print hits + 0 }' found.boxes "$2")
  within "boxes of $2 found" "$hits" "$3" 64
}

# clip_SLUG says which clip a line gets, people.avi where there is none.
clip_motion_messages=ball clip_moving_regions_as_text=ball clip_parts_left_out=ball
clip_motion_triggered_recording=ball clip_seconds_before_the_motion=ball
clip_gate_behind_the_encoder=ball clip_network_only_where_something_moves=ball
clip_teaching_from_a_tagged_stream=square clip_network_on_the_difference_image=square
clip_infrared_camera=shade

# --- a check a line ---------------------------------------------------------------

check_difference_image_to_a_file() {
  equal frames "$(frames difference.webm)" "$(frames street.avi)"
  # Dark, and something bright in it.
  decode difference.webm difference.raw
  luma difference.raw $size 0 40 8000 9999
  luma difference.raw $size 100 255 20 1000
}
check_highlighted_motion_on_screen() { changes screen.raw 3000 9900; }
check_live_camera() {
  within "frames shown" $(($(stat -c %s screen.raw) / (320 * 240 * 3 / 2))) 30 30
  # Grey, and the moving ball.
  luma screen.raw 320 240 118 138 8000 9999
}
check_distance_in_time() {
  changes screen.raw 3000 9900
  # At 10 frames a second 200 ms are two frames, at 30 six.
  [ -n "$people" ] && two=2 || two=6
  timeout 30 gst-launch-1.0 -q filesrc location=street.avi ! decodebin ! videoconvert ! \
    framediff mode=absolute distance=$two threshold=8 gain=4 ! videoconvert ! \
    video/x-raw,format=I420 ! filesink location=two.raw
  cmp screen.raw two.raw || fail "$slug: 200 ms are not as many frames"
}
check_moving_regions_drawn() { changes screen.raw 5 600; }
check_infrared_camera() {
  changes screen.raw 10 600
  # Otherwise the ball is a shadow, but for what it uncovers at first.
  sed 's/shadow=0//' line.sh >shadow.sh
  sh -eu shadow.sh >shadow.log 2>&1 || cat shadow.log
  changes screen.raw 0 3
}
check_motion_messages() {
  sed -n 's/.*qfuse-motion,.*state=\(([a-z]*)\)*\([a-z]*\).*/\2/p' log >states
  equal states "$(tr '\n' ' ' <states)" "start stop "
  has log "region"
}
check_moving_regions_as_text() {
  lines moving.jsonl 180 motion 58
  still=$(boxes moving.jsonl | awk '$1 < 60 || $1 > 122' | wc -l)
  equal "boxes where nothing moves" "$still" 0
}
check_parts_left_out() {
  lines moving.jsonl 180 motion 10
  equal "boxes left out" "$(boxes moving.jsonl | awk '$4 < 120' | wc -l)" 0
  sed '/ignore=/d; s/regions=true .$/regions=true ! \\/' line.sh >all.sh
  sh -eu all.sh >all.log 2>&1 || cat all.log
  within "boxes otherwise" "$(boxes moving.jsonl | awk '$4 < 120' | wc -l)" 4 60
}
check_motion_triggered_recording() { within frames "$(frames events.webm)" 73 77; }
check_seconds_before_the_motion() { within frames "$(frames events.webm)" 103 107; }
check_gate_behind_the_encoder() {
  equal files "$(ls event-*)" event-1.webm
  # From the key frame in frame 31 to a second after the last motion.
  within frames "$(frames event-1.webm)" 118 122
}
some_people() { # in almost every frame of the clip, and a line for each
  [ -n "$people" ] || return 0
  all=$(frames street.avi)
  within "frames of the clip" "$all" 30 45
  lines people.jsonl "$all" person $((all - 5))
}
check_detection_with_planes() { some_people; }
check_two_detectors_behind_a_tee() {
  some_people
  cmp people.jsonl others.jsonl || fail "$slug: the same model found other things"
}
check_annotated_recording() {
  if [ -z "$people" ]; then
    equal frames "$(frames annotated.webm)" "$(frames street.avi)"
    return
  fi
  decode annotated.webm annotated.raw
  changes annotated.raw 50 600
}
check_network_only_where_something_moves() { within lines "$(wc -l <people.jsonl)" 58 62; }
check_teaching_from_a_tagged_stream() {
  timeout 30 gst-launch-1.0 -q filesrc location=street.avi ! decodebin ! videoconvert ! \
    qfusedetect model-file=street.onnx threshold=0.2 ! qfusewrite location=found.jsonl ! fakesink
  finds found.jsonl street.txt 50
}
check_network_on_the_difference_image() {
  finds moving.jsonl street.txt 25
  # A difference cannot tell where the square is from where it was.
  awk -F , -v OFS=, '{ $1++; print }' street.txt >was.txt
  finds moving.jsonl was.txt 25
}

# --- every line --------------------------------------------------------------------

# Screens, cameras, and trainings that end soon.
adapt() {
  sed -e 's#autovideosink#video/x-raw,format=I420 ! filesink location=screen.raw#' \
    -e 's#v4l2src#videotestsrc is-live=true num-buffers=30 pattern=ball ! video/x-raw,framerate=30/1,width=320,height=240#' \
    -e 's#minutes=10##; s#qfusetrain #qfusetrain width=64 height=64 epochs=40 batch-size=8 validation=0 #'
}

# A file a block, named by its heading.
mkdir lines
awk '
  /^### / {
    slug = tolower(substr($0, 5))
    gsub(/[^a-z0-9]+/, "_", slug)
  }
  /^```$/ { inside = 0 }
  inside { print > ("lines/" slug) }
  /^```sh$/ { inside = 1; print slug }' "$QFUSE_SOURCE/docs/pipelines.md" >slugs
n=$(wc -l <slugs)
[ "$n" -ge 10 ] || fail "only $n lines in docs/pipelines.md"
[ "$n" = "$checks" ] || fail "$n lines, but $checks checks"

for slug in $(cat slugs); do
  case "${1:-$slug}" in "$slug") ;; *) continue ;; esac
  command -v "check_$slug" >/dev/null || { fail "no check of $slug"; continue; }
  rm -rf run && mkdir run && cd run || exit 1
  eval "clip=\${clip_$slug:-people}"
  cp "../$clip.avi" street.avi
  sed 's/$/,/; s/,$//' ../square.txt >street.txt
  ln -s "$QFUSE_SOURCE/docs" docs
  ln -s "$QFUSE_SOURCE/models" models
  ln -s "$QFUSE_SOURCE/models/pedestrian.onnx" other.onnx
  adapt <"../lines/$slug" >line.sh
  before=$bad
  if timeout 60 sh -eu line.sh >log 2>&1; then
    "check_$slug"
  else
    fail "$slug: ended with $?"
  fi
  [ "$bad" = "$before" ] || sed 's/^/    /' log
  cd ..
done
echo "$n lines"
finish
