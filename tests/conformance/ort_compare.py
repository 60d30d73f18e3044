#!/usr/bin/env python3
"""Compares qfuse's outputs with ONNX Runtime's (tests/bench/peers.py: speed).

SPDX-License-Identifier: LGPL-2.1-or-later

usage: ort_compare.py --run BUILD/tests/conformance/run-model [--inputs N]
           [--clips CLIP,...] MODEL.onnx ...
       ort_compare.py --frames FOLDER   (what BUILD/tests/conformance/frozen left)

--inputs random inputs, and with --clips as many frames of these: R, G, B where
the input has three channels, else successive grey frames. Needs ffmpeg for
clips, and the Python packages onnx, onnxruntime and numpy; never part of the suite.
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


def clip_inputs(sess, clips, n):
    """@n feeds from frames spread over the clips."""
    given = sess.get_inputs()[0]
    _, c, h, w = given.shape
    grey = c != 3
    feeds = []
    for k, clip in enumerate(clips):
        share = n // len(clips) + (k < n % len(clips))
        raw = subprocess.run(
            ["ffmpeg", "-v", "error", "-i", clip, "-vf", f"fps=2,scale={w}:{h}",
             "-f", "rawvideo", "-pix_fmt", "gray" if grey else "rgb24", "-"],
            check=True, capture_output=True).stdout
        frames = np.frombuffer(raw, np.uint8).reshape(-1, h, w, 1 if grey else 3)
        for i in range(share):
            first = i * len(frames) // share
            x = (frames[np.arange(first, first + c) % len(frames), ..., 0]
                 if grey else frames[first].transpose(2, 0, 1))
            x = np.ascontiguousarray(x)[None]
            feeds.append({given.name: x if given.type == "tensor(uint8)"
                          else x.astype(np.float32)})
    return feeds


def compare(path, args):
    shifted = expose_codes(shift_weights(onnx.load(path)))
    sess = session(shifted, 1)
    rng = np.random.default_rng(args.seed)
    has_add = any(n.op_type == "Add" for n in shifted.graph.node)
    bad = codes = off = 0
    inputs = [random_inputs(sess, rng) for _ in range(args.inputs)]
    if args.clips:
        inputs += clip_inputs(sess, args.clips.split(","), args.inputs)
    for k, feeds in enumerate(inputs):
        want = sess.run(None, feeds)
        got = run_qfuse(args.run, path, feeds, want, 1 + k % 2)
        for name, w, g in zip((o.name for o in sess.get_outputs()), want, got):
            if w.dtype == np.uint8:
                d = np.abs(w.astype(int) - g.astype(int))
                differ, largest = int((d > 0).sum()), int(d.max())
                ok = largest <= (1 if has_add else 0)
                codes, off = codes + w.size, off + differ
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
    print(f"  {len(inputs)} inputs: {off} of {codes} codes differ")
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
    p.add_argument("--clips", help="real inputs too, from these videos")
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
