"""Optimizers by name, their options, schedules."""

import math

import numpy as np
import pytest
from dlcore.models import MLP
from dlcore.optim import SGD, Adam
from dlcore.optim.schedules import Cosine, Linear
from dlcore.train import OPTIMIZERS, make_optimizer


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
    cosine = make_optimizer("sgd", parameters, 0.2, schedule="cosine", steps=10).lr
    assert [cosine(step) for step in (0, 5, 10, 99)] == pytest.approx([0.2, 0.1, 0.0, 0.0])
    assert cosine(2) == pytest.approx(0.1 * (1 + math.cos(0.2 * math.pi)))
    assert make_optimizer("sgd", parameters, 0.2, schedule="linear", steps=0).current_lr() == 0.2


def test_a_schedule_holds_for_the_groups_own_rates(parameters):
    groups = [{"params": "layers.0.bias", "lr": 0.1, "weight_decay": 0.5}, {"params": "*", "lr": lambda step: 7.0}]
    (name,) = [name for name in parameters if name.endswith("bias")]
    groups[0]["params"] = name
    groups[1]["params"] = [other for other in parameters if other != name]
    made = make_optimizer("sgd", parameters, 0.2, {"groups": groups}, "linear", 10)
    first, second = made.groups
    assert isinstance(first.options["lr"], Linear)
    assert (first.options["lr"](5), first.options["weight_decay"]) == (pytest.approx(0.05), 0.5)
    assert second.options["lr"](5) == 7.0
    assert groups[0]["lr"] == 0.1
    cosine = make_optimizer("sgd", parameters, 0.2, {"groups": groups}, "cosine", 10)
    assert isinstance(cosine.groups[0].options["lr"], Cosine)


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
        (
            ("adamm",),
            ValueError,
            "optimizer is 'adamm', expected one of sgd, adagrad, rmsprop, adam, adamw, nadam, ",
        ),
        ((["sgd"],), ValueError, "optimizer is"),
        (
            ("adam", None, {"momentum": 0.9}),
            ValueError,
            "'momentum' is not an option of adam, which has betas, eps, weight_decay, amsgrad",
        ),
        (("sgd", None, {"parameters": 1}), ValueError, "'parameters' is not an option of sgd"),
        (("adam", -1.0), ValueError, "Adam: lr is -1.0, expected a finite number >= 0"),
        (("adam", math.nan), ValueError, "Adam: lr is nan"),
        (("adam", -1.0, {}, "cosine"), ValueError, "Adam: lr is -1.0"),
        (("adam", "0.1", {}, "cosine"), ValueError, "Adam: lr is '0.1'"),
        (("adam", None, {}, "step"), ValueError, "schedule is 'step', expected one of constant, linear, cosine"),
        (("adam", lambda step: 0.1, {}, "linear"), ValueError, "lr is a function and schedule is 'linear'"),
        (("adam", None, {"max_grad_norm": -1.0}), ValueError, "Adam: max_grad_norm is -1.0"),
        (("adam", None, {"groups": [{"params": "none"}]}, "cosine"), ValueError, "params 'none' matches none of"),
        (("rprop", None, {}, "cosine"), ValueError, "Rprop: lr is a schedule, expected a number"),
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
