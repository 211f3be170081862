"""Timing on a GPU: candidates take turns, each turn is timed by CUDA events on the stream that the work is issued on.

Where there is no PyTorch with a GPU, turns are timed by the host's clock; no peer is measured then.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Row:
    """One comparison: the same mathematics by each candidate.

    Parameters
    ----------
    name : what is computed
    calls : candidate -> one call; dlcore's begin with "dlcore"
    unit : "us" or "ms" for times, "TFLOP/s" or "GB/s" for `work` over time
    work : operations or bytes of one call
    results : candidate -> its result as an array; what it differs by from the first of them is written down
    per : how many units of the row (steps, epochs) a call does
    """

    name: str
    calls: dict[str, Callable[[], Any]]
    unit: str = "us"
    work: float = 0.0
    results: dict[str, Callable[[], Any]] = field(default_factory=dict)
    per: float = 1.0

    def shown(self, seconds: float) -> float:
        """A time in the row's unit."""
        scales = {"us": 1e6, "ms": 1e3}
        if self.unit in scales:
            return seconds / self.per * scales[self.unit]
        return self.work / seconds / (1e12 if self.unit == "TFLOP/s" else 1e9)


class Clock:
    """Times calls on a device.

    Parameters
    ----------
    device : dlcore's name of it
    turns : of each candidate
    least : seconds that a turn takes at least
    alone : without what is not dlcore's
    """

    def __init__(self, device: str, turns: int = 7, least: float = 0.02, alone: bool = False) -> None:
        from dlcore import placement

        self.device, self.turns, self.least, self.alone = device, turns, least, alone
        self.module = placement.find(device)
        self._number = self.module.full((1,), 0.0, "float32")
        self.torch = _torch() if device == "cuda" else None

    def _stream(self, candidate: str) -> Any:
        assert self.torch is not None
        if candidate.startswith("dlcore"):
            return self.torch.cuda.ExternalStream(self.module.stream_handle())
        return self.torch.cuda.current_stream()

    def seconds(self, candidate: str, call: Callable[[], Any], count: int) -> float:
        """Of one call, the mean of `count` in a row."""
        if self.torch is None:
            started = time.perf_counter()
            for _ in range(count):
                call()
            self._number.numpy()  # waits for what was issued
            return (time.perf_counter() - started) / count
        stream = self._stream(candidate)
        begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        self.torch.cuda.synchronize()
        begin.record(stream)
        for _ in range(count):
            call()
        end.record(stream)
        self.torch.cuda.synchronize()
        return begin.elapsed_time(end) / 1e3 / count

    def measure(self, row: Row) -> dict[str, Any]:
        """The row's record: medians and the fastest turns in its unit, ratios to the first candidate turn by turn.

        A peer that fails costs its own figures: its error is written down.
        """
        calls = {c: call for c, call in row.calls.items() if not self.alone or c.startswith("dlcore")}
        record: dict[str, Any] = {"name": row.name, "unit": row.unit}
        differences = {} if self.alone else _differences(row)
        counts, errors = {}, {}
        for candidate, call in calls.items():
            try:
                call()
                once = max(self.seconds(candidate, call, 1), 1e-7)
            except Exception as error:
                if candidate.startswith("dlcore"):
                    raise
                errors[candidate] = f"{type(error).__name__}: {error}"[:500]
                continue
            counts[candidate] = max(1, min(1000, int(self.least / once)))
        times: dict[str, list[float]] = {candidate: [] for candidate in counts}
        for _ in range(self.turns):
            for candidate, count in counts.items():
                times[candidate].append(self.seconds(candidate, calls[candidate], count))
        first = times[next(iter(times))]
        record["median"] = {c: float(f"{row.shown(statistics.median(t)):.5g}") for c, t in times.items()}
        record["best"] = {c: float(f"{row.shown(min(t)):.5g}") for c, t in times.items()}
        record["speed_of_first_over"] = {
            c: float(f"{statistics.median(b / a for a, b in zip(first, t, strict=True)):.4g}") for c, t in times.items()
        }
        if differences:
            record["relative_difference"] = differences
        if errors:
            record["errors"] = errors
        return record


def _differences(row: Row) -> dict[str, float]:
    """Of the results, relative to the first of them."""
    import numpy as np

    reference, differences = None, {}
    for candidate, result in row.results.items():
        value = np.asarray(result(), np.float64).ravel()
        if reference is None:
            reference = value
        else:
            differences[candidate] = float(np.linalg.norm(value - reference) / (np.linalg.norm(reference) or 1.0))
    return differences


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    return torch
