"""The judging part of tools/perf_gate.py; the counting needs valgrind and runs by itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import perf_gate  # noqa: E402

RECORDED = {"product": 1000, "Adam": 2000}


@pytest.mark.parametrize("product", [971, 1000, 1030])
def test_within_the_tolerance(product: int) -> None:
    assert perf_gate.compared(RECORDED, {"product": product, "Adam": 2000}, 0.03) == ([], [])


def test_a_slowed_kernel_fails() -> None:
    fails, stale = perf_gate.compared(RECORDED, {"product": 1031, "Adam": 2000}, 0.03)
    assert fails == ["product: 1,000 recorded, 1,031 found (+3.1%)"] and stale == []


def test_a_faster_one_is_to_be_recorded() -> None:
    fails, stale = perf_gate.compared(RECORDED, {"product": 1000, "Adam": 1900}, 0.03)
    assert fails == [] and stale == ["Adam: 2,000 recorded, 1,900 found (-5.0%)"]


def test_paths_that_come_and_go() -> None:
    fails, stale = perf_gate.compared(RECORDED, {"product": 1000, "new": 5}, 0.03)
    assert fails == ["Adam: recorded, but not counted"] and stale == ["new: 5 instructions, not recorded"]


def test_counts_of_dumps() -> None:
    text = """desc: Trigger: Client Request: product
summary: 12
totals: 12
desc: Trigger: Client Request: fit: 1
totals: 30
desc: Trigger: Client Request: fit: 2
totals: 45
desc: Trigger: Program termination
totals: 99
"""
    counts = perf_gate.parsed(text)
    assert counts == {"product": 12, "fit: 1": 30, "fit: 2": 45}
    assert perf_gate.steps_of_fits(counts) == {"product": 12, "fit": 15}


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A gate whose counts are given, and whose record is {product: 1000} by one toolchain."""
    record = tmp_path / "instructions.json"
    record.write_text(json.dumps({"compiler": "GCC 1", "python": "3.10", "instructions": {"product": 1000}}))
    monkeypatch.setattr(perf_gate, "RECORD", record)
    monkeypatch.setattr(perf_gate, "missing", lambda: "")
    monkeypatch.setattr(perf_gate, "toolchain", lambda: {"compiler": "GCC 1", "python": "3.10"})

    def run(product: int, *arguments: str) -> int:
        monkeypatch.setattr(perf_gate, "counted", lambda: {"product": product})
        monkeypatch.setattr(sys, "argv", ["perf_gate.py", *arguments])
        return perf_gate.main()

    return run


def test_exit_status(gate: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate(1010) == 0 and "perf-gate: passed, 1 paths, within 3%" in capsys.readouterr().out
    assert gate(1100) == 1 and "perf-gate: FAILED" in capsys.readouterr().out
    assert gate(1100, "--record") == 0 and gate(1100) == 0
    capsys.readouterr()
    monkeypatch.setattr(perf_gate, "toolchain", lambda: {"compiler": "GCC 2", "python": "3.10"})
    assert gate(2000) == 0
    assert "not judged: compiler is GCC 2, recorded with GCC 1" in capsys.readouterr().out


def test_skipped_with_a_reason(gate: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(perf_gate, "missing", lambda: "valgrind is not installed")
    assert gate(2000) == 0 and capsys.readouterr().out == "perf-gate: skipped: valgrind is not installed\n"
    assert gate(2000, "--record") == 1


def test_the_record_names_what_it_depends_on() -> None:
    record = json.loads((ROOT / "benchmarks" / "results" / "instructions.json").read_text())
    assert set(record) == {"compiler", "python", "instructions"}
    assert len(record["instructions"]) >= 10 and all(count > 1000 for count in record["instructions"].values())
