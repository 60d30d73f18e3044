#!/usr/bin/env python3
"""Compares qfuse's outputs, and its speed, with ONNX Runtime's.

SPDX-License-Identifier: LGPL-2.1-or-later

usage: ort_compare.py --run BUILD/tests/conformance/run-model MODEL.onnx ...
       ort_compare.py --frames FOLDER   (what BUILD/tests/conformance/frozen left)

Needs the Python packages onnx, onnxruntime and numpy; never part of the suite.
Quantized outputs must be the same bytes, except behind an Add, where codes may
differ by one. On processors without VNNI, ONNX Runtime multiplies int8 weights
through a saturating 16-bit intermediate, so they are first rewritten as uint8
with zero point 128 (the same numbers); speed is measured with both.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper


def shift_weights(model):
    """int8 weights of Conv and Gemm as uint8 with zero point 128."""
    init = {i.name: i for i in model.graph.initializer}
    by_output = {o: n for n in model.graph.node for o in n.output}
    for node in model.graph.node:
        if node.op_type not in ("Conv", "Gemm") or node.input[1] not in by_output:
            continue
        dq = by_output[node.input[1]]
        w = init.get(dq.input[0])
        if w is None or w.data_type != onnx.TensorProto.INT8:
            continue
        codes = numpy_helper.to_array(w).astype(np.int16) + 128
        w.CopyFrom(numpy_helper.from_array(codes.astype(np.uint8), w.name))
        scale = numpy_helper.to_array(init[dq.input[1]])
        zero = np.full(scale.shape, 128, np.uint8)
        name = w.name + "_zero_128"
        model.graph.initializer.append(numpy_helper.from_array(zero, name))
        if len(dq.input) > 2:
            dq.input[2] = name
        else:
            dq.input.append(name)
    return model


def expose_codes(model):
    """Outputs that are dequantized last are compared as codes, as qfuse has them."""
    by_output = {o: n for n in model.graph.node for o in n.output}
    for out in model.graph.output:
        node = by_output[out.name]
        if node.op_type != "DequantizeLinear":
            continue
        old = out.name
        out.name = node.input[0]
        out.type.tensor_type.elem_type = onnx.TensorProto.UINT8
        model.graph.node.remove(node)
        assert not any(old in n.input for n in model.graph.node), old
    return model


def session(model, threads):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options,
                                providers=["CPUExecutionProvider"])


def random_inputs(sess, rng):
    feeds = {}
    for i in sess.get_inputs():
        shape = [d if isinstance(d, int) else 1 for d in i.shape]
        feeds[i.name] = (rng.integers(0, 256, shape, dtype=np.uint8)
                         if i.type == "tensor(uint8)"
                         else rng.standard_normal(shape, dtype=np.float32))
    return feeds


def run_qfuse(program, path, feeds, wanted, threads, rounds=0):
    with tempfile.TemporaryDirectory() as d:
        given, made = os.path.join(d, "in"), os.path.join(d, "out")
        with open(given, "wb") as f:
            for v in feeds.values():
                f.write(v.tobytes())
        args = [program, path, given, made, str(threads)]
        if rounds:
            args.append(str(rounds))
        r = subprocess.run(args, capture_output=True, text=True)
        if r.returncode:
            sys.exit(r.stderr.strip())
        data = open(made, "rb").read()
    outputs, at = [], 0
    for w in wanted:
        outputs.append(np.frombuffer(data, w.dtype, w.size, at).reshape(w.shape))
        at += w.nbytes
    assert at == len(data), f"{path}: {len(data)} bytes of output, not {at}"
    return outputs, json.loads(r.stdout)


def median_us(sess, feeds, rounds, threads):
    """With one thread its own time, so that other programs do not count."""
    clock = time.thread_time if threads == 1 else time.perf_counter
    times = []
    for _ in range(rounds):
        start = clock()
        sess.run(None, feeds)
        times.append(clock() - start)
    return sorted(times)[rounds // 2] * 1e6


def layer_times(model, feeds, threads, rounds):
    """µs of each of ONNX Runtime's nodes by name, from its profile."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as d:
        options.profile_file_prefix = os.path.join(d, "p")
        sess = ort.InferenceSession(model.SerializeToString(), options,
                                    providers=["CPUExecutionProvider"])
        for _ in range(rounds):
            sess.run(None, feeds)
        events = json.load(open(sess.end_profiling()))
    times = {}
    for e in events:
        if e.get("cat") == "Node" and e["name"].endswith("_kernel_time"):
            key = (e["args"]["op_name"], e["args"].get("output_type_shape", [{}])[0])
            times.setdefault((e["name"][:-12], str(key)), []).append(e["dur"])
    return [(name, key, sorted(t)[len(t) // 2]) for (name, key), t in times.items()]


def compare(path, args):
    model = onnx.load(path)
    shifted = expose_codes(shift_weights(onnx.load(path)))
    sess = session(shifted, 1)
    rng = np.random.default_rng(args.seed)
    has_add = any(n.op_type == "Add" for n in model.graph.node)
    bad = 0
    for k in range(args.inputs):
        feeds = random_inputs(sess, rng)
        want = sess.run(None, feeds)
        got, _ = run_qfuse(args.run, path, feeds, want, 1 + k % 2)
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


def measure(path, args):
    model = expose_codes(onnx.load(path))
    shifted = expose_codes(shift_weights(onnx.load(path)))
    for threads in args.threads:
        s8, u8 = session(model, threads), session(shifted, threads)
        feeds = random_inputs(s8, np.random.default_rng(1))
        want = s8.run(None, feeds)
        ours, ort8, ortu = [], [], []
        for _ in range(9):  # interleaved
            _, r = run_qfuse(args.run, path, feeds, want, threads, 15)
            ours.append(r["us"])
            ort8.append(median_us(s8, feeds, 15, threads))
            ortu.append(median_us(u8, feeds, 15, threads))
        macs = sum(s["macs"] for s in r["steps"])
        us, a, b = (sorted(t)[4] for t in (ours, ort8, ortu))
        least = ", ".join(f"{min(t):.0f}" for t in (ours, ort8, ortu))
        print(f"  {threads} threads: {us:.0f} µs, {macs / us / 1e3:.1f} GMAC/s "
              f"({r['isa']}, {macs / 1e6:.1f} MMAC, {r['memory'] / 1024:.0f} KiB); "
              f"ONNX Runtime int8 {a:.0f} µs ({a / us:.2f}x), "
              f"uint8 weights {b:.0f} µs ({b / us:.2f}x); least {least}")
        if args.layers:
            for s in r["steps"]:
                rate = f"{s['macs'] / s['us'] / 1e3:6.1f} GMAC/s" if s["macs"] and s["us"] else ""
                print(f"    {s['op']:12} {s['c']:4}x{s['h']}x{s['w']:<4} "
                      f"{s['us']:8.1f} µs {rate}")
            for name, key, us in layer_times(model, feeds, threads, 30):
                print(f"    ONNX Runtime {name} {key}: {us} µs")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--frames", metavar="FOLDER",
                   help="what the program frozen left")
    p.add_argument("--run", help="the built run-model program")
    p.add_argument("--inputs", type=int, default=4)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--measure", action="store_true")
    p.add_argument("--layers", action="store_true")
    p.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    p.add_argument("models", nargs="*")
    args = p.parse_args()
    if not args.frames and not (args.run and args.models):
        p.error("give --frames FOLDER, or --run PROGRAM and models")
    bad = compare_frames(args.frames) if args.frames else 0
    for path in args.models:
        print(os.path.basename(path))
        bad += compare(path, args)
        if args.measure:
            measure(path, args)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
