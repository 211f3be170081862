"""Every setting's procedure runs on a handful of cases; its pieces against NumPy."""

import numpy as np
import pytest
from dlcore.data import load_digits
from dlcore.models import RBM
from dlcore.reproduce import PROCEDURES, load_setting, reproduce, setting_names
from dlcore.reproduce.procedures.classifier import hold_out
from dlcore.reproduce.procedures.coding import pca_error
from dlcore.reproduce.procedures.digits import nudged
from dlcore.reproduce.procedures.few_labels import draw_labels
from dlcore.reproduce.procedures.likelihood import draw_weights
from dlcore.train import Checkpoint
from small_mnist import mnist_folder

TINY = {"epochs": 1, "n_hidden": 6, "draws": 1, "splits": 1, "chains": 4, "betas": 5, "burn_in": 2, "line_searches": 2}
WIDTH = 6


def shrunk(value, key=None):
    """Settings with so little to do that a second suffices."""
    if key in TINY:
        return TINY[key]
    if key in ("layers", "layer_sizes") and not any(isinstance(part, dict) for part in value):
        inner = value[1:] if key == "layers" else value[1:-1]
        return [value[0], *[WIDTH] * len(inner), *value[1 + len(inner) :]]
    if key == "labels":
        return [10]
    if isinstance(value, dict):
        return {name: shrunk(part, name) for name, part in value.items()}
    return [shrunk(part) for part in value] if isinstance(value, list) else value


def tiny(name):
    """All settings of a run that takes a moment, as changes."""
    settings = shrunk(load_setting(name).settings)
    if settings["data"] != "digits":
        settings["limit"] = [60, 30]
    if "whole_batches" in settings:
        settings |= {"whole_batches": 5, "fit": settings["fit"] | {"batch_size": 5}}
    if "labels" in settings:
        settings["fit"] = {"10": settings["fit"]["100"]}
    return settings


def values_of(result):
    return {figure["name"]: figure["value"] for figure in result["figures"]}


@pytest.mark.parametrize("name", setting_names())
def test_every_procedure_runs(tmp_path, name):
    setting, settings = load_setting(name), tiny(name)
    result = reproduce(name, tmp_path / "run", data=mnist_folder(tmp_path), progress=False, changes=settings)
    values = values_of(result)
    assert all(np.isfinite(value) for value in values.values())
    if "labels" not in settings:
        assert {figure.name for figure in setting.figures} <= set(values)
    assert result["changed"] and all(figure["within"] is None for figure in result["figures"])
    assert result["seconds"]["all"] >= 0 and all(set(layers) == {1} for layers in result["epochs"].values())


# One setting for each procedure.
KILLED = ("mlp-theano", "deep-ae", "few-labels", "dbn-theano", "dbn-hinton", "rbm-500", "sda-theano")


@pytest.mark.parametrize("name", KILLED)
def test_every_procedure_goes_on_after_a_kill(tmp_path, monkeypatch, name):
    changes = with_two_epochs(tiny(name))
    arguments = {"data": mnist_folder(tmp_path), "progress": False, "changes": changes}
    save, calls, deadly = Checkpoint.on_epoch_end, [], []

    def counted(self, run):
        save(self, run)
        calls.append(run.epoch)
        if len(calls) in deadly:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "on_epoch_end", counted)
    whole = reproduce(name, tmp_path / "whole", **arguments)
    epochs = len(calls)
    assert epochs == sum(sum(layers) for layers in whole["epochs"].values())
    calls.clear()
    deadly += sorted({1, epochs // 2, epochs})
    for _ in deadly:
        with pytest.raises(KeyboardInterrupt):
            reproduce(name, tmp_path / "killed", resume=True, **arguments)
    resumed = reproduce(name, tmp_path / "killed", resume=True, **arguments)
    assert len(calls) == epochs, "no epoch is done twice"
    assert values_of(resumed) == values_of(whole) and resumed["epochs"] == whole["epochs"]


def with_two_epochs(value):
    if isinstance(value, dict):
        return {name: 2 if name == "epochs" else with_two_epochs(part) for name, part in value.items()}
    return [with_two_epochs(part) for part in value] if isinstance(value, list) else value


def test_one_setting_of_each_procedure_is_killed():
    found = {load_setting(name).procedure for name in KILLED}
    assert set(PROCEDURES) - found == {"digits-features"}, "which test_session.py kills"


def test_no_procedure_is_without_a_setting():
    assert {load_setting(name).procedure for name in setting_names()} == set(PROCEDURES)


def test_held_out_cases_are_the_last_ones():
    data = load_digits()
    (x, y), (xv, yv) = hold_out(data, 1 / 6)
    np.testing.assert_array_equal(np.concatenate([x, xv]), data.x)
    np.testing.assert_array_equal(np.concatenate([y, yv]), data.y)
    assert len(yv) == round(1797 / 6)
    (x, _), (xv, _) = hold_out(data, 1 / 6, 40)
    assert len(x) == 1480 and len(xv) == 280
    np.testing.assert_array_equal(xv, data.x[1497:1777])
    (x, _), held = hold_out(data, 0)
    assert len(x) == 1797 and held is None


def test_nudged_digits_are_moved_by_one_pixel():
    digits = load_digits().take(9)
    found = nudged(digits)
    images = found.images.reshape(5, 9, 8, 8)
    expected = np.zeros((5, 9, 8, 8))
    plain = digits.images[:, 0]
    expected[0] = plain
    expected[1, :, 1:], expected[2, :, :-1] = plain[:, :-1], plain[:, 1:]
    expected[3, :, :, 1:], expected[4, :, :, :-1] = plain[:, :, :-1], plain[:, :, 1:]
    np.testing.assert_array_equal(images, expected)
    np.testing.assert_array_equal(found.y, np.tile(digits.y, 5))


def test_labels_are_drawn_in_equal_numbers_and_anew_for_each_draw():
    y = load_digits().y
    first, again, second = draw_labels(y, 50, 1, 0), draw_labels(y, 50, 1, 0), draw_labels(y, 50, 1, 1)
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(second)
    assert (np.bincount(y[first]) == 5).all() and len(set(first)) == 50


def test_drawn_weights_are_uniform_within_the_bound():
    rbm = RBM(60, 40, seed=1)
    draw_weights(rbm, 1)
    bound = 4 * np.sqrt(6 / 100)
    weight = rbm.machine.weight.numpy()
    assert abs(weight).max() <= bound
    assert abs(weight.std() / (bound / np.sqrt(3)) - 1) < 5.5 * np.sqrt(0.2 / weight.size)


def test_pca_error_is_that_of_the_best_projection(rng):
    seen, unseen = rng.normal(size=(40, 7)), rng.normal(size=(9, 7))
    mean = seen.mean(axis=0)
    _, _, vt = np.linalg.svd(seen - mean)
    restored = (unseen - mean) @ vt[:3].T @ vt[:3]
    expected = np.square(unseen - mean - restored).sum(axis=1).mean()
    np.testing.assert_allclose(pca_error(seen, unseen, 3), expected, rtol=1e-12)
