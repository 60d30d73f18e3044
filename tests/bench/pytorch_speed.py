#!/usr/bin/env python3
"""Training steps a second: qfuse beside PyTorch, float and quantization-aware.

The same 3x3 pyramid with batch norm (the layers of the network "n2") at
320x320, the same batch; one step of each in turn, so that whatever disturbs
the machine disturbs all. Prints the median rate of each, ratios of qfuse's to
them, and each process's peak memory. A step is forward, backward, and SGD with
Nesterov's momentum.

Needs PyTorch (Debian: python3-torch; PyPI: the CPU build); nothing in qfuse's
tests does.

    tests/bench/pytorch_speed.py [--threads 1] [--steps 9] [--build build]
"""
import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import time
import warnings


def network(torch):
    nn = torch.nn

    def block(ic, oc, kernel, stride):
        return nn.Sequential(
            nn.Conv2d(ic, oc, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(oc, eps=1e-3), nn.ReLU())

    class Pyramid(nn.Module):
        def __init__(self):
            super().__init__()
            self.quant = torch.ao.quantization.QuantStub()
            self.c1 = block(3, 16, 3, 2)
            self.c2 = block(16, 32, 3, 2)
            self.c3 = block(32, 64, 3, 1)
            self.c4 = block(64, 64, 3, 2)
            self.c5 = block(64, 128, 3, 1)
            self.c6 = block(128, 128, 3, 2)
            self.c7 = block(128, 128, 3, 1)
            self.c8 = block(128, 128, 3, 1)
            self.lat16 = block(128, 64, 1, 1)
            self.lat8 = block(128, 64, 1, 1)
            self.join = block(128, 64, 3, 1)
            self.down = block(64, 128, 3, 2)
            self.head8 = nn.Conv2d(64, 9, 1)
            self.head16 = nn.Conv2d(128, 9, 1)
            self.up = nn.Upsample(scale_factor=2, mode="nearest")
            self.add = torch.ao.nn.quantized.FloatFunctional()
            self.cat = torch.ao.nn.quantized.FloatFunctional()

        def forward(self, x):
            x = self.c4(self.c3(self.c2(self.c1(self.quant(x)))))
            s8 = self.c5(x)
            s16 = self.c8(self.c7(self.c6(s8)))
            top = self.cat.cat([self.lat16(self.up(s16)), self.lat8(s8)], 1)
            join = self.join(top)
            return (self.head8(join),
                    self.head16(self.add.add(self.down(join), s16)))

    return Pyramid()


def quantization_aware(torch, net):
    """Observers and fake quantization as PyTorch's own recipe sets them."""
    warnings.simplefilter("ignore")  # newer versions say it has moved
    tq = torch.ao.quantization
    net.qconfig = tq.get_default_qat_qconfig("fbgemm")
    net.train()
    for name, m in net.named_children():
        if isinstance(m, torch.nn.Sequential):
            tq.fuse_modules_qat(m, ["0", "1", "2"], inplace=True)
    return tq.prepare_qat(net, inplace=True)


def serve(args):
    """The peer's process: a step for each line of standard input."""
    import torch

    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    net = network(torch)
    if args.peer == "qat":
        net = quantization_aware(torch, net)
    net.train()
    if args.channels_last:
        net = net.to(memory_format=torch.channels_last)
    sgd = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9,
                          nesterov=True, weight_decay=1e-4)
    x = (torch.randint(0, 256, (args.batch, 3, 320, 320)) - 128) / 64.0
    if args.channels_last:
        x = x.to(memory_format=torch.channels_last)
    for _ in sys.stdin:
        start = time.perf_counter()
        sgd.zero_grad(set_to_none=True)
        sum((y * y).mean() for y in net(x)).backward()
        sgd.step()
        print("%.6f" % (time.perf_counter() - start), flush=True)
    print("peak memory %d MB, %s" % (peak_megabytes(), torch.__version__))


def peak_megabytes():
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) // 1024
    return 0


class Side:
    def __init__(self, name, command, args, keep):
        env = dict(os.environ, OMP_NUM_THREADS=str(args.threads))
        if keep:  # glibc's allocator keeps what is freed: no page faults later
            env.update(MALLOC_MMAP_THRESHOLD_="8589934592",
                       MALLOC_TRIM_THRESHOLD_="8589934592")
        self.name, self.times = name, []
        self.process = subprocess.Popen(command, env=env, text=True,
                                        stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def step(self):
        time.sleep(0.05)  # the last one's OpenMP threads spin for a while
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.memory = self.process.stdout.read().strip()
        self.process.wait()


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--steps", type=int, default=9)
    p.add_argument("--build", default="build", help="qfuse's build folder")
    p.add_argument("--channels-last", action="store_true",
                   help="PyTorch's NHWC memory format instead of NCHW")
    p.add_argument("--peer", choices=["float", "qat"], help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.peer:
        return serve(args)
    if not importlib.util.find_spec("torch"):
        sys.exit("PyTorch is missing: nothing to compare with")
    own = [os.path.join(args.build, "tests/bench/bench-train-speed"), "--serve",
           "--threads", str(args.threads), "--batch", str(args.batch)]
    peer = [sys.executable, __file__, "--threads", str(args.threads),
            "--batch", str(args.batch)]
    peer += ["--channels-last"] * args.channels_last
    sides = [Side("qfuse", own, args, False),
             Side("PyTorch float", peer + ["--peer", "float"], args, True),
             Side("PyTorch QAT", peer + ["--peer", "qat"], args, True)]
    for i in range(args.steps + 2):
        for s in sides:
            t = s.step()
            if i >= 2:  # the first steps allocate
                s.times.append(t)
    print("%d threads, batch %d, %d steps" %
          (args.threads, args.batch, args.steps))
    for s in sides:
        s.end()
        rate = args.batch / statistics.median(s.times)
        own_rate = args.batch / statistics.median(sides[0].times)
        print("%-14s %7.2f images/s (best %.2f)  qfuse is %.2fx  %s" %
              (s.name, rate, args.batch / min(s.times), own_rate / rate,
               s.memory))


if __name__ == "__main__":
    main()
