# SPDX-License-Identifier: LGPL-2.1-or-later
# What the tests of the command share; sourced with the test's own folder in $here.
set -u
qfuse=$QFUSE_BUILD/tools/qfuse
helper=$QFUSE_BUILD/tests/tools/tools-helper
work=$(mktemp -d)
out=$work.out err=$work.err # of the last run
trap 'rm -rf "$work" "$out" "$err"' EXIT
bad=0

# fail TEXT...: notes a failure and goes on.
fail() {
  echo "FAILED: $*"
  bad=$((bad + 1))
}

# run WANT ARGUMENT...: runs qfuse, compares its exit code; its output is in
# $out and $err.
run() {
  want=$1
  shift
  "$qfuse" "$@" >"$out" 2>"$err"
  got=$?
  if [ "$got" != "$want" ]; then
    fail "qfuse $* ended with $got, not $want"
    sed 's/^/    /' "$err"
    return 1
  fi
}

# has FILE TEXT: FILE holds TEXT.
has() {
  grep -qF -e "$2" "$1" || { fail "$1 lacks \"$2\""; sed 's/^/    /' "$1"; }
}

finish() {
  [ "$bad" = 0 ] || { echo "$bad failures"; exit 1; }
  exit 0
}
