"""Run every comparison on one and two threads, write all figures to one file in benchmarks/results, and render it.

python benchmarks/compare.py [--quick] [--only SCRIPT ...]

It installs nothing: the peers that can be imported here are measured, and those that cannot are named in the file
(`make compare` installs them). The rendering into docs/performance.md is left out without Matplotlib.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import peers
import render
import timing

HERE = Path(__file__).parent
SCRIPTS = ("matmul", "conv", "random", "optimizer", "steps", "rbm", "roofline", "import")
ONE_THREAD = ("import",)


def run(script: str, threads: int, options: argparse.Namespace, folder: Path) -> dict[str, Any] | None:
    """One script in a process of its own, so that thread limits hold from the start; None where it fails."""
    figures = folder / f"{script}-{threads}.json"
    command = [sys.executable, str(HERE / f"bench_{script}.py"), "--short", "--threads", str(threads)]
    command += ["--seconds", str(options.seconds), "--turns", str(options.turns), "--json", str(figures)]
    if script == "steps" and threads == 1 and not options.quick:
        command.append("--compiled")
    print(flush=True)
    # A row may be refused, or a peer break: the others' figures are kept.
    if subprocess.run(command, check=False).returncode != 0 or not figures.exists():
        return None
    record: dict[str, Any] = json.loads(figures.read_text(encoding="utf-8"))
    del record["machine"]
    return record


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """What the figures depend on besides the machine and the versions."""
    import dlcore.device

    return {
        "module": f"_cpu_{dlcore.device.isa}",
        "products": getattr(dlcore, "get_matmul_precision", lambda: "exact")(),
        "seconds_a_row": options.seconds,
        "least_turns": options.turns,
        "environment": {k: v for k, v in os.environ.items() if k.startswith(("DLCORE_", "OMP_", "GOMP_", "XLA_"))},
        "load_before": float(f"{os.getloadavg()[0]:.2g}"),
        "date": time.strftime("%Y-%m-%d"),
    }


def slug(processor: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", processor.lower()).strip("-")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="time spent on one row (default 1)")
    parser.add_argument("--turns", type=int, default=5, help="least number of turns of each candidate (default 5)")
    parser.add_argument("--quick", action="store_true", help="0.2 seconds and 3 turns a row, on one thread")
    parser.add_argument("--only", nargs="*", choices=SCRIPTS, default=SCRIPTS, help="run these, keep the other figures")
    parser.add_argument("--out", type=Path, help="write here, and render nothing")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.turns = min(options.seconds, 0.2), 3
    machine, started = timing.machine(), time.time()
    name = slug(str(machine["processor"]))
    target: Path = options.out or HERE / "results" / f"compare-{name}.json"
    result: dict[str, Any] = {"machine": machine, "versions": peers.versions(), "settings": settings(options)}
    counts = [n for n in (1, 2) if n <= len(os.sched_getaffinity(0)) and (n == 1 or not options.quick)]
    jobs = [(script, n) for n in counts for script in SCRIPTS if script in options.only]
    runs: dict[tuple[str, int], dict[str, Any]] = {}
    own: dict[str, Any] = {}
    if target.exists() and set(options.only) != set(SCRIPTS):
        old = json.loads(target.read_text(encoding="utf-8"))
        own, result["settings"] = result["settings"], old["settings"]  # what is measured anew says how by itself
        runs = {(record["benchmark"], record["threads"]): record for record in old.get("runs", [])}
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for script, threads in jobs:
            if threads > 1 and script in ONE_THREAD:
                continue
            record = run(script, threads, options, Path(folder))
            if record is None:
                failed.append(f"{script}, {threads} thread(s)")
            else:
                runs[script, threads] = record | ({"settings": own} if own else {})
    order = {script: i for i, script in enumerate(SCRIPTS)}
    kept = [runs[key] for key in sorted(runs, key=lambda key: (key[1], order.get(key[0], 99)))]
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({**result, "failed": failed, "runs": kept}, indent=1) + "\n", encoding="utf-8")
    print(f"\n{time.time() - started:.0f} s; written to {target}")
    if not options.out:
        render.main()
    for what in failed:
        print(f"FAILED: {what}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
