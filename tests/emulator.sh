#!/bin/sh
# Kernel tests on emulated processors: AVX-512 VNNI where the machine has none,
# and the C reference on an x86-64 without AVX.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Usage: tests/emulator.sh BUILD [DIVISOR [SEED]]. Of the random cases one in
# DIVISOR (100) is tried. Exits 77 without Bochs, 1 where a test fails.
# Bochs 2.7 (Debian's package) emulates whole machines; there is no operating
# system in it but tests/emulator/monitor.c. Without an installed Bochs the
# packages are fetched with apt-get and unpacked under BUILD; this needs no root.
set -eu

source=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "${1:?usage: tests/emulator.sh BUILD [DIVISOR [SEED]]}" && pwd)
divisor=${2:-100}
seed=${3:-1}
work=$build/emulator
src=$source/tests/emulator

skip () {
  echo "emulator: SKIP: $1"
  exit 77
}

find_bochs () {
  bochs=$(command -v bochs-bin || true)
  [ -z "$bochs" ] || return 0
  root=$work/root
  if [ ! -x "$root/usr/bin/bochs-bin" ]; then
    mkdir -p "$work/packages"
    (cd "$work/packages" && apt-get download bochs libltdl7) >/dev/null 2>&1 ||
      skip "no bochs: apt-get install --no-install-recommends bochs"
    for deb in "$work"/packages/*.deb; do
      dpkg-deb -x "$deb" "$root"
    done
  fi
  bochs=$root/usr/bin/bochs-bin
  lib=$root/usr/lib/x86_64-linux-gnu
  export LD_LIBRARY_PATH="$lib" LTDL_LIBRARY_PATH="$lib/bochs/plugins"
  ! ldd "$bochs" | grep -q 'not found' ||
    skip "libraries of bochs are missing: apt-get install bochs"
}

build_machine () {
  ninja -C "$build" tests/kernels/test-kernels-static \
    tests/emulator/emulator-check >/dev/null
  gcc -c "$src/rom.S" -o "$work/rom.o"
  ld -Ttext=0xf0000 -e 0 "$work/rom.o" -o "$work/rom.elf"
  objcopy -O binary -j .text "$work/rom.elf" "$work/rom.bin"
  gcc -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -ffreestanding -mno-red-zone \
    -mgeneral-regs-only -fno-pic -no-pie -fno-stack-protector \
    -fcf-protection=none -fno-tree-loop-distribute-patterns -nostdlib -static \
    -Wl,-T,"$src/monitor.lds" -Wl,--build-id=none -Wl,--no-warn-rwx-segments \
    "$src/entry.S" "$src/monitor.c" -o "$work/monitor.elf"
  objcopy -O binary "$work/monitor.elf" "$work/monitor.bin"
  head -c 512 /dev/zero >"$work/vga.bin" # Bochs wants one
}

# run MODEL COMMAND...: runs the commands on that processor; prints what they
# print and leaves it in $work/serial.txt.
run () {
  model=$1
  shift
  for command; do
    echo "$command"
  done >"$work/commands"
  tar -cf "$work/files.img" -C "$work" commands \
    -C "$build/tests/kernels" test-kernels-static \
    -C "$build/tests/emulator" emulator-check
  cylinder=516096
  size=$(stat -c %s "$work/files.img")
  truncate -s $(((size + cylinder - 1) / cylinder * cylinder)) \
    "$work/files.img"
  cat >"$work/bochsrc" <<RC
display_library: rfb, options="timeout=0"
cpu: model=$model, ips=2000000, reset_on_triple_fault=0
memory: guest=512, host=512
romimage: file=$work/rom.bin, address=0xffff0000
vgaromimage: file=$work/vga.bin
optramimage1: file=$work/monitor.bin, address=0x100000
pci: enabled=0
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path=$work/files.img, mode=flat, cylinders=0
ata1: enabled=0
log: $work/bochs.log
panic: action=fatal
com1: enabled=1, mode=file, dev=$work/serial.txt
clock: sync=none, time0=1700000000
sound: driver=dummy
speaker: enabled=0
RC
  echo c >"$work/rc" # Debian's Bochs starts in its debugger
  rm -f "$work/serial.txt" "$work/files.img.lock"
  timeout 1800 "$bochs" -q -f "$work/bochsrc" -rc "$work/rc" \
    </dev/null >"$work/bochs.out" 2>&1 || true # it ends by a panic
  [ -f "$work/serial.txt" ] || : >"$work/serial.txt"
  echo "## $model"
  cat "$work/serial.txt"
}

fail () {
  echo "emulator: FAILED: $1"
  exit 1
}

# passed TIER: the last run tested that tier and nothing failed.
passed () {
  ! grep -q '^not ok\|SKIP' "$work/serial.txt" &&
    grep -q "^# tier $1, seed" "$work/serial.txt" &&
    grep -q 'random cases$' "$work/serial.txt" &&
    grep -q '^== end$' "$work/serial.txt"
}

exits () {
  sed -n 's/^== exit //p' "$work/serial.txt" | tr '\n' ' '
}

mkdir -p "$work"
find_bochs
build_machine

run corei7_icelake_u 'emulator-check avx512vnni' \
  "test-kernels-static avx512vnni $seed $divisor"
[ "$(exits)" = "0 0 " ] && grep -q '^ok - vpdpbusd' "$work/serial.txt" &&
  passed avx512vnni || fail "avx512vnni"
cases=$(sed -n 's/^# \(.*\) random cases$/\1/p' "$work/serial.txt")

# 134 is the invalid instruction: AVX-512 does not run where it should not.
run corei7_haswell_4770 'emulator-check avx2' \
  'test-kernels-static avx512vnni'
[ "$(exits)" = "134 0 " ] && grep -q 'chooses avx2$' "$work/serial.txt" &&
  grep -q 'SKIP.*no tier avx512vnni' "$work/serial.txt" ||
  fail "AVX2 is not told from AVX-512"

# An x86-64 of 2003, with SSE2.
run athlon64_clawhammer 'emulator-check c' \
  "test-kernels-static c $seed $divisor"
[ "$(exits)" = "134 0 " ] && grep -q 'chooses c$' "$work/serial.txt" &&
  passed c || fail "the C reference on a plain x86-64"
echo "emulator: passed: avx512vnni and c, $cases random cases each, seed $seed"
