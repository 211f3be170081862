"""What a run gave: as JSON, as text, and as the rows of the page of results."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, device
from .session import Session, replace_text
from .setting import Figure, Setting

BEGIN, END = "<!-- results: written by dlcore reproduce -->", "<!-- end of the results -->"


def make_result(
    setting: Setting, session: Session, values: Mapping[str, float], quick: bool, changed: bool
) -> dict[str, Any]:
    """A run as JSON holds it."""
    asked = {figure.name: figure for figure in (setting.quick_figures if quick else setting.figures)}
    figures = []
    order = [*(figure.name for figure in setting.figures if figure.name in values), *values]
    for name in dict.fromkeys(order):
        value = values[name]
        figure = Figure(name) if changed else asked.get(name, Figure(name))
        published = next((known.published for known in setting.figures if known.name == name), None)
        figures.append(
            {
                "name": name,
                "unit": next((known.unit for known in setting.figures if known.name == name), ""),
                "value": value,
                "published": published,
                "expected": figure.expected,
                "asked": figure.asked,
                "within": figure.is_within(value),
            }
        )
    return {
        "name": setting.name,
        "quick": quick,
        "changed": changed,
        "figures": figures,
        "seconds": {"all": sum(session.seconds.values())} | session.seconds,
        "processor_seconds": {"all": sum(session.processor_seconds.values())} | session.processor_seconds,
        "epochs": session.epochs,
        "summary": setting.summary,
        "source": setting.source,
        "published": setting.published,
        "differences": setting.differences,
        "settings": session.settings,
        "seed": session.seed,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "version": __version__,
        "machine": machine(),
    }


def machine() -> dict[str, Any]:
    """What the run was made on."""
    return {
        "processor": processor(),
        "module": device.describe()["isa"],
        "threads": device.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def processor(file: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name, as the system has it."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """Write it as JSON, in one step."""
    replace_text(path, json.dumps(result, indent=1, ensure_ascii=False))


def read_results(folder: Path) -> list[dict[str, Any]]:
    """All results in a folder, by file name.

    Raises
    ------
    ValueError
        For a JSON file that is no result.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or not {"name", "figures", "seconds", "machine"} <= set(content):
            raise ValueError(f"reproduce: {str(path)!r} is not a result of this command")
        found.append(content)
    return found


def is_reproduced(result: Mapping[str, Any]) -> bool:
    """Whether no figure is outside what is asked of it."""
    return all(figure["within"] is not False for figure in result["figures"])


def number(value: float | None) -> str:
    """A figure as text: four significant digits or so; nothing for none."""
    if value is None:
        return ""
    return f"{value:.3f}" if abs(value) < 2 else f"{value:.2f}"


def duration(seconds: float) -> str:
    """Seconds, or minutes from two of them on."""
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def figure_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """Heads and a row per figure, for the terminal."""
    rows = [["figure", "published", "here", "asked", ""]]
    for figure in result["figures"]:
        unit = f" {figure['unit']}" if figure["unit"] else ""
        texts = [
            f"{text}{unit}" if text else ""
            for text in (number(figure["published"]), number(figure["value"]), figure["asked"])
        ]
        verdict = {True: "within", False: "OUTSIDE", None: ""}[figure["within"]]
        rows.append([figure["name"], *texts, verdict])
    return rows


def _durations(result: Mapping[str, Any]) -> str:
    used = result.get("processor_seconds")  # results from before it was measured lack it
    passed = duration(result["seconds"]["all"])
    return f"{passed} ({duration(used['all'])})" if used else passed


def _epochs(counts: Mapping[str, list[int]]) -> str:
    """The layers' epochs of each phase; phases that differ in a number at the end, which are repeated, once."""
    texts = {phase.rstrip("0123456789- "): " + ".join(map(str, layers)) for phase, layers in counts.items()}
    return ", ".join(f"{text} {phase}" if len(texts) > 1 else text for phase, text in texts.items())


def markdown_table(results: list[dict[str, Any]], order: list[str]) -> str:
    """The table of the page of results: full runs, then quick ones."""
    head = ["name", "figure", "published", "here", "asked", "time (processor)", "epochs", "threads", "version, date"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    ranked = sorted(results, key=lambda r: (r["quick"], order.index(r["name"]) if r["name"] in order else len(order)))
    for result in ranked:
        title = f"{result['name']} --quick" if result["quick"] else result["name"]
        tail = [_durations(result), _epochs(result["epochs"]), str(result["machine"]["threads"])]
        tail.append(f"{result['version']}, {result['date']}")
        for i, row in enumerate(figure_rows(result)[1:]):
            name, published, here, asked, verdict = row
            shown = f"**{here}**" if verdict == "within" else f"{here} (outside)" if verdict else here
            cells = [f"`{title}`" if i == 0 else "", name, published, shown, asked]
            lines.append(f"| {' | '.join([*cells, *(tail if i == 0 else [''] * len(tail))])} |")
    return "\n".join(lines)


def replace_table(page: Path, table: str) -> None:
    """Put a table between the marks of a page.

    Raises
    ------
    ValueError
        If the page lacks them.
    """
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"reproduce: {str(page)!r} lacks the marks {BEGIN!r} and {END!r}")
    replace_text(page, f"{before}{BEGIN}\n{table}\n{END}{after}".rstrip("\n"))
