"""Every example runs from start to end as a user would run it, and says what it promises."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name, folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name, *arguments],
        cwd=folder, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def percentages(text):
    return [float(value) for value in re.findall(r"([\d.]+) ?%", text)]


def test_every_example_is_tested():
    assert {path.name for path in EXAMPLES.glob("*.py")} == {
        "calculus.py",
        "rbm_samples.py",
        "dbn_digits.py",
        "dbn_label_units.py",
        "training_loop.py",
        "optimizer_paths.py",
        "correntropy.py",
        "loss_curves.py",
        "minimize_paths.py",
        "autoencoders.py",
        "sequence_events.py",
        "cnn_deformed.py",
        "mlp_backpropagation.py",
    }


def test_calculus(tmp_path):
    text = run("calculus.py", tmp_path)
    assert "  7  f = 0.000e+00" in text
    assert "relu: a second derivative is asked for exactly at a kink" in text
    assert "Beside it: [0. 0.]" in text


def test_rbm_samples(tmp_path):
    pytest.importorskip("matplotlib")
    text = run("rbm_samples.py", tmp_path)
    assert "free-energy gap" in text
    (upper, error), (lower, other) = re.findall(r"AIS: (-[\d.]+) nats a digit, standard error ([\d.]+)", text)
    assert -30 < float(upper) < -15
    assert abs(float(upper) - float(lower)) < 4 * (float(error) + float(other)) + 0.01, "rounded to 0.01"
    assert {path.name for path in tmp_path.iterdir()} == {
        f"rbm-digits-{what}.png" for what in ("filters", "samples", "restored")
    }


def test_dbn_digits(tmp_path):
    softmax, svm = percentages(run("dbn_digits.py", tmp_path))
    assert softmax <= 4 and svm <= 4
    assert [path.name for path in tmp_path.iterdir()] == ["digits.dlcore"]


def test_dbn_label_units(tmp_path):
    pytest.importorskip("matplotlib")
    text = run("dbn_label_units.py", tmp_path)
    greedy, tuned = percentages(text.replace(" of 359", ""))
    assert tuned < greedy < 20 and tuned < 10
    assert -30 < float(re.findall(r">= (\S+) nats", text)[0]) < -20
    parts = ("classes.png", "filters.png", "pretraining.dlcore", "reconstructions.png", "samples.png", "up-down.dlcore")
    assert {path.name for path in tmp_path.iterdir()} == {"dbn-digits.dlcore", *(f"dbn-digits-{p}" for p in parts)}
    assert run("dbn_label_units.py", tmp_path) == text  # from the checkpoints


def test_training_loop(tmp_path):
    text = run("training_loop.py", tmp_path)
    (error,) = percentages(text)
    assert error < 5
    assert float(text.split()[-1]) < 4


def test_optimizer_paths(tmp_path):
    pytest.importorskip("matplotlib")
    text = run("optimizer_paths.py", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "optimizers-rosenbrock.png", "optimizers-saddle.png", "schedules.png"
    }  # fmt: skip
    ends = re.findall(r"(Rosenbrock|saddle) +(\w+) +f = +(\S+) after", text)
    assert len(ends) == 20
    for surface, method, value in ends:
        if surface == "saddle":
            assert -1 <= float(value) < -0.98, method
        elif method != "AdaDelta":  # whose rate starts small by design
            assert 0 <= float(value) < 0.1, method


def test_correntropy(tmp_path):
    text = run("correntropy.py", tmp_path)
    likelihood, narrow, annealed = (float(value) for value in re.findall(r"error ([\d.]+)", text))
    assert annealed < 0.05 and likelihood > 2 and narrow > 2
    pytest.importorskip("matplotlib")
    run("correntropy.py", tmp_path, ".")
    assert [path.name for path in tmp_path.iterdir()] == ["correntropy.png"]


def test_loss_curves(tmp_path):
    pytest.importorskip("matplotlib")
    run("loss_curves.py", tmp_path)
    names = {"loss-residual.png", "loss-gaussian.png", "loss-margin.png", "loss-probability.png"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_minimize_paths(tmp_path):
    pytest.importorskip("matplotlib")
    text = run("minimize_paths.py", tmp_path)
    values = {tuple(line.split()[:2]): float(line.split()[-1]) for line in text.splitlines() if "evaluations" in line}
    assert len(values) == 12
    for (function, method), value in values.items():
        assert value < (0.1 if method == "gradient-descent" else 1e-8) if function == "rosenbrock" else value == -0.25
    assert {path.name for path in tmp_path.iterdir()} == {"minimize-paths.png", "minimize-convergence.png"}


def test_autoencoders(tmp_path):
    pytest.importorskip("matplotlib")
    text = run("autoencoders.py", tmp_path)
    plain, denoising = (float(line.split()[-1]) for line in text.splitlines() if "from noisy" in line)
    assert denoising < plain
    zeros = next(line for line in text.splitlines() if line.startswith("exact zero"))
    sparse, _, fewer, early = percentages(zeros)
    assert sparse > fewer + 25 and sparse > early + 25
    norms = [float(value) for value in re.findall(r"Jacobian ([\d.]+)", text)]
    assert norms == sorted(norms, reverse=True) and len(norms) == 3
    random, stacked = percentages(text)[-4:-2]
    assert stacked < random
    assert {path.name for path in tmp_path.iterdir()} == {
        f"autoencoder-{what}.png"
        for what in ("denoising", "filters", "sparsity", "sparse-filters", "contractive", "convolutional")
    }


def test_sequence_events(tmp_path):
    text = run("sequence_events.py", tmp_path, "--cases", "3000", "--epochs", "12")
    linear, network, optimal = percentages(text)
    assert 14 < optimal < 16.2, "15.1 % of 20 000 cases: 4.4 standard errors"
    assert optimal - 0.5 < network < optimal + 5
    assert network < linear - 15


def test_cnn_deformed(tmp_path):
    pytest.importorskip("matplotlib")
    text = run("cnn_deformed.py", tmp_path, "--epochs", "4")
    rows = {
        tuple(line.split()[:-2]): [float(v) for v in line.split()[-2:]] for line in text.splitlines() if "." in line
    }
    assert min(rows["none",]) > 85
    assert len(rows) == 1 + 4 * 4
    assert {path.name for path in tmp_path.iterdir()} == {
        "cnn-filters.png", "cnn-maps.png", "cnn-deformed.png", "cnn-robustness.png"
    }  # fmt: skip


def test_mlp_backpropagation(tmp_path):
    text = run("mlp_backpropagation.py", tmp_path, "--epochs", "8")
    values = dict(re.findall(r"^(.*?) {2,}([\d.e+-]+)", text, re.MULTILINE))
    assert float(values["largest difference of the two gradients"]) < 1e-12
    assert float(values["linear, test error %"]) < 10
    assert float(values["one hidden layer, test error %"]) < float(values["linear, test error %"])
