"""Callbacks that lower the learning rate on a plateau or average the weights, alone and across a resumed fit."""

import numpy as np
import pytest
from dlcore.models import MLP
from dlcore.optim import SGD
from dlcore.train import AverageWeights, Callback, Checkpoint, EarlyStopping, ReduceLROnPlateau, Run, run_epochs

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 1, (40, 6)).astype(np.float32)
Y = RNG.integers(0, 3, 40)


def make():
    return MLP([6, 8, 3], seed=1)


class Watch(Callback):
    """Remembers the learning rate at the end of each epoch."""

    def __init__(self):
        self.rates = []

    def on_epoch_end(self, run):
        self.rates.append(run.optimizer.current_lr())


class Kill(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, run):
        if run.epoch == self.epoch:
            raise KeyboardInterrupt


def watched(values, callback, lr=0.8):
    """The rate after each epoch whose figure is given."""
    model, watch = MLP([2, 2]), Watch()
    run = Run(model, len(values), SGD(model.parameters, lr))
    run_epochs(run, lambda run: {"figure": values[run.epoch]}, [callback, watch], progress=False)
    return watch.rates


def test_the_rate_falls_after_patience():
    callback = ReduceLROnPlateau("figure", factor=0.5, patience=1)
    assert watched([3, 2, 2, 2, 2, 1, 1, 1], callback) == [0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.4, 0.2]
    assert watched([3, 3, 3], callback) == [0.8, 0.8, 0.4], "a second fit starts afresh"


def test_options_of_the_plateau():
    down = ReduceLROnPlateau("figure", factor=0.5, patience=0, mode="max", min_factor=0.2)
    assert watched([1, 2, 2, 2, 2, 2], down) == pytest.approx([0.8, 0.8, 0.4, 0.2, 0.16, 0.16])
    cooling = ReduceLROnPlateau("figure", factor=0.5, patience=0, cooldown=2)
    assert watched([1, 1, 1, 1, 1, 1], cooling) == [0.8, 0.4, 0.4, 0.4, 0.2, 0.2]
    scheduled = ReduceLROnPlateau("figure", factor=0.5, patience=0)
    assert watched([1, 1, 2], scheduled, lambda step: 0.3) == pytest.approx([0.3, 0.15, 0.075])


def test_the_plateau_of_an_accuracy_and_of_no_figure():
    assert ReduceLROnPlateau("validation_accuracy").plateau.mode == "max"
    assert ReduceLROnPlateau("validation_accuracy", mode="min").plateau.mode == "min"
    model = make()
    before = model.parameters.storage.numpy()
    with pytest.raises(ValueError, match="ReduceLROnPlateau: monitor is 'los', the history has loss, seconds"):
        model.fit(X, Y, epochs=1, callbacks=[ReduceLROnPlateau("los")])
    assert np.array_equal(model.parameters.storage.numpy(), before)


def resumed_bits(tmp_path, callbacks, **options):
    """(θ of an undisturbed fit, θ of one killed and resumed), as bytes."""
    arguments = {"epochs": 8, "batch_size": 7, "validation_fraction": 0.2, "progress": False, **options}
    whole, broken, resumed = make(), make(), make()
    whole.fit(X, Y, **arguments, callbacks=callbacks())
    path = tmp_path / "c"
    with pytest.raises(KeyboardInterrupt):
        broken.fit(X, Y, **arguments, callbacks=[*callbacks(), Checkpoint(path, every=2), Kill(5)])
    resumed.fit(X, Y, **arguments, callbacks=callbacks(), resume=path)
    return [model.parameters.storage.numpy().tobytes() for model in (whole, resumed)]


def test_a_resumed_plateau_goes_on(tmp_path):
    def callbacks():
        return [ReduceLROnPlateau(factor=0.5, patience=0, threshold=0.01)]

    whole, resumed = resumed_bits(tmp_path, callbacks, lr=0.01)
    assert whole == resumed
    without, _ = resumed_bits(tmp_path, list, lr=0.01)
    assert whole != without, "the test needs a plateau"


def test_the_fit_ends_with_the_average_of_its_steps():
    class Path(Callback):
        def __init__(self):
            self.points = []

        def on_batch_end(self, run):
            self.points.append(run.model.parameters.storage.numpy().astype(np.float64))

    model, path, average = make(), Path(), AverageWeights(0.9)
    model.fit(X, Y, epochs=3, batch_size=10, lr=0.01, callbacks=[path, average], progress=False)
    expected = path.points[0]
    for point in path.points[1:]:
        expected = 0.9 * expected + 0.1 * point
    assert len(path.points) == average.ema.updates == 12
    np.testing.assert_allclose(model.parameters.storage.numpy(), expected, rtol=1e-5, atol=1e-7)
    assert abs(path.points[-1] - expected).max() > 1e-3


def test_a_resumed_average_goes_on(tmp_path):
    whole, resumed = resumed_bits(tmp_path, lambda: [AverageWeights(lambda t: min(0.9, t / (t + 2)))], lr=0.01)
    assert whole == resumed


def test_an_average_over_no_steps_changes_nothing():
    model = make()
    before = model.parameters.storage.numpy()
    model.fit(X, Y, epochs=0, callbacks=[AverageWeights()], progress=False)
    np.testing.assert_array_equal(model.parameters.storage.numpy(), before)


def test_a_clipped_fit_stops_at_a_gradient_that_is_not_finite():
    model = make()
    with pytest.raises(FloatingPointError, match=r"fit: .*SGD: the norm of the gradient is (nan|inf) in epoch"):
        model.fit(X, Y, epochs=50, optimizer=spoiled, progress=False)
    assert np.isfinite(model.parameters.storage.numpy()).all()


def spoiled(parameters):
    class Spoiled(SGD):
        def step(self, gradient):
            super().step(gradient * float("nan") if self.steps == 3 else gradient)

    Spoiled.__name__ = "SGD"
    return Spoiled(parameters, 0.1, max_grad_norm=1.0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ReduceLROnPlateau(factor=1.0), ValueError, r"^ReduceLROnPlateau: factor is 1.0, expected .* \(0, 1\)"),
        (lambda: ReduceLROnPlateau(patience=-1), ValueError, "^ReduceLROnPlateau: patience is -1, expected an integer"),
        (lambda: ReduceLROnPlateau(min_factor=-1), ValueError, "^ReduceLROnPlateau: min_factor is -1, expected"),
        (lambda: ReduceLROnPlateau(mode="up"), ValueError, "^ReduceLROnPlateau: mode is 'up'"),
        (lambda: AverageWeights(1.5), ValueError, r"^AverageWeights: decay is 1.5, expected a number in \[0, 1\]"),
        (lambda: AverageWeights().ema, RuntimeError, "^AverageWeights: there is no average before a fit"),
        (lambda: AverageWeights().load_state_dict({}), ValueError, "^AverageWeights: the saved state lacks"),
        (lambda: watched([1], ReduceLROnPlateau("los")), ValueError, "monitor is 'los', the history has figure"),
        (
            lambda: make().fit(X, Y, callbacks=[ReduceLROnPlateau()]),
            ValueError,
            "fit: ReduceLROnPlateau on 'validation_loss' needs validation_data or validation_fraction",
        ),
        (
            lambda: make().fit(X, Y, optimizer="rprop", callbacks=[ReduceLROnPlateau("loss")]),
            ValueError,
            "^ReduceLROnPlateau: Rprop has no learning rate to reduce",
        ),
        (
            lambda: make().fit(X, Y, callbacks=[EarlyStopping()]),
            ValueError,
            "fit: early stopping on 'validation_loss' needs",
        ),
    ],
)
def test_messages(call, error, message):
    with pytest.raises(error, match=message):
        call()
