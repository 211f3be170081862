"""Optimizers against float64 implementations of the published rules, and against PyTorch's where it is installed."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from dlcore import Tensor, grad, ops, optim, tensor
from dlcore.nn import Linear, Parameters

N, STEPS = 37, 200
Rule = Iterator[Callable[[np.ndarray, np.ndarray], np.ndarray]]


def gradient(theta: np.ndarray, step: int) -> np.ndarray:
    """A bumpy, noisy function's: large and small, of both signs, exactly 0 at times."""
    noise = np.random.default_rng(step).standard_normal(N)
    g = np.linspace(0.1, 3, N) * theta + 0.3 * np.sin(5 * theta) + 0.2 * noise
    g[step % N] = 0
    return g


def sgd(theta, lr, momentum=0.0, dampening=0.0, nesterov=False, weight_decay=0.0):  # type: ignore[no-untyped-def]
    """v ← μ v + (1 − τ) g, v = g at first; θ ← θ − lr v, or lr (g + μ v) in Nesterov's form (Sutskever et al. 2013)."""
    v = None
    while True:
        g = (yield theta) + weight_decay * theta
        if momentum:
            v = g if v is None else momentum * v + (1 - dampening) * g
            g = g + momentum * v if nesterov else v
        theta = theta - lr * g


def adagrad(theta, lr, eps=1e-10, weight_decay=0.0):  # type: ignore[no-untyped-def]
    """s ← s + g²; θ ← θ − lr g / (√s + ε): Duchi, Hazan, Singer (2011), figure 1, diagonal."""
    s = np.zeros(N)
    while True:
        g = (yield theta) + weight_decay * theta
        s = s + g**2
        theta = theta - lr * g / (np.sqrt(s) + eps)


def rmsprop(theta, lr, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False):  # type: ignore[no-untyped-def]
    """Tieleman & Hinton (2012), lecture 6e; Graves (2013), equations 38-40, for the centred form."""
    s, mean, b = np.zeros(N), np.zeros(N), np.zeros(N)
    while True:
        g = (yield theta) + weight_decay * theta
        s = alpha * s + (1 - alpha) * g**2
        mean = alpha * mean + (1 - alpha) * g
        d = g / (np.sqrt(np.maximum(s - mean**2 if centered else s, 0)) + eps)
        b = momentum * b + d
        theta = theta - lr * b


def adam(theta, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False):  # type: ignore[no-untyped-def]
    """Kingma & Ba (2015), algorithm 1; Loshchilov & Hutter (2019), algorithm 2, where decoupled."""
    m, v, t = np.zeros(N), np.zeros(N), 0
    while True:
        g = yield theta
        t += 1
        if decoupled:
            theta = theta - lr * weight_decay * theta
        else:
            g = g + weight_decay * theta
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        theta = theta - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)


def adamw(theta, lr, weight_decay=0.01, **options):  # type: ignore[no-untyped-def]
    return adam(theta, lr, weight_decay=weight_decay, decoupled=True, **options)


# class, rule, PyTorch's name, options
SETTINGS: list[tuple[type[optim.Optimizer], Any, str, dict[str, Any]]] = [
    (optim.SGD, sgd, "SGD", {"lr": 0.05}),
    (optim.SGD, sgd, "SGD", {"lr": 0.05, "weight_decay": 0.1}),
    (optim.SGD, sgd, "SGD", {"lr": 0.02, "momentum": 0.9}),
    (optim.SGD, sgd, "SGD", {"lr": 0.02, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    (optim.SGD, sgd, "SGD", {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    (optim.AdaGrad, adagrad, "Adagrad", {"lr": 0.1}),
    (optim.AdaGrad, adagrad, "Adagrad", {"lr": 0.1, "eps": 1e-3, "weight_decay": 0.1}),
    (optim.RMSProp, rmsprop, "RMSprop", {"lr": 0.01}),
    (optim.RMSProp, rmsprop, "RMSprop", {"lr": 0.01, "alpha": 0.9, "momentum": 0.5, "weight_decay": 0.01}),
    (optim.RMSProp, rmsprop, "RMSprop", {"lr": 0.01, "centered": True, "eps": 1e-4}),
    (optim.RMSProp, rmsprop, "RMSprop", {"lr": 0.01, "centered": True, "momentum": 0.9, "eps": 1e-4}),
    (optim.Adam, adam, "Adam", {"lr": 0.01}),
    (optim.Adam, adam, "Adam", {"lr": 0.01, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    (optim.AdamW, adamw, "AdamW", {"lr": 0.01}),
    (optim.AdamW, adamw, "AdamW", {"lr": 0.01, "betas": (0.8, 0.99), "weight_decay": 0.2}),
]
IDS = [f"{row[0].__name__} {row[3]}" for row in SETTINGS]


def parameters(dtype: str) -> Parameters:
    p = Parameters({"a": (5, 5), "b": (12,)}, dtype)
    p.storage.array.assign(tensor(start(), dtype).array)
    return p


def start() -> np.ndarray:
    return np.random.default_rng(7).standard_normal(N)


def trajectory(make: Any, options: dict[str, Any], dtype: str) -> np.ndarray:
    """θ after every step; gradients are those at our own θ."""
    p = parameters(dtype)
    optimizer = make(p, **options)
    rows = []
    for step in range(STEPS):
        optimizer.step(tensor(gradient(p.storage.numpy().astype(np.float64), step), dtype))
        rows.append(p.storage.numpy())
    assert optimizer.steps == STEPS
    return np.stack(rows)


def published(rule: Any, options: dict[str, Any]) -> np.ndarray:
    run = rule(start(), **options)
    theta, rows = next(run), []
    for step in range(STEPS):
        theta = run.send(gradient(theta, step))
        rows.append(theta)
    return np.stack(rows)


@pytest.mark.parametrize(("make", "rule", "torch_name", "options"), SETTINGS, ids=IDS)
def test_the_trajectory_is_the_published_rule_s(make: Any, rule: Any, torch_name: str, options: dict[str, Any]) -> None:
    expected = published(rule, options)
    np.testing.assert_allclose(trajectory(make, options, "float64"), expected, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(trajectory(make, options, "float32"), expected, rtol=2e-3, atol=2e-4)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize(("make", "rule", "torch_name", "options"), SETTINGS, ids=IDS)
def test_the_trajectory_is_pytorch_s(make: Any, rule: Any, torch_name: str, options: dict[str, Any]) -> None:
    import torch

    theta = torch.tensor(start(), requires_grad=True)
    optimizer = getattr(torch.optim, torch_name)([theta], **options)
    rows = []
    for step in range(STEPS):
        theta.grad = torch.tensor(gradient(theta.detach().numpy().copy(), step))
        optimizer.step()
        rows.append(theta.detach().numpy().copy())
    np.testing.assert_allclose(trajectory(make, options, "float64"), np.stack(rows), rtol=1e-10, atol=1e-11)


def test_a_schedule_is_asked_before_each_step() -> None:
    p = Parameters({"w": (1,)}, "float64")
    p.assign({"w": [0.0]})
    asked: list[int] = []

    def schedule(step: int) -> float:
        asked.append(step)
        return 2.0**step

    optimizer = optim.SGD(p, schedule)
    for _ in range(4):
        optimizer.step(ops.ones((1,), "float64"))
    assert asked == [0, 1, 2, 3]
    assert p["w"].numpy().tolist() == [-15]
    assert optim.SGD(p, 0.5).current_lr() == 0.5


@pytest.mark.parametrize(("make", "rule", "torch_name", "options"), SETTINGS, ids=IDS)
def test_a_restored_optimizer_goes_on_bit_for_bit(
    make: Any, rule: Any, torch_name: str, options: dict[str, Any]
) -> None:
    def run(optimizer: optim.Optimizer, steps: range) -> None:
        for step in steps:
            theta = optimizer.parameters.storage
            optimizer.step(tensor(gradient(theta.numpy().astype(np.float64), step), "float32"))

    undisturbed = make(parameters("float32"), **options)
    run(undisturbed, range(20))
    first = make(parameters("float32"), **options)
    run(first, range(10))
    second = make(parameters("float32"), **options)
    second.parameters.storage.array.assign(first.parameters.storage.array)
    second.load_state_dict(first.state_dict())
    run(second, range(10, 20))
    assert second.steps == 20
    assert second.parameters.storage.numpy().tobytes() == undisturbed.parameters.storage.numpy().tobytes()


def test_a_model_learns() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((50, 4)), rng.standard_normal((4, 1))
    model = Linear(4, 1).build(0, "float64")
    optimizer = optim.Adam(model.parameters, 0.05)

    def loss(x: Any, y: Any) -> Tensor:
        return ops.mean(ops.squared_error(model(x), tensor(y)))

    step = grad(loss, model.parameters)
    for _ in range(600):
        optimizer.step(step(x, x @ w))
    np.testing.assert_allclose(model.weight.numpy(), w, atol=1e-4)


P = Parameters({"w": (3,)})
P.assign({"w": [1, 2, 3]})


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: optim.SGD([1.0]), TypeError, r"^SGD: parameters is a list, expected Parameters \(model.parameters\)"),
        (lambda: optim.SGD(Linear(2, 2)), TypeError, "^SGD: parameters is a Linear, expected Parameters"),
        (lambda: optim.SGD(P, lr=-1), ValueError, "^SGD: lr is -1, expected a finite number >= 0"),
        (lambda: optim.SGD(P, lr=math.nan), ValueError, "^SGD: lr is nan"),
        (lambda: optim.SGD(P, lr=math.inf), ValueError, "^SGD: lr is inf"),
        (lambda: optim.SGD(P, lr=True), ValueError, "^SGD: lr is True"),
        (lambda: optim.SGD(P, lr="0.1"), ValueError, "^SGD: lr is '0.1'"),
        (lambda: optim.SGD(P, momentum=1.0), ValueError, r"^SGD: momentum is 1.0, expected a number in \[0, 1\)"),
        (lambda: optim.SGD(P, dampening=-0.1), ValueError, "^SGD: dampening is -0.1"),
        (lambda: optim.SGD(P, weight_decay=-1e-4), ValueError, "^SGD: weight_decay is -0.0001"),
        (lambda: optim.SGD(P, nesterov=True), ValueError, "^SGD: nesterov needs a momentum above 0 and no dampening"),
        (lambda: optim.SGD(P, momentum=0.9, dampening=0.1, nesterov=True), ValueError, "^SGD: nesterov needs"),
        (lambda: optim.SGD(P, beta=1), TypeError, "beta"),
        (lambda: optim.AdaGrad(P, eps=-1), ValueError, "^AdaGrad: eps is -1"),
        (lambda: optim.RMSProp(P, alpha=1.0), ValueError, "^RMSProp: alpha is 1.0"),
        (lambda: optim.RMSProp(P, momentum=math.nan), ValueError, "^RMSProp: momentum is nan"),
        (lambda: optim.Adam(P, betas=(1.0, 0.9)), ValueError, "^Adam: beta1 is 1.0"),
        (lambda: optim.Adam(P, betas=(0.9, 1.0)), ValueError, "^Adam: beta2 is 1.0"),
        (lambda: optim.Adam(P, betas=(0.9,)), ValueError, r"^Adam: betas are \(0.9,\), expected two numbers"),
        (lambda: optim.AdamW(P, eps=math.nan), ValueError, "^AdamW: eps is nan"),
        (lambda: optim.AdamW(P, weight_decay=None), ValueError, "^AdamW: weight_decay is None"),
        (lambda: optim.SGD(P).step(ops.ones((2,))), ValueError, r"^SGD: gradient is \(2,\), expected \(3,\)"),
        (lambda: optim.SGD(P).step([1, 2, 3]), TypeError, "^SGD: gradient is a list, expected a Tensor"),
        (lambda: optim.SGD(P).step(ops.ones((3,), "float64")), TypeError, "^sgd: dtypes differ"),
        (lambda: optim.SGD(P, lambda step: -1.0).step(ops.ones((3,))), ValueError, "^SGD: lr is -1.0"),
        (lambda: optim.SGD(P, lambda step: math.nan).step(ops.ones((3,))), ValueError, "^SGD: lr is nan"),
        (lambda: optim.Optimizer(P, 0.1).step(ops.ones((3,))), TypeError, "^Optimizer defines no update"),
    ],
)
def test_messages(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
    assert P.theta.numpy().tolist() == [1, 2, 3]


def test_bad_state_changes_nothing() -> None:
    optimizer = optim.Adam(parameters("float32"))
    optimizer.step(ops.ones((N,)))
    good = optimizer.state_dict()
    for change, error, message in [
        ({"state": {}}, ValueError, r"^Adam: state has \[\], expected \['first_moment', 'second_moment'\]"),
        ({"steps": -1}, ValueError, "^Adam: steps is -1, expected an integer >= 0"),
        ({"steps": 1.5}, ValueError, "^Adam: steps is 1.5"),
        (
            {"state": {"first_moment": np.zeros(N), "second_moment": np.zeros(3)}},
            ValueError,
            r"^Adam: second_moment is \(3,\), expected \(37,\)",
        ),
        ({"state": {"first_moment": np.zeros(N), "second_moment": "x"}}, TypeError, "expected real numbers"),
    ]:
        with pytest.raises(error, match=message):
            optimizer.load_state_dict({**good, **change})
        assert optimizer.steps == 1
        for name, values in good["state"].items():
            np.testing.assert_array_equal(optimizer.state[name].numpy(), values)
    optimizer.load_state_dict({"steps": 3, "state": {n: v.astype(np.float64)[::1] for n, v in good["state"].items()}})
    assert optimizer.steps == 3


def test_a_failed_step_counts_for_nothing() -> None:
    p = parameters("float32")
    optimizer = optim.SGD(p, 0.1, momentum=0.9)
    before = p.storage.numpy()
    with pytest.raises(TypeError):
        optimizer.step(ops.ones((N,), "float64"))
    assert optimizer.steps == 0
    np.testing.assert_array_equal(p.storage.numpy(), before)
