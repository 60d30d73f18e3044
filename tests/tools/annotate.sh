#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# qfuse annotate keeps frames, their times and the sound, in several containers.
here=$(dirname "$0")
. "$here/common.sh"
cd "$work" || exit 1
ms=1000000

$helper model model.onnx || exit 1

# Matroska to Matroska: the sound is copied; one tick is a millisecond.
$helper clip in.mkv "vp8enc timebase=1/1000 deadline=1" vorbisenc || exit 1
run 0 annotate in.mkv -m model.onnx -o out.mkv
$helper compare in.mkv out.mkv $ms || fail "mkv to mkv"
finish
