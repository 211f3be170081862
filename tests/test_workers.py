"""The rules by which threads help (csrc/workers_account.h): a program of its own, as no kernel shows them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1]
COMPILER = shutil.which(os.environ.get("CXX", "c++"))


@pytest.mark.skipif(COMPILER is None, reason="the program is compiled by the test: no C++ compiler here")
def test_the_account_of_what_helpers_save(tmp_path: Path) -> None:
    program = tmp_path / "account"
    options = ["-std=c++20", "-Wall", "-Wextra", "-Werror", "-DDLCORE_DEVICE=tested", f"-I{SOURCE / 'csrc'}"]
    source = SOURCE / "tests" / "native" / "workers_account.cpp"
    subprocess.run([str(COMPILER), *options, str(source), "-o", str(program)], check=True)
    done = subprocess.run([str(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
