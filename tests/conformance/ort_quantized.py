#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Our outputs of a quantized model beside ONNX Runtime's, on five pictures of a
clip: ort_quantized.py QFUSE MODEL CLIP. Needs onnxruntime and gst-launch-1.0."""
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime

qfuse, model, clip = sys.argv[1:4]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
place = session.get_inputs()[0]
_, channels, height, width = place.shape
assert channels == 3
caps = f"video/x-raw,format=BGR,width={width},height={height}"
raw = subprocess.run(
    ["gst-launch-1.0", "-q", "filesrc", "location=" + clip, "!", "decodebin", "!",
     "videoconvert", "!", "videoscale", "!", caps, "!", "fdsink"],
    capture_output=True, check=True).stdout
stride = (width * 3 + 3) // 4 * 4
n = len(raw) // (stride * height)
frames = np.frombuffer(raw[:n * stride * height], np.uint8)
frames = frames.reshape(n, height, stride)[:, :, :width * 3].reshape(n, height, width, 3)
with tempfile.TemporaryDirectory() as work:
    given, made = os.path.join(work, "x.npy"), os.path.join(work, "y.npz")
    for k in range(0, n, max(n // 5, 1)):
        x = np.ascontiguousarray(frames[k].transpose(2, 0, 1)[None])
        np.save(given, x)
        subprocess.run([qfuse, "run", model, given, "-o", made], check=True)
        ours = np.load(made)
        for out, theirs in zip(session.get_outputs(), session.run(None, {place.name: x})):
            y = ours[out.name]
            print(k, out.name, "different", int((y != theirs).sum()), "of", y.size,
                  "by at most", float(np.abs(y - theirs).max()))
