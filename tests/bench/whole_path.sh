#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the whole path costs beside decoding and encoding alone: CPU time (user
# and system) of `qfuse annotate` on a 1080p H.264 recording, which is made from
# CLIP with ffmpeg, against gst-launch-1.0 with the same decoder and encoder.
# Medians of interleaved runs, less what each takes to start (a run on the first
# frames, for the networks: loading and planning).
# usage: whole_path.sh BUILD TAGGED-CLIP TRUTH [CLIP]
# FRAMES (200) and RUNS (5) from the environment. Two networks of 166 MMAC are
# trained for one short epoch on 60 frames of the tagged clip (their weights do
# not matter), one on the picture, one on dead-banded differences; the third is
# models/pedestrian.onnx. THREADS (0: all): of the network. Run it on an idle
# machine.
set -u
[ $# -ge 3 ] || { sed -n '3,13s/^# //p' "$0" >&2; exit 2; }
build=$(cd "$1" && pwd) || exit 1
qfuse=$build/tools/qfuse
tagged=$2 truth=$3 clip=${4:-$2}
models=$(cd "$(dirname "$0")/../../models" && pwd)
frames=${FRAMES:-200} runs=${RUNS:-5} threads=${THREADS:-0}
work=${WORK:-$(mktemp -d)} || exit 1
[ -n "${WORK:-}" ] || trap 'rm -rf "$work"' EXIT
export GST_PLUGIN_PATH_1_0=$build/plugins GST_REGISTRY_1_0=$work/registry

fail() { echo "whole_path.sh: $*" >&2; exit 1; }

make_recording() { # FRAMES FILE
  [ -e "$2" ] || ffmpeg -hide_banner -loglevel error -i "$clip" \
    -frames:v "$1" -vf scale=1920:1080 -c:v libx264 -pix_fmt yuv420p -an "$2" ||
    fail "ffmpeg (with libx264) cannot make the recording"
}

make_network() { # PLANES FILE
  [ -e "$2" ] || "$qfuse" train -o "$2" --planes "$1" --size 576x432 \
    --frames 1-60 --epochs 1 --truth "$truth" "$tagged" >/dev/null 2>&1 ||
    fail "the network on $1 cannot be trained"
}

# The settings are those of tools/container.c.
vp9="vp9enc cpu-used=7 row-mt=true cq-level=30 timebase=1/90000
  lag-in-frames=0 deadline=1 end-usage=cq target-bitrate=0 bits-per-pixel=0.6
  keyframe-max-dist=150 threads=4 ! matroskamux"
h264="openh264enc rate-control=bitrate bitrate=6000000 gop-size=150 !
  h264parse ! mp4mux"

gst() { # FILE REST…
  local file=$1
  shift
  # shellcheck disable=SC2086,SC2068
  gst-launch-1.0 -q filesrc location="$file" ! qtdemux ! h264parse ! \
    avdec_h264 ! $@
}

annotate() { # FILE MODEL ARGUMENTS…
  local file=$1 model=$2
  shift 2
  "$qfuse" annotate --threads "$threads" -m "$model" "$file" "$@"
}

run() { # KIND FILE
  case $1 in
    decode) gst "$2" fakesink sync=false ;;
    decode+vp9) gst "$2" $vp9 ! filesink location="$work/out.mkv" ;;
    decode+h264) gst "$2" $h264 ! filesink location="$work/out.mp4" ;;
    detect:*) annotate "$2" "${1#*:}" --no-overlay -d "$work/out.jsonl" ;;
    overlay+vp9:*) annotate "$2" "${1#*:}" -o "$work/out.mkv" ;;
    overlay+h264:*) annotate "$2" "${1#*:}" -o "$work/out.mp4" ;;
  esac
}

cpu() { # KIND FILE: its milliseconds
  local TIMEFORMAT='%U %S'
  { time run "$1" "$2" >"$work/log" 2>&1; } 2>"$work/time" ||
    { cat "$work/log" >&2; fail "$1 fails"; }
  awk '{ printf "%.0f\n", ($1 + $2) * 1000 }' "$work/time"
}

median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

ms() { # KIND: medians of the long and the short recording, ms a frame
  awk -v a="$(median "$work/$(name "$1").long")" \
    -v b="$(median "$work/$(name "$1").short")" -v n="$frames" \
    'BEGIN { printf "%.3f", (a - b) / (n - 20) }'
}

name() { echo "$1" | tr -c 'a-z0-9+\n' _; }

row() { # KIND BASE
  echo "$1" "$(ms "$1")" "$(ms "$2")" |
    awk '{ n = split ($1, p, "/"); printf "%-36s %8.2f ms a frame  %6.3f\n",
           p[1] ~ /:$/ ? p[1] p[n] : $1, $2, $2 / $3 }'
}

make_network Y "$work/pyramid-Y.onnx"
make_network D1t10 "$work/pyramid-D1t10.onnx"
make_recording "$frames" "$work/recording.mp4"
make_recording 20 "$work/start.mp4"
nets="$work/pyramid-Y.onnx $work/pyramid-D1t10.onnx $models/pedestrian.onnx"
kinds=decode
for net in $nets; do kinds="$kinds detect:$net"; done
for encoder in ${ENCODERS:-vp9 h264}; do
  kinds="$kinds decode+$encoder"
  for net in $nets; do kinds="$kinds overlay+$encoder:$net"; done
done
run decode "$work/start.mp4" >/dev/null 2>&1 # fills the registry
rm -f "$work"/*.long "$work"/*.short
for _ in $(seq "$runs"); do
  for kind in $kinds; do
    cpu "$kind" "$work/recording.mp4" >>"$work/$(name "$kind").long"
    cpu "$kind" "$work/start.mp4" >>"$work/$(name "$kind").short"
  done
done

grep -m1 'model name' /proc/cpuinfo
echo "$(basename "$clip"), $frames frames of 1920x1080, $(
  stat -c %s "$work/recording.mp4") bytes; median of $runs, network threads: $threads"
for kind in $kinds; do
  case $kind in
    decode | detect:*) row "$kind" decode ;;
    decode+* | overlay+*) row "$kind" "decode+$(e=${kind%%:*}; echo "${e#*+}")" ;;
  esac
done
