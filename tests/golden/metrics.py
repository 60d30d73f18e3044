#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes metrics.txt: random boxes with the figures of pycocotools.

    pip install numpy pycocotools && python3 metrics.py > metrics.txt

Lines: `case LABELS`, `picture`, `t LABEL X Y W H IGNORE`, `d LABEL X Y W H SCORE`,
`all AP50 AP F1 F1_SCORE`, `label NUMBER AP50 AP` (nan: no truth). Coordinates are
multiples of 1/8 and scores of 1/64, exact in float32.

Boxes to be ignored go in as iscrowd, but overlap is intersection over union with
them as with others: maskUtils.iou is told that there are no crowds.
"""
import contextlib
import io
import random

import numpy as np
from pycocotools import cocoeval
from pycocotools import mask
from pycocotools.coco import COCO


def box(rng):
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


def coco_scores(pictures, n_labels):
    gt, dt, ann = COCO(), [], []
    for i, (truth, found) in enumerate(pictures, 1):
        for label, b, ig in truth:
            ann.append(dict(id=len(ann) + 1, image_id=i, category_id=label + 1,
                            bbox=b, area=b[2] * b[3], iscrowd=ig))
        for label, b, score in found:
            dt.append(dict(image_id=i, category_id=label + 1, bbox=b, score=score))
    gt.dataset = dict(images=[dict(id=i + 1) for i in range(len(pictures))],
                      annotations=ann,
                      categories=[dict(id=c + 1) for c in range(n_labels)])
    gt.createIndex()
    e = cocoeval.COCOeval(gt, gt.loadRes(dt), 'bbox')
    e.evaluate()
    e.accumulate()
    p = e.eval['precision'][:, :, :, 0, 2]  # threshold, recall, label

    def mean(v):
        v = v[v > -1]
        return float(np.mean(v)) if v.size else float('nan')
    rows = [(mean(p[0, :, c]), mean(p[:, :, c])) for c in range(n_labels)]
    # matches at 0.5 of all labels, for F1
    marks, n_truth = [], 0
    for ev in e.evalImgs:
        if ev is None or ev['aRng'] != [0, 1e10]:
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
    return mean(p[0]), mean(p), best, rows


def main():
    rng = random.Random(20240607)
    plain_iou = mask.iou
    mask.iou = lambda d, g, crowd: plain_iou(d, g, [0] * len(g))
    for n_labels, n_pictures, ignore in [(4, 24, 0), (3, 24, 0.3)]:
        pictures = make_case(rng, n_labels, n_pictures, ignore)
        with contextlib.redirect_stdout(io.StringIO()):
            ap50, ap, f1, rows = coco_scores(pictures, n_labels)
        print('case', n_labels)
        for truth, found in pictures:
            print('picture')
            for label, b, ig in truth:
                print('t', label, *['%g' % v for v in b], ig)
            for label, b, score in found:
                print('d', label, *['%g' % v for v in b], repr(score))
        print('all %.12f %.12f %.12f %.12f' % (ap50, ap, *f1))
        for c, row in enumerate(rows):
            print('label %d %.12f %.12f' % (c, *row))


main()
