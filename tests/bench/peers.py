#!/usr/bin/env python3
"""How fast a network runs in qfuse and in its peers, interleaved in one run.

SPDX-License-Identifier: LGPL-2.1-or-later

usage: peers.py --qfuse BUILD/tools/qfuse [--threads 1,2] [--json] MODEL.onnx ...

Every round measures all of them one after another; a ratio is qfuse's median of
a round over the peer's median of the same round, and what is printed is the
median of the rounds' ratios. Below it stand the least times of any run.

Peers: ONNX Runtime with the file's int8 weights and with the same weights as
uint8 with zero point 128, OpenVINO where it is installed. On processors without
VNNI the first multiplies through a saturating 16-bit intermediate, which is fast
and wrong; how many output bytes of each differ from qfuse's is counted on one
random input, not assumed. Needs the Python packages onnx, onnxruntime, numpy.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime as ort

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "conformance"))
from ortmodel import expose_codes, random_inputs, session, shift_weights

try:
    import openvino
except ImportError:
    openvino = None


def processor():
    """The name, and what of AVX2, AVX-VNNI and AVX-512 VNNI it has."""
    name, flags = "unknown", set()
    for line in open("/proc/cpuinfo"):
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            name = value.strip()
        elif key.strip() == "flags":
            flags = set(value.split())
    have = [f for f in ("avx2", "avx_vnni", "avx512_vnni") if f in flags]
    return name, have or ["none"]


class Qfuse:
    """`qfuse bench`, a process of its own each round."""

    def __init__(self, args, path, threads):
        self.name = "qfuse"
        self.command = [args.qfuse, "bench", "--json", "--runs", str(args.runs),
                        "--threads", str(threads), path]
        self.last = None

    def measure(self):
        r = subprocess.run(self.command, capture_output=True, text=True)
        if r.returncode:
            sys.exit(r.stderr.strip())
        self.last = json.loads(r.stdout)
        return self.last["median_ms"], self.last["min_ms"]


class Peer:
    """Anything that runs in this process."""

    def __init__(self, name, run, runs):
        self.name, self.run, self.runs = name, run, runs

    def measure(self):
        self.run()
        times = []
        for _ in range(self.runs):
            start = time.perf_counter()
            self.run()
            times.append((time.perf_counter() - start) * 1e3)
        return statistics.median(times), min(times)


def openvino_run(model, feeds, threads):
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(model.SerializeToString()), "CPU",
        {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
         "INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    values = {k: openvino.Tensor(v) for k, v in feeds.items()}
    request.infer(values)
    made = [request.get_tensor(o).data.copy() for o in compiled.outputs]
    return request.infer, made


def contestants(args, path, threads):
    """qfuse and its peers, and each peer's outputs on one input."""
    plain = expose_codes(onnx.load(path))
    shifted = expose_codes(shift_weights(onnx.load(path)))
    s8, u8 = session(plain, threads), session(shifted, threads)
    feeds = random_inputs(s8, np.random.default_rng(1))
    outputs = {"ort-int8": s8.run(None, feeds), "ort-uint8": u8.run(None, feeds)}
    who = [Qfuse(args, path, threads),
           Peer("ort-int8", lambda: s8.run(None, feeds), args.runs),
           Peer("ort-uint8", lambda: u8.run(None, feeds), args.runs)]
    if openvino:
        run, outputs["openvino"] = openvino_run(plain, feeds, threads)
        who.append(Peer("openvino", run, args.runs))
    return who, outputs, feeds


def differing(program, path, feeds, outputs):
    """By peer: share of output elements other than qfuse's, and largest step."""
    with tempfile.TemporaryDirectory() as d:
        given, made = os.path.join(d, "in"), os.path.join(d, "out")
        with open(given, "wb") as f:
            for v in feeds.values():
                f.write(v.tobytes())
        r = subprocess.run([program, path, given, made, "1"],
                           capture_output=True, text=True)
        if r.returncode:
            sys.exit(r.stderr.strip())
        ours = np.fromfile(made, np.uint8)
    result = {}
    for name, arrays in outputs.items():
        theirs = np.frombuffer(b"".join(a.tobytes() for a in arrays), np.uint8)
        if theirs.size != ours.size or any(a.dtype != np.uint8 for a in arrays):
            result[name] = None  # float outputs: no bytes to compare
            continue
        step = np.abs(theirs.astype(int) - ours.astype(int))
        result[name] = {"share": float((step > 0).mean()),
                        "largest": int(step.max())}
    return result


def compete(args, path, threads):
    who, outputs, feeds = contestants(args, path, threads)
    program = args.run_model or os.path.join(
        os.path.dirname(args.qfuse), "..", "tests", "conformance", "run-model")
    wrong = differing(program, path, feeds, outputs)
    rounds = []
    for k in range(args.rounds):
        rounds.append({})
        for c in who[k % len(who):] + who[:k % len(who)]:
            rounds[-1][c.name] = c.measure()
            time.sleep(args.pause)  # a pool's threads spin on for a while
    ours = who[0]
    result = {"model": os.path.basename(path), "threads": threads,
              "isa": ours.last["isa"], "macs": ours.last["macs"],
              "rounds": args.rounds, "runs": args.runs, "peers": {}}
    for c in who:
        medians = [r[c.name][0] for r in rounds]
        entry = {"median_ms": statistics.median(medians),
                 "min_ms": min(r[c.name][1] for r in rounds)}
        if c is ours:
            result["qfuse"] = entry
            continue
        entry["ratio"] = statistics.median(
            r["qfuse"][0] / r[c.name][0] for r in rounds)
        entry["ratio_of_least"] = result["qfuse"]["min_ms"] / entry["min_ms"]
        entry["differ"] = wrong[c.name]
        result["peers"][c.name] = entry
    return result


def verdict(differ):
    if differ is None:
        return "float outputs, not compared"
    if differ["share"] == 0:
        return "exact"
    return (f"{'WRONG' if differ['largest'] > 1 else 'rounds otherwise'}: "
            f"{differ['share'] * 100:.2f} % of bytes, by up to {differ['largest']}")


def show(r):
    ours = r["qfuse"]
    print(f"{r['model']}, {r['threads']} thread{'s' * (r['threads'] > 1)}, "
          f"{r['macs'] / 1e6:.1f} MMAC")
    print(f"  {'qfuse (' + r['isa'] + ')':22} {ours['median_ms']:8.3f} ms, "
          f"least {ours['min_ms']:8.3f}")
    for name, p in r["peers"].items():
        print(f"  {name:22} {p['median_ms']:8.3f} ms, least {p['min_ms']:8.3f}; "
              f"ratio {p['ratio']:.2f}, of the least {p['ratio_of_least']:.2f}; "
              f"{verdict(p['differ'])}", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--qfuse", required=True, help="BUILD/tools/qfuse")
    p.add_argument("--run-model", help="default: that of the same build")
    p.add_argument("--threads", default="1,2", metavar="N,…",
                   type=lambda v: [int(n) for n in v.split(",")])
    p.add_argument("--rounds", type=int, default=9, help="at least 9")
    p.add_argument("--runs", type=int, default=15, help="a round, at least 3")
    p.add_argument("--pause", type=float, default=0.05, metavar="SECONDS")
    p.add_argument("--json", action="store_true", help="print one JSON object")
    p.add_argument("models", nargs="+")
    args = p.parse_args()
    if args.rounds < 9 or args.runs < 3 or min(args.threads) < 1:
        p.error("--rounds is at least 9, --runs 3, --threads 1")
    name, have = processor()
    about = {"processor": name, "instructions": have,
             "onnxruntime": ort.__version__,
             "openvino": openvino.__version__ if openvino else None}
    if not args.json:
        print(f"{name} ({', '.join(have)}); ONNX Runtime {ort.__version__}; "
              f"OpenVINO {about['openvino'] or 'not installed'}; ratio: time of "
              f"qfuse / time of the peer, median of {args.rounds} rounds")
    results = []
    for path in args.models:
        for threads in args.threads:
            results.append(compete(args, path, threads))
            if not args.json:
                show(results[-1])
    if args.json:
        print(json.dumps({**about, "results": results}, indent=1))


if __name__ == "__main__":
    main()
