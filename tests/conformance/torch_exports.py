#!/usr/bin/env python3
"""Exports networks from PyTorch and compares `qfuse run` with ONNX Runtime.

SPDX-License-Identifier: LGPL-2.1-or-later

usage: torch_exports.py BUILD/tools/qfuse [NAME ...]

Bodies of published architectures with random weights, small, in both exporters
and several opsets. Needs the Python packages torch, onnx, onnxscript,
onnxruntime and numpy; with torchvision its detectors too, whose outputs depend
on suppression. Never part of the suite. Fails where an output is off by more
than 1e-4 of its largest element.
"""
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import onnxruntime as ort
import torch
from torch import nn
from torch.nn import functional as F

TOLERANCE = 1e-4


def conv(i, o, k=3, s=1, groups=1, act=nn.ReLU):
    layers = [nn.Conv2d(i, o, k, s, k // 2, groups=groups, bias=False),
              nn.BatchNorm2d(o)]
    return nn.Sequential(*layers, *([act()] if act else []))


# He et al.: Deep Residual Learning, CVPR 2016.
class Bottleneck(nn.Module):
    def __init__(self, i, m, o, s):
        super().__init__()
        self.way = nn.Sequential(conv(i, m, 1), conv(m, m, 3, s),
                                 conv(m, o, 1, act=None))
        self.skip = conv(i, o, 1, s, act=None) if s > 1 or i != o else nn.Identity()

    def forward(self, x):
        return F.relu(self.way(x) + self.skip(x))


def resnet():
    return nn.Sequential(
        conv(3, 16, 7, 2), nn.MaxPool2d(3, 2, 1), Bottleneck(16, 16, 64, 1),
        Bottleneck(64, 16, 64, 1), Bottleneck(64, 32, 128, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


# Howard et al.: Searching for MobileNetV3, ICCV 2019.
class Squeeze(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.a, self.b = nn.Conv2d(c, c // 4, 1), nn.Conv2d(c // 4, c, 1)

    def forward(self, x):
        s = F.relu(self.a(F.adaptive_avg_pool2d(x, 1)))
        return x * F.hardsigmoid(self.b(s))


class Inverted(nn.Module):
    def __init__(self, i, m, o, k, s, act, squeeze):
        super().__init__()
        self.way = nn.Sequential(
            conv(i, m, 1, act=act), conv(m, m, k, s, m, act),
            Squeeze(m) if squeeze else nn.Identity(), conv(m, o, 1, act=None))
        self.adds = s == 1 and i == o

    def forward(self, x):
        return x + self.way(x) if self.adds else self.way(x)


def mobilenet_v3():
    h = nn.Hardswish
    return nn.Sequential(
        conv(3, 16, 3, 2, act=h), Inverted(16, 16, 16, 3, 2, nn.ReLU, True),
        Inverted(16, 48, 24, 3, 2, nn.ReLU, False),
        Inverted(24, 64, 24, 3, 1, nn.ReLU, False),
        Inverted(24, 96, 40, 5, 2, h, True), Inverted(40, 120, 40, 5, 1, h, True),
        conv(40, 96, 1, act=h), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(96, 64), h(), nn.Dropout(0.2), nn.Linear(64, 10))


# Ma et al.: ShuffleNet V2, ECCV 2018.
class Shuffle(nn.Module):
    def __init__(self, i, o, s):
        super().__init__()
        h = o // 2
        self.s = s
        self.side = nn.Sequential(conv(i, i, 3, 2, i, None), conv(i, h, 1)) \
            if s > 1 else None
        self.way = nn.Sequential(conv(i if s > 1 else h, h, 1),
                                 conv(h, h, 3, s, h, None), conv(h, h, 1))

    def forward(self, x):
        if self.s == 1:
            a, b = x.chunk(2, dim=1)
            y = torch.cat((a, self.way(b)), 1)
        else:
            y = torch.cat((self.side(x), self.way(x)), 1)
        n, c, h, w = y.shape
        return y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def shufflenet_v2():
    return nn.Sequential(
        conv(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1), Shuffle(24, 48, 2),
        Shuffle(48, 48, 1), Shuffle(48, 96, 2), Shuffle(96, 96, 1),
        conv(96, 128, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(128, 10))


# Tan, Le: EfficientNet, ICML 2019; Lite: ReLU6 and no squeeze.
def efficientnet_lite():
    r = nn.ReLU6
    return nn.Sequential(
        conv(3, 32, 3, 2, act=r), Inverted(32, 32, 16, 3, 1, r, False),
        Inverted(16, 96, 24, 3, 2, r, False), Inverted(24, 144, 24, 3, 1, r, False),
        Inverted(24, 144, 40, 5, 2, r, False), conv(40, 128, 1, act=r),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


# A body with YOLOv8's parts: split and concatenated bottlenecks, pooling in
# series, a path up and down, boxes as expectations over bins.
class C2f(nn.Module):
    def __init__(self, i, o, adds):
        super().__init__()
        self.h, self.adds = o // 2, adds
        self.a, self.c = conv(i, o, 1, act=nn.SiLU), conv(3 * o // 2, o, 1, act=nn.SiLU)
        self.b = nn.Sequential(conv(self.h, self.h, act=nn.SiLU),
                               conv(self.h, self.h, act=nn.SiLU))

    def forward(self, x):
        p, q = self.a(x).split((self.h, self.h), 1)
        y = self.b(q)
        return self.c(torch.cat((p, q, y + q if self.adds else y), 1))


class Yolo(nn.Module):
    BINS = 16

    def __init__(self, labels=5):
        super().__init__()
        s = nn.SiLU
        self.p3 = nn.Sequential(conv(3, 16, 3, 2, act=s), conv(16, 32, 3, 2, act=s),
                                C2f(32, 32, True), conv(32, 32, 3, 2, act=s))
        self.p4 = nn.Sequential(conv(32, 64, 3, 2, act=s), C2f(64, 64, True))
        self.squeeze, self.join = conv(64, 32, 1, act=s), conv(128, 64, 1, act=s)
        self.up, self.down = C2f(96, 32, False), conv(32, 32, 3, 2, act=s)
        self.out = C2f(96, 64, False)
        self.box = nn.ModuleList(nn.Conv2d(c, 4 * self.BINS, 1) for c in (32, 64))
        self.cls = nn.ModuleList(nn.Conv2d(c, labels, 1) for c in (32, 64))

    def forward(self, x):
        a = self.p3(x)
        b = self.p4(a)
        pools = [self.squeeze(b)]
        for _ in range(3):
            pools.append(F.max_pool2d(pools[-1], 5, 1, 2))
        b = self.join(torch.cat(pools, 1))
        a = self.up(torch.cat((F.interpolate(b, scale_factor=2.0), a), 1))
        b = self.out(torch.cat((self.down(a), b), 1))
        boxes, scores = [], []
        for y, stride, box, cls in zip((a, b), (8, 16), self.box, self.cls):
            n, _, h, w = y.shape
            d = box(y).view(n, 4, self.BINS, h * w).transpose(2, 1).softmax(1)
            bins = torch.arange(self.BINS, dtype=torch.float32).view(1, -1, 1, 1)
            lt, rb = (d * bins).sum(1).chunk(2, 1)
            gy, gx = torch.meshgrid(*(torch.arange(k, dtype=torch.float32) + 0.5
                                      for k in (h, w)), indexing="ij")
            grid = torch.stack((gx, gy)).view(1, 2, -1)
            boxes.append(torch.cat(((2 * grid + rb - lt) / 2, lt + rb), 1) * stride)
            scores.append(cls(y).flatten(2).sigmoid())
        return torch.cat((torch.cat(boxes, 2), torch.cat(scores, 2)), 1)


# Liu et al.: SSD, ECCV 2016: several scales, a few boxes a cell.
class Ssd(nn.Module):
    def __init__(self, classes=4, boxes=3):
        super().__init__()
        self.classes = classes
        self.body = nn.ModuleList([
            nn.Sequential(conv(3, 16, 3, 2), conv(16, 32), nn.MaxPool2d(2, ceil_mode=True)),
            conv(32, 48, 3, 2), conv(48, 64, 3, 2)])
        self.score = nn.ModuleList(nn.Conv2d(c, boxes * classes, 3, 1, 1)
                                   for c in (32, 48, 64))
        self.box = nn.ModuleList(nn.Conv2d(c, boxes * 4, 3, 1, 1)
                                 for c in (32, 48, 64))

    def forward(self, x):
        scores, boxes = [], []
        for body, score, box in zip(self.body, self.score, self.box):
            x = body(x)
            n = x.shape[0]
            y = x / x.norm(dim=1, keepdim=True).clamp(min=1e-6)
            scores.append(score(y).permute(0, 2, 3, 1).reshape(n, -1, self.classes))
            boxes.append(box(y).permute(0, 2, 3, 1).reshape(n, -1, 4))
        return torch.cat(scores, 1).softmax(2), torch.cat(boxes, 1)


BODIES = {"resnet": resnet, "mobilenet_v3": mobilenet_v3,
          "shufflenet_v2": shufflenet_v2, "efficientnet_lite": efficientnet_lite,
          "yolov8_like": Yolo, "ssd": Ssd}
# (exporter, opset)
WAYS = [("legacy", 9), ("legacy", 11), ("legacy", 13), ("legacy", 17),
        ("legacy", 20), ("dynamo", 18), ("dynamo", 20), ("dynamo", 21)]


def randomize(net):
    """Statistics and scales as trained networks have them, not ones and zeros."""
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.running_mean, -0.3, 0.3)
            nn.init.uniform_(m.running_var, 0.5, 1.5)
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.uniform_(m.bias, -0.3, 0.3)
    return net.eval()


def export(net, x, path, exporter, opset):
    torch.onnx.export(net, (x,), path, opset_version=opset,
                      dynamo=exporter == "dynamo", input_names=["image"],
                      **({"external_data": False, "verbose": False}
                         if exporter == "dynamo" else {}))


def compare(program, path, x):
    """Largest error as a share of the output's largest element."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options,
                                   providers=["CPUExecutionProvider"])
    feeds = {session.get_inputs()[0].name: x}
    with tempfile.TemporaryDirectory() as d:
        given, made = os.path.join(d, "in.npz"), os.path.join(d, "out.npz")
        np.savez(given, **feeds)
        run = subprocess.run([program, "run", path, given, "-o", made],
                             capture_output=True, text=True)
        if run.returncode:
            return run.stderr.strip().split(": ", 1)[-1]
        got = dict(np.load(made))
    worst = 0.0
    for o, want in zip(session.get_outputs(), session.run(None, feeds)):
        g = got[o.name]
        if g.shape != want.shape or g.dtype != want.dtype:
            return f"{o.name}: {g.dtype}{g.shape}, not {want.dtype}{want.shape}"
        if want.size:
            worst = max(worst, float(np.abs(g.astype(float) - want).max())
                        / max(float(np.abs(want).max()), 1e-12))
    return worst


def judge(program, name, net, shape, ways, folder):
    bad = 0
    x = torch.rand(shape)
    for exporter, opset in ways:
        path = os.path.join(folder, f"{name}_{exporter}_{opset}.onnx")
        start = time.monotonic()
        try:
            export(net, x if len(shape) == 4 else [x], path, exporter, opset)
        except Exception as e:  # the exporter's own limits are not ours
            print(f"{name:<28} {exporter:<7} {opset:>3}  not exported: "
                  f"{str(e).splitlines()[0][:60]}", flush=True)
            continue
        off = compare(program, path, x.numpy())
        ok = isinstance(off, float) and off <= TOLERANCE
        bad += not ok
        print(f"{name:<28} {exporter:<7} {opset:>3}  "
              f"{off if isinstance(off, str) else f'{off:.1e}'}"
              f"{'' if ok else '  WRONG'}  ({time.monotonic() - start:.0f} s)",
              flush=True)
    return bad


def torchvision_detector():
    try:
        from torchvision.models import detection
    except ImportError:
        return None
    return detection.ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    chosen = sys.argv[2:]
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, make in BODIES.items():
            if chosen and name not in chosen:
                continue
            torch.manual_seed(1)
            bad += judge(sys.argv[1], name, randomize(make()), (1, 3, 64, 96),
                         WAYS, folder)
        name = "torchvision_ssdlite320"
        if (not chosen or name in chosen) and (net := torchvision_detector()):
            torch.manual_seed(1)
            bad += judge(sys.argv[1], name, net.eval(), (3, 320, 320),
                         [("legacy", 17)], folder)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
