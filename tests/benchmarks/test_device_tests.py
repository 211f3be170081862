"""The runner of tests on a device that may break, tools/device_tests.py: what each came to, whatever others did."""

from __future__ import annotations

import os
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))
import device_tests  # noqa: E402

SUITE = """
import os
import pytest
def test_passes(): pass
def test_loses_the_device(): raise RuntimeError("matmul: an illegal memory access (cudaErrorIllegalAddress)")
def test_goes_on(): pass
def test_dies(): os._exit(3)
def test_fails(): raise ValueError("wrong")
@pytest.mark.skip
def test_is_skipped(): pass
def test_is_the_last(): pass
"""


def test_each_test_has_its_own_outcome(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    (tmp_path / "test_suite.py").write_text(SUITE, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(TOOLS)}
    runner = device_tests.Tests(tmp_path, environment, ["test_suite.py"], shares=1)
    found = runner.run(60.0, 1, {})
    assert found["tests"] == {"passed": 3, "failed": 2, "died": 1, "skipped": 1}
    assert found["not_reached"] == 0
    texts = {name.split("::")[1]: text for name, text in found["not_passed"].items()}
    assert "cudaErrorIllegalAddress" in texts["test_loses_the_device"]
    assert "ValueError: wrong" in texts["test_fails"]
    assert texts["test_dies"].startswith("died")
    again = runner.run(60.0, 1, found)  # nothing is left
    assert again["tests"] == found["tests"]
    assert again["shares_done"] == [0]
    (tmp_path / "test_suite.py").write_text(SUITE.replace('raise ValueError("wrong")', "pass"), encoding="utf-8")
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "mended.cpp").write_text("int mended;", encoding="utf-8")
    mended = runner.run(60.0, 1, again)  # other code: all is run again
    assert mended["tests"] == {"passed": 4, "failed": 1, "died": 1, "skipped": 1}
