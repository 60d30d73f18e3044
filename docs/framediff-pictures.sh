#!/bin/sh
# Docs: makes framediff-*.png from two recordings.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# docs/framediff-pictures.sh VTEST.avi INFRARED.mp4 [BUILD]
# VTEST.avi: of OpenCV's examples; INFRARED.mp4: Data/Video_IR/IR_DRONE_025.mp4 of
# DroneDetectionThesis/Drone-detection-dataset (CC0). Needs ffmpeg.
set -eu

docs=$(cd "$(dirname "$0")" && pwd)
export GST_PLUGIN_PATH_1_0="$(cd "${3:-build}" && pwd)/plugins"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# snap NAME FILE FRAME ELEMENTS …
snap () {
  name=$1 file=$2 frame=$3
  shift 3
  mkdir "$out/$name"
  gst-launch-1.0 -q filesrc location="$file" ! decodebin ! videoconvert \
    ! video/x-raw,format=I420 ! identity eos-after=$((frame + 12)) ! "$@" \
    ! videoconvert ! video/x-raw,format=RGB ! pngenc \
    ! multifilesink location="$out/$name/%d.png"
  mv "$out/$name/$frame.png" "$out/$name.png"
}

colours='split[a][b];[a]palettegen=max_colors=96:reserve_transparent=0[p];[b][p]paletteuse=dither=none'

snap signed "$1" 80 framediff gain=2
snap highlight "$1" 80 framediff mode=highlight
snap regions "$1" 80 framediff output=planes attach-regions=true ! qfuseoverlay
for name in signed highlight regions; do
  ffmpeg -v error -y -i "$out/$name.png" \
    -vf "scale=576:-1:flags=area,$colours" "$docs/framediff-$name.png"
done

snap ir0 "$2" 150 framediff output=planes attach-regions=true shadow=0 ! qfuseoverlay
snap ir1 "$2" 150 framediff gain=4
snap ir2 "$2" 150 framediff mode=highlight shadow=0
ffmpeg -v error -y -i "$out/ir0.png" -i "$out/ir1.png" -i "$out/ir2.png" \
  -filter_complex "hstack=3,$colours" "$docs/framediff-infrared.png"
