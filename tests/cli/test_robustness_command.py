"""``dlcore robustness``: the table of `dlcore.robustness` for models in files."""

import numpy as np
import pytest
from command import run
from dlcore.data import load_digits_split
from dlcore.models import MLP, RBM, robustness


@pytest.fixture
def files(tmp_path):
    models = [MLP([64, 8, 10], seed=seed) for seed in (1, 2)]
    train, _ = load_digits_split()
    for i, model in enumerate(models):
        model.fit(train.x, train.y, epochs=1)
        model.save(tmp_path / f"m{i}.dlcore")
    return models, [tmp_path / f"m{i}.dlcore" for i in (0, 1)]


def test_the_table_of_two_models(capfd, files, tmp_path):
    models, paths = files
    _, test = load_digits_split()
    report = robustness(dict(zip(("m0", "m1"), models, strict=True)), test.x, test.y, image_shape=(1, 8, 8), seed=3)
    assert run(capfd, "robustness", *paths, "--seed", 3) == (0, report.table() + "\n", "")
    code, out, _ = run(capfd, "robustness", paths[0], "--limit", 20, "--threads", 2)
    assert code == 0
    none = out.splitlines()[2].split()
    assert none == ["none", f"{100 * np.mean(models[0].predict(test.x[:20]) == test.y[:20]):.2f}"]


def test_a_picture_is_written(capfd, files, tmp_path):
    pytest.importorskip("matplotlib")
    out = tmp_path / "r.png"
    code, text, _ = run(capfd, "robustness", files[1][0], "--limit", 20, "--out", out)
    assert code == 0
    assert text.endswith(f"wrote {out}\n")
    assert out.stat().st_size > 1000


def test_what_is_refused(capfd, tmp_path):
    RBM(64, 3).save(tmp_path / "rbm")
    MLP([9, 10]).save(tmp_path / "mlp")
    for name, message in (
        ("rbm", f"dlcore robustness: {tmp_path / 'rbm'} holds a RBM, expected a classifier\n"),
        ("mlp", "dlcore robustness: predict: x has shape (359, 64), expected (n, 9)\n"),
    ):
        assert run(capfd, "robustness", tmp_path / name) == (2, "", message)
    code, _, text = run(capfd, "robustness", tmp_path / "none")
    assert code == 2
    assert "No such file" in text
