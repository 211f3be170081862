"""``dlcore train``: what is printed and written, and the data it takes."""

import dlcore
import numpy as np
import pytest
from command import FAST, run
from dlcore.cli import options, recipes
from dlcore.data import load_digits, write_idx


@pytest.mark.parametrize("model", ["mlp", "cnn", "dbn"])
def test_train_prints_summary_progress_and_error(capfd, model):
    code, out, err = run(
        capfd, "train", model, "--epochs", 2, "--limit", 40, *(["--pretrain-epochs", 1] * (model == "dbn"))
    )
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "digits-train: 40 cases, digits-test: 359 cases"
    assert lines[1].startswith(f"{model.upper()}: ") and "parameters" in lines[1]
    assert lines[-3].split() == ["seed", "test", "error", "seconds"]
    seed, error, percent, _ = lines[-1].split()
    assert (seed, percent) == ("1", "%") and 0 < float(error) < 100
    assert "epoch 1/2: loss" in err and "epoch 2/2: loss" in err


@pytest.mark.parametrize(
    "model, figures",
    [
        ("rbm", ["free-energy gap"]),
        ("autoencoder", []),
        ("sparse-autoencoder", ["code near zero"]),
        ("denoising-autoencoder", ["from corrupted"]),
        ("contractive-autoencoder", ["squared norm of the Jacobian"]),
        ("convolutional-autoencoder", []),
    ],
)
def test_train_without_labels_reports_reconstruction(capfd, model, figures):
    code, out, err = run(capfd, "train", model, *FAST)
    assert (code, err) == (0, "")
    head = out.splitlines()[-3]
    assert head.split("  ")[1:-1] == ["test reconstruction error", *figures]


def test_train_writes_model_and_pictures(capfd, tmp_path):
    pytest.importorskip("matplotlib")
    out = tmp_path / "new" / "folder"
    code, text, _ = run(capfd, "train", "rbm", *FAST, "--layers", "9", "--out", out, "--save", tmp_path / "copy")
    assert code == 0
    pictures = {f"rbm-{what}.png" for what in ("learning-curves", "filters", "reconstructions", "samples")}
    assert {path.name for path in out.iterdir()} == {"rbm.dlcore", *pictures}
    assert all((out / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
    assert all(f"wrote {path}" in text for path in [*out.iterdir(), tmp_path / "copy"])
    model = dlcore.load(out / "rbm.dlcore")
    assert (model.n_visible, model.n_hidden) == (64, 9)
    np.testing.assert_array_equal(
        model.parameters.storage.numpy(), dlcore.load(tmp_path / "copy").parameters.storage.numpy()
    )


@pytest.mark.parametrize("model", [model for model in recipes.RECIPES if model != "rbm"])
def test_every_model_has_pictures(capfd, tmp_path, model):
    pytest.importorskip("matplotlib")
    code, _, err = run(capfd, "train", model, *FAST, "--out", tmp_path)
    assert (code, err) == (0, "")
    names = {path.name for path in tmp_path.iterdir()}
    assert {f"{model}.dlcore", f"{model}-learning-curves.png", f"{model}-filters.png"} <= names


def test_the_noise_is_the_users(capfd, tmp_path):
    pytest.importorskip("matplotlib")
    given = ("--corruption", "gaussian", "--level", 0.2)
    for model in ("denoising-autoencoder", "convolutional-autoencoder"):
        code, out, _ = run(capfd, "train", model, *FAST, *given, "--out", tmp_path)
        assert code == 0 and "from corrupted" in out
        config = dlcore.load(tmp_path / f"{model}.dlcore").config
        assert (config["corruption"], config["level"]) == ("gaussian", 0.2)
        assert (tmp_path / f"{model}-denoising.png").read_bytes().startswith(b"\x89PNG")
    code, _, err = run(capfd, "train", "denoising-autoencoder", *FAST, "--level", 2)
    assert (code, err.splitlines()[-1]) == (
        2,
        "dlcore train: DenoisingAutoencoder: the level of masking corruption is 2.0, expected a number in [0, 1)",
    )


def test_pictures_can_be_left_out(capfd, tmp_path, monkeypatch):
    assert run(capfd, "train", "rbm", *FAST, "--out", tmp_path, "--no-pictures")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["rbm.dlcore"]
    monkeypatch.setattr("dlcore.cli.train.pictures_possible", lambda: False)
    code, _, err = run(capfd, "train", "rbm", *FAST, "--out", tmp_path)
    assert (code, err) == (0, "pictures are left out: matplotlib is not installed (extra 'plot')\n")
    code, _, err = run(capfd, "train", "rbm", *FAST, "--out", tmp_path, "--pictures")
    assert (code, err) == (2, "dlcore train: --pictures needs matplotlib, which comes with the extra 'plot'\n")


def test_several_seeds_have_a_row_each_and_a_mean(capfd):
    _, out, _ = run(capfd, "train", "mlp", *FAST, "--seed", 4, "--seeds", 2, "--layers", "20")
    rows = [line.split() for line in out.splitlines()[-3:]]
    assert [row[0] for row in rows] == ["4", "5", "mean"]
    errors = [float(row[1]) for row in rows]
    assert errors[2] == pytest.approx((errors[0] + errors[1]) / 2, abs=0.011)
    _, again, _ = run(capfd, "train", "mlp", *FAST, "--seed", 5, "--layers", "20")
    assert float(again.splitlines()[-1].split()[1]) == errors[1]


def test_model_options_reach_the_model(capfd, tmp_path):
    file = tmp_path / "m"
    run(capfd, "train", "rbm", *FAST, "--k", 2, "--persistent", "--batch-size", 30, "--lr", 0.5, "--save", file)
    config = dlcore.load(file).config
    assert config["k"] == 2 and config["persistent"] is True
    run(capfd, "train", "dbn", *FAST, "--head", "svm", "--layers", "12,8", "--pretrain-epochs", 1, "--save", file)
    config = dlcore.load(file).config
    assert config["output"] == "svm" and config["layer_sizes"] == [64, 12, 8]
    run(capfd, "train", "mlp", *FAST, "--threads", 3)
    assert dlcore.get_num_threads() == 3


def mnist_folder(path):
    """A hundred of the bundled digits as a set of 28×28 images."""
    digits = load_digits()
    images = np.zeros((100, 28, 28), np.uint8)
    images[:, 2:26, 2:26] = np.kron(digits.images[:100, 0], np.ones((3, 3))) * 255
    for part in ("train", "t10k"):
        write_idx(path / f"{part}-images-idx3-ubyte", images)
        write_idx(path / f"{part}-labels-idx1-ubyte.gz", digits.y[:100].astype(np.uint8))
    return path


@pytest.mark.parametrize("how", ["folder", "name"])
def test_mnist_by_folder_and_by_name(capfd, tmp_path, monkeypatch, how):
    mnist_folder(tmp_path)
    monkeypatch.setenv("DLCORE_DATA", str(tmp_path))
    code, out, _ = run(capfd, "train", "cnn", "--data", tmp_path if how == "folder" else "mnist", *FAST)
    assert code == 0 and "mnist-train: 60 cases, mnist-test: 100 cases" in out
    assert "LeNet5: 61,706 parameters" in out


def test_a_class_that_only_the_test_set_has(capfd, tmp_path):
    """Rare labels may all be held out; the network has scores for them still."""
    x, y = np.full((30, 4), 0.5), np.zeros(30, int)
    y[-1] = 4
    np.savez(tmp_path / "rare.npz", x=x, y=y)
    train, test = options.load_data(str(tmp_path / "rare.npz"))
    assert recipes.count_classes(train, test) == recipes.count_classes(test, train) == 5
    code, _, err = run(capfd, "train", "mlp", "--data", tmp_path / "rare.npz", *FAST)
    assert (code, err) == (0, "")


def test_npz_files_are_split(capfd, tmp_path):
    digits = load_digits().take(100)
    np.savez(tmp_path / "mine.npz", x=digits.x, y=digits.y)
    code, out, _ = run(capfd, "train", "mlp", "--data", tmp_path / "mine.npz", "--epochs", 1, "--quiet")
    assert code == 0 and "mine-train: 80 cases, mine-test: 20 cases" in out
