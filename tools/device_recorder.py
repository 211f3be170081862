"""A pytest plugin for tests on a device that may break: ``tools/device_tests.py`` reads what it writes.

DLCORE_TESTS_WANTED names a file of test ids, one a line, that are to run; DLCORE_TESTS_RECORD one that gets a line of
JSON when a test starts and when it ends. A kernel's fault leaves a CUDA context of no use: the run then stops.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

# After these every call to CUDA in the process fails (CUDA Runtime API, "Data types used by CUDA Runtime").
LOST = re.compile(
    r"cudaError(IllegalAddress|MisalignedAddress|LaunchFailure|LaunchTimeout|IllegalInstruction|InvalidPc"
    r"|InvalidAddressSpace|HardwareStackError|Assert|ECCUncorrectable|NvlinkUncorrectable|ContextIsDestroyed|Unknown)\b"
)


def _write(entry: dict[str, Any]) -> None:
    with Path(os.environ["DLCORE_TESTS_RECORD"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


@pytest.hookimpl(trylast=True)  # after -k
def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    wanted = os.environ.get("DLCORE_TESTS_WANTED")
    if wanted is None:
        for item in items:
            _write({"collected": item.nodeid})
        return
    ids = set(Path(wanted).read_text(encoding="utf-8").split("\n"))
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in ids])
    items[:] = [item for item in items if item.nodeid in ids]


def pytest_runtest_logstart(nodeid: str) -> None:
    _write({"started": nodeid})


def pytest_runtest_logfinish(nodeid: str) -> None:
    _write({"finished": nodeid})


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Any:
    outcome = yield
    report = outcome.get_result()
    if report.outcome == "passed" and report.when != "call":
        return
    text = report.longreprtext if report.failed else ""
    _write(
        {"ended": item.nodeid, "outcome": report.outcome, "seconds": round(report.duration, 3), "text": text[-2000:]}
    )
    if LOST.search(text):
        item.session.shouldstop = "the device is of no more use to this process"
