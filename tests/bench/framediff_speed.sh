#!/bin/sh
# Benchmark: framediff beside a plain copy, videodiff and OpenCV's MOG2.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# tests/bench/framediff_speed.sh [BUILD]
# One core (CORE, 0 by default), interleaved, medians. PYTHON: one with cv2.
set -eu

build=$(cd "${1:-build}" && pwd)
core=${CORE:-0}
export GST_PLUGIN_PATH_1_0="$build/plugins"
registry=$(mktemp)
trap 'rm -f "$registry"' EXIT
export GST_REGISTRY_1_0="$registry"

grep -m1 'model name' /proc/cpuinfo || true
taskset -c "$core" "$build/tests/bench/bench-framediff-speed"

if [ -n "${PYTHON:-}" ]; then
  taskset -c "$core" "$PYTHON" - <<'PY'
import time
import cv2
import numpy as np

cv2.setNumThreads(1)
rng = np.random.default_rng(1)
still = rng.integers(60, 180, (1080, 1920), dtype=np.uint8)
frames = []
for i in range(8):
    f = still + rng.integers(0, 4, still.shape, dtype=np.uint8)
    f[400:600, 100 * i:100 * i + 200] = 220
    frames.append(f)
mog = cv2.createBackgroundSubtractorMOG2()
for f in frames * 3:
    mog.apply(f)
times = []
for n in range(11):
    start = time.process_time()
    for f in frames:
        mog.apply(f)
    times.append((time.process_time() - start) / len(frames) * 1e3)
print("OpenCV %s MOG2 on GRAY8: %.3f ms a frame" % (cv2.__version__, sorted(times)[5]))
PY
fi
