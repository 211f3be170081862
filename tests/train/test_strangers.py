"""Code of others within a fit is asked in each step: what calls it is not replayed."""

import functools

import numpy as np
import pytest
from dlcore import losses, nn, penalties, tensor, train
from dlcore.models import MLP
from dlcore.optim import SGD, schedules
from dlcore.train import Callback, Run, replay
from resuming import state

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 1, (47, 6)).astype(np.float32)
Y = RNG.integers(0, 3, 47)


class Watch(Callback):
    """What stands against replays."""

    __module__ = "dlcore.tests"  # counted as dlcore's own

    def on_train_begin(self, run):
        self.run = run

    def on_train_end(self, run):
        self.traced = run.traced


class Doubled(nn.Module):
    """x times a number that Python draws anew."""

    def forward(self, x):
        return x * float(np.random.default_rng().uniform())


def test_foreign_modules_and_objectives_stay_eager(monkeypatch):
    model = MLP([6, 8, 3])
    model.network.layers = (*model.network.layers, Doubled())
    watch = Watch()
    model.fit(X, Y, epochs=1, batch_size=8, progress=False, callbacks=[watch])
    assert watch.traced == "Sequential has Doubled, which is not dlcore's own"
    model = MLP([6, 8, 3])
    own = model.objective
    model.objective = lambda x, y: own(x, y)
    model.fit(X, Y, epochs=1, batch_size=8, progress=False, callbacks=[watch])
    assert "lambda" in watch.traced


class Fading:
    """A factor that Python counts down, call by call."""

    def __init__(self):
        self.calls = 0

    def __call__(self, *_):
        self.calls += 1
        return 1.0 / self.calls


def objectives(model, fading):
    """Functions of dlcore's that call one of the caller's."""

    def loss(x, y):
        return losses.cross_entropy(model.network(x), y) * fading()

    def decay(w):
        return penalties.l2(w) * fading()

    plain = functools.partial(own_loss, model)
    weight = model.parameters["layers.0.weight"]
    return {
        "loss": penalties.Objective(loss),
        "penalty": penalties.Objective(plain, decay=(0.1, penalties.of(decay, weight))),
        "partial": functools.partial(penalties.Objective(loss)),
    }


def own_loss(model, x, y):
    return model.objective(x, y)


own_loss.__module__ = "dlcore.tests"


@pytest.mark.parametrize("name", ["loss", "penalty", "partial"])
def test_an_objective_that_holds_a_function_of_others_is_eager(name, monkeypatch):
    found = []
    for replayed in (False, True):
        monkeypatch.setattr(replay, "enabled", replayed)
        model, fading = MLP([6, 8, 3], seed=1), Fading()
        run = Run(model, 2, SGD(model.parameters, 0.1), model.generators)
        epoch = train.gradient_epoch(objectives(model, fading)[name], [tensor(X), tensor(Y, "int32")], 8, None)
        found.append((epoch(run), fading.calls, state(model)))
    assert run.traced is not None and run.traced.endswith("which is not dlcore's own")
    assert fading.calls == 6
    assert found[0] == found[1]


def test_a_schedule_that_holds_a_function_of_others_is_asked_just_before_its_step(monkeypatch):
    """It may look at anything, here at the batches that the fit has finished."""
    found = []
    for replayed in (False, True):
        monkeypatch.setattr(replay, "enabled", replayed)
        model, watch = MLP([6, 8, 3], seed=1), Watch()
        rate = 0.5 * schedules.Warmup(lambda step, watch=watch: 0.1 / (1 + watch.run.batch), 2)
        model.fit(X, Y, epochs=2, batch_size=8, optimizer="sgd", lr=rate, progress=False, callbacks=[watch])
        found.append(state(model))
    assert watch.traced is None
    assert found[0] == found[1]
