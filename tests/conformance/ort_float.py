#!/usr/bin/env python3
"""Compares `qfuse run` with ONNX Runtime on float networks.

SPDX-License-Identifier: LGPL-2.1-or-later

usage: ort_float.py BUILD/tools/qfuse MODEL.onnx ...

Random inputs; open sizes are 1. Needs the Python packages onnxruntime and numpy;
never part of the suite. Fails where an output is off by more than 1e-4 of its
largest element plus 2e-7: ONNX Runtime's Sigmoid is that far from the exact one.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime as ort


def random_inputs(session, rng):
    feeds = {}
    for i in session.get_inputs():
        shape = [d if isinstance(d, int) else 1 for d in i.shape]
        feeds[i.name] = (rng.random(shape, dtype=np.float32)
                         if i.type == "tensor(float)"
                         else rng.integers(0, 256, shape).astype(np.uint8))
    return feeds


def compare(program, path, rng):
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    feeds = random_inputs(session, rng)
    with tempfile.TemporaryDirectory() as d:
        given, made = os.path.join(d, "in.npz"), os.path.join(d, "out.npz")
        np.savez_compressed(given, **feeds)
        subprocess.run([program, "run", path, given, "-o", made], check=True)
        got = dict(np.load(made))
    bad = 0
    for o, want in zip(session.get_outputs(), session.run(None, feeds)):
        g = got[o.name]
        assert g.shape == want.shape and g.dtype == want.dtype, o.name
        largest = float(np.abs(want).max())
        error = float(np.abs(g.astype(float) - want).max())
        ok = error <= 1e-4 * largest + 2e-7
        bad += not ok
        print(f"  {o.name} {want.shape}: largest {largest:.3g}, off by {error:.2g}"
              f"{'' if ok else '  WRONG'}")
    return bad


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    rng = np.random.default_rng(0)
    bad = 0
    for path in sys.argv[2:]:
        print(os.path.basename(path))
        bad += compare(sys.argv[1], path, rng)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
