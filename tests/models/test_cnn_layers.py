"""Trainable sub-sampling, connection tables, frames and batch normalization as parts of a CNN; its buffers in fits."""

import json
import pickle
import re

import dlcore
import numpy as np
import pytest
from dlcore.models import CNN
from dlcore.train import AverageWeights, Callback, Checkpoint, EarlyStopping
from gradients import check_gradient

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 1, (40, 1, 6, 6)).astype(np.float32)
Y = RNG.integers(0, 3, 40)
NORMED = [CNN.conv(4, 3, activation="identity"), CNN.batch_norm(), CNN.dense(5, activation="identity"),
          CNN.batch_norm(activation="tanh", momentum=0.3, eps=1e-3)]  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "layers", "stages"),
    [
        (
            (1, 6, 6),
            [CNN.frame(1), CNN.conv(2, 3), CNN.subsample((2, 3)), CNN.conv(3, 2, connections=[[0], [1], [0, 1]])],
            ["PixelFrame", "Conv2d", "SubSample2d", "PartialConv2d", "Flatten", "Linear"],
        ),
        (
            (2, 9),
            [CNN.conv(3, 2), CNN.subsample(3, stride=[2], activation="sigmoid"), CNN.batch_norm(activation="identity")],
            ["Conv1d", "SubSample1d", "BatchNorm1d", "Flatten", "Linear"],
        ),
        ((1, 6, 6), NORMED, ["Conv2d", "BatchNorm2d", "Activation", "Flatten", "Linear", "BatchNorm1d", "Activation",
                             "Linear"]),
    ],
)  # fmt: skip
def test_layers_and_their_gradient(shape, layers, stages):
    model = CNN(shape, 3, layers, "tanh", weight_decay=0.1, dtype="float64", seed=1)
    assert [type(stage).__name__ for stage in model.stages()] == stages
    assert json.loads(json.dumps(model.config)) == model.config
    x, y = dlcore.tensor(RNG.standard_normal((5, *shape))), dlcore.tensor(Y[:5], "int32")
    check_gradient(model, x, y)
    model.network.train()
    check_gradient(model, x, y)


def test_the_gains_of_normalization_are_not_decayed():
    model = CNN((1, 6, 6), 3, NORMED, weight_decay=2.0, dtype="float64")
    plain = CNN((1, 6, 6), 3, NORMED, dtype="float64")
    batch = dlcore.tensor(X.astype("f8")), dlcore.tensor(Y, "int32")
    penalty = model.objective(*batch).item() - plain.objective(*batch).item()
    decayed = [model.parameters[f"layers.{i}.weight"].numpy() for i in (0, 4, 7)]
    assert penalty == pytest.approx(sum((w**2).sum() for w in decayed))


def everything(model):
    return model.parameters.storage.numpy().tobytes(), {n: v.numpy().tobytes() for n, v in model.buffers.items()}


def normed(**arguments):
    return CNN((1, 6, 6), 3, [*NORMED, CNN.dropout(0.2)], seed=4, **arguments)


class Kill(Callback):
    def on_epoch_end(self, run):
        if run.epoch == 3:
            raise KeyboardInterrupt


@pytest.mark.parametrize("callbacks", [list, lambda: [EarlyStopping(patience=2)], lambda: [AverageWeights(0.9)]])
def test_a_resumed_fit_has_the_bits_of_an_undisturbed_one_in_its_statistics_too(tmp_path, callbacks):
    arguments = {"epochs": 6, "batch_size": 16, "validation_fraction": 0.25, "lr": 0.02}
    whole, broken, resumed = normed(), normed(), normed()
    whole.fit(X, Y, **arguments, callbacks=[*callbacks(), Checkpoint(tmp_path / "whole")])
    with pytest.raises(KeyboardInterrupt):
        broken.fit(X, Y, **arguments, callbacks=[*callbacks(), Checkpoint(tmp_path / "c", every=2), Kill()])
    resumed.fit(X, Y, **arguments, callbacks=callbacks(), resume=tmp_path / "c")
    assert everything(resumed) == everything(whole)
    assert everything(dlcore.load(tmp_path / "whole")) == everything(whole)
    assert np.array_equal(resumed.predict_proba(X), whole.predict_proba(X))


def test_a_finished_fit_is_prolonged_from_its_last_statistics(tmp_path):
    arguments = {"batch_size": 16, "validation_fraction": 0.25, "lr": 0.05}
    stop = {"monitor": "validation_accuracy", "patience": 100}
    whole, part = normed(), normed()
    whole.fit(X, Y, epochs=8, **arguments, early_stopping=EarlyStopping(**stop))
    part.fit(X, Y, epochs=4, **arguments, early_stopping=EarlyStopping(**stop), callbacks=[Checkpoint(tmp_path / "c")])
    part.fit(X, Y, epochs=8, **arguments, early_stopping=EarlyStopping(**stop), resume=tmp_path / "c")
    assert everything(part) == everything(whole)


def test_early_stopping_restores_the_statistics_of_the_best_epoch():
    states = []

    class Watch(Callback):
        def on_epoch_end(self, run):
            states.append(everything(run.model))

    model = normed()
    stop = EarlyStopping("loss", patience=50, mode="max")  # the worst loss: that of the first epoch
    model.fit(X, X.mean((1, 2, 3)) > 0.5, epochs=4, batch_size=8, lr=0.05, callbacks=[Watch(), stop])
    assert stop.best_epoch < 3
    assert everything(model) == states[stop.best_epoch] != states[-1]


def test_a_fit_that_is_not_finite_leaves_the_statistics():
    model = normed().partial_fit(X, Y)
    before = everything(model)
    for call in (model.fit, model.partial_fit):
        with pytest.raises(FloatingPointError):
            call(X, Y, optimizer="sgd", lr=1e38, batch_size=8)
        assert everything(model) == before


def test_copies_and_files_keep_the_statistics(tmp_path):
    model = normed().partial_fit(X, Y, batch_size=8)
    assert model.buffers["layers.1.num_batches_tracked"].item() == 5
    model.save(tmp_path / "m")
    for other in (dlcore.load(tmp_path / "m"), pickle.loads(pickle.dumps(model)), model.clone()):
        assert everything(other) == everything(model)
        assert np.array_equal(other.predict_proba(X), model.predict_proba(X))
        other.partial_fit(X, Y)
        assert everything(other) != everything(model)


def test_prediction_does_not_depend_on_the_batch():
    model = normed().partial_fit(X, Y)
    one_by_one = np.concatenate([model.decision_function(X[i : i + 1]) for i in range(5)])
    assert model.decision_function(X)[:5] == pytest.approx(one_by_one, abs=1e-6)


def test_files_with_other_statistics_are_refused(tmp_path):
    normed().save(tmp_path / "m")
    tensors, metadata = dlcore.train.load_file(tmp_path / "m")
    for broken in (
        {name: value for name, value in tensors.items() if name != "layers.1.running_var"},
        tensors | {"layers.1.running_var": np.ones(5, np.float32)},
        tensors | {"layers.1.running_var": np.ones(4)},
    ):
        kept = {key: metadata[key] for key in ("model", "config", "generators", "dlcore_version")}
        dlcore.train.save_file(tmp_path / "broken", broken, kept)
        with pytest.raises(ValueError, match=r"refused: 'layers.1.running_var' has (shape|dtype)"):
            dlcore.load(tmp_path / "broken")


@pytest.mark.parametrize(
    ("shape", "layers", "message"),
    [
        ((1, 4, 4), [CNN.subsample(5)], "CNN: layer 0 (subsample): the kernel spans 5, the padded input has 4"),
        (
            (1, 4, 4),
            [CNN.subsample(2, padding=1)],
            "CNN: layer 0 (subsample): build_subsample() got an unexpected keyw",
        ),
        ((1, 4), [CNN.frame()], "CNN: layer 0 (frame): the input is (1, 4), expected (channels, height, width)"),
        (
            (1, 4, 4),
            [CNN.batch_norm(momentum=2)],
            "CNN: layer 0 (batch_norm): BatchNorm2d: momentum is 2, expected a n",
        ),
        (
            (2, 4, 4),
            [CNN.conv(3, 2, connections=[[0], [1]])],
            "CNN: layer 0 (conv): connections of 2 output channels for a convolution of 3 in 1 groups over (2, 4, 4)",
        ),
        (
            (2, 4, 4),
            [CNN.conv(3, 2, connections=5)],
            "CNN: layer 0 (conv): connections of unknown output channels for a convolution of 3 in 1 groups over",
        ),
        (
            (2, 4),
            [CNN.conv(1, 2, connections=[[0]])],
            "CNN: layer 0 (conv): connections of 1 output channels for a convolution of 1 in 1 groups over (2, 4), exp",
        ),
        (
            (2, 4, 4),
            [CNN.conv(1, 2, connections=[[2]])],
            "CNN: layer 0 (conv): PartialConv2d: connections[0] is [2], expected input maps in ascending order from 0",
        ),
    ],
)
def test_refused(shape, layers, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        CNN(shape, 3, layers)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_last_batch_of_one_case_is_refused_before_anything_changes(method):
    x, y = np.random.default_rng(0).random((9, 1, 4, 4)), np.arange(9) % 2
    dense = [CNN.dense(3, activation="identity"), CNN.dropout(0.5), CNN.batch_norm()]
    model = CNN((1, 4, 4), 2, dense)

    def state():
        numbers = [model.parameters.storage, *model.buffers.values()]
        return [number.numpy().tobytes() for number in numbers], {n: g.step for n, g in model.generators.items()}

    before = state()
    message = f"{method}: the last batch of 9 cases has 1 of them: BatchNorm1d: one value a channel has no variance"
    with pytest.raises(ValueError, match=f"^{message}"):
        getattr(model, method)(x, y, batch_size=4)
    assert state() == before and model.predict(x).shape == (9,)
    getattr(model, method)(x, y, batch_size=5)
    assert state() != before
    spatial = CNN((1, 4, 4), 2, [CNN.conv(2, 3, activation="identity"), CNN.batch_norm()])
    getattr(spatial, method)(x, y, batch_size=4, **({"epochs": 1} if method == "fit" else {}))  # a case has four places
    assert spatial.buffers["layers.1.num_batches_tracked"].item() == 3, "the look ahead leaves nothing behind"
