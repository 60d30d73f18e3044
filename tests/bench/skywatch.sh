#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Trains on a folder's infrared clips and measures on its validation clips:
#   sh tests/bench/skywatch.sh FOLDER NAME [OPTION …of qfuse train]
# FOLDER holds infrared-train.txt, infrared-val.txt (clip paths, relative) and
# classes.txt; KIND=visible takes those lists. EVERY (default 6) frames are left
# out between two in training and on validation alike. Files go to OUT (default .):
# NAME.onnx, NAME.log, NAME.json. Prints AP50, best F1, AP50 of each class.
set -e
folder=$(cd "$1" && pwd) name=$2
shift 2
kind=${KIND:-infrared} every=${EVERY:-6} out=${OUT:-.}
qfuse=${QFUSE:-build/tools/qfuse}
labels=$(paste -sd, "$folder/classes.txt")
for set in train val; do
  sed "s#^#$folder/#" "$folder/$kind-$set.txt" >"$out/$name-$set.lst"
done
"$qfuse" train -o "$out/$name.onnx" --size 320x256 --labels "$labels" \
  --every "$every" --max-samples 0 --validation 0 "$@" \
  "@$out/$name-train.lst" >"$out/$name.log"
"$qfuse" eval "$out/$name.onnx" --every "$every" --json \
  "@$out/$name-val.lst" >"$out/$name.json"
python3 - "$name" "$out/$name.json" <<'END'
import json, sys
d = json.load(open(sys.argv[2]))
print(f"{sys.argv[1]}: AP50 {d['ap50']:.3f}, best F1 {d['best_f1']:.3f};",
      ", ".join(f"{k} {v['ap50']:.2f}" for k, v in d["per_class"].items()
                if v["ap50"] is not None))
END
