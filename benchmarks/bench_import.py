"""What a package costs before it does anything: the time of its import beyond NumPy's, and its installed size.

python benchmarks/bench_import.py [--json FILE]

Each import runs in a fresh interpreter, its files cached by the system; the size is that of what the package and
whatever it requires put into site-packages, without NumPy.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import timing

MODULES = {
    "dlcore-native": "dlcore",
    "torch": "torch",
    "jax": "jax.numpy",
    "scikit-learn": "sklearn.neural_network",
}
CODE = "import numpy, time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


def import_seconds(module: str) -> float:
    command = [sys.executable, "-c", CODE.format(module)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def requirements(name: str, found: set[str]) -> set[str]:
    """The distributions that `name` and what it requires here are, without extras and NumPy."""
    canonical = re.sub(r"[-_.]+", "-", name).lower()
    if canonical == "numpy" or canonical in found:
        return found
    try:
        listed = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return found  # of another platform
    found.add(canonical)
    for line in listed:
        if "extra ==" not in line:
            requirements(re.split(r"[ <>=!~;(\[]", line)[0], found)
    return found


def installed_mebibytes(name: str) -> float:
    total = 0
    for distribution in requirements(name, set()):
        for file in metadata.files(distribution) or []:
            path = Path(str(file.locate()))
            if path.suffix != ".pyc" and path.is_file():
                total += path.stat().st_size
    return total / 2**20


def installed(name: str) -> bool:
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False


def row(title: str, unit: str, values: dict[str, list[float]]) -> dict[str, Any]:
    figures = {
        name: {"best": float(f"{min(v):.3g}"), "median": float(f"{sorted(v)[len(v) // 2]:.3g}")}
        for name, v in values.items()
    }
    print(f"{title:42} {unit:8} " + "  ".join(f"{n} {f['median']:.4g}" for n, f in figures.items()), flush=True)
    ours, peers = figures["dlcore"]["median"], {n: f["median"] for n, f in figures.items() if n != "dlcore"}
    best = min(peers, key=lambda n: peers[n], default="")
    ratios = {"dlcore": {"of_best_peer": float(f"{peers[best] / ours:.3g}"), "peer": best}} if best else {}
    turns = len(next(iter(values.values())))
    return {"name": title, "unit": unit, "turns": turns, "figures": figures, "ratios": ratios}


def main() -> None:
    options = timing.arguments(__doc__).parse_args()
    timing.limit_threads(options.threads)
    shown: Callable[[str], str] = lambda name: "dlcore" if name == "dlcore-native" else name  # noqa: E731
    there = {name: module for name, module in MODULES.items() if installed(name)}
    there["dlcore-native"] = "dlcore"
    times: dict[str, list[float]] = {shown(name): [] for name in there}
    for turn in range(options.turns + 1):
        for name, module in there.items():
            seconds = import_seconds(module)
            if turn:  # the first brings the files into memory
                times[shown(name)].append(seconds)
    rows = [row("import beyond NumPy", "s", times)]
    if installed("dlcore-native"):
        rows.append(row("installed size", "MiB", {shown(name): [installed_mebibytes(name)] for name in there}))
    timing.write_json(options.json, "import", options.threads, rows)


if __name__ == "__main__":
    main()
