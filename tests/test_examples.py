"""Every example runs from start to end as a user would run it, and says what it promises."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name, folder):
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name],
        cwd=folder, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def percentages(text):
    return [float(value) for value in re.findall(r"([\d.]+) ?%", text)]


def test_every_example_is_tested():
    tested = {"calculus.py", "rbm_samples.py", "dbn_digits.py", "training_loop.py"}
    assert {path.name for path in EXAMPLES.glob("*.py")} == tested


def test_calculus(tmp_path):
    text = run("calculus.py", tmp_path)
    assert "  7  f = 0.000e+00" in text
    assert "relu: a second derivative is asked for exactly at a kink" in text
    assert "Beside it: [0. 0.]" in text


def test_rbm_samples(tmp_path):
    pytest.importorskip("matplotlib")
    assert "free-energy gap" in run("rbm_samples.py", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"rbm-filters.png", "rbm-samples.png"}


def test_dbn_digits(tmp_path):
    softmax, svm = percentages(run("dbn_digits.py", tmp_path))
    assert softmax <= 4 and svm <= 4
    assert [path.name for path in tmp_path.iterdir()] == ["digits.dlcore"]


def test_training_loop(tmp_path):
    text = run("training_loop.py", tmp_path)
    (error,) = percentages(text)
    assert error < 5
    assert float(text.split()[-1]) < 4
