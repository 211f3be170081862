"""Timing that survives a busy machine: candidates take turns in short bursts, and ratios are taken turn by turn."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peers


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


@dataclass
class Row:
    """One comparison: the same mathematics by each candidate.

    Parameters
    ----------
    name : what is computed
    calls : candidate -> one call; dlcore's own begin with "dlcore"
    unit : "us", "ms" or "s" for times; "GFLOP/s", "GB/s" or "G/s" for `work` over time
    work : operations, bytes or draws of one unit of the row, or for each candidate its own
    per : how many units of the row (training steps, epochs) one call of a candidate does, 1 unless given
    results : candidate -> what must agree, computed once before the timing
    tolerance : the largest difference ‖a − reference‖ / ‖reference‖; the reference is the first of `results`
    short : whether `compare.py` runs it
    """

    name: str
    calls: dict[str, Callable[[], Any]]
    unit: str = "us"
    work: float | dict[str, float] = 0.0
    per: dict[str, float] = field(default_factory=dict)
    results: dict[str, Callable[[], Any]] = field(default_factory=dict)
    tolerance: float = 0.0
    short: bool = True

    def work_of(self, candidate: str) -> float:
        """Work in a unit of the row; 1 where only times count."""
        work = self.work[candidate] if isinstance(self.work, dict) else self.work
        return work or 1.0

    def shown(self, candidate: str, seconds: float) -> float:
        """A time in the row's unit."""
        scales = {"us": 1e6, "ms": 1e3, "s": 1.0}
        return seconds * scales[self.unit] if self.unit in scales else self.work_of(candidate) / seconds / 1e9


def agreement(row: Row) -> dict[str, float]:
    """‖a − reference‖ / ‖reference‖ of every candidate that has a result.

    Raises
    ------
    SystemExit
        Where one differs by more than the row's tolerance: nothing is timed then.
    """
    import numpy as np

    found: dict[str, float] = {}
    reference = None
    for candidate, result in row.results.items():
        value = np.asarray(result(), dtype=np.float64).ravel()
        if reference is None:
            reference = value
            continue
        difference = float(np.linalg.norm(value - reference) / np.linalg.norm(reference))
        found[candidate] = difference
        if not difference <= row.tolerance:
            raise SystemExit(f"{row.name}: {candidate} differs by {difference:.2g}, expected {row.tolerance:.2g}")
    return found


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, default=1, help="threads of every candidate (default 1)")
    parser.add_argument("--seconds", type=float, default=1.0, help="time spent on one row (default 1)")
    parser.add_argument("--only", default="", help="rows whose name contains this text")
    parser.add_argument("--short", action="store_true", help="only the rows that compare.py shows")
    parser.add_argument("--turns", type=int, default=5, help="least number of turns of each candidate (default 5)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser


# With one thread, the time this process was running: what else runs on the machine does not count.
_clock = time.perf_counter
# With several, idle threads of OpenBLAS spin for about 0.1 s after a call and would slow the turn of the next library.
_rest = 0.0


def limit_threads(threads: int) -> None:
    """Pin the process, raise its priority where that is allowed and set every library's thread count.

    Call it before NumPy or dlcore is imported. What starts threads by itself (JAX) sees as many processors as threads.
    """
    global _clock, _rest
    _clock = time.process_time if threads == 1 else time.perf_counter
    _rest = 0.0 if threads == 1 else 0.15
    available = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, available[-threads:])  # the first processor serves most interrupts
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "DLCORE_NUM_THREADS"):
        os.environ[variable] = str(threads)
    os.environ["JAX_PLATFORMS"] = "cpu"


def burst(call: Callable[[], Any], calls: int) -> float:
    start = _clock()
    for _ in range(calls):
        call()
    return (_clock() - start) / calls


def interleaved(
    candidates: Mapping[str, Callable[[], Any]],
    seconds: float = 1.0,
    burst_seconds: float = 0.004,
    min_turns: int = 5,
    before: Callable[[str], None] = lambda name: None,
) -> dict[str, Timing]:
    """Time the candidates in turns A B A B ..., each turn a burst of about `burst_seconds` after a call of `before`."""
    burst_seconds = max(burst_seconds, _rest / 3)
    calls = {}
    for name, call in candidates.items():
        before(name)
        call()  # first calls allocate and start threads
        once = burst(call, 1)
        if once < burst_seconds:
            once = min(burst(call, 1) for _ in range(3))
        calls[name] = max(1, int(burst_seconds / max(once, 1e-8)))
    timings = {name: Timing() for name in candidates}
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or len(next(iter(timings.values())).turns) < min_turns:
        for name, call in candidates.items():
            time.sleep(_rest)
            before(name)
            timings[name].turns.append(burst(call, calls[name]))
    return timings


def ratio(timings: Mapping[str, Timing], ours: str, row: Row) -> tuple[float, str]:
    """(speed relative to the best peer, its name): the median over turns of our rate over the peer's.

    (nan, "") where there is no peer.
    """

    def seconds(candidate: str, turn: float) -> float:
        """Of one unit of work."""
        return turn / row.per.get(candidate, 1.0) / row.work_of(candidate)

    peers = [name for name in timings if not name.startswith("dlcore")]
    if not peers:
        return float("nan"), ""
    best = min(peers, key=lambda name: seconds(name, timings[name].median))
    pairs = zip(timings[best].turns, timings[ours].turns, strict=True)
    return statistics.median(seconds(best, theirs) / seconds(ours, mine) for theirs, mine in pairs), best


def scaling(row: Row, name: str, threads: int, seconds: float, min_turns: int) -> float:
    """How much faster a candidate is on so many threads than on one, both by the clock and in turns."""
    counts = {f"{name}, {n}": n for n in (1, threads)}
    calls = dict.fromkeys(counts, row.calls[name])
    found = interleaved(calls, seconds, min_turns=min_turns, before=lambda which: peers.set_threads(counts[which]))
    one, all_ = (timed.turns for timed in found.values())
    return statistics.median(a / b for a, b in zip(one, all_, strict=True))


def measure(row: Row, seconds: float, min_turns: int = 5, threads: int = 1) -> dict[str, Any]:
    """Check a row, time it and print it; its record."""
    difference = agreement(row)
    timings = interleaved(row.calls, seconds, min_turns=min_turns)
    record: dict[str, Any] = {"name": row.name, "unit": row.unit, "turns": {}, "figures": {}, "ratios": {}}
    for name, timed in timings.items():
        per = row.per.get(name, 1.0)
        best, median = (row.shown(name, t / per) for t in (timed.best, timed.median))
        record["figures"][name] = {"best": float(f"{best:.4g}"), "median": float(f"{median:.4g}")}
        record["turns"][name] = len(timed.turns)
    record["turns"] = min(record["turns"].values())
    for name in timings:
        if name.startswith("dlcore") and any(not peer.startswith("dlcore") for peer in timings):
            value, peer = ratio(timings, name, row)
            record["ratios"][name] = {"of_best_peer": float(f"{value:.4g}"), "peer": peer}
    if threads > 1:
        compared = record["ratios"].get("dlcore", {"peer": ""})["peer"]
        scaled = [name for name in ("dlcore", compared) if name in row.calls and peers.changes_threads(name)]
        found = {name: scaling(row, name, threads, seconds / 2, min_turns) for name in scaled}
        record["over_one_thread"] = {name: float(f"{value:.4g}") for name, value in found.items()}
    if row.results:
        record["agreement"] = {name: float(f"{value:.2g}") for name, value in difference.items()}
        record["tolerance"] = row.tolerance
    cells = "  ".join(f"{name} {figure['median']:.4g}" for name, figure in record["figures"].items())
    ratios = ", ".join(f"{r['of_best_peer']:.2f} x {r['peer']}" for r in record["ratios"].values())
    print(f"{row.name:42} {row.unit:8} {cells}{'  = ' if ratios else ''}{ratios}", flush=True)
    return record


def run(benchmark: str, options: argparse.Namespace, rows: Iterable[Callable[[], Row] | Row]) -> None:
    """Measure the rows that the options ask for; what makes a row is called when its turn comes."""
    print(f"{benchmark}, {options.threads} thread(s): medians; how fast dlcore is against the best peer", flush=True)
    records = []
    for make in rows:
        row = make() if callable(make) else make
        if options.only in row.name and (row.short or not options.short):
            records.append(measure(row, options.seconds, options.turns, options.threads))
    write_json(options.json, benchmark, options.threads, records)


def processor_name(cpuinfo: str) -> str:
    """The first processor of /proc/cpuinfo; with family and model where a virtual machine names no generation."""
    facts = dict(re.findall(r"^(model name|cpu family|model)\s*: (.*)$", cpuinfo.partition("\n\n")[0], re.MULTILINE))
    name = facts.get("model name", "").strip()
    if name and not re.search(r"\d", name) and "model" in facts:
        name += f" family {facts.get('cpu family', '?')} model {facts['model']}"
    return name


def machine() -> dict[str, Any]:
    """What a figure depends on besides the code."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    return {
        "processor": processor_name(text) or platform.processor(),
        "cpus": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def write_json(path: Path | None, benchmark: str, threads: int, rows: list[dict[str, Any]], **more: Any) -> None:
    if path is not None:
        record = {"benchmark": benchmark, "threads": threads, "machine": machine(), **more, "rows": rows}
        path.write_text(json.dumps(record, indent=1) + "\n")
