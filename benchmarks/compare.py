"""Run every comparison on one and two threads and write all figures to one file in benchmarks/results.

python benchmarks/compare.py [--seconds S]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import timing

HERE = Path(__file__).parent
SCRIPTS = ("bench_matmul", "bench_conv", "bench_rbm", "bench_steps")
PEERS = ("dlcore-native", "numpy", "torch", "scikit-learn")


def run(script: str, threads: int, seconds: float, folder: Path) -> dict[str, Any]:
    """One script in a process of its own, so that thread limits hold from the start."""
    figures = folder / f"{script}-{threads}.json"
    command = [sys.executable, str(HERE / f"{script}.py"), "--threads", str(threads), "--seconds", str(seconds)]
    print(f"\n== {script}, {threads} thread(s)", flush=True)
    subprocess.run([*command, "--json", str(figures)], check=True)
    record: dict[str, Any] = json.loads(figures.read_text(encoding="utf-8"))
    return record


def versions() -> dict[str, str]:
    found = {}
    for peer in PEERS:
        try:
            found[peer] = metadata.version(peer)
        except metadata.PackageNotFoundError:
            found[peer] = "not installed"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="time spent on one row (default 2)")
    options = parser.parse_args()
    counts = [n for n in (1, 2) if n <= len(os.sched_getaffinity(0))]
    with tempfile.TemporaryDirectory() as folder:
        records = [run(script, n, options.seconds, Path(folder)) for n in counts for script in SCRIPTS]
    machine = timing.machine()
    name = re.sub(r"[^a-z0-9]+", "-", str(machine["processor"]).lower()).strip("-")
    target = HERE / "results" / f"compare-{name}.json"
    target.parent.mkdir(exist_ok=True)
    result = {"machine": machine, "versions": versions(), "runs": records}
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"\nwritten to {target}")


if __name__ == "__main__":
    main()
