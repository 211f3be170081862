"""Fits whose steps are replayed end in the bits of those whose steps run one by one; others say why they are not."""

import signal
import sys
import threading

import numpy as np
import pytest
from dlcore import device, placement
from dlcore.models import (
    CNN,
    MLP,
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    LinearSVM,
    SoftmaxRegression,
    SparseAutoencoder,
)
from dlcore.optim import SGD, Adam, ProximalL1
from dlcore.optim.schedules import Cosine
from dlcore.train import AverageWeights, Callback, Checkpoint, ReduceLROnPlateau, gradient, replay
from resuming import Kill, figures, state

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 1, (47, 6)).astype(np.float32)
Y = RNG.integers(0, 3, 47)
IMAGES = RNG.uniform(0, 1, (41, 1, 8, 8)).astype(np.float32)
WEIGHTS = RNG.uniform(0.5, 2, 47)
CNN_LAYERS = [CNN.conv(3, 3, activation="identity"), CNN.batch_norm(), CNN.pool(2), CNN.dropout(0.2)]


class Watch(Callback):
    """What stands against replays, and the optimizer."""

    __module__ = "dlcore.tests"  # counted as dlcore's own

    def on_train_end(self, run):
        self.traced, self.optimizer = run.traced, run.optimizer


def mlp(**options):
    return lambda: MLP([6, 8, 3], **options)


def trained(make, data, replayed, callbacks=(), monkeypatch=None, **options):
    """The model after a fit, its history and what watched it."""
    monkeypatch.setattr(replay, "enabled", replayed)
    model, watch = make(), Watch()
    arguments = {"epochs": 3, "batch_size": 8} | options
    model.fit(*data, **arguments, progress=False, callbacks=[*callbacks, watch])
    return model, watch


def everything(model, watch):
    saved = watch.optimizer.state_dict()
    return (
        state(model),
        figures(model.history),
        {name: value.tobytes() for name, value in saved.pop("state").items()},
        saved,
        {name: value.numpy().tobytes() for name, value in model.buffers.items()},
    )


FITS = {
    "adam": (mlp(), (X, Y), {}),
    "dropout": (mlp(dropout=0.3), (X, Y), {}),
    "float64": (mlp(dtype="float64", dropout=0.1), (X, Y), {}),
    "as they stand": (mlp(), (X, Y), {"shuffle": False}),
    "penalties": (mlp(l1=0.01, weight_decay=0.1), (X, Y), {}),
    "sgd": (mlp(), (X, Y), {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "rmsprop": (mlp(), (X, Y), {"optimizer": "rmsprop", "momentum": 0.5, "centered": True}),
    "adagrad": (mlp(), (X, Y), {"optimizer": "adagrad", "lr_decay": 0.1}),
    "adadelta": (mlp(), (X, Y), {"optimizer": "adadelta"}),
    "adamw": (mlp(), (X, Y), {"optimizer": "adamw", "amsgrad": True}),
    "nadam": (mlp(), (X, Y), {"optimizer": "nadam"}),
    "rprop": (mlp(), (X, Y), {"optimizer": "rprop"}),
    "lion": (mlp(), (X, Y), {"optimizer": "lion"}),
    "cosine": (mlp(), (X, Y), {"schedule": "cosine"}),
    "own schedule": (mlp(), (X, Y), {"lr": lambda step: 0.01 / (1 + step)}),
    "values": (mlp(), (X, Y), {"max_grad_value": 0.01}),
    "norm": (mlp(), (X, Y), {"max_grad_norm": 0.1}),
    "norm of groups, up": (
        mlp(),
        (X, Y),
        {"max_grad_norm": 0.1, "maximize": True, "groups": [{"params": "*.bias", "lr": 0.1}, {"params": "*.weight"}]},
    ),
    "groups": (
        mlp(),
        (X, Y),
        {"groups": [{"params": "*.bias", "lr": 0.1}, {"params": "layers.0.weight", "frozen": True}]},
    ),
    "weights": (mlp(), (X, Y), {"sample_weight": WEIGHTS}),
    "validation": (mlp(dropout=0.2), (X, Y), {"validation_fraction": 0.2, "early_stopping": 1}),
    "svm": (lambda: LinearSVM(6, 3), (X, Y), {}),
    "sparse, kl": (lambda: SparseAutoencoder([6, 4], activation="sigmoid", penalty="kl"), (X,), {}),
    "softmax": (lambda: SoftmaxRegression(6, 3), (X, Y), {}),
    "sigmoid": (lambda: MLP([6, 5, 1], output="sigmoid"), (X, Y % 2), {}),
    "values of a function": (lambda: MLP([6, 5, 1], output="identity"), (X, X[:, 0]), {}),
    "cnn": (lambda: CNN((1, 8, 8), 3, CNN_LAYERS), (IMAGES, Y[:41]), {"batch_size": 5}),
    "autoencoder": (lambda: Autoencoder([6, 4, 2], tied=True), (X,), {}),
    "denoising": (lambda: DenoisingAutoencoder([6, 4], corruption="salt-and-pepper"), (X,), {}),
    "sparse": (lambda: SparseAutoencoder([6, 4], penalty="l1"), (X,), {}),
    "contractive": (lambda: ContractiveAutoencoder([6, 4]), (X,), {}),
}


@pytest.mark.parametrize("name", FITS)
def test_a_replayed_fit_has_the_bits_of_an_eager_one(name, monkeypatch):
    make, data, options = FITS[name]
    eager = trained(make, data, False, monkeypatch=monkeypatch, **options)
    replayed = trained(make, data, True, monkeypatch=monkeypatch, **options)
    assert eager[1].traced == "replay is switched off"
    assert replayed[1].traced is None
    assert everything(*replayed) == everything(*eager)


@pytest.mark.parametrize(
    ("cases", "epochs", "eager"),
    [
        (47, 3, 1),  # a short batch of 7 cases ends each epoch
        (47, 1, 2),  # it comes but once
        (8, 6, 1),
        (9, 6, 1),
    ],
)
def test_steps_that_are_not_replayed(cases, epochs, eager, monkeypatch):
    """None but the first, and what comes once; full batches and short ones have a recording each."""
    made = []
    count = gradient.Steps._count

    def counted(self, run, value, rows):
        made.append(sys._getframe(1).f_code.co_name)
        count(self, run, value, rows)

    data = X[:cases], Y[:cases]
    plain = trained(mlp(dropout=0.2), data, False, monkeypatch=monkeypatch, epochs=epochs)
    monkeypatch.setattr(gradient.Steps, "_count", counted)
    replayed = trained(mlp(dropout=0.2), data, True, monkeypatch=monkeypatch, epochs=epochs)
    assert replayed[1].traced is None and everything(*replayed) == everything(*plain)
    assert made.count("_eager") == eager and made.count("_record") == (1 if epochs == 1 or cases == 8 else 2)


@pytest.mark.parametrize("threads", [2, 4])
def test_on_several_threads(threads, monkeypatch):
    data = np.tile(X, (20, 40)), np.tile(Y, 20)
    options = {"epochs": 2, "batch_size": 128}
    make = lambda: MLP([240, 300, 3], dropout=0.2)  # noqa: E731
    eager = trained(make, data, False, monkeypatch=monkeypatch, **options)
    before = device.get_num_threads()
    device.set_num_threads(threads)
    try:
        replayed = trained(make, data, True, monkeypatch=monkeypatch, **options)
    finally:
        device.set_num_threads(before)
    assert replayed[1].traced is None
    assert everything(*replayed) == everything(*eager)


def test_callbacks_of_dlcore(tmp_path, monkeypatch):
    def callbacks():
        plateau = ReduceLROnPlateau("loss", patience=0, factor=0.5, threshold=10.0)
        return [AverageWeights(0.9), plateau, Checkpoint(tmp_path / "file", every=2)]

    eager = trained(mlp(), (X, Y), False, callbacks(), monkeypatch)
    replayed = trained(mlp(), (X, Y), True, callbacks(), monkeypatch)
    assert replayed[1].traced is None
    assert everything(*replayed) == everything(*eager)


def test_resumed_fits(tmp_path, monkeypatch):
    whole = trained(mlp(dropout=0.3), (X, Y), False, monkeypatch=monkeypatch, epochs=5)
    monkeypatch.setattr(replay, "enabled", True)
    killed = mlp(dropout=0.3)()
    with pytest.raises(KeyboardInterrupt):
        killed.fit(X, Y, epochs=5, batch_size=8, progress=False, callbacks=[Checkpoint(tmp_path / "file"), Kill(3)])
    resumed = trained(mlp(dropout=0.3), (X, Y), True, monkeypatch=monkeypatch, epochs=5, resume=tmp_path / "file")
    assert everything(*resumed) == everything(*whole)


class Between(Callback):
    """Changes what a step does, after an epoch."""

    def on_epoch_end(self, run):
        _, dropout = list(run.model.network.modules())[2]
        dropout.p = 0.6
        run.optimizer.groups[0].frozen = run.epoch == 1
        run.optimizer.max_grad_value = 0.01


def test_what_a_callback_changes_between_epochs(monkeypatch):
    options = {"groups": [{"params": "layers.0.weight"}], "epochs": 4}
    eager = trained(mlp(dropout=0.3), (X, Y), False, [Between()], monkeypatch, **options)
    replayed = trained(mlp(dropout=0.3), (X, Y), True, [Between()], monkeypatch, **options)
    assert replayed[1].traced is None
    assert everything(*replayed) == everything(*eager)


class Batches(Callback):
    def on_batch_end(self, run):
        run.optimizer.lr = 0.01 / (1 + run.batch)


def proximal(parameters):
    return ProximalL1(SGD(parameters, 0.1), 0.1)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"optimizer": "l-bfgs"}, "a line search asks for values"),
        ({"optimizer": proximal}, "ProximalL1 thresholds by a number that Python computes"),
        ({"callbacks": [Batches()]}, "Batches.on_batch_end may change what a step does"),
        ({"batch_size": 20, "epochs": 1}, "fewer than 4 full batches follow"),
        ({"batch_size": 20, "callbacks": [Between()]}, "fewer than 4 full batches follow"),
        ({"betas": (Cosine(0.9, 10), 0.99)}, "a schedule of betas"),
    ],
)
def test_fits_that_stay_eager_say_why(options, reason, monkeypatch):
    eager = trained(mlp(), (X, Y), False, monkeypatch=monkeypatch, **options)
    replayed = trained(mlp(), (X, Y), True, monkeypatch=monkeypatch, **options)
    assert replayed[1].traced == reason
    assert everything(*replayed) == everything(*eager)


@pytest.mark.parametrize(
    ("make", "data", "reason"),
    [
        (
            lambda: CNN((1, 8, 8), 3, [CNN_LAYERS[0], CNN.batch_norm(momentum=None), *CNN_LAYERS[2:]]),
            (IMAGES, Y[:41]),
            "item() reads a value",
        ),
    ],
)
def test_a_step_that_reads_values_stays_eager(make, data, reason, monkeypatch):
    options = {"batch_size": 5}
    eager = trained(make, data, False, monkeypatch=monkeypatch, **options)
    replayed = trained(make, data, True, monkeypatch=monkeypatch, **options)
    assert replayed[1].traced == reason
    assert everything(*replayed) == everything(*eager)


@pytest.mark.parametrize("bad", [0, 1, 3])
def test_a_loss_that_is_not_finite(bad, monkeypatch):
    """At the eager, the recorded and a replayed step."""
    errors = []
    for replayed in (False, True):
        monkeypatch.setattr(replay, "enabled", replayed)
        model = MLP([6, 4, 3], output="identity", dropout=0.3, seed=2)
        y = np.zeros((47, 3), np.float32)
        y[8 * bad] = 3e38  # its square is infinite
        with pytest.raises(FloatingPointError) as caught:
            model.fit(X, y, epochs=2, batch_size=8, shuffle=False, progress=False)
        drawn = {name: generator.step for name, generator in model.generators.items()}
        errors.append((str(caught.value), state(model), drawn))
    assert errors[0] == errors[1]
    assert f"at batch {bad + 1} in epoch 1" in errors[0][0]


@pytest.mark.parametrize("bad", [1, 3])
def test_a_norm_to_be_clipped_that_is_not_finite(bad, monkeypatch):
    """At the recorded and a replayed step, of a finite loss."""
    found = []
    x, y = X.copy(), np.zeros((47, 3), np.float32)
    x[8 * bad : 8 * bad + 8], y[8 * bad : 8 * bad + 8] = 1e25, 1e18
    for replayed in (False, True):
        monkeypatch.setattr(replay, "enabled", replayed)
        model = MLP([6, 4, 3], output="identity", dropout=0.3, seed=2)
        model.parameters.assign({name: np.full(p.shape, float("0" in name)) for name, p in model.parameters.items()})
        options = {"optimizer": "sgd", "lr": 1e-30, "max_grad_norm": 1.0, "shuffle": False, "batch_size": 8}
        with pytest.raises(FloatingPointError, match=r"fit: SGD: the norm of the gradient is inf in epoch 1") as caught:
            model.fit(x, y, epochs=2, progress=False, **options)
        drawn = {name: generator.step for name, generator in model.generators.items()}
        found.append((str(caught.value), state(model), drawn))
    assert found[0] == found[1]


def test_ctrl_c_is_answered_after_a_step(monkeypatch):
    make = lambda: MLP([6, 64, 64, 3], dropout=0.1)  # noqa: E731
    x, y = np.tile(X, (20_000, 1)), np.tile(Y, 20_000)
    timer = threading.Timer(0.15, signal.raise_signal, (signal.SIGINT,))
    seen, steps = [], replay.Replay.steps

    def started(self, *given):
        seen.append(self.run)
        timer.start()
        return steps(self, *given)

    model = make()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(replay.Replay, "steps", started)
        model.fit(x, y, epochs=1, batch_size=8, progress=False)
    timer.join()
    (run,) = seen
    assert 2 <= run.optimizer.steps == run.optimizer.groups[0].steps == run.batch < run.batches
    assert run.traced is None

    class Stop(Watch):
        def on_batch_end(self, other):
            if other.batch == run.batch:
                raise KeyboardInterrupt

    again = make()
    with pytest.raises(KeyboardInterrupt):
        again.fit(x, y, epochs=1, batch_size=8, progress=False, callbacks=[Stop()])
    assert state(again) == state(model)


def test_a_check_of_values_that_fails_in_a_replay(monkeypatch):
    """The message is the eager step's, and the model is that after the step before."""
    found = []
    for replayed in (False, True):
        monkeypatch.setattr(replay, "enabled", replayed)
        model, watch = SparseAutoencoder([6, 4], penalty="kl", loss="squared_error"), Watch()
        model.coder.encoder.layers[-1].activation = "softplus"  # not the sigmoid that the penalty asks for
        x = X.copy()
        x[26:] *= 200
        with pytest.raises(ValueError, match="kl_sparsity: the code has values") as caught:
            model.fit(x * 0.1, epochs=3, batch_size=4, lr=0.01, progress=False, shuffle=False, callbacks=[watch])
        found.append((str(caught.value), state(model)))
    assert found[0] == found[1]


def test_a_fit_that_fails_while_it_is_recorded_leaves_no_recording(monkeypatch):
    monkeypatch.setattr(Adam, "_update", lambda *_: (_ for _ in ()).throw(KeyError("update")))
    model = MLP([6, 8, 3])
    with pytest.raises(KeyError):
        model.fit(X, Y, epochs=1, batch_size=8, progress=False)
    plan = placement.placed(None).Plan()
    plan.begin()
    plan.end()
