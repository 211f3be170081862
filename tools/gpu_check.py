"""What can be shown only where there is an NVIDIA GPU: ``python tools/gpu_check.py``, or ``make gpu-check``.

For a bare machine with nvcc, CMake, pybind11, pytest and PyTorch; nothing is fetched. Each stage is a process of its
own with a limit; one that fails is written down and the next goes on. The figures of stages that were not run are kept
from the file that there is, so that stages can be spread over several calls (``--only``), and `cases` and `suite` go on
where an earlier call came to the end of its time (``--resume``). Writes benchmarks/results/gpu-NAME.json after each
stage and the output of those that failed to gpu-NAME.log, and prints a table.

    build        CPU modules and _cuda, for this machine's architecture, into build/gpu
    cases        every kernel's cases on the device
    gemm, conv, optimizer, rbm, steps   benchmarks/bench_gpu.py, by CUDA events, against PyTorch
    split        gemm again with float32 products on tensor cores (DLCORE_CUDA_GEMM=split)
    large, medium, small   gemm again with tiles of one size (DLCORE_CUDA_GEMM), dlcore alone
    memcheck, racecheck, synccheck, initcheck   compute-sanitizer on a sample of the cases
    profile      what Nsight Compute says of the hot kernels (ncu), into gpu-NAME.log
    suite        all tests on the device: what they make is made there
    avx512, amx  the cases on this machine's processor, by instructions that other machines may lack
    cpu, cpu-avx512  benchmarks/compare.py on it; products and training steps once more without tiles of AMX
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from device_tests import PYTEST, Tests, kill
from gpu_table import table

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "gpu"
SITE = BUILD / "site"
ISAS = ("avx512", "amx")
BENCHMARKS = ("gemm", "conv", "optimizer", "rbm", "steps")
TILES = ("large", "medium", "small")
SANITIZERS = ("memcheck", "racecheck", "synccheck", "initcheck")
LIMITS = {
    "build": 420, "cases": 240, "suite": 500, "profile": 120, "cpu": 300, "cpu-avx512": 150, "split": 60,
    "gemm": 60, "conv": 60, "optimizer": 40, "rbm": 150, "steps": 150,
    **dict.fromkeys(ISAS, 120), **dict.fromkeys(TILES, 40), **dict.fromkeys(SANITIZERS, 120),
}  # fmt: skip
SAMPLED = 60  # cases under compute-sanitizer
_TAIL = 1500  # characters of a failed stage's output that the record holds
_TOOLS = "/usr/local/cuda/bin"  # where the toolkit puts itself, and often not on PATH


def output(command: list[str]) -> str:
    """What a program prints; empty where there is none or it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def machine() -> dict[str, str]:
    """The GPU, its driver, and the tools."""
    names = ("name", "compute_cap", "driver_version", "clocks.max.sm", "memory.total")
    row = output(["nvidia-smi", f"--query-gpu={','.join(names)}", "--format=csv,noheader"]).split("\n")[0].split(", ")
    found = dict(zip(names, row, strict=True)) if len(row) == len(names) else {"name": "none"}
    release = re.search(r"release ([\d.]+)", output(["nvcc", "--version"]))
    found["nvcc"] = release[1] if release else "none"
    found["torch"] = output([sys.executable, "-c", "import torch; print(torch.__version__)"]) or "none"
    return found


class Check:
    """A run of the stages: where they write, and how much time is left."""

    def __init__(self, options: argparse.Namespace, target: Path, record: dict[str, Any]) -> None:
        self.options, self.target, self.record = options, target, record
        self.deadline = time.monotonic() + options.budget
        paths = [str(SITE), str(ROOT / "benchmarks"), str(ROOT / "tools")]
        if options.site:
            paths[0] = str(options.site)
        self.environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "DLCORE_TEST_DEVICE": options.device}

    def stage(self, name: str) -> None:
        """Run one, write down how it ended, and save."""
        left = self.deadline - time.monotonic()
        print(f"== {name} (at most {min(LIMITS[name], left):.0f} s)", flush=True)
        entry: dict[str, Any] = {"status": "not reached: no time was left"}
        started = time.monotonic()
        if left > 5:
            try:
                entry = {"status": "passed"} | STAGES[name](self, min(LIMITS[name], left))
            except StageFailedError as error:
                entry = {"status": "failed", "why": str(error)} | error.found
            entry["seconds"] = round(time.monotonic() - started, 1)
        self.record["stages"][name] = entry
        self.target.write_text(json.dumps(self.record, indent=1) + "\n", encoding="utf-8")
        print(f"   {entry['status']}{': ' + entry['why'] if 'why' in entry else ''}", flush=True)

    def run(self, command: list[str], limit: float, found: Callable[[], dict[str, Any]] = dict, **extra: str) -> str:
        """A program of a stage.

        Raises
        ------
        StageFailedError
            Where it fails or takes too long, with the end of its output.
        """
        process = subprocess.Popen(
            command, cwd=ROOT, env=self.environment | extra, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        try:
            text, _ = process.communicate(timeout=max(limit, 1.0))
        except subprocess.TimeoutExpired:
            kill(process)  # and its compilers, or workers on the device
            text, _ = process.communicate()
            self.log(command, text)
            raise StageFailedError(f"it took more than {limit:.0f} s", text, found()) from None
        if process.returncode != 0:
            self.log(command, text)
            raise StageFailedError(f"it ended with {process.returncode}", text, found())
        return text

    def log(self, command: list[str], text: str) -> None:
        """Keep all of a program's output."""
        with self.target.with_suffix(".log").open("a", encoding="utf-8") as file:
            file.write(f"\n==== {time.strftime('%H:%M:%S')} {' '.join(command)[:300]}\n{text}\n")


class StageFailedError(Exception):
    """A stage that did not pass, with the end of its output and what it found nevertheless."""

    def __init__(self, why: str, text: str = "", found: dict[str, Any] | None = None) -> None:
        super().__init__(why)
        self.found = {"output": text[-_TAIL:]} | summary(text) | (found or {})


def summary(text: str) -> dict[str, Any]:
    """pytest's counts, where a text ends with them."""
    counts = (
        {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped|errors?)\b", text.split("\n")[-2])}
        if (text.count("\n") > 1)
        else {}
    )
    return {"tests": counts} if counts else {}


def build(check: Check, limit: float) -> dict[str, Any]:
    if check.options.site:
        return {"note": f"left out: --site names {check.options.site}"}
    capability = check.record["machine"].get("compute_cap", "").replace(".", "")
    if not capability:
        raise StageFailedError("nvidia-smi names no GPU to build for")
    if importlib.util.find_spec("pybind11") is None:
        raise StageFailedError("pybind11 is not installed")
    pybind = output([sys.executable, "-m", "pybind11", "--cmakedir"])
    flags = [f"-Dpybind11_DIR={pybind}", f"-DPython_EXECUTABLE={sys.executable}", "-DDLCORE_CUDA=ON"]
    flags += [f"-DDLCORE_CUDA_ARCH={capability}", "-DDLCORE_ISA=avx512", "-DDLCORE_CUDA_REPORT=ON"]
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    started = time.monotonic()
    check.run(["cmake", "-S", ".", "-B", str(BUILD), *generator, *flags], limit)
    log = check.run(["cmake", "--build", str(BUILD), "--parallel"], limit - (time.monotonic() - started))
    (BUILD / "build.log").write_text(log, encoding="utf-8")
    check.log(["build"], log)
    check.run(["cmake", "--install", str(BUILD), "--prefix", str(SITE)], 60)
    shutil.copytree(ROOT / "python" / "dlcore", SITE / "dlcore", dirs_exist_ok=True)
    spills = set(re.findall(r".*[1-9]\d* bytes spill stores.*", log))
    return {"architecture": capability, "functions_that_spill": len(spills)}


def tests(name: str, *selection: str, isa: str = "") -> Callable[[Check, float], dict[str, Any]]:
    """A stage of pytest on the device, or by one of the processor's modules."""

    def stage(check: Check, limit: float) -> dict[str, Any]:
        if isa:
            missing(check, isa)
        options, extra = check.options, {"DLCORE_ISA": isa, "DLCORE_TEST_DEVICE": ""} if isa else {}
        few = ["-k", "exp"] if options.tiny else []
        chosen = Tests(ROOT, check.environment | extra, [*selection, *few], 2 if options.tiny else 16)
        before = check.record["stages"].get(name, {}) if options.resume else {}
        try:
            found = chosen.run(limit, 2 if options.tiny else min(8, os.cpu_count() or 1), before)
        except RuntimeError as error:
            raise StageFailedError(str(error)) from None
        if found["not_passed"] or found["not_reached"]:
            check.log([name], "\n\n".join(f"{test}\n{text}" for test, text in found["not_passed"].items()))
            why = f"{len(found['not_passed'])} did not pass, {found['not_reached']} were not reached (--resume)"
            raise StageFailedError(why, "", found)
        return found

    return stage


def missing(check: Check, isa: str) -> None:
    """Look whether dlcore can use an instruction set here.

    Raises
    ------
    StageFailedError
        Where it cannot, with the reason.
    """
    survey = "import sys, dlcore.device as d; print(d.describe()['modules'][sys.argv[1]])"
    why = check.run([sys.executable, "-c", survey, isa], 60).strip()
    if why != "available":
        raise StageFailedError(f"{isa}: {why}")


def sanitizer(tool: str) -> Callable[[Check, float], dict[str, Any]]:
    """A stage of compute-sanitizer on cases spread over all families."""

    def stage(check: Check, limit: float) -> dict[str, Any]:
        program = shutil.which("compute-sanitizer")
        if program is None and not check.options.tiny:
            raise StageFailedError("there is no compute-sanitizer")
        started = time.monotonic()
        listed = check.run([*PYTEST, "--collect-only", "tests/test_cases.py"], limit, DLCORE_TESTS_RECORD=os.devnull)
        names = [line for line in listed.splitlines() if "::test_agrees" in line]
        count = 3 if check.options.tiny else SAMPLED
        chosen = names[:: max(len(names) // count, 1)][:count]
        command = [] if program is None else [program, "--tool", tool, "--error-exitcode", "9"]
        left = limit - (time.monotonic() - started)
        text = check.run([*command, *PYTEST, *chosen], left, DLCORE_TESTS_RECORD=os.devnull)
        return summary(text) | {"cases": len(chosen)}

    return stage


def profile(check: Check, limit: float) -> dict[str, Any]:
    """Nsight Compute on each of the hot kernels once; its report goes to the log."""
    program = shutil.which("ncu")
    if program is None and not check.options.tiny:
        raise StageFailedError("there is no ncu")
    command = [] if program is None else [program, "--clock-control", "none", "--set", "detailed"]
    shown = [sys.executable, "benchmarks/gpu_profile.py", "--device", check.options.device]
    text = check.run([*command, *shown, *(["--tiny"] if check.options.tiny else [])], limit)
    check.log(["profile"], text)
    return {"kernels": text.count("Section: GPU Speed Of Light")}


def benchmark(family: str, *options: str, **extra: str) -> Callable[[Check, float], dict[str, Any]]:
    """A stage of benchmarks/bench_gpu.py; what was measured before a failure is kept."""

    def stage(check: Check, limit: float) -> dict[str, Any]:
        figures = check.target.with_suffix(f".{family}.tmp")
        figures.unlink(missing_ok=True)

        def found() -> dict[str, Any]:
            rows = json.loads(figures.read_text(encoding="utf-8")) if figures.exists() else []
            figures.unlink(missing_ok=True)
            return {"rows": rows}

        command = [sys.executable, "benchmarks/bench_gpu.py", family, "--device", check.options.device]
        command += ["--json", str(figures), *options, *(["--tiny"] if check.options.tiny else [])]
        check.run(command, limit, found, **extra)
        return found()

    return stage


def processor(suffix: str, isa: str = "", *only: str) -> Callable[[Check, float], dict[str, Any]]:
    """A stage of benchmarks/compare.py, by the module that dlcore chooses or by `isa`."""

    def stage(check: Check, limit: float) -> dict[str, Any]:
        if check.options.tiny:
            return {"note": "left out: --tiny"}
        if isa:
            missing(check, isa)
        target = check.target.with_name(check.target.name.replace("gpu-", f"compare-{suffix}-"))
        command = [sys.executable, "benchmarks/compare.py", "--quick", "--out", str(target)]
        text = check.run([*command, *(["--only", *only] if only else [])], limit, DLCORE_ISA=isa)
        return {"file": target.name, "end": text[-300:]}

    return stage


STAGES: dict[str, Callable[[Check, float], dict[str, Any]]] = {
    "build": build,
    "cases": tests("cases", "tests/test_cases.py"),
    **{family: benchmark(family) for family in BENCHMARKS},
    "split": benchmark("gemm", DLCORE_CUDA_GEMM="split"),
    **{tiles: benchmark("gemm", "--alone", DLCORE_CUDA_GEMM=tiles) for tiles in TILES},
    **{tool: sanitizer(tool) for tool in SANITIZERS},
    "profile": profile,
    "suite": tests("suite", "tests"),
    **{isa: tests(isa, "tests/test_cases.py", isa=isa) for isa in ISAS},
    "cpu": processor("beside"),
    "cpu-avx512": processor("beside-avx512", "avx512", "matmul", "steps", "rbm"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=STAGES, default=list(STAGES), help="these stages, in this order")
    parser.add_argument("--budget", type=float, default=570.0, help="seconds for all of them (default 570)")
    parser.add_argument("--out", type=Path, help="the file to write (default benchmarks/results/gpu-NAME.json)")
    parser.add_argument("--device", default="cuda", help="dlcore's device; cuda_host tries the script without a GPU")
    parser.add_argument("--site", type=Path, help="a folder with a built dlcore to take instead of building")
    parser.add_argument("--resume", action="store_true", help="only what earlier calls of cases and suite left")
    parser.add_argument("--tiny", action="store_true", help="few tests and small sizes, to try the script")
    options = parser.parse_args()
    os.environ["PATH"] += os.pathsep + _TOOLS
    found = machine()
    name = re.sub(r"[^a-z0-9]+", "-", found["name"].lower()).strip("-")
    target: Path = options.out or ROOT / "benchmarks" / "results" / f"gpu-{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {"stages": {}}
    if target.exists():
        record = json.loads(target.read_text(encoding="utf-8"))
    record |= {"machine": found, "date": time.strftime("%Y-%m-%d"), "device": options.device}
    check = Check(options, target, record)
    for stage in options.only:
        check.stage(stage)
    text = table(record)
    target.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0 if all(record["stages"][stage]["status"] == "passed" for stage in options.only) else 1


if __name__ == "__main__":
    sys.exit(main())
