"""``dlcore demo`` and ``dlcore sample``."""

import pytest
from command import FAST, run
from dlcore import data
from dlcore.cli import demo, recipes
from dlcore.models import DBN


@pytest.fixture
def quick_demo(monkeypatch):
    monkeypatch.setattr(demo, "SEEDS", {"dbn": (1, 2), "cnn": (3,), "sparse-autoencoder": (1,)})
    for name, recipe in recipes.RECIPES.items():
        small = dict(recipe.small) | {"epochs": 1} | ({"pretrain": {"epochs": 1}} if name == "dbn" else {})
        monkeypatch.setitem(demo.RECIPES, name, recipes.Recipe("", recipe.make, small, {}, labels=recipe.labels))


def test_demo_prints_a_row_per_run_and_writes_pictures(capfd, tmp_path, monkeypatch, quick_demo):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(demo, "TARGETS", {"dbn": 1.0, "cnn": 1.0})
    code, out, err = run(capfd, "demo", "--out", tmp_path / "demo")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["model", "seed", "figure", "value", "target", "seconds"]
    assert [line.split()[:2] for line in lines[2:6]] == [
        ["dbn", "1"],
        ["dbn", "2"],
        ["cnn", "3"],
        ["sparse-autoencoder", "1"],
    ]
    assert lines[-1] == f"pictures are in {tmp_path / 'demo'}"
    assert err.splitlines()[0] == "dbn, seed 1 …"
    names = {path.name for path in (tmp_path / "demo").iterdir()}
    assert names == {
        *(f"dbn-{what}.png" for what in ("learning-curves", "pretraining", "filters", "reconstructions", "samples")),
        *(f"cnn-{what}.png" for what in ("learning-curves", "filters")),
        *(f"sparse-autoencoder-{what}.png" for what in ("learning-curves", "filters", "reconstructions")),
    }


def test_demo_fails_where_a_target_is_missed(capfd, tmp_path, monkeypatch, quick_demo):
    monkeypatch.setattr(demo, "TARGETS", {"dbn": 0.0001, "cnn": 1.0})
    code, _, err = run(capfd, "demo", "--out", tmp_path, "--quiet")
    assert code == 1
    assert [line.rsplit(":", 1)[0] for line in err.splitlines()] == [
        "dlcore demo: target missed by dbn with seed 1",
        "dlcore demo: target missed by dbn with seed 2",
    ]


def test_demo_promises_what_the_project_promises():
    assert demo.TARGETS == {"dbn": 0.04, "cnn": 0.02}
    assert len(demo.SEEDS["dbn"]) == len(demo.SEEDS["cnn"]) == 3


def test_sample_draws_from_rbm_and_dbn(capfd, tmp_path):
    image = pytest.importorskip("matplotlib.image")
    for model in ("rbm", "dbn"):
        run(capfd, "train", model, *FAST, "--save", tmp_path / model)
        drawn = []
        for seed in (1, 1, 2):
            png = tmp_path / f"{model}.png"
            arguments = ["sample", tmp_path / model, "-n", 6, "--steps", 5, "--seed", seed, "--out", png]
            assert run(capfd, *arguments) == (0, f"wrote {png}\n", "")
            drawn.append(image.imread(png))
        assert drawn[0].shape[:2] == (19 * 22, 28 * 22)  # two rows of three 8×8 tiles, gaps of 1, whole factors
        assert (drawn[0] == drawn[1]).all() and (drawn[0] != drawn[2]).any()


def test_sample_of_a_class(capfd, tmp_path):
    image = pytest.importorskip("matplotlib.image")
    train = data.load_digits()
    dbn = DBN((64, 20, 20), 10, label_units=True, weight_std=0.5, seed=1)
    dbn.pretrain(train.x[:100], train.y[:100], epochs=1, batch_size=20, progress=False)
    dbn.save(tmp_path / "dbn")
    drawn = []
    for label in (3, 3, 4):
        png = tmp_path / f"{label}.png"
        arguments = ["sample", tmp_path / "dbn", "--label", label, "-n", 4, "--steps", 5, "--out", png]
        assert run(capfd, *arguments) == (0, f"wrote {png}\n", "")
        drawn.append(image.imread(png))
    assert (drawn[0] == drawn[1]).all() and (drawn[0] != drawn[2]).any()
    code, _, err = run(capfd, "sample", tmp_path / "dbn", "--label", 10, "--out", tmp_path / "x.png")
    assert (code, err) == (2, "dlcore sample: sample: y: 10 at index 0 is outside [0, 10)\n")
    run(capfd, "train", "rbm", *FAST, "--save", tmp_path / "rbm")
    code, _, err = run(capfd, "sample", tmp_path / "rbm", "--label", 3, "--out", tmp_path / "x.png")
    expected = f"dlcore sample: --label is given, but {tmp_path / 'rbm'} holds no DBN with label units\n"
    assert (code, err) == (2, expected) and not (tmp_path / "x.png").exists()


def test_sample_refusals(capfd, tmp_path):
    run(capfd, "train", "mlp", *FAST, "--save", tmp_path / "mlp")
    code, _, err = run(capfd, "sample", tmp_path / "mlp", "--out", tmp_path / "x.png")
    assert (code, err) == (2, f"dlcore sample: {tmp_path / 'mlp'} holds a MLP, expected an RBM or a DBN\n")
    code, _, err = run(capfd, "sample", tmp_path / "none", "--out", tmp_path / "x.png")
    assert code == 2 and err.startswith("dlcore sample: ") and "none" in err
    (tmp_path / "damaged").write_bytes(b"hello")
    code, _, err = run(capfd, "sample", tmp_path / "damaged", "--out", tmp_path / "x.png")
    assert code == 2 and err.startswith("dlcore sample: load: ") and "is refused" in err
    code, _, err = run(capfd, "sample", tmp_path / "mlp", "--out", tmp_path / "no" / "x.png")
    assert code == 2 and "--out: there is no folder" in err
