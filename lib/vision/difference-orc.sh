#!/bin/sh
# libqfuse: makes the committed C of difference-orc.orc, or checks it.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# difference-orc.sh [check VERSION]
# Each release of orcc writes another C: the committed one is that of MADE_WITH.
# check: whether it is up to date; skips (77) with another release.
set -eu

MADE_WITH=0.4.33
here=$(dirname "$0")
version=${2:-$(pkg-config --modversion orc-0.4)}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

if [ "$version" != "$MADE_WITH" ]; then
  echo "needs orcc $MADE_WITH, there is ${version:-none}" >&2
  exit 77
fi
cd "$here"
orcc --internal --include glib.h --implementation -o "$out/difference-orc-dist.c" difference-orc.orc
orcc --internal --include glib.h --header -o "$out/difference-orc-dist.h" difference-orc.orc
for f in difference-orc-dist.c difference-orc-dist.h; do
  if [ "${1:-}" = check ]; then
    cmp "$out/$f" "$f"
  else
    cp "$out/$f" "$f"
  fi
done
