"""Timing that survives a busy machine: candidates take turns in short bursts, and ratios are taken turn by turn."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Timing:
    """Seconds of one call, one entry for each turn."""

    turns: list[float] = field(default_factory=list)

    @property
    def best(self) -> float:
        return min(self.turns)

    @property
    def median(self) -> float:
        return statistics.median(self.turns)

    def rate(self, work: float) -> float:
        """Work (flops, bytes) per second in the best turn, in units of 1e9."""
        return work / self.best / 1e9


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, default=1, help="threads of every candidate (default 1)")
    parser.add_argument("--seconds", type=float, default=1.0, help="time spent on one row (default 1)")
    parser.add_argument("--only", default="", help="rows whose name contains this text")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser


# With one thread, the time this thread was running: what else runs on the machine does not count.
_clock = time.perf_counter
# With several, idle threads of OpenBLAS spin for about 0.1 s after a call and would slow the turn of the next library.
_rest = 0.0


def limit_threads(threads: int) -> None:
    """Pin the process and set every library's thread count; call it before NumPy or dlcore is imported."""
    global _clock, _rest
    _clock = time.thread_time if threads == 1 else time.perf_counter
    _rest = 0.0 if threads == 1 else 0.15
    available = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, available[-threads:])  # the first processor serves most interrupts
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "DLCORE_NUM_THREADS"):
        os.environ[variable] = str(threads)


def _burst(call: Callable[[], Any], calls: int) -> float:
    start = _clock()
    for _ in range(calls):
        call()
    return (_clock() - start) / calls


def interleaved(
    candidates: Mapping[str, Callable[[], Any]], seconds: float = 1.0, burst_seconds: float = 0.004, min_turns: int = 5
) -> dict[str, Timing]:
    """Time the candidates in turns A B A B ..., each turn a burst of about `burst_seconds`."""
    burst_seconds = max(burst_seconds, _rest / 3)
    calls = {}
    for name, call in candidates.items():
        call()  # first calls allocate and start threads
        once = min(_burst(call, 1) for _ in range(3))
        calls[name] = max(1, int(burst_seconds / max(once, 1e-8)))
    timings = {name: Timing() for name in candidates}
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or len(next(iter(timings.values())).turns) < min_turns:
        for name, call in candidates.items():
            time.sleep(_rest)
            timings[name].turns.append(_burst(call, calls[name]))
    return timings


def ratio(timings: Mapping[str, Timing], ours: str) -> tuple[float, str]:
    """(speed relative to the best other candidate, its name): the median over turns of its time over ours."""
    others = [name for name in timings if name != ours]
    if not others:
        return float("nan"), ""
    best = min(others, key=lambda name: timings[name].median)
    pairs = zip(timings[best].turns, timings[ours].turns, strict=True)
    return statistics.median(theirs / mine for theirs, mine in pairs), best


def machine() -> dict[str, Any]:
    """What a figure depends on besides the code."""
    model = platform.processor()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return {"processor": model, "cpus": os.cpu_count(), "python": platform.python_version()}


def write_json(path: Path | None, benchmark: str, threads: int, rows: list[dict[str, Any]]) -> None:
    if path is not None:
        record = {"benchmark": benchmark, "threads": threads, "machine": machine(), "rows": rows}
        path.write_text(json.dumps(record, indent=1) + "\n")
