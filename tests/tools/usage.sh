#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Help, and wrong usage: exit code 2 and one line that says what is wrong.
here=$(dirname "$0")
. "$here/common.sh"

run 0 --help
has "$out" annotate
run 0 --version
for command in annotate new import train eval info bench; do
  run 0 $command --help
  has "$out" "Examples:"
  has "$out" "qfuse $command"
  run 2 $command --no-such-option
  has "$err" "qfuse: "
  [ -s "$out" ] && fail "$command: wrong usage printed to stdout"
done

run 2
run 2 no-such-command
has "$err" no-such-command
run 2 info
run 2 info a b
run 2 bench
run 2 bench --threads -1 x.onnx
run 2 bench --threads many x.onnx
finish
