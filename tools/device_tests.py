"""Tests on a device, by several processes at a time, of which each may die, hang, or lose the device by one test: that
test is written down, and another process goes on behind it. Used by ``tools/gpu_check.py``."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

PYTEST = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "--rootdir", ".", "-o", "addopts=", "-q"]
PYTEST += ["-p", "no:cacheprovider", "-p", "device_recorder", "--tb=short"]
HANGS = 90.0  # seconds of one test
SHOWN = 100  # tests that did not pass, of which the text is kept


def kill(process: subprocess.Popen[Any]) -> None:
    """End a process and what it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()


def sources(root: Path) -> str:
    """A digest of the code that tests run and of the tests."""
    digest = hashlib.sha256()
    for folder in ("csrc", "cuda", "python", "tests"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".py", ".h", ".cpp", ".cu", ".cuh"):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.endswith("}"):
                yield json.loads(line)


class Tests:
    """Tests below a root.

    Parameters
    ----------
    root : the repository
    environment : of the processes; PYTHONPATH has this folder, for the plugin
    selection : files, and options of pytest that choose tests
    shares : the parts that processes take, and that a later call may go on behind
    """

    def __init__(self, root: Path, environment: dict[str, str], selection: list[str], shares: int = 16) -> None:
        self.shares = shares
        self.root, self.environment, self.selection = root, environment, selection

    def _start(self, folder: Path, name: str, **extra: str) -> tuple[subprocess.Popen[str], Path, Path]:
        record, log = folder / f"{name}.record", folder / f"{name}.log"
        with log.open("w", encoding="utf-8") as file:
            process = subprocess.Popen(
                [*PYTEST, *self.selection, *(["--collect-only"] if "DLCORE_TESTS_WANTED" not in extra else [])],
                cwd=self.root, env=self.environment | {"DLCORE_TESTS_RECORD": str(record)} | extra, text=True,
                stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        return process, record, log

    def ids(self, limit: float) -> list[str]:
        """All of them, in their order.

        Raises
        ------
        RuntimeError
            Where they cannot be collected, with the end of what pytest said.
        """
        with TemporaryDirectory() as name:
            process, record, log = self._start(Path(name), "collect")
            try:
                process.wait(limit)
            except subprocess.TimeoutExpired:
                kill(process)
            found = [line["collected"] for line in _lines(record)]
            if process.returncode != 0 or not found:
                raise RuntimeError(f"no tests were collected: {log.read_text(encoding='utf-8')[-1500:]}")
        return found

    def _once(self, ids: list[str], deadline: float, folder: Path, name: str) -> dict[str, dict[str, Any]]:
        """What became of the first of them, at least one unless time ran out."""
        wanted = folder / f"{name}.wanted"
        wanted.write_text("\n".join(ids), encoding="utf-8")
        process, record, log = self._start(folder, name, DLCORE_TESTS_WANTED=str(wanted))
        why = ""
        while process.poll() is None and not why:
            time.sleep(0.2)
            last = record.stat().st_mtime if record.exists() else log.stat().st_mtime
            if time.monotonic() > deadline:
                why = "cut off"
            elif time.time() - last > HANGS:
                why = "hung"
        kill(process)
        process.wait()
        found: dict[str, dict[str, Any]] = {}
        begun: list[str] = []
        finished: set[str] = set()
        for line in _lines(record):
            if "started" in line:
                begun.append(line["started"])
            elif "finished" in line:
                finished.add(line["finished"])
            elif found.get(line["ended"], {}).get("outcome") != "failed":
                found[line["ended"]] = {key: line[key] for key in ("outcome", "seconds", "text")}
        if why != "cut off":
            text = log.read_text(encoding="utf-8")[-1500:]
            if begun and begun[-1] not in finished:
                found[begun[-1]] = {"outcome": why or "died", "seconds": 0.0, "text": text}
            elif not begun:
                found |= {i: {"outcome": why or "did not start", "seconds": 0.0, "text": text} for i in ids}
        return found

    def _share(self, ids: list[str], deadline: float, folder: Path, name: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        left, turn = ids, 0
        while left and time.monotonic() < deadline:
            found |= self._once(left, deadline, folder, f"{name}-{turn}")
            left, turn = [i for i in left if i not in found], turn + 1
        return found

    def run(self, limit: float, workers: int, before: dict[str, Any]) -> dict[str, Any]:
        """Run those shares that an earlier call with the same sources, whose result is `before`, did not end.

        Returns
        -------
        dict
            Counts of outcomes, the shares that were ended, the seconds of the slowest tests, and the text of those that
            did not pass.
        """
        deadline = time.monotonic() + limit
        ids = self.ids(limit)
        shares = [ids[i :: self.shares] for i in range(self.shares)]
        same = (before.get("collected"), before.get("sources")) == (len(ids), sources(self.root))
        done = set(before.get("shares_done", [])) if same else set()
        kept = before if done else {}
        with TemporaryDirectory() as name, ThreadPoolExecutor(workers) as pool:
            folder = Path(name)
            futures = {i: pool.submit(self._share, shares[i], deadline, folder, str(i))
                       for i in range(self.shares) if i not in done and shares[i]}  # fmt: skip
            results = {i: future.result() for i, future in futures.items()}
        counts: dict[str, int] = dict(kept.get("tests", {}))
        bad: dict[str, str] = dict(kept.get("not_passed", {}))
        slowest: dict[str, float] = dict(kept.get("slowest", {}))
        for i in (i for i in range(self.shares) if i not in done):
            found = results.get(i, {})
            ended = len(found) == len(shares[i])  # else a later call runs all of it again
            if ended:
                done.add(i)
            for test, entry in found.items():
                counts[entry["outcome"]] = counts.get(entry["outcome"], 0) + ended
                slowest[test] = entry["seconds"]
                bad.pop(test, None)
                if entry["outcome"] not in ("passed", "skipped"):
                    bad[test] = f"{entry['outcome']}: {entry['text']}" if len(bad) < SHOWN else entry["outcome"]
        return {
            "tests": counts,
            "collected": len(ids),
            "sources": sources(self.root),
            "shares_done": sorted(done),
            "not_reached": sum(len(shares[i]) for i in range(self.shares) if i not in done),
            "slowest": dict(sorted(slowest.items(), key=lambda pair: -pair[1])[:20]),
            "not_passed": bad,
        }
