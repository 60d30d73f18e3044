#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each public header compiles alone, with gcc and, where it is there, clang.
#   headers.sh HEADER...
set -u
bad=0
flags=$(pkg-config --cflags gstreamer-video-1.0) || exit 1
for cc in gcc clang; do
  command -v $cc >/dev/null || continue
  for header in "$@"; do
    # shellcheck disable=SC2086 # words are wanted
    printf '#include "%s"\nint nothing;\n' "$header" |
      $cc -std=c11 -Wall -Wextra -Werror -Wstrict-prototypes \
        -I"$QFUSE_SOURCE/lib" -I"$QFUSE_SOURCE/plugins" $flags \
        -fsyntax-only -x c - || { echo "FAILED: $cc, $header"; bad=1; }
  done
done
exit $bad
