"""Check what ``ptxas`` said of the CUDA kernels in a build's log: ``python tools/check_spills.py LOG``.

The log is that of a build with ``DLCORE_CUDA_REPORT=ON``. Fails where a hot kernel (products, which convolutions and
RBMs share, element-wise ones and optimizers) spills registers to memory; says so where the build found no nvcc.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

HOT = re.compile(r"\d(gemm_kernel|gemm_split_kernel|update_kernel|update_packs_kernel|map_kernel|map_packs_kernel)I")
ENTRY = re.compile(r"Compiling entry function '(\w+)' for '(\w+)'")
FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
REGISTERS = re.compile(r"Used (\d+) registers")


class Kernel(NamedTuple):
    """What ptxas says of a kernel."""

    name: str
    architecture: str
    stack: int
    spilled: int  # bytes stored and loaded
    registers: int


def kernels(log: str) -> list[Kernel]:
    """Every kernel of the log. Lines of several compilers may stand between each other, those of one kernel do not."""
    found = []
    name = architecture = ""
    frame = (0, 0)
    for line in log.splitlines():
        if entry := ENTRY.search(line):
            name, architecture = entry[1], entry[2]
        elif numbers := FRAME.search(line):
            frame = (int(numbers[1]), int(numbers[2]) + int(numbers[3]))
        elif (used := REGISTERS.search(line)) and name:
            found.append(Kernel(name, architecture, *frame, int(used[1])))
            name = ""
    return found


def readable(names: list[str]) -> list[str]:
    """Without templates' arguments spelt by the compiler."""
    text = subprocess.run(["c++filt"], input="\n".join(names), check=True, capture_output=True, text=True).stdout
    return [re.sub(r"dlcore::cuda::|\(anonymous namespace\)::|^void ", "", line) for line in text.splitlines()]


def main(path: str) -> int:
    log = Path(path).read_text(encoding="utf-8", errors="replace")
    found = kernels(log)
    if not found:
        left_out = re.search(r"dlcore: leaving out _cuda: (.*)", log)
        if not left_out:
            print("check_spills: the log tells of no kernel and not why _cuda was left out")
            return 1
        print(f"check_spills: nothing to check: {left_out[1]}")
        return 0
    hot = [kernel for kernel in found if HOT.search(kernel.name)]
    spilling = [kernel for kernel in found if kernel.spilled]
    architectures = ", ".join(sorted({kernel.architecture for kernel in found}))
    print(f"{len(found)} kernels for {architectures}, {len(hot)} of them hot; {len(spilling)} spill registers")
    for kernel, name in zip(spilling, readable([kernel.name for kernel in spilling]), strict=True):
        what = "FAIL" if kernel in hot else "cold"
        print(f"{what}  {kernel.spilled} bytes, {kernel.registers} registers: {name[:160]}")
    if not hot:
        print("check_spills: no hot kernel is among them")
    return int(not hot or any(kernel in hot for kernel in spilling))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: check_spills.py LOG")
    sys.exit(main(sys.argv[1]))
