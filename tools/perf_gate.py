"""Compare the instructions of the hot paths with the recorded ones: python tools/perf_gate.py [--record]

Timing on a shared machine cannot show a loss of a few hundredths; instructions, counted by callgrind, can. They are
those of the module `_cpu_avx2` (valgrind knows no AVX-512), of the installed package, on one thread. They depend on the
compiler and, through what Python itself does, on its version: where either is not that of the record, the counts are
shown and nothing fails. Nothing can be counted, and that is said, where valgrind, its headers, a C compiler or AVX2
is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent
RECORD = HERE.parent / "benchmarks" / "results" / "instructions.json"
TOLERANCE = 0.03
AT = "desc: Trigger: Client Request: "  # of a dump that was asked for by name
FIT = re.compile(r"(.*): ([12])$")  # a fit's two lengths; their difference is what a step takes


def missing() -> str:
    """Why nothing can be counted here, or ""."""
    if platform.machine() != "x86_64":
        return f"this processor is {platform.machine()}, the gate counts the AVX2 module"
    for tool in ("valgrind", "cc"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    probe = subprocess.run(
        ["cc", "-E", "-include", "valgrind/callgrind.h", "-x", "c", os.devnull], capture_output=True, check=False
    )
    if probe.returncode != 0:
        return "valgrind/callgrind.h is not installed"
    code = "import dlcore.device as d; print(d.describe()['modules'].get('avx2', 'not built'))"
    environment = {key: value for key, value in os.environ.items() if key != "DLCORE_ISA"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    if found.returncode != 0:
        raise SystemExit(f"perf-gate: dlcore cannot be imported by {sys.executable}:\n{found.stderr}")
    state = found.stdout.strip()
    return "" if state == "available" else f"the module _cpu_avx2 is {state}"


def toolchain() -> dict[str, str]:
    """What a count depends on besides the code: the compiler that the module names, and Python."""
    code = "import dlcore._cpu_avx2 as m; print(m.__file__)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = re.findall(rb"GCC: \([^)]*\) [0-9.]+|clang version [0-9.]+", Path(found.stdout.strip()).read_bytes())
    compiler = names[0].decode() if names else "unknown"
    return {"compiler": compiler, "python": ".".join(platform.python_version_tuple()[:2])}


def parsed(text: str) -> dict[str, int]:
    """Instructions of each dump of callgrind, by the name that it was dumped at."""
    found: dict[str, int] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("desc: Trigger: "):
            name = line.removeprefix(AT).strip() if line.startswith(AT) else ""
        elif line.startswith(("totals: ", "summary: ")) and name:
            found[name] = int(line.split()[1])
    return found


def steps_of_fits(counts: Mapping[str, int]) -> dict[str, int]:
    """With the two lengths of a fit replaced by their difference: what a fit does once is left out."""
    found: dict[str, int] = {}
    for name, count in counts.items():
        match = FIT.match(name)
        if match is None:
            found[name] = count
        elif match[2] == "2":
            found[match[1]] = count - counts[f"{match[1]}: 1"]
    return found


def counted() -> dict[str, int]:
    """Run the paths under callgrind."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
    environment |= {"DLCORE_ISA": "avx2", "DLCORE_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    # What Python compiles once must not be counted.
    subprocess.run([sys.executable, "-c", "import dlcore, dlcore.models"], check=True, env=environment)
    with tempfile.TemporaryDirectory() as folder:
        library, out = str(Path(folder) / "client.so"), Path(folder) / "callgrind.out"
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", str(HERE / "perf_gate.c"), "-o", library], check=True)
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", "-q"]
        command += [sys.executable, str(HERE / "perf_gate_paths.py"), library]
        done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"perf-gate: the paths failed under valgrind:\n{done.stdout}{done.stderr}")
        dumps = sorted(Path(folder).glob("callgrind.out.*"), key=lambda file: int(file.suffix[1:]))
        text = "\n".join(file.read_text(errors="replace") for file in dumps)
    found = steps_of_fits(parsed(text))
    if len(found) < 2:
        raise SystemExit("perf-gate: callgrind wrote no counts")
    return found


def compared(recorded: Mapping[str, int], found: Mapping[str, int], tolerance: float) -> tuple[list[str], list[str]]:
    """(what fails, what is to be recorded anew): paths with more, and with fewer, instructions than recorded.

    A path that was recorded and is not counted any more fails; one that is new is to be recorded.
    """
    fails, stale = [], []
    for name in {**recorded, **found}:
        if name not in found:
            fails.append(f"{name}: recorded, but not counted")
        elif name not in recorded:
            stale.append(f"{name}: {found[name]:,} instructions, not recorded")
        else:
            change = found[name] / recorded[name] - 1
            line = f"{name}: {recorded[name]:,} recorded, {found[name]:,} found ({change:+.1%})"
            if found[name] > recorded[name] * (1 + tolerance):
                fails.append(line)
            elif found[name] < recorded[name] * (1 - tolerance):
                stale.append(line)
    return fails, stale


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write the counts of this build, to compare with")
    options = parser.parse_args()
    if why := missing():
        print(f"perf-gate: skipped: {why}")
        return int(options.record)
    found, built = counted(), toolchain()
    for name, count in found.items():
        print(f"  {name:42} {count:>14,}")
    if options.record:
        RECORD.write_text(json.dumps({**built, "instructions": found}, indent=1) + "\n", encoding="utf-8")
        print(f"perf-gate: recorded {len(found)} paths in {RECORD}")
        return 0
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    fails, stale = compared(record["instructions"], found, TOLERANCE)
    for what in stale:
        print(f"perf-gate: record anew (make perf-gate-record): {what}")
    for what in fails:
        print(f"perf-gate: more instructions: {what}")
    differs = [f"{key} is {built[key]}, recorded with {record[key]}" for key in built if built[key] != record[key]]
    if differs:
        print(f"perf-gate: not judged: {'; '.join(differs)}")
        return 0
    print(f"perf-gate: {'FAILED' if fails else 'passed'}, {len(found)} paths, within {TOLERANCE:.0%}")
    return int(bool(fails))


if __name__ == "__main__":
    sys.exit(main())
