#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Installs what is needed, builds, runs every test twice (as it ships, and with the
# address and undefined-behaviour sanitizers, there without the long trainings)
# and closes with one line: N passed, N failed.
#
# Builds are in build-tests*; QFUSE_TESTS_BUILD names another place.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${QFUSE_TESTS_BUILD:-build-tests}
passed=0 failed=0 skipped=0

say() { printf '\n== %s\n' "$*"; }

# build NAME CC MESON-OPTION...: configures and compiles $build$NAME.
build() {
  dir=$build$1 compiler=$2
  shift 2
  say "building $dir ($compiler $*)"
  [ -e "$dir/build.ninja" ] || rm -rf "$dir"
  if [ -e "$dir/build.ninja" ] || CC=$compiler meson setup "$dir" -Dwerror=true "$@"; then
    if meson compile -C "$dir"; then
      passed=$((passed + 1))
      return 0
    fi
  fi
  echo "FAILED: the build of $dir"
  failed=$((failed + 1))
  return 1
}

# count DIR WHAT...: how many results of the last run are one of WHAT.
count() {
  log=$1/meson-logs/testlog.json
  shift
  pattern=$(echo "$*" | tr ' ' '|')
  # One JSON object a line; quotes inside strings are escaped there.
  grep -cE "\"result\": \"($pattern)\"" "$log"
}

# suite NAME MESON-OPTION...: runs the tests of $build$NAME and counts them.
suite() {
  dir=$build$1
  shift
  say "testing $dir"
  rm -f "$dir/meson-logs/testlog.json"
  meson test -C "$dir" --no-rebuild --print-errorlogs "$@"
  if [ ! -s "$dir/meson-logs/testlog.json" ]; then
    echo "FAILED: no test ran in $dir"
    failed=$((failed + 1))
    return
  fi
  all=$(count "$dir" '[A-Z]*')
  good=$(count "$dir" OK EXPECTEDFAIL)
  left=$(count "$dir" SKIP)
  passed=$((passed + good))
  skipped=$((skipped + left))
  failed=$((failed + all - good - left))
}

say "installing"
if sh tools/install-deps.sh; then
  if build '' gcc; then
    suite ''
  fi
  if command -v clang >/dev/null; then
    build -clang clang
  fi
  if build -sanitize gcc -Db_sanitize=address,undefined -Db_lundef=false \
      --buildtype=debugoptimized; then
    . tests/sanitize.sh
    suite -sanitize --no-suite long --no-suite elements --no-suite tools \
      --timeout-multiplier 4
    # The first to start looks at all of GStreamer's plugins, and those leak.
    ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 meson test -C "$build-sanitize" \
      --no-rebuild element-plugin >/dev/null 2>&1
    # Where GStreamer's libraries leak too, whole stacks tell theirs from ours.
    ASAN_OPTIONS=$ASAN_OPTIONS:fast_unwind_on_malloc=0:malloc_context_size=12
    suite -sanitize --no-suite long --suite elements --suite tools \
      --timeout-multiplier 4
  fi
else
  echo "FAILED: the installation"
  failed=$((failed + 1))
fi

echo
if [ "$skipped" -gt 0 ]; then
  echo "$passed passed, $failed failed, $skipped skipped"
else
  echo "$passed passed, $failed failed"
fi
[ "$failed" = 0 ]
