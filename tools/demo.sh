#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# From a bare checkout to an annotated recording: installs what is needed, builds,
# draws boxes round the people of VIDEO (default: the sample recording of Debian's
# opencv-doc) and says where the results are.
#
#   sh tools/demo.sh [VIDEO]
set -eu
video=${1:-/usr/share/doc/opencv-doc/examples/data/vtest.avi}
case $video in
  /*) ;;
  *) video=$PWD/$video ;;
esac
cd "$(dirname "$0")/.."

sh tools/install-deps.sh
if [ ! -e build/build.ninja ]; then
  rm -rf build
  meson setup build
fi
ninja -C build tools/qfuse plugins/libgstqfuse.so

mkdir -p demo-out
name=$(basename "$video")
name=demo-out/${name%.*}
build/tools/qfuse annotate "$video" -m models/pedestrian.onnx \
  -o "$name-annotated.mkv" --detections "$name-detections.jsonl"

echo
echo "Annotated video: $PWD/$name-annotated.mkv"
echo "Detections:      $PWD/$name-detections.jsonl"
