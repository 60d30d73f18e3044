#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes metrics.txt: random boxes with the figures of pycocotools.

    pip install numpy pycocotools && python3 metrics.py > metrics.txt

Lines: `case LABELS`, `picture`, `t LABEL X Y W H CROWD`, `d LABEL X Y W H SCORE`,
then what is expected (nan: no truth):

    all AP50 AP75 AP AR1 AR10 AR100 F1 F1_SCORE
    label NUMBER AP50 AP75 AP AR1 AR10 AR100
    size NUMBER-OR-all 0|1|2 TRUTH AP50 AP75 AP AR100
    curve NUMBER IOU PRECISION… SCORE…    at recalls 0, 0.1 … 1

Coordinates are multiples of 1/8 and scores of 1/64, exact in float32. The area of a
truth box, which decides its size, is width times height.
"""
import contextlib
import io
import random

import numpy as np
from pycocotools import cocoeval
from pycocotools.coco import COCO


def box(rng, big=False):
    if big:  # of all three sizes, now and then exactly on a limit
        w, h = rng.choice([(32, 32), (96, 96), (16, 64)] + 9 * [None]) or [
            rng.choice([rng.randint(24, 320), rng.randint(160, 900),
                        rng.randint(700, 2200)]) / 8 for _ in range(2)]
        return [rng.randint(0, 3200) / 8, rng.randint(0, 2400) / 8, w, h]
    w, h = rng.randint(8, 400) / 8, rng.randint(8, 400) / 8
    return [rng.randint(0, 1600) / 8, rng.randint(0, 1200) / 8, w, h]


def near(rng, b):
    """b with its sides moved by up to a quarter, mostly less."""
    def move(v, size):
        return max(0, v + round(rng.gauss(0, 0.08) * size * 8) / 8)
    return [move(b[0], b[2]), move(b[1], b[3]),
            max(1, move(b[2], b[2])), max(1, move(b[3], b[3]))]


def make_case(rng, n_labels, n_pictures, ignore):
    pictures = []
    for i in range(n_pictures):
        truth, found = [], []
        for _ in range(rng.randint(0, 6)):
            # the last label has no truth, the one before no detections
            truth.append([rng.randrange(n_labels - 1), box(rng),
                          int(rng.random() < ignore)])
        for label, b, _ in truth:
            for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
                if label != n_labels - 2:
                    found.append([label, near(rng, b), rng.randint(20, 64) / 64])
        if truth and rng.random() < 0.3:  # two equal boxes, one detection
            truth.append([truth[0][0], list(truth[0][1]), 0])
        extra = 130 if i == 3 else rng.randint(0, 4)
        for _ in range(extra):
            label = 0 if i == 3 else rng.choice(
                [l for l in range(n_labels) if l != n_labels - 2])
            found.append([label, box(rng), rng.randint(1, 50) / 64])
        rng.shuffle(found)
        pictures.append((truth, found))
    return pictures


def make_sizes(rng, n_labels, n_pictures):
    """Boxes of all sizes, crowds that cover several, many equal scores."""
    pictures = []
    for i in range(n_pictures):
        truth, found = [], []
        crowded = i in (4, 10)  # more than 100 of a label, good ones past the 10th
        for _ in range(0 if i % 7 == 2 else rng.randint(1, 9)):
            truth.append([rng.randrange(2 if crowded else n_labels), box(rng, True), 0])
        for label, b, _ in truth:
            for _ in range(rng.choice([0, 1, 1, 1, 2])):
                found.append([label, list(b) if rng.random() < 0.2 else
                              near(rng, b),
                              rng.randint(1, 8) / 16 if crowded else
                              rng.randint(4, 16) / 16])
        for label, b, _ in list(truth):
            if rng.random() < 0.3:  # a crowd around a box, over some of what is found
                truth.insert(rng.randrange(len(truth) + 1), [label, [
                    max(0, b[0] - 40), max(0, b[1] - 40), b[2] + 80, b[3] + 80], 1])
        for k in range(260 if crowded else rng.randint(0, 8)):
            found.append([k % 2 if crowded else rng.randrange(n_labels),
                          box(rng, True), rng.randint(1, 12) / 16])
        rng.shuffle(found)
        pictures.append((truth, [] if i % 6 == 5 else found))
    return pictures


def evaluate(pictures, n_labels):
    gt, dt, ann = COCO(), [], []
    for i, (truth, found) in enumerate(pictures, 1):
        for label, b, crowd in truth:
            ann.append(dict(id=len(ann) + 1, image_id=i, category_id=label + 1,
                            bbox=b, area=b[2] * b[3], iscrowd=crowd))
        for label, b, score in found:
            dt.append(dict(image_id=i, category_id=label + 1, bbox=b, score=score))
    gt.dataset = dict(images=[dict(id=i + 1) for i in range(len(pictures))],
                      annotations=ann, info={},
                      categories=[dict(id=c + 1) for c in range(n_labels)])
    gt.createIndex()
    e = cocoeval.COCOeval(gt, gt.loadRes(dt), 'bbox')
    e.evaluate()
    e.accumulate()
    return e


def best_f1(e):
    """Over the matches of all labels at 0.5."""
    marks, n_truth = [], 0
    for ev in e.evalImgs:
        if ev is None or ev['aRng'] != e.params.areaRng[0]:
            continue
        n_truth += int(np.sum(np.array(ev['gtIgnore']) == 0))
        for j, s in enumerate(ev['dtScores']):
            if not ev['dtIgnore'][0][j]:
                marks.append((s, ev['dtMatches'][0][j] > 0))
    best = (0.0, 0.0)
    for s in sorted({m[0] for m in marks}, reverse=True):
        taken = [m[1] for m in marks if m[0] >= s]
        f1 = 2 * sum(taken) / (len(taken) + n_truth)
        if f1 > best[0]:
            best = (f1, s)
    return best


def mean(v):
    v = v[v > -1]
    return float(np.mean(v)) if v.size else float('nan')


def precisions(e, labels, area=0):
    p = e.eval['precision'][:, :, labels, area, 2]  # threshold, recall, label
    return [mean(p[0]), mean(p[5]), mean(p)]


def recalls(e, labels, area=0, limits=(0, 1, 2)):
    return [mean(e.eval['recall'][:, labels, area, m]) for m in limits]


def line(*values):
    print(*['%.12f' % v if isinstance(v, float) else v for v in values])


def print_expected(e, n_labels):
    line('all', *precisions(e, slice(None)), *recalls(e, slice(None)), *best_f1(e))
    for c in range(n_labels):
        line('label', c, *precisions(e, c), *recalls(e, c))
    for c in ['all', *range(n_labels)]:
        which = slice(None) if c == 'all' else c
        for area in (1, 2, 3):
            n = sum(int(np.sum(np.array(ev['gtIgnore']) == 0)) for ev in e.evalImgs
                    if ev and ev['aRng'] == e.params.areaRng[area]
                    and c in ('all', ev['category_id'] - 1))
            line('size', c, area - 1, n, *precisions(e, which, area),
                 *recalls(e, which, area, (2,)))
    for c in range(n_labels):
        for t in (0, 5):
            at = e.eval['precision'][t, ::10, c, 0, 2]
            if at[0] > -1:
                line('curve', c, t, *map(float, at),
                     *map(float, e.eval['scores'][t, ::10, c, 0, 2]))


def main():
    rng = random.Random(20240607)
    cases = [(4, make_case(rng, 4, 24, 0)), (3, make_case(rng, 3, 24, 0.3)),
             (5, make_sizes(rng, 5, 22))]
    for n_labels, pictures in cases:
        with contextlib.redirect_stdout(io.StringIO()):
            e = evaluate(pictures, n_labels)
        print('case', n_labels)
        for truth, found in pictures:
            print('picture')
            for label, b, crowd in truth:
                print('t', label, *['%g' % v for v in b], crowd)
            for label, b, score in found:
                print('d', label, *['%g' % v for v in b], repr(score))
        print_expected(e, n_labels)


main()
