#!/usr/bin/env python3
# Study: moving blobs against ground truth, beside OpenCV's recipes.
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Moving blobs against ground truth, beside OpenCV's usual recipes.

Needs OpenCV (PyPI's opencv-python-headless, in an environment of its own),
numpy, ffmpeg, and bench-motion-dump from the build folder.

  motion_quality.py people --dump build/tests/bench/bench-motion-dump \\
      --truth gt.txt --ignore gt-ignore.txt vtest.avi
  motion_quality.py objects --dump build/tests/bench/bench-motion-dump \\
      infrared-val.txt

Both print a table. Every method may choose its settings on one part (people:
frames 1-400, objects: another list given with --tune) by the best F1 there; what
is printed is the rest, with the settings so chosen.

Truth of people: of the persons with a box, those move whose box's centre went
2 pixels or more within the last second of the recording. They are to be found: a
blob with IoU >= 0.3, one blob for a person (greedy by IoU). Blobs that lie by half
or more on other persons (standing ones, those that the ground truth marks "ignore")
count neither way, all others that match nobody are wrong.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import threading

import cv2
import numpy as np

# --- input -----------------------------------------------------------------


def size_of(clip):
    text = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries",
         "stream=width,height,r_frame_rate", "-of", "json", clip],
        check=True, capture_output=True, text=True).stdout
    s = json.loads(text)["streams"][0]
    n, d = s["r_frame_rate"].split("/")
    return s["width"], s["height"], float(n) / float(d)


def frames(clip):
    """Yields each frame as I420, decoded once for all methods."""
    w, h, _ = size_of(clip)
    run = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-threads", "1", "-i", clip, "-fps_mode",
         "passthrough", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"],
        stdout=subprocess.PIPE)
    size = w * h * 3 // 2
    while True:
        data = run.stdout.read(size)
        if len(data) < size:
            break
        yield np.frombuffer(data, np.uint8).reshape(h * 3 // 2, w)
    run.wait()


# --- methods: each gives {settings: [boxes of each frame]} -------------------

def kernel(n):
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (n, n))


def contours(mask):
    """(x, y, w, h, area) of the outer contours."""
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL,
                                cv2.CHAIN_APPROX_SIMPLE)
    return [(*cv2.boundingRect(c), cv2.contourArea(c)) for c in found]


class Mog2:
    """Foreground without shadows, opening, then closing by some pixels."""
    variants = tuple(itertools.product((16, 32, 64), (3, 5), (0, 7, 15)))

    def __init__(self):
        self.subtractors = {
            v: cv2.createBackgroundSubtractorMOG2(500, v, True)
            for v in {v for v, _, _ in self.variants}}
        self.boxes = {v: [] for v in self.variants}

    def push(self, i420):
        bgr = cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420)
        raw = {v: (s.apply(bgr) == 255).astype(np.uint8) * 255
               for v, s in self.subtractors.items()}
        for v, opening, closing in self.variants:
            mask = cv2.morphologyEx(raw[v], cv2.MORPH_OPEN, kernel(opening))
            if closing:
                mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel(closing))
            self.boxes[v, opening, closing].append(contours(mask))


class AbsDiff:
    """Difference to an earlier frame, blurred, threshold, opening, dilation."""
    variants = tuple(itertools.product((1, 2, 4), (10, 20), (0, 3), (3, 6)))

    def __init__(self):
        self.past = []
        self.boxes = {v: [] for v in self.variants}

    def push(self, i420):
        bgr = cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420)
        self.past = (self.past + [bgr])[-5:]
        blurred = {}
        for back in (1, 2, 4):
            old = self.past[-1 - back] if len(self.past) > back else bgr
            grey = cv2.cvtColor(cv2.absdiff(old, bgr), cv2.COLOR_BGR2GRAY)
            blurred[back] = cv2.GaussianBlur(grey, (5, 5), 0)
        for back, threshold, opening, dilate in self.variants:
            _, mask = cv2.threshold(blurred[back], threshold, 255,
                                    cv2.THRESH_BINARY)
            if opening:
                mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel(opening))
            mask = cv2.dilate(mask, None, iterations=dilate)
            self.boxes[back, threshold, opening, dilate].append(
                contours(mask))


class Ours:
    def __init__(self, dump, w, h, fps, variants):
        self.runs, self.readers = {}, []
        self.boxes = {v: [] for v in variants}
        for v in variants:
            p = subprocess.Popen([dump, str(w), str(h), str(fps), *v.split()],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            t = threading.Thread(target=self.read, args=(v, p.stdout))
            t.start()
            self.runs[v] = p
            self.readers.append(t)
        self.h = h

    def read(self, v, pipe):
        for line in pipe:
            self.boxes[v].append(
                [tuple(b) for b in json.loads(line)["blobs"]])

    def push(self, i420):
        for p in self.runs.values():
            p.stdin.write(i420[:self.h].tobytes())

    def end(self):
        for p in self.runs.values():
            p.stdin.close()
        for t in self.readers:
            t.join()
        for v, p in self.runs.items():
            if p.wait() != 0:
                sys.exit(f"{v}: the dump program failed")


def run_methods(clip, args):
    w, h, fps = size_of(clip)
    methods = {}
    if "mog2" in args.methods:
        methods["MOG2"] = Mog2()
    if "absdiff" in args.methods:
        methods["absdiff"] = AbsDiff()
    if "qfuse" in args.methods:
        methods["qfuse"] = Ours(args.dump, w, h, args.fps or fps, args.option)
    for f in frames(clip):
        for m in methods.values():
            m.push(f)
    if "qfuse" in methods:
        methods["qfuse"].end()
    return {n: m.boxes for n, m in methods.items()}


# --- truth -------------------------------------------------------------------

def read_mot(path, origin):
    """{frame: {id: (x, y, w, h)}}; origin: what the file calls the first pixel."""
    truth = {}
    with open(path) as f:
        for line in f:
            v = line.split(",")
            box = [float(a) for a in v[2:6]]
            box[0] -= origin
            box[1] -= origin
            truth.setdefault(int(v[0]), {})[int(v[1])] = tuple(box)
    return truth


def iou(a, b):
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / (a[2] * a[3] + b[2] * b[3] - w * h)


def inside(a, b):
    """Share of a that lies in b."""
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(w, 0) * max(h, 0) / (a[2] * a[3])


def split_truth(truth, ignore, n, second):
    """Per frame (1 ... n): boxes of movers, boxes that count neither way."""
    rows = []
    for f in range(1, n + 1):
        move, other = [], list(ignore.get(f, {}).values())
        for i, b in truth.get(f, {}).items():
            old = truth.get(f - second, {}).get(i)
            if old is None:  # just entered: does it move in its next second?
                old = truth.get(f + second, {}).get(i)
            if old is None:
                other.append(b)
                continue
            dx = b[0] + b[2] / 2 - old[0] - old[2] / 2
            dy = b[1] + b[3] / 2 - old[1] - old[3] / 2
            (move if np.hypot(dx, dy) >= 2 else other).append(b)
        rows.append((move, other))
    return rows


def score_frame(boxes, move, other, least):
    """hits, missed, wrong"""
    pairs = sorted(((iou(b, t), i, j) for i, b in enumerate(boxes)
                    for j, t in enumerate(move)), reverse=True)
    used, found = set(), set()
    for v, i, j in pairs:
        if v < least:
            break
        if i not in used and j not in found:
            used.add(i)
            found.add(j)
    wrong = 0
    for i, b in enumerate(boxes):
        if i in used:
            continue
        if any(inside(b, t) >= 0.5 or iou(b, t) >= least for t in other):
            continue
        wrong += 1
    return len(found), len(move) - len(found), wrong


def f1(c):
    return 2 * c[0] / max(2 * c[0] + c[1] + c[2], 1)


AREAS = (0, 50, 100, 200, 300, 400, 500, 700, 900, 1200)


def people(args):
    truth = read_mot(args.truth, 1)
    ignore = read_mot(args.ignore, 1) if args.ignore else {}
    results = run_methods(args.clip, args)
    n = max(len(b) for m in results.values() for b in m.values())
    rows = split_truth(truth, ignore, n, args.second)

    def total(boxes, area, a, b):
        c = np.zeros(3, int)
        for f in range(a, min(b, n) + 1):
            keep = [x[:4] for x in boxes[f - 1] if x[4] >= area]
            c += score_frame(keep, *rows[f - 1], args.iou)
        return c

    print(f"movers to find in frames {args.split + 1}-{n}: "
          f"{sum(len(m) for m, _ in rows[args.split:])}")
    print("| method | settings | tuned F1 | recall | precision | F1 |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for name, variants in results.items():
        areas = (0,) if name == "qfuse" else AREAS
        scored = sorted(
            ((f1(total(b, area, 1, args.split)), str((v, area)), v, area)
             for v, b in variants.items() for area in areas), reverse=True)
        shown = scored if name == "qfuse" and args.all else scored[:1]
        for tuned, _, v, area in shown:
            c = total(variants[v], area, args.split + 1, n)
            print(f"| {name} | {v}, area {area} | {tuned:.3f} "
                  f"| {c[0] / max(c[0] + c[1], 1):.3f} "
                  f"| {c[0] / max(c[0] + c[2], 1):.3f} | {f1(c):.3f} |")
        sys.stdout.flush()


# --- objects -----------------------------------------------------------------

def object_score(clips, key, area):
    """Shares of frames: centre inside a region, IoU >= 0.1, >= 0.3; wrong regions
    a frame; share of the picture that regions cover."""
    n = centre = low = high = wrong = 0
    cover = 0.0
    for boxes, truth, size in clips:
        for f, bs in enumerate(boxes[key], 1):
            t = list(truth.get(f, {}).values())
            if f < 3 or not t:
                continue
            keep = [b[:4] for b in bs if b[4] >= area]
            best = [max((iou(b, x) for b in keep), default=0) for x in t]
            hit = [any(b[0] <= x[0] + x[2] / 2 <= b[0] + b[2] and
                       b[1] <= x[1] + x[3] / 2 <= b[1] + b[3] for b in keep)
                   for x in t]
            n += len(t)
            centre += sum(hit)
            low += sum(v >= 0.1 for v in best)
            high += sum(v >= 0.3 for v in best)
            wrong += sum(all(iou(b, x) == 0 for x in t) for b in keep)
            cover += sum(b[2] * b[3] for b in keep) / size * len(t)
    n = max(n, 1)
    return centre / n, low / n, high / n, wrong / n, cover / n


def object_clips(path, args):
    folder = os.path.dirname(path)
    with open(path) as f:
        names = [s.strip() for s in f if s.strip()][::args.every]
    out = {}
    for name in names:
        clip = os.path.join(folder, name)
        truth = read_mot(os.path.splitext(clip)[0] + ".txt", 0)
        w, h, _ = size_of(clip)
        # ids of the boxes are unique within a frame only by class and linking
        for m, b in run_methods(clip, args).items():
            out.setdefault(m, []).append((b, truth, w * h))
    return out


def object_f1(s):
    """Of IoU >= 0.1 and wrong regions."""
    return 2 * s[1] / (1 + s[1] + s[3])


OBJECT_AREAS = (0, 5, 10, 20, 40, 80)


def objects(args):
    tune = object_clips(args.tune, args) if args.tune else None
    test = object_clips(args.list, args)
    print("| method | settings | tuned F1 | centre inside | IoU 0.1 | IoU 0.3 "
          "| wrong a frame | covered | F1 |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, clips in test.items():
        areas = (0,) if name == "qfuse" else OBJECT_AREAS
        scored = sorted(
            ((object_f1(object_score((tune or test)[name], v, a)),
              str((v, a)), v, a)
             for v in clips[0][0] for a in areas), reverse=True)
        shown = scored if name == "qfuse" and args.all else scored[:1]
        for tuned, _, v, area in shown:
            s = object_score(clips, v, area)
            print(f"| {name} | {v}, area {area} | {tuned:.3f} | {s[0]:.3f} "
                  f"| {s[1]:.3f} | {s[2]:.3f} | {s[3]:.2f} | {s[4]:.3f} "
                  f"| {object_f1(s):.3f} |")
        sys.stdout.flush()


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    sub = p.add_subparsers(dest="what", required=True)
    a = sub.add_parser("people")
    a.add_argument("clip")
    a.add_argument("--truth", required=True)
    a.add_argument("--ignore")
    a.add_argument("--split", type=int, default=400,
                   help="frames up to this one are for tuning")
    a.add_argument("--second", type=int, default=7,
                   help="frames a second of the recording (vtest.avi: 7)")
    a.add_argument("--iou", type=float, default=0.3)
    b = sub.add_parser("objects")
    b.add_argument("list")
    b.add_argument("--tune", help="another list, for the settings")
    b.add_argument("--every", type=int, default=1, help="each n-th clip only")
    for s in (a, b):
        s.add_argument("--dump", default="bench-motion-dump")
        s.add_argument("--fps", type=float)
        s.add_argument("--methods", default="mog2,absdiff,qfuse")
        s.add_argument("--option", action="append",
                       help="settings of ours, may be repeated")
        s.add_argument("--all", action="store_true",
                       help="show each of ours, not the best alone")
    args = p.parse_args()
    args.methods = args.methods.split(",")
    args.option = args.option or [""]
    cv2.setNumThreads(1)
    people(args) if args.what == "people" else objects(args)


if __name__ == "__main__":
    main()
