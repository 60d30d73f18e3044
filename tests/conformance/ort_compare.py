#!/usr/bin/env python3
"""Compares qfuse's outputs with ONNX Runtime's (tests/bench/peers.py: speed).

SPDX-License-Identifier: LGPL-2.1-or-later

usage: ort_compare.py --run BUILD/tests/conformance/run-model MODEL.onnx ...
       ort_compare.py --frames FOLDER   (what BUILD/tests/conformance/frozen left)

Needs the Python packages onnx, onnxruntime and numpy; never part of the suite.
Quantized outputs must be the same bytes, except behind an Add, where codes may
differ by one. On processors without VNNI, ONNX Runtime multiplies int8 weights
through a saturating 16-bit intermediate, so they are first rewritten as uint8
with zero point 128 (the same numbers).
"""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort

from ortmodel import expose_codes, random_inputs, session, shift_weights


def run_qfuse(program, path, feeds, wanted, threads):
    with tempfile.TemporaryDirectory() as d:
        given, made = os.path.join(d, "in"), os.path.join(d, "out")
        with open(given, "wb") as f:
            for v in feeds.values():
                f.write(v.tobytes())
        args = [program, path, given, made, str(threads)]
        r = subprocess.run(args, capture_output=True, text=True)
        if r.returncode:
            sys.exit(r.stderr.strip())
        data = open(made, "rb").read()
    outputs, at = [], 0
    for w in wanted:
        outputs.append(np.frombuffer(data, w.dtype, w.size, at).reshape(w.shape))
        at += w.nbytes
    assert at == len(data), f"{path}: {len(data)} bytes of output, not {at}"
    return outputs


def compare(path, args):
    shifted = expose_codes(shift_weights(onnx.load(path)))
    sess = session(shifted, 1)
    rng = np.random.default_rng(args.seed)
    has_add = any(n.op_type == "Add" for n in shifted.graph.node)
    bad = 0
    for k in range(args.inputs):
        feeds = random_inputs(sess, rng)
        want = sess.run(None, feeds)
        got = run_qfuse(args.run, path, feeds, want, 1 + k % 2)
        for name, w, g in zip((o.name for o in sess.get_outputs()), want, got):
            if w.dtype == np.uint8:
                d = np.abs(w.astype(int) - g.astype(int))
                differ, largest = int((d > 0).sum()), int(d.max())
                ok = largest <= (1 if has_add else 0)
                if k == 0 or not ok:
                    print(f"  {name}: {differ} of {w.size} codes differ, "
                          f"largest {largest}, {len(np.unique(w))} values"
                          f"{'' if ok else '  WRONG'}")
            else:
                err = float(np.abs(w - g).max() / max(1e-6, np.abs(w).max()))
                ok = err <= 1e-4
                if k == 0 or not ok:
                    print(f"  {name}: relative error {err:.2g}"
                          f"{'' if ok else '  WRONG'}")
            bad += not ok
    return bad


def compare_frames(folder):
    """ONNX Runtime on the frames that tests/conformance/frozen compared."""
    sess = session(expose_codes(shift_weights(
        onnx.load(os.path.join(folder, "model.onnx")))), 1)
    given = sess.get_inputs()[0]
    names = sorted(n[:-3] for n in os.listdir(folder) if n.endswith(".in"))
    wrong = total = 0
    for name in names:
        x = np.fromfile(os.path.join(folder, name + ".in"), np.uint8)
        want = np.fromfile(os.path.join(folder, name + ".out"), np.uint8)
        got = np.concatenate([v.ravel() for v in sess.run(
            None, {given.name: x.reshape(given.shape)})])
        wrong += int((got != want).sum())
        total += want.size
    print(f"{len(names)} frames: {wrong} of {total} bytes differ between "
          f"ONNX Runtime {ort.__version__} and the trainer")
    return wrong + (not names)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--frames", metavar="FOLDER",
                   help="what the program frozen left")
    p.add_argument("--run", help="the built run-model program")
    p.add_argument("--inputs", type=int, default=4)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("models", nargs="*")
    args = p.parse_args()
    if not args.frames and not (args.run and args.models):
        p.error("give --frames FOLDER, or --run PROGRAM and models")
    bad = compare_frames(args.frames) if args.frames else 0
    for path in args.models:
        print(os.path.basename(path))
        bad += compare(path, args)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
