#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Builds with ThreadSanitizer and runs the tests of the elements under it, or what
# the arguments of meson test say: sh tests/tsan.sh --suite unit
#
# The build is in build-tests-tsan; QFUSE_TESTS_BUILD names another place.
set -eu
cd "$(dirname "$0")/.."
build=${QFUSE_TESTS_BUILD:-build-tests}-tsan
[ $# -gt 0 ] || set -- --suite elements

runtime=$(gcc -print-file-name=libtsan.so)
if [ ! -e "$runtime" ]; then
  echo "tests/tsan.sh: gcc has no ThreadSanitizer (libtsan)" >&2
  exit 77
fi
[ -e "$build/build.ninja" ] || CC=gcc meson setup "$build" -Dwerror=true \
  -Db_sanitize=thread -Db_lundef=false --buildtype=debugoptimized
meson compile -C "$build"
# shellcheck disable=SC2046 # flags are words
gcc -shared -fPIC -O1 -Wall -o "$build/tsan-glib.so" tests/tsan-glib.c \
  $(pkg-config --cflags gstreamer-1.0) -ldl

TSAN_OPTIONS=ignore_noninstrumented_modules=1:history_size=4
TSAN_OPTIONS=$TSAN_OPTIONS:suppressions=$PWD/tests/tsan.supp
GST_REGISTRY_FORK=no # the plugin scanner has no sanitizer inside
G_SLICE=always-malloc
CK_FORK=no
QFUSE_SANITIZE=1
export TSAN_OPTIONS GST_REGISTRY_FORK G_SLICE CK_FORK QFUSE_SANITIZE
meson test -C "$build" --no-rebuild --print-errorlogs --timeout-multiplier 10 \
  --wrapper "env LD_PRELOAD=$runtime:$PWD/$build/tsan-glib.so" "$@"
