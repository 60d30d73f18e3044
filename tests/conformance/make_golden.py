#!/usr/bin/env python3
"""Makes tests/golden/operators.{onnx,in,out}: a small quantized network, an input
and what ONNX Runtime's CPU kernels make of it.

SPDX-License-Identifier: LGPL-2.1-or-later

Weights are random. Those as int8 stay within 63, so that ONNX Runtime is exact
on every processor (see ort_compare.py); the others are uint8 with zero point 128.

usage: make_golden.py OUTPUT_FOLDER
"""
import os
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(8)


class Net:
    """Builds the float network first; scales come from running it."""

    def __init__(self, ranges=None):
        self.nodes, self.init, self.values = [], [], []
        self.ranges = ranges  # None: the float network

    def const(self, name, array):
        self.init.append(numpy_helper.from_array(array, name))
        return name

    def add(self, op, inputs, name, **attrs):
        self.nodes.append(helper.make_node(op, inputs, [name], name, **attrs))
        return name

    def q(self, name):
        """QuantizeLinear and DequantizeLinear behind a value."""
        self.values.append(name)
        if self.ranges is None:
            return name
        lo, hi = self.ranges[name]
        lo, hi = min(lo, 0), max(hi, 1e-3)
        scale = np.float32((hi - lo) / 255)
        zero = np.uint8(np.clip(np.rint(-lo / scale), 0, 255))
        self.scales = getattr(self, "scales", {})
        s = self.const(name + "_scale", scale)
        z = self.const(name + "_zero", zero)
        self.add("QuantizeLinear", [name, s, z], name + "_q")
        self.scales[name + "_dq"] = scale
        return self.add("DequantizeLinear", [name + "_q", s, z], name + "_dq")

    def weights(self, name, spec, x):
        codes, scales, bias = spec
        n = len(scales)
        wide = codes.astype(np.int64).max() > 63
        zero = np.full(n, 128 if wide else 0, np.uint8 if wide else np.int8)
        stored = ((codes.astype(np.int16) + 128).astype(np.uint8) if wide
                  else codes)
        w = self.add("DequantizeLinear",
                     [self.const(name + "_w", stored),
                      self.const(name + "_ws", scales),
                      self.const(name + "_wz", zero)], name + "_wdq", axis=0)
        if self.ranges is None:
            return [w, self.const(name + "_b", bias)]
        step = (self.scales[x] * scales).astype(np.float32)
        code = np.rint(bias / step).astype(np.int32)
        return [w, self.add("DequantizeLinear",
                            [self.const(name + "_b", code),
                             self.const(name + "_bs", step),
                             self.const(name + "_bz", np.zeros(n, np.int32))],
                            name + "_bdq", axis=0)]


def random_weights(shape, largest):
    fan = int(np.prod(shape[1:]))
    codes = rng.integers(-largest, largest + 1, shape).astype(np.int8)
    scales = (rng.uniform(1, 2, shape[0]) / largest / np.sqrt(fan)).astype(np.float32)
    return codes, scales, rng.uniform(-0.3, 0.3, shape[0]).astype(np.float32)


W = {
    "first": random_weights((8, 3, 3, 3), 127),
    "depth": random_weights((8, 1, 3, 3), 63),
    "point": random_weights((8, 8, 1, 1), 63),
    "down": random_weights((12, 16, 3, 3), 127),
    "fc": random_weights((10, 12), 127),
}


def build(ranges):
    net = Net(ranges)
    in_scale, in_zero = np.float32(1 / 64), np.uint8(128)
    x = net.add("DequantizeLinear", ["input", net.const("in_s", in_scale),
                                     net.const("in_z", in_zero)], "x")
    net.scales = {"x": in_scale}

    def conv(name, x, relu=False, **attrs):
        y = net.add("Conv", [x] + net.weights(name, W[name], x), name, **attrs)
        if relu:
            y = net.add("Relu", [y], name + "_relu")
        return net.q(y)

    a = conv("first", x, relu=True, pads=[1, 1, 1, 1])
    b = conv("depth", a, pads=[1, 1, 1, 1], group=8)
    c = conv("point", b)
    s = net.q(net.add("Add", [a, c], "sum"))
    m = net.add("MaxPool", [s], "max", kernel_shape=[3, 3], strides=[2, 2],
                pads=[1, 1, 1, 1])
    if ranges:
        net.ranges["max"] = net.ranges["sum"]
    m = net.q(m)
    up = net.add("Resize", [m, "", net.const("up_scales",
                                             np.float32([1, 1, 2, 2]))], "up",
                 mode="nearest", nearest_mode="floor",
                 coordinate_transformation_mode="asymmetric")
    if ranges:
        net.ranges["up"] = net.ranges["sum"]
    up = net.q(up)
    cat = net.q(net.add("Concat", [up, a], "cat", axis=1))
    d = conv("down", cat, relu=True, pads=[0, 0, 1, 1], strides=[2, 2])
    g = net.q(net.add("GlobalAveragePool", [d], "mean"))
    f = net.add("Flatten", [g], "flat", axis=1)
    if ranges:
        net.ranges["flat"] = net.ranges["mean"]
    f = net.q(f)
    net.q(net.add("Gemm", [f] + net.weights("fc", W["fc"], f), "fc", transB=1))
    net.q(net.add("Sigmoid", [c], "gate"))
    names = ["cat", "down_relu", "fc", "gate"]
    outs = [(n + "_q", TensorProto.UINT8) for n in names] if ranges else \
        [(n, TensorProto.FLOAT) for n in net.values]
    graph = helper.make_graph(
        net.nodes, "operators",
        [helper.make_tensor_value_info("input", TensorProto.UINT8, [1, 3, 16, 20])],
        [helper.make_tensor_value_info(n, t, None) for n, t in outs], net.init)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model, outs


def run(model, x):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    s = ort.InferenceSession(model.SerializeToString(), options,
                             providers=["CPUExecutionProvider"])
    return s.run(None, {"input": x})


def main():
    x = rng.integers(0, 256, (1, 3, 16, 20), dtype=np.uint8)
    model, outs = build(None)
    ranges = {n: (float(v.min()), float(v.max()))
              for (n, _), v in zip(outs, run(model, x))}
    model, outs = build(ranges)
    got = run(model, x)
    folder = sys.argv[1]
    onnx.save(model, os.path.join(folder, "operators.onnx"))
    x.tofile(os.path.join(folder, "operators.in"))
    with open(os.path.join(folder, "operators.out"), "wb") as f:
        for (n, _), v in zip(outs, got):
            print(n, v.shape, v.dtype, len(np.unique(v)), "values")
            f.write(v.tobytes())


if __name__ == "__main__":
    main()
