"""What `make compare` computes from times, and the page it renders; not the times."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import dlcore
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import render  # noqa: E402
import timing  # noqa: E402


def times(**turns: list[float]) -> dict[str, timing.Timing]:
    return {name: timing.Timing(list(values)) for name, values in turns.items()}


def test_ratio_of_times_is_taken_turn_by_turn() -> None:
    row = timing.Row("row", {})
    found = times(dlcore=[1.0, 2.0, 1.0], slow=[9.0, 9.0, 9.0], fast=[2.0, 4.0, 3.0])
    assert timing.ratio(found, "dlcore", row) == (2.0, "fast")


def test_ratio_counts_work_and_units() -> None:
    row = timing.Row("row", {}, "GB/s", {"dlcore": 28.0, "triad": 12.0}, {"dlcore": 10.0})
    # dlcore does ten units of 28 in 10 s, the other one of 12 in 1 s: 28 a second against 12.
    assert timing.ratio(times(dlcore=[10.0], triad=[1.0]), "dlcore", row) == (pytest.approx(28 / 12), "triad")


@pytest.mark.parametrize(("unit", "shown"), [("us", 2e6), ("ms", 2e3), ("s", 2.0), ("GFLOP/s", 4.0)])
def test_units(unit: str, shown: float) -> None:
    assert timing.Row("row", {}, unit, 8e9).shown("dlcore", 2.0) == pytest.approx(shown)


def test_rows_that_disagree_are_refused() -> None:
    results: dict[str, Any] = {"dlcore": lambda: [1.0, 2.0], "good": lambda: [1.0, 2.001], "bad": lambda: [1.0, 2.1]}
    row = timing.Row("row", {}, results=results, tolerance=1e-2)
    with pytest.raises(SystemExit, match=r"row: bad differs by 0\.045, expected 0\.01"):
        timing.agreement(row)
    del results["bad"]
    assert timing.agreement(row) == {"good": pytest.approx(1e-3 / 5**0.5)}
    results["nan"] = lambda: [1.0, float("nan")]
    with pytest.raises(SystemExit, match="nan differs"):
        timing.agreement(row)


def test_measured_record() -> None:
    row = timing.Row("row", {"dlcore": lambda: None, "peer": lambda: sum(range(2000))}, "us")
    record = timing.measure(row, 0.0, min_turns=3)
    assert record["turns"] == 3 and set(record["figures"]) == {"dlcore", "peer"}
    assert record["ratios"]["dlcore"]["peer"] == "peer" and record["ratios"]["dlcore"]["of_best_peer"] > 1
    for figure in record["figures"].values():
        assert 0 < figure["best"] <= figure["median"]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="compares one thread with two: one processor here")
def test_threads_are_compared_in_turns() -> None:
    """A candidate's own threads are set before each turn, and given back as they were asked for."""
    seen: list[int] = []
    row = timing.Row("row", {"dlcore": lambda: seen.append(dlcore.get_num_threads())})
    before = dlcore.get_num_threads()
    try:
        record = timing.measure(row, 0.0, min_turns=3, threads=2)
    finally:
        dlcore.set_num_threads(before)
    assert record["over_one_thread"]["dlcore"] > 0
    assert {1, 2} <= set(seen) and seen[-1] == 2


def test_processors_are_told_apart() -> None:
    lines = "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: {}\n\nprocessor\t: 1\nmodel\t\t: 9\n"
    assert timing.processor_name(lines.format("AMD EPYC")) == "AMD EPYC family 25 model 17"
    assert timing.processor_name(lines.format("Intel(R) Xeon(R) Gold 6148")) == "Intel(R) Xeon(R) Gold 6148"
    assert timing.processor_name("") == ""


def test_numbers() -> None:
    assert [render.number(x) for x in (1234.5, 12.345, 1.2345, 0.0012345, 0.0)] == [
        "1234", "12.3", "1.23", "0.00123", "0",
    ]  # fmt: skip


def result() -> dict[str, Any]:
    def row(dlcore: float, peer: float, **more: Any) -> dict[str, Any]:
        figures = {"dlcore": {"best": dlcore, "median": dlcore}, "torch": {"best": peer, "median": peer}}
        ratios = {"dlcore": {"of_best_peer": peer / dlcore, "peer": "torch"}}
        return {"name": "step", "unit": "ms", "figures": figures, "ratios": ratios, "turns": 5, **more}

    kernel = {"name": "sum", "operations": 10.0, "bytes": 10.0, "gflops": 5.0, "gbytes": 5.0}
    peaks = {"multiply_add_gflops": 60.0, "triad_gbytes": 8.0, "in_place_gbytes": 10.0, "bfloat16_tiles_gflops": 0.0}
    return {
        "machine": {"processor": "A Processor", "cpus": 2, "python": "3.11"},
        "versions": {"torch": "2.13", "jax": "not installed"},
        "settings": {"module": "_cpu_avx2", "date": "2026-01-01", "load_before": 0.1},
        "runs": [
            {"benchmark": "steps", "threads": 1, "rows": [row(4.0, 10.0)]},
            {"benchmark": "steps", "threads": 2, "rows": [row(2.0, 8.0, over_one_thread={"dlcore": 1.9})]},
            {"benchmark": "roofline", "threads": 1, "rows": [kernel], "peaks": peaks},
        ],
    }


def test_section_of_a_machine() -> None:
    text = "\n".join(render.section(result(), "a-processor", pictures=False))
    assert "## A Processor" in text and "torch 2.13; not installed: jax" in text
    # 4 ms against 10, and 2 against 8 on two threads; what the peer gains by them was not measured
    assert "| step, ms | 4.00 (4.00) | 10.0 (10.0) | 2.50 (torch) | 4.00 (torch) | 1.90 |  |" in text
    assert "| 1 | sum | 1.00 | 5.00 | 5.00 | 50% |" in text  # of 1 operation a byte × 10 GB/s


def test_page_keeps_its_prose() -> None:
    page = f"before\n{render.BEGIN}\nold\n{render.END}\nafter\n"
    made = render.inserted(page, ["new"])
    assert made == f"before\n{render.BEGIN}\n\nnew\n{render.END}\nafter\n"
    assert render.inserted(made, ["new"]) == made
    with pytest.raises(ValueError, match="lacks"):
        render.inserted("no marks", ["new"])


def test_the_page_is_what_the_files_say() -> None:
    """docs/performance.md is rendered from the committed figures."""
    lines: list[str] = []
    for file in sorted(render.RESULTS.glob("compare-*.json")):
        name = file.stem.removeprefix("compare-")
        found = render.section(json.loads(file.read_text(encoding="utf-8")), name, pictures=False)
        lines += [line for line in found if line]
    page = render.PAGE.read_text(encoding="utf-8")
    part = page[page.index(render.BEGIN) : page.index(render.END)]
    assert lines and [line for line in part.splitlines()[1:] if line and not line.startswith("![")] == lines


def test_pictures_are_small() -> None:
    for picture in render.PICTURES.glob("compare-*.png"):
        assert picture.stat().st_size < 60_000
