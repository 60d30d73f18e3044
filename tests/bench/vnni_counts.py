#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Instructions of the VNNI kernels' inner loops, from the disassembly.

vnni_counts.py BUILD: for each loop that multiplies, the function, the number of
vpdpbusd, of loads, of all instructions, of accesses to the stack, and the last
three per vpdpbusd. Needs objdump. Says nothing about time.
"""
import re
import subprocess
import sys

STORES = re.compile(r"(vmov\S+|vmovups|mov\S*|vextract\S+)\s.*,\s*-?\w*\([^)]*\)$")


def functions(path):
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path],
                          capture_output=True, text=True, check=True).stdout
    for name, body in re.findall(r"<(\w+)>:\n(.*?)(?:\n\n|\Z)", text, re.S):
        found = re.findall(r"^\s*([0-9a-f]+):\s+(.*?)\s*$", body, re.M)
        yield name, [(int(a, 16), i) for a, i in found]


def inner_loops(code):
    at = {address: i for i, (address, _) in enumerate(code)}
    loops = []
    for i, (_, text) in enumerate(code):
        jump = re.match(r"j\w+\s+([0-9a-f]+) ", text)
        start = at.get(int(jump.group(1), 16)) if jump else None
        if start is not None and start <= i:
            loops.append((start, i))
    for s, e in loops:
        if not any((s, e) != (a, b) and a >= s and b <= e for a, b in loops):
            yield [text for _, text in code[s:e + 1]]


def is_load(text):
    return "(" in text and not text.startswith(("lea", "nop", "cs ", "data16")) \
        and not STORES.match(text)


def main():
    build = sys.argv[1]
    print(f"{'loop':28} vpdpbusd loads   all stack")
    for isa in ("avx512vnni", "avxvnni"):
        path = f"{build}/lib/kernels/libqfuse-kernels-x86-{isa}.a"
        for name, code in functions(path):
            for loop in inner_loops(code):
                n = sum("vpdpbusd" in text for text in loop)
                # the others run over a window's rows or a row's windows
                if n == 0 or len(loop) > 2.6 * n and name.startswith("tile"):
                    continue
                loads = sum(map(is_load, loop))
                stack = sum("(%rsp" in text for text in loop)
                print(f"{isa + ' ' + name:28} {n:8} {loads:5} {len(loop):5} "
                      f"{stack:5}  {loads / n:.2f} {len(loop) / n:.2f}")


if __name__ == "__main__":
    main()
