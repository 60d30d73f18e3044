#!/usr/bin/env python3
"""Makes torch-net.bin: what PyTorch computes for the network of
tests/unit/trainnet.c, in float64, written as float32.

SPDX-License-Identifier: LGPL-2.1-or-later

Only needed to make the file anew (Debian: python3-torch). In order, each a
run of little-endian float32: input codes [3][3][12][16] (NCHW); for each
convolution (c1 c2 c3 c4 map logits) its weight (ONNX order) and its gamma and
beta (or, of map and logits, its bias); the two outputs (NCHW); the directions
whose product with the outputs is the loss; the gradients in the order of the
parameters."""
import sys

import torch
import torch.nn.functional as F

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)
EPS = 1e-3


def f32(t):
    """Values that float32 holds exactly."""
    return t.to(torch.float32).to(torch.float64)


def param(t):
    return f32(t).requires_grad_(True)


codes = torch.randint(0, 256, (3, 3, 12, 16)).to(torch.float64)
shapes = {"c1": (8, 3, 3, 3), "c2": (8, 1, 3, 3), "c3": (8, 8, 1, 1),
          "c4": (6, 4, 3, 3), "map": (5, 14, 1, 1), "logits": (3, 14, 1, 1)}
params = {}
for name, shape in shapes.items():
    params[name] = [param(torch.randn(shape) * 0.4)]
    if name not in ("map", "logits"):
        params[name].append(param(torch.rand(shape[0]) * 3 - 1))
    params[name].append(param(torch.rand(shape[0]) * 2 - 0.5))


def conv_bn(name, x, **kw):
    w, gamma, beta = params[name]
    return F.batch_norm(F.conv2d(x, w, **kw), None, None, gamma, beta,
                        training=True, eps=EPS)


x = (codes - 128) / 64
c1 = F.relu(conv_bn("c1", x, stride=2, padding=1))
c2 = torch.clamp(conv_bn("c2", c1, padding=1, groups=8), 0, 6)
a = F.relu(conv_bn("c3", c2) + c1)
c4 = F.relu(conv_bn("c4", a, padding=2, dilation=2, groups=2))
gate = torch.sigmoid(F.interpolate(F.max_pool2d(a, 2), scale_factor=2))
cat = torch.cat([c4, gate], 1)
out1 = F.conv2d(cat, *params["map"])
out2 = F.conv2d(cat.mean((2, 3), keepdim=True), *params["logits"])
dir1, dir2 = f32(torch.rand(out1.shape) - .5), f32(torch.rand(out2.shape) - .5)
((out1 * dir1).sum() + (out2 * dir2).sum()).backward()

flat = [p for group in params.values() for p in group]
with open(sys.argv[1] if len(sys.argv) > 1 else "torch-net.bin", "wb") as f:
    for t in [codes, *flat, out1, out2, dir1, dir2, *[p.grad for p in flat]]:
        f.write(t.detach().to(torch.float32).numpy().astype("<f4").tobytes())
