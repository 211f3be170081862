"""Optimizers by name, their options, schedules."""

import math

import numpy as np
import pytest
from dlcore.models import MLP
from dlcore.optim import SGD, Adam
from dlcore.train import OPTIMIZERS, Decay, make_optimizer


@pytest.fixture
def parameters():
    return MLP([2, 3]).parameters


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_by_name(parameters, name):
    made = make_optimizer(name, parameters, 0.25)
    assert type(made) is OPTIMIZERS[name]
    assert made.lr == 0.25
    assert made.parameters is parameters


def test_default_rate_and_options(parameters):
    assert make_optimizer("adam", parameters).lr == Adam(parameters).lr
    made = make_optimizer("sgd", parameters, 0.1, {"momentum": 0.9, "nesterov": True})
    assert (made.momentum, made.nesterov) == (0.9, True)
    assert make_optimizer("sgd", parameters, lambda step: 0.5 / (1 + step)).current_lr() == 0.5


def test_schedules(parameters):
    linear = make_optimizer("sgd", parameters, 0.2, schedule="linear", steps=10).lr
    assert [linear(step) for step in (0, 5, 10, 99)] == pytest.approx([0.2, 0.1, 0.0, 0.0])
    cosine = Decay("cosine", 0.2, 10)
    assert [cosine(step) for step in (0, 5, 10, 99)] == pytest.approx([0.2, 0.1, 0.0, 0.0])
    assert cosine(2) == pytest.approx(0.1 * (1 + math.cos(0.2 * math.pi)))


def test_a_fit_s_schedule_ends_at_its_last_step():
    made = []

    class Spy(SGD):
        def step(self, gradient):
            made.append(self.current_lr())
            super().step(gradient)

    OPTIMIZERS["spy"] = Spy
    try:
        x = np.eye(4, dtype=np.float32)
        MLP([4, 2]).fit(x, [0, 1, 0, 1], epochs=2, batch_size=2, optimizer="spy", lr=1.0, schedule="linear")
    finally:
        del OPTIMIZERS["spy"]
    assert made == pytest.approx([1, 0.75, 0.5, 0.25])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("adamm",), ValueError, "optimizer is 'adamm', expected one of sgd, adagrad, rmsprop, adam, adamw"),
        ((["sgd"],), ValueError, "optimizer is"),
        (("adam", None, {"momentum": 0.9}), ValueError, "'momentum' is not an option of adam, which has betas, eps"),
        (("sgd", None, {"parameters": 1}), ValueError, "'parameters' is not an option of sgd"),
        (("adam", -1.0), ValueError, "Adam: lr is -1.0, expected a finite number >= 0"),
        (("adam", math.nan), ValueError, "Adam: lr is nan"),
        (("adam", -1.0, {}, "cosine"), ValueError, "Adam: lr is -1.0"),
        (("adam", "0.1", {}, "cosine"), ValueError, "Adam: lr is '0.1'"),
        (("adam", None, {}, "step"), ValueError, "schedule is 'step', expected one of constant, linear, cosine"),
        (("adam", lambda step: 0.1, {}, "linear"), ValueError, "lr is a function and schedule is 'linear'"),
        (("adam", None, {"betas": (1.0, 0.9)}), ValueError, "Adam: beta1 is 1.0"),
        ((lambda p: SGD(p), 0.1), ValueError, "optimizer is a function, which sets lr"),
        ((lambda p: None,), TypeError, "optimizer returned a NoneType, expected an Optimizer"),
        ((lambda p: SGD(MLP([2, 3]).parameters),), ValueError, "optimizer was made for other parameters"),
    ],
)
def test_errors(parameters, arguments, error, message):
    with pytest.raises(error, match=message):
        make_optimizer(arguments[0], parameters, *arguments[1:])


def test_an_optimizer_that_was_made_before_the_fit():
    model = MLP([2, 2])
    with pytest.raises(ValueError, match=r"fit: optimizer is the object SGD, expected .*lambda parameters: Adam\("):
        make_optimizer(SGD(model.parameters), model.parameters)
