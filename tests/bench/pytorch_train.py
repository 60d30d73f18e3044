#!/usr/bin/env python3
"""Learns the same in qfuse and in PyTorch, float and quantization-aware.

The same network (read from the file that `qfuse new` writes, so the same first
weights, too), the same augmented batches in the same order (`qfuse train
--batches` writes them to a pipe), the same loss, optimizer, schedule and number
of images; the results are written as ONNX files and measured by `qfuse eval`:
float weights into `qfuse new`'s file, quantization-aware ones as integers into
the file of qfuse's own training, which therefore comes first.

    tests/bench/pytorch_train.py --network small --planes Y --size 320x256 \\
        --labels airplane,bird,drone,helicopter --every 6 --epochs 3 \\
        --train @train.txt --val @val.txt --val-every 6 --threads 2 OUT
    … --kinds ours,float,qat   (default: all)   --assignment, … go to qfuse train

Needs PyTorch (Debian: python3-torch; PyPI: the CPU build) and NumPy. Prints one
line a kind: AP50, best F1, seconds of training, images a second.
"""
import argparse
import json
import math
import os
import struct
import subprocess
import time
import warnings

import numpy as np
import torch
import torch.nn.functional as F

warnings.simplefilter("ignore")
# as in lossfcos.c
CENTRE, BOX_WEIGHT, CLASS_WEIGHT, LOG_MIN, LOG_MAX = 1.5, 2.0, 3.0, -4.0, 5.0


# ONNX, as much of it as qfuse writes -------------------------------------------

def varint(b, i):
    value = shift = 0
    while True:
        value |= (b[i] & 127) << shift
        shift += 7
        i += 1
        if b[i - 1] < 128:
            return value, i


def fields(b, at, end):
    """(number, value) or (number, (from, to)) of a protobuf message."""
    while at < end:
        key, at = varint(b, at)
        if key & 7 == 0:
            value, at = varint(b, at)
            yield key >> 3, value
        elif key & 7 == 2:
            size, at = varint(b, at)
            yield key >> 3, (at, at + size)
            at += size
        else:
            yield key >> 3, b[at:at + (4 if key & 7 == 5 else 8)]
            at += 4 if key & 7 == 5 else 8


class Onnx:
    """A file whose tensors' bytes can be exchanged in place."""
    TYPES = {1: "<f4", 2: "u1", 3: "i1", 6: "<i4", 7: "<i8"}

    def __init__(self, path):
        self.bytes = bytearray(open(path, "rb").read())
        self.tensors, self.nodes = {}, []
        b = self.bytes
        graph = next(v for n, v in fields(b, 0, len(b)) if n == 7)
        for n, v in fields(b, *graph):
            if n == 1:
                self.node(*v)
            elif n == 5:
                self.tensor(*v)

    def text(self, span):
        return self.bytes[span[0]:span[1]].decode()

    def ints(self, value):
        if isinstance(value, int):
            return [value]
        out, at = [], value[0]
        while at < value[1]:
            v, at = varint(self.bytes, at)
            out.append(v)
        return out

    def tensor(self, at, end):
        dims, raw, kind, name = [], None, 0, ""
        for n, v in fields(self.bytes, at, end):
            if n == 1:
                dims += self.ints(v)
            elif n == 2:
                kind = v
            elif n == 8:
                name = self.text(v)
            elif n == 9:
                raw = v
        self.tensors[name] = (self.TYPES[kind], dims, raw)

    def node(self, at, end):
        node = {"in": [], "out": "", "op": ""}
        for n, v in fields(self.bytes, at, end):
            if n == 1:
                node["in"].append(self.text(v))
            elif n == 2:
                node["out"] = self.text(v)
            elif n == 4:
                node["op"] = self.text(v)
            elif n == 5:
                name, value = "", []
                for m, w in fields(self.bytes, *v):
                    if m == 1:
                        name = self.text(w)
                    elif m == 8:
                        value += self.ints(w)
                    elif m == 3:
                        value = w
                    elif m == 2:
                        value = struct.unpack("<f", w)[0]
                node[name] = value
        self.nodes.append(node)

    def get(self, name):
        kind, dims, (a, b) = self.tensors[name]
        return np.frombuffer(bytes(self.bytes[a:b]), kind).reshape(dims).copy()

    def put(self, name, value):
        kind, dims, (a, b) = self.tensors[name]
        data = np.ascontiguousarray(value, kind).reshape(dims).tobytes()
        assert len(data) == b - a, name
        self.bytes[a:b] = data

    def save(self, path):
        open(path, "wb").write(self.bytes)


# The network ---------------------------------------------------------------------

def fake_quantizer():
    q = torch.ao.quantization
    return q.FakeQuantize.with_args(
        observer=q.MovingAverageMinMaxObserver, quant_min=0, quant_max=255,
        dtype=torch.quint8, qscheme=torch.per_tensor_affine,
        reduce_range=False)()


def qconfig():
    q = torch.ao.quantization
    return q.QConfig(
        activation=q.FakeQuantize,
        weight=q.FakeQuantize.with_args(
            observer=q.MovingAveragePerChannelMinMaxObserver, quant_min=-127,
            quant_max=127, dtype=torch.qint8,
            qscheme=torch.per_channel_symmetric, reduce_range=False,
            ch_axis=0))


class Net(torch.nn.Module):
    """Runs the graph; @qat: with PyTorch's fake quantization."""

    def __init__(self, onnx, qat):
        super().__init__()
        self.onnx, self.qat = onnx, qat
        self.mods = torch.nn.ModuleDict()
        self.parts = {}  # of convolutions: weight, bias, batch norm
        self.scale = float(onnx.get("planes.scale"))
        self.zero = float(onnx.get("planes.zero"))
        made = {n["out"]: n for n in onnx.nodes}
        readers = {}
        for n in onnx.nodes:
            for x in n["in"]:
                readers.setdefault(x, []).append(n)
        self.steps = []
        for n in onnx.nodes:
            follow = readers.get(n["out"], [])
            op = n["op"]
            if op == "Conv":
                bn = follow[0] if follow and \
                    follow[0]["op"] == "BatchNormalization" else None
                self.mods[n["out"]] = self.convolution(n, bn)
                last = (bn or n)["out"]
                self.steps.append(("conv", n["out"], n["in"][0], last, n))
            elif op in ("Relu", "Add", "Resize", "GlobalAveragePool"):
                last = n["out"]
                self.steps.append((op, n["out"], n["in"], last, n))
            elif op not in ("DequantizeLinear", "BatchNormalization"):
                raise SystemExit(f"{op} is not made in PyTorch here")
            else:
                continue
            relu = [r for r in readers.get(last, []) if r["op"] == "Relu"]
            if qat and not relu and op not in ("Resize",):
                self.mods["fq_" + last.replace(".", "_")] = fake_quantizer()
        self.outputs = [o for o in made if o.startswith(("cls_", "box_"))
                        or o == "logits"]

    def quantizer(self, value):
        key = "fq_" + value.replace(".", "_")
        return self.mods[key] if key in self.mods else None

    def convolution(self, n, bn):
        w = torch.tensor(self.onnx.get(n["in"][1]))
        pads = n.get("pads", [0] * 4)
        args = dict(in_channels=w.shape[1] * n.get("group", 1),
                    out_channels=w.shape[0], kernel_size=w.shape[2:],
                    stride=n.get("strides", [1, 1]), padding=pads[:2],
                    dilation=n.get("dilations", [1, 1]),
                    groups=n.get("group", 1), bias=bn is None)
        if pads[:2] != pads[2:]:
            raise SystemExit("uneven padding")
        if self.qat and bn:
            import torch.ao.nn.intrinsic.qat as intrinsic
            m = intrinsic.ConvBn2d(**args, eps=1e-3, momentum=0.05,
                                   qconfig=qconfig())
            norm = m.bn
        elif self.qat:
            import torch.ao.nn.qat as quantized
            m, norm = quantized.Conv2d(**args, qconfig=qconfig()), None
        else:
            m, norm = torch.nn.Conv2d(**args), None
            if bn:
                norm = torch.nn.BatchNorm2d(w.shape[0], eps=1e-3,
                                            momentum=0.05)
                m = torch.nn.Sequential(m, norm)
        conv = m if self.qat or not bn else m[0]
        with torch.no_grad():
            conv.weight.copy_(w)
            if conv.bias is not None:
                conv.bias.copy_(torch.tensor(self.onnx.get(n["in"][2])))
        # as a plain object, or a Sequential would run it twice
        self.parts[n["out"]] = (conv.weight, conv.bias, norm)
        return m

    def forward(self, codes):
        """[n][h][w][planes] uint8 → {name: output}."""
        x = (codes.permute(0, 3, 1, 2).float() - self.zero) * self.scale
        at = {"planes.dq": x.contiguous(memory_format=torch.channels_last)}
        for kind, name, src, last, node in self.steps:
            if kind == "conv":
                y = self.mods[name](at[src])
            elif kind == "Relu":
                y = F.relu(at[src[0]])
            elif kind == "Add":
                y = at[src[0]] + at[src[1]]
            elif kind == "Resize":
                y = F.interpolate(at[src[0]], scale_factor=2, mode="nearest")
            else:
                y = at[src[0]].mean((2, 3), keepdim=True)
            quantizer = self.quantizer(last)
            if quantizer is not None:
                y = quantizer(y)
            at[last] = y
        return {o: at[o] for o in self.outputs}

    def set_momentum(self, momentum):
        """Of the running statistics: a plain mean at first, as in qfuse."""
        for m in self.modules():
            if isinstance(m, torch.nn.BatchNorm2d):
                m.momentum = momentum

    def freeze(self):
        """Statistics and ranges stand still."""
        for m in self.modules():
            if isinstance(m, torch.nn.BatchNorm2d):
                m.eval()
            if hasattr(m, "freeze_bn_stats"):
                m.freeze_bn_stats()
            if hasattr(m, "disable_observer"):
                m.disable_observer()

    # Into files

    def save_float(self, path):
        for kind, name, _, _, node in self.steps:
            if kind != "conv":
                continue
            weight, bias, norm = self.parts[name]
            self.onnx.put(node["in"][1], weight.detach().numpy())
            if norm is None:
                self.onnx.put(node["in"][2], bias.detach().numpy())
            else:
                for part, value in (("gamma", norm.weight),
                                    ("beta", norm.bias),
                                    ("mean", norm.running_mean),
                                    ("variance", norm.running_var)):
                    self.onnx.put(f"{name}.{part}", value.detach().numpy())
        self.onnx.save(path)

    def save_quantized(self, template, path):
        out = Onnx(template)
        scales = {"planes.dq": (np.float32(self.scale), int(self.zero))}
        for kind, name, src, last, node in self.steps:
            fq = self.quantizer(last)
            if kind == "Resize":
                scales[last] = scales[src[0]]
            elif fq is not None:
                scales[last] = (np.float32(fq.scale.item()),
                                int(fq.zero_point.item()))
            if last in scales and f"{last}.scale" in out.tensors:
                out.put(f"{last}.scale", scales[last][0])
                out.put(f"{last}.zero", scales[last][1])
        for kind, name, src, last, node in self.steps:
            if kind == "conv":
                self.put_integers(out, name, scales[src][0])
        out.save(path)

    def put_integers(self, out, name, s_x):
        w, bias, norm = self.parts[name]
        if norm is not None:
            g = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            b = (norm.bias - g * norm.running_mean).detach().numpy()
            w = w * g.reshape(-1, 1, 1, 1)
        else:
            b = bias.detach().numpy()
        w = w.detach()
        s = self.mods[name].weight_fake_quant.scale.detach()
        codes = torch.clamp(torch.round(w / s.reshape(-1, 1, 1, 1)), -127, 127)
        k = np.float32(s_x) * s.numpy().astype(np.float32)
        out.put(f"{name}.weight", codes.numpy().astype("i1"))
        out.put(f"{name}.weight_scale", s.numpy())
        out.put(f"{name}.bias_scale", k)
        out.put(f"{name}.bias", np.clip(np.rint(b / k), -2**30, 2**30))


# The loss of lossfcos.c, fixed assignment ------------------------------------------

def owners(levels, boxes):
    """Box number, −1 background, −2 ignored, of every cell of every level."""
    own = [np.full((h, w), -1) for _, h, w in levels]
    grids = [((np.arange(w) + 0.5) * s, (np.arange(h) + 0.5) * s)
             for s, h, w in levels]
    areas = [b[2] * b[3] for b in boxes]
    for x, y, w, h, _, ignore in boxes:
        for o, (gx, gy) in zip(own, grids):
            if ignore:
                o[np.ix_((gy >= y) & (gy < y + h), (gx >= x) & (gx < x + w))] = -2
    for i, (x, y, w, h, _, ignore) in enumerate(boxes):
        if ignore:
            continue
        size = math.sqrt(max(w * h, 1))
        n = min(range(len(levels)),
                key=lambda k: abs(math.log2(size / (4 * levels[k][0]))))
        s, o, (gx, gy) = levels[n][0], own[n], grids[n]
        cx, cy = x + w / 2, y + h / 2
        rows = np.flatnonzero(np.abs(gy - cy) <= min(h / 2, CENTRE * s))
        cols = np.flatnonzero(np.abs(gx - cx) <= min(w / 2, CENTRE * s))
        cells = [(r, c) for r in rows for c in cols]
        cells.append((math.floor(cy / s), math.floor(cx / s)))
        for r, c in cells:
            if 0 <= r < o.shape[0] and 0 <= c < o.shape[1] and \
                    not (o[r, c] >= 0 and areas[o[r, c]] <= areas[i]):
                o[r, c] = i
    return own


def giou_loss(p, t):
    iw = (torch.min(p[:, 2], t[:, 2]) - torch.max(p[:, 0], t[:, 0])).clamp(min=0)
    ih = (torch.min(p[:, 3], t[:, 3]) - torch.max(p[:, 1], t[:, 1])).clamp(min=0)
    inter = iw * ih
    union = (p[:, 2] - p[:, 0]) * (p[:, 3] - p[:, 1]) + \
        (t[:, 2] - t[:, 0]) * (t[:, 3] - t[:, 1]) - inter
    hull = (torch.max(p[:, 2], t[:, 2]) - torch.min(p[:, 0], t[:, 0])) * \
        (torch.max(p[:, 3], t[:, 3]) - torch.min(p[:, 1], t[:, 1]))
    iou = inter / union.clamp(min=1e-9)
    return 2 - iou - union / hull.clamp(min=1e-9), iou


def fcos_loss(out, targets):
    strides = sorted(int(n[4:]) for n in out if n.startswith("cls_"))
    levels = [(s, *out[f"cls_{s}"].shape[2:]) for s in strides]
    own = [owners(levels, boxes) for boxes, _ in targets]
    norm = 1 / max(1, sum((o >= 0).sum() for image in own for o in image))
    total = 0
    for n, (s, h, w) in enumerate(levels):
        cls = out[f"cls_{s}"].permute(0, 2, 3, 1)
        box = out[f"box_{s}"].permute(0, 2, 3, 1)
        o = np.stack([image[n] for image in own])
        quality = torch.zeros_like(cls)
        at = np.argwhere(o >= 0)
        if len(at):
            true = np.array([targets[i][0][o[i, r, c]] for i, r, c in at],
                            "f4")
            i, r, c = (torch.tensor(v) for v in at.T)
            edges = torch.tensor(np.concatenate(
                [true[:, :2], true[:, :2] + true[:, 2:4]], 1))
            d = torch.exp(box[i, r, c].clamp(LOG_MIN, LOG_MAX)) * s
            centre = torch.stack([(c + 0.5) * s, (r + 0.5) * s], 1)
            pred = torch.cat([centre - d[:, :2], centre + d[:, 2:]], 1)
            loss, iou = giou_loss(pred, edges)
            total = total + BOX_WEIGHT * norm * loss.sum()
            quality[i, r, c, torch.tensor(true[:, 4].astype(int))] = \
                iou.detach()
        bce = F.binary_cross_entropy_with_logits(cls, quality,
                                                 reduction="none")
        focal = (torch.sigmoid(cls) - quality) ** 2 * bce
        total = total + CLASS_WEIGHT * norm * \
            focal[torch.tensor(o != -2)].sum()
    return total


def loss_of(out, targets):
    if "logits" in out:
        return F.cross_entropy(out["logits"].flatten(1),
                               torch.tensor([a for _, a in targets]))
    return fcos_loss(out, targets)


# Training ------------------------------------------------------------------------

def batches(f):
    """First the header, then (codes, [(boxes, action)]) for each batch."""
    assert f.read(8) == b"QFBATCH1"
    n, planes, h, w, epochs, each = struct.unpack("8i", f.read(32))[:6]
    yield n, epochs * each
    for _ in range(epochs * each):
        codes = np.frombuffer(f.read(n * h * w * planes), np.uint8)
        targets = []
        for _ in range(n):
            count, action = struct.unpack("2i", f.read(8))
            assert 0 <= count < 10000, count
            boxes = np.frombuffer(f.read(24 * count), "f4").reshape(count, 6)
            targets.append((boxes.tolist(), action))
        yield torch.tensor(codes.reshape(n, h, w, planes)), targets


def rate_at(peak, step, total):
    p, warm = step / total, 0.04
    if p < warm:
        return peak * (p + 1 / total) / warm
    return peak * (0.01 + 0.99 * 0.5 *
                   (1 + math.cos(math.pi * (p - warm) / (1 - warm))))


def learn(o, kind, stream):
    n, total = next(stream)
    torch.set_num_threads(o.threads)
    torch.manual_seed(o.seed)
    net = Net(Onnx(f"{o.out}/new.onnx"), kind == "qat")
    net = net.to(memory_format=torch.channels_last).train()
    weights = [w for w, _, _ in net.parts.values()]
    rest = [p for p in net.parameters() if not any(p is w for w in weights)]
    sgd = torch.optim.SGD([{"params": weights, "weight_decay": 5e-4},
                           {"params": rest}], lr=o.learning_rate,
                          momentum=0.9, nesterov=True)
    start = time.monotonic()
    for step, (codes, targets) in enumerate(stream):
        net.set_momentum(max(0.05, 1 / (step + 1)))
        if step >= 0.8 * total:
            net.freeze()
        for group in sgd.param_groups:
            group["lr"] = rate_at(o.learning_rate, step, total)
        loss = loss_of(net(codes), targets)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        if step % 50 == 0:
            print(f"{kind} {step}/{total} loss {loss.item():.4f} "
                  f"{time.monotonic() - start:.0f} s", flush=True)
    return net, time.monotonic() - start, n * total


def train_torch(o, kind):
    pipe = f"{o.out}/batches"
    if os.path.exists(pipe):
        os.remove(pipe)
    os.mkfifo(pipe)
    child = subprocess.Popen(train_command(o, f"{o.out}/none.onnx") +
                             ["--batches", pipe] + o.train,
                             stdout=subprocess.DEVNULL)
    try:
        with open(pipe, "rb") as f:
            net, seconds, images = learn(o, kind, batches(f))
    finally:
        child.terminate()  # where it still writes
        child.wait()
    path = f"{o.out}/{kind}.onnx"
    if kind == "qat":
        net.save_quantized(f"{o.out}/ours.onnx", path)
    else:
        net.save_float(path)
    return path, seconds, images


def train_command(o, path):
    return [o.qfuse, "train", "-o", path, "--network", o.network, "--planes",
            o.planes, "--size", o.size, "--labels", o.labels, "--every",
            str(o.every), "--epochs", str(o.epochs), "--batch-size",
            str(o.batch_size), "--learning-rate", str(o.learning_rate),
            "--seed", str(o.seed), "--threads", str(o.threads),
            "--max-samples", "0", "--validation", "0"] + options(o.augment)


def options(pairs):
    return sum((["--" + k, v] for k, v in
                (p.split("=", 1) for p in pairs)), [])


def train_ours(o):
    path = f"{o.out}/ours.onnx"
    more = options(o.ours)
    text = subprocess.run(train_command(o, path) + more + ["--json"] + o.train,
                          check=True, stdout=subprocess.PIPE).stdout
    return path, json.loads(text)["epochs"][-1]["seconds"], None


def main():
    a = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    a.add_argument("out", metavar="OUT", help="folder for files")
    a.add_argument("--qfuse", default="build/tools/qfuse")
    a.add_argument("--kinds", default="ours,float,qat")
    a.add_argument("--network", default="small")
    a.add_argument("--planes", default="Y")
    a.add_argument("--size", default="320x256")
    a.add_argument("--labels", required=True)
    a.add_argument("--every", type=int, default=1)
    a.add_argument("--epochs", type=int, default=3)
    a.add_argument("--batch-size", type=int, default=16)
    a.add_argument("--learning-rate", type=float, default=0.04)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--train", action="append", required=True,
                   help="a clip or @list; may be repeated")
    a.add_argument("--val", action="append", required=True)
    a.add_argument("--val-every", type=int, default=1)
    a.add_argument("--augment", action="append", default=[],
                   metavar="NAME=VALUE", help="to qfuse train, for all kinds: "
                   "zoom=1.05, shift=0 ...")
    a.add_argument("--ours", action="append", default=[],
                   metavar="OPTION=VALUE", help="further option of qfuse train "
                   "for ours alone, as assignment=tal")
    o = a.parse_args()
    os.makedirs(o.out, exist_ok=True)
    subprocess.run([o.qfuse, "new", "-o", f"{o.out}/new.onnx", "--network",
                    o.network, "--planes", o.planes, "--size", o.size,
                    "--labels", o.labels, "--seed", str(o.seed)], check=True)
    for kind in o.kinds.split(","):
        path, seconds, images = train_ours(o) if kind == "ours" \
            else train_torch(o, kind)
        text = subprocess.run([o.qfuse, "eval", path, "--every",
                               str(o.val_every), "--json"] + o.val,
                              check=True, stdout=subprocess.PIPE).stdout
        scores = json.loads(text)
        speed = f", {images / seconds:.1f} images/s" if images else ""
        print(f"{kind}: AP50 {scores['ap50']:.4f}, best F1 "
              f"{scores['best_f1']:.4f}, {seconds:.0f} s{speed}", flush=True)


if __name__ == "__main__":
    main()
