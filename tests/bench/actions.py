#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Falls among daily activities, fold by fold, as a network of actions sees them.

  python3 tests/bench/actions.py FOLDER --planes D1,D5 [--out DIR] [OPTION ...]

FOLDER holds adl/ and fall/ with clips, folds-cam0.txt (fold path) and
frame-labels.txt (path frame label; -1 upright, 0 going down or getting up,
1 lying; frames from 1). For each fold a network of actions per frame learns from
the other folds and runs on every frame of this one. What stands behind -- goes to
qfuse train.

Frames that are learned: going down in a fall clip is "fall"; all else is "adl",
every --thin-th frame of it, so that falls are no small minority, but twice as many
of those that are hard: going down or getting up in adl, walking before a fall. The
first frames of lying after a fall
(--unsure) are learned as nothing.

A clip is called a fall, and the moment is that, when the mean fall score of the
last N frames reaches T: N = 10 and T = 0.5 (--window, --threshold), and beside
it N and T that were best on the held-out scores of the four other folds.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

FPS = 30
EARLY = 5  # frames before the label that a call may come


def read_data(folder):
    folds, labels = {}, {}
    with open(os.path.join(folder, "folds-cam0.txt")) as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                fold, path = line.split()
                folds[path] = int(fold)
    with open(os.path.join(folder, "frame-labels.txt")) as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                path, frame, label = line.split()
                labels.setdefault(path, {})[int(frame)] = int(label)
    return folds, labels


def is_fall(path):
    return path.startswith("fall/")


def frame_action(path, frame, frames, unsure, thin):
    """The action that is learned of a frame, or None."""
    label = frames[frame]
    if not is_fall(path):
        return "adl" if frame % (thin // 2 if label == 0 else thin) == 0 else None
    if label == 0:
        return "fall"
    down = [f for f, k in frames.items() if k == 0]
    if label == -1 and frame < min(down):
        return "adl" if frame % ((thin + 1) // 2) == 0 else None
    if frame <= max(down) + unsure:
        return None
    return "adl" if frame % thin == 0 else None


def write_truth(data, out, labels, folds, unsure, thin):
    """Clips as links with their JSON Lines beside them."""
    for path in folds:
        link = os.path.join(out, "clips", path)
        os.makedirs(os.path.dirname(link), exist_ok=True)
        if not os.path.lexists(link):
            os.symlink(os.path.abspath(os.path.join(data, path)), link)
        with open(link[:-4] + ".jsonl", "w") as f:
            for frame in sorted(labels[path]):
                action = frame_action(path, frame, labels[path], unsure, thin)
                if action:
                    f.write(json.dumps(
                        {"frame": frame, "action": {"label": action}}) + "\n")


def write_list(out, name, paths):
    where = os.path.join(out, name)
    with open(where, "w") as f:
        for path in paths:
            f.write(os.path.join("clips", path) + "\n")
    return "@" + where


def run(command, log):
    with open(log, "w") as f:
        if subprocess.run(command, stdout=f, stderr=subprocess.STDOUT).returncode:
            sys.exit(f"{' '.join(command)}\nfailed, see {log}")


def train(o, name, fold, paths):
    """Trains on all folds but one, where the model is not there yet."""
    model = os.path.join(o.out, f"{name}-{fold}.onnx")
    if os.path.exists(model):
        return model
    clips = write_list(o.out, f"{name}-{fold}.lst", paths)
    run([o.qfuse, "train", "-o", model, "--planes", o.planes, "--size", o.size,
         "--network", o.network, "--head", "classify", "--labels", "adl,fall",
         "--epochs", str(o.epochs), "--max-samples", "0", "--validation", "0",
         "--threads", str(o.threads), "--seed", str(o.seed), *o.more, clips],
        os.path.join(o.out, f"{name}-{fold}.log"))
    return model


def scores(o, name, model, path):
    """The fall score of each frame, a list."""
    found = os.path.join(o.out, name + "-" + path.replace("/", "-") + ".jsonl")
    if not os.path.exists(found):
        run([o.qfuse, "annotate", "-m", model, os.path.join(o.folder, path), "-d",
             found, "--threads", str(o.threads)],
            os.path.join(o.out, "annotate.log"))
    values = []
    with open(found) as f:
        for line in f:
            action = json.loads(line).get("action")
            score = action["score"] if action else 0.5
            values.append(score if action and action["label"] == "fall"
                          else 1 - score)
    return values


def means(values, n):
    """The mean of the last n values at each place that has as many."""
    total, result = 0.0, []
    for i, v in enumerate(values):
        total += v - (values[i - n] if i >= n else 0)
        result.append(total / n if i >= n - 1 else 0.0)
    return result


def calls(values, n, threshold):
    """Frames (from 1) where a call begins; a second must pass between two."""
    found, last = [], -FPS
    for i, v in enumerate(means(values, n)):
        if v >= threshold:
            if i - last >= FPS:
                found.append(i + 1)
            last = i
    return found


def right(path, values, n, threshold):
    return bool(calls(values, n, threshold)) == is_fall(path)


def choose(seen):
    """N and T with the most right clips; of equals the middle one."""
    best = {}
    for n in (3, 5, 8, 10, 15):
        for t in range(10, 96, 5):
            ok = sum(right(p, v, n, t / 100) for p, v in seen.items())
            best.setdefault(ok, []).append((n, t / 100))
    return best[max(best)][len(best[max(best)]) // 2]


def moments(seen, starts, rules):
    """Delays of the falls that were called at the label or after it, how many
    were called before it, and false calls in adl."""
    delays, early, alarms = [], 0, 0
    for path, values in seen.items():
        found = calls(values, *rules[path])
        if not is_fall(path):
            alarms += len(found)
            continue
        early += any(f < starts[path] - EARLY for f in found)
        after = [f for f in found if f >= starts[path] - EARLY]
        if after:
            delays.append(after[0] - starts[path])
    return delays, early, alarms


def report(what, seen, folds, starts, rules):
    ok = {p: right(p, v, *rules[p]) for p, v in seen.items()}
    falls = [p for p in seen if is_fall(p)]
    adl = [p for p in seen if not is_fall(p)]
    delays, early, alarms = moments(seen, starts, rules)
    hours = sum(len(seen[p]) for p in adl) / FPS / 3600
    office = [p for p in seen if is_fall(p) or folds[p] == 4]
    own = [p for p in seen if folds[p] == 4]
    print(f"{what}: clips {sum(ok.values())}/{len(ok)} = "
          f"{sum(ok.values()) / len(ok):.3f}"
          f"  falls {sum(ok[p] for p in falls)}/{len(falls)}"
          f"  adl {sum(ok[p] for p in adl)}/{len(adl)}")
    for name, some in (("fold 4", own), ("all falls and fold 4's adl", office)):
        if some:
            print(f"  {name}: {sum(ok[p] for p in some)}/{len(some)}")
    print(f"  falls called within 15 frames of the label: "
          f"{sum(d <= 15 for d in delays)}/{len(falls)}, within 30: "
          f"{sum(d <= 30 for d in delays)}; median delay "
          f"{statistics.median(delays) if delays else float('nan'):.1f} frames"
          f"; called before the fall {early}")
    print(f"  false alarms: {alarms} in {hours * 60:.1f} minutes of adl = "
          f"{alarms / hours if hours else float('nan'):.0f} an hour")
    print("  wrong:", " ".join(sorted(p for p in ok if not ok[p])) or "none")


def main():
    argv = sys.argv[1:]
    more = argv[argv.index("--") + 1:] if "--" in argv else []
    a = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("folder")
    a.add_argument("--planes", default="D1x2t8,D5x2t8,D15x2t8")
    a.add_argument("--out", default="actions")
    a.add_argument("--qfuse", default="build/tools/qfuse")
    a.add_argument("--network", default="nano")
    a.add_argument("--size", default="160x128")
    a.add_argument("--epochs", type=int, default=6)
    a.add_argument("--thin", type=int, default=5, help="2 or more (default 5)")
    a.add_argument("--unsure", type=int, default=15)
    a.add_argument("--window", type=int, default=10)
    a.add_argument("--threshold", type=float, default=0.5)
    a.add_argument("--threads", type=int, default=1)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--folds", default="1,2,3,4,5")
    a.add_argument("--name", help="of the files that are written")
    o = a.parse_args(argv[:argv.index("--")] if more else argv)
    o.more = more
    name = o.name or o.planes.replace(",", "_")
    folds, labels = read_data(o.folder)
    write_truth(o.folder, o.out, labels, folds, o.unsure, o.thin)
    starts = {p: min(f for f, k in labels[p].items() if k == 0)
              for p in folds if is_fall(p)}
    seen = {}
    for fold in map(int, o.folds.split(",")):
        model = train(o, name, fold, [p for p in folds if folds[p] != fold])
        for path in (p for p in folds if folds[p] == fold):
            seen[path] = scores(o, name, model, path)
        ok = [right(p, v, o.window, o.threshold)
              for p, v in seen.items() if folds[p] == fold]
        print(f"{o.planes}, fold {fold}: {sum(ok)}/{len(ok)} clips", flush=True)
    report(f"{o.planes}, N {o.window}, T {o.threshold}", seen, folds, starts,
           dict.fromkeys(seen, (o.window, o.threshold)))
    if len(set(folds[p] for p in seen)) > 1:
        rule = {k: choose({p: v for p, v in seen.items() if folds[p] != k})
                for k in set(folds.values())}
        report(f"{o.planes}, N and T of the other folds {rule}", seen, folds,
               starts, {p: rule[folds[p]] for p in seen})


if __name__ == "__main__":
    main()
