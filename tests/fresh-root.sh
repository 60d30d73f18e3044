#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs a command of this source tree on a machine where nothing is installed: in a
# new root of a Debian release, made with debootstrap from this machine's own apt
# source. Needs root.
#
#   sh tests/fresh-root.sh SUITE COMMAND        as in: bookworm 'sh tools/demo.sh'
#
# QFUSE_ROOT=FOLDER keeps the root there. Exit code 77: it cannot be done here.
set -u
suite=$1
command=$2
source=$(cd "$(dirname "$0")/.." && pwd)

skip() {
  echo "skipped: $*"
  exit 77
}

[ "$(id -u)" = 0 ] || skip "a root of $suite can only be made by root"
command -v debootstrap >/dev/null || skip "debootstrap is not installed"
command -v apt-get >/dev/null || skip "this machine has no apt source"
mirror=$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(COMPONENT) $(REPO_URI)' \
  'Identifier: Packages' | sed -n 's/^Debian Debian main //p' | head -n 1)
[ -n "$mirror" ] || skip "no Debian archive is among this machine's apt sources"
# apt's proxy holds for debootstrap too.
http_proxy=${http_proxy:-}
eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
[ -n "$http_proxy" ] && export http_proxy

root=${QFUSE_ROOT:-$(mktemp -d)}
clean() {
  umount "$root/proc" 2>/dev/null
  [ -n "${QFUSE_ROOT:-}" ] || rm -rf --one-file-system "$root"
}
trap clean EXIT
trap 'exit 1' INT TERM HUP
mkdir -p "$root"
if [ ! -e "$root/etc/debian_version" ]; then
  log=$root.log
  if ! debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$log" 2>&1; then
    tail -n 5 "$log"
    rm -f "$log"
    skip "debootstrap could not make a root of $suite from $mirror"
  fi
  rm -f "$log"
fi
mount -t proc proc "$root/proc" || skip "/proc cannot be mounted"
cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null
grep -ls Acquire /etc/apt/apt.conf /etc/apt/apt.conf.d/* 2>/dev/null |
  while read -r file; do cp "$file" "$root/etc/apt/apt.conf.d/"; done

# A bare checkout: what is committed and what is new, no builds.
rm -rf "$root/root/qfuse"
mkdir -p "$root/root/qfuse"
if git -C "$source" rev-parse >/dev/null 2>&1; then
  (cd "$source" && git ls-files -z --cached --others --exclude-standard |
    tar --null --ignore-failed-read -T - -cf -) | tar -C "$root/root/qfuse" -xf -
else
  tar -C "$source" --exclude='./build*' -cf - . | tar -C "$root/root/qfuse" -xf -
fi

begin=$(date +%s)
chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
  LANG=C.UTF-8 CI="${CI:-}" sh -c "cd /root/qfuse && $command"
status=$?
echo "fresh-root.sh: \`$command\` on $suite took $(($(date +%s) - begin)) s, exit code $status" >&2
exit $status
