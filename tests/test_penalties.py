"""Penalties against their formulas, the objective they form, and exact zeros by proximal steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from derivatives import Derivative, check_first, check_second
from dlcore import Tensor, grad, losses, nn, ops, optim, penalties, tensor, value_and_grad
from dlcore.models import LinearRegression

Rng = np.random.Generator
W = tensor([[1.0, -2.0], [0.0, 3.0]])


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_weight_penalties() -> None:
    assert penalties.l1(W).item() == 6
    assert penalties.l2(W).item() == 7
    assert penalties.l1(W, W, W).item() == 18
    assert penalties.elastic_net(W).item() == 6.5
    assert penalties.elastic_net(W, W, l1_ratio=0.25).item() == 2 * (0.25 * 6 + 0.75 * 7)
    assert penalties.activity_l1(W).item() == 3
    assert grad(penalties.l1)(W).numpy().tolist() == [[1, -1], [0, 1]]
    assert grad(penalties.l2)(W).numpy().tolist() == W.numpy().tolist()
    assert grad(penalties.elastic_net)(W).numpy().tolist() == [[1, -1.5], [0, 2]]
    assert grad(penalties.activity_l1)(W).numpy().tolist() == [[0.5, -0.5], [0, 0.5]]


def test_kl_sparsity(rng: Rng) -> None:
    h = rng.uniform(0.01, 0.5, (7, 3))
    mean, rho = h.mean(0), 0.1
    expected = (rho * np.log(rho / mean) + (1 - rho) * np.log((1 - rho) / (1 - mean))).sum()
    assert penalties.kl_sparsity(tensor(h), rho).item() == pytest.approx(expected, rel=1e-12)
    assert penalties.kl_sparsity(tensor(np.full((4, 2), 0.25)), 0.25).item() == 0
    assert penalties.kl_sparsity(tensor(np.zeros((4, 2)))).item() == np.inf
    case = Derivative((), lambda x: penalties.kl_sparsity(x, rho), lambda rng: [h])
    check_first(case, rng)
    check_second(case, rng)


@pytest.mark.parametrize("kind", ["sigmoid", "tanh", "identity"])
def test_the_contractive_penalty_is_the_jacobians_norm(kind: str, rng: Rng) -> None:
    x, w, b = rng.standard_normal((5, 4)), rng.standard_normal((4, 3)), rng.standard_normal(3)

    def code(x: Any, w: Any = w) -> Tensor:
        return ops.activation(ops.linear(x, w, b), kind)

    a = x @ w + b
    slope = {"sigmoid": sigmoid(a) * sigmoid(-a), "tanh": 1 / np.cosh(a) ** 2, "identity": np.ones_like(a)}[kind]
    expected = np.mean([np.sum((slope[i] * w) ** 2) for i in range(5)])
    closed = penalties.contractive(code(tensor(x)), tensor(w), kind)
    assert closed.item() == pytest.approx(expected, rel=1e-12)
    assert penalties.jacobian_norm(code, tensor(x)).item() == pytest.approx(expected, rel=1e-12)

    def by_weight(form: str) -> Callable[[Tensor], Tensor]:
        if form == "closed":
            return lambda v: penalties.contractive(code(tensor(x), v), v, kind)
        return lambda v: penalties.jacobian_norm(lambda z: code(z, v), tensor(x))

    found, other = (grad(by_weight(form))(w).numpy() for form in ("closed", "tape"))
    np.testing.assert_allclose(found, other, rtol=1e-10)
    check_first(Derivative((), by_weight("closed"), lambda rng: [w]), rng)


def test_the_jacobian_norm_of_a_deep_code(rng: Rng) -> None:
    """Against central differences, column by column."""
    x, w, v = rng.standard_normal((3, 2, 2)), rng.standard_normal((4, 5)), rng.standard_normal((5, 2))

    def code(x: Any) -> Tensor:
        return ops.sigmoid(ops.tanh(ops.reshape(x, (x.shape[0], 4)) @ tensor(w)) @ tensor(v))

    total = 0.0
    for i in range(4):
        step = np.zeros((1, 4))
        step[0, i] = 1e-6
        step = step.reshape(1, 2, 2)
        total += (((code(tensor(x + step)).numpy() - code(tensor(x - step)).numpy()) / 2e-6) ** 2).sum()
    assert penalties.jacobian_norm(code, tensor(x)).item() == pytest.approx(total / 3, rel=1e-8)


def test_the_contractive_penalty_of_layers(rng: Rng) -> None:
    """The Jacobian multiplied out, against the one walked out, and its first and second derivatives."""
    x, w, v = rng.standard_normal((3, 6)), rng.standard_normal((6, 4)), rng.standard_normal((4, 2))

    def deep(w: Tensor, v: Tensor) -> Tensor:
        below = ops.tanh(tensor(x) @ w)
        return penalties.contractive_deep([below, ops.sigmoid(below @ v)], [w, v], ["tanh", "sigmoid"])

    def walked(w: Any, v: Any) -> Tensor:
        return penalties.jacobian_norm(lambda z: ops.sigmoid(ops.tanh(z @ w) @ v), tensor(x))

    assert deep(tensor(w), tensor(v)).item() == pytest.approx(walked(tensor(w), tensor(v)).item(), rel=1e-12)
    case = Derivative((), deep, lambda rng: [w, v])
    check_first(case, rng)
    check_second(case, rng)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_proximal_l1(dtype: str) -> None:
    x = np.array([2.0, -2.0, 0.5, -0.5, 0.25, 0.0, -0.0, np.inf, np.nan], dtype)
    found = penalties.proximal_l1(tensor(x), 0.5).numpy()
    np.testing.assert_array_equal(found, np.array([1.5, -1.5, 0, 0, 0, 0, 0, np.inf, np.nan], dtype))
    assert grad(lambda z: ops.sum(penalties.proximal_l1(z, 0.5)))([2.0, 0.25]).numpy().tolist() == [1, 0]


def lasso(x: np.ndarray, y: np.ndarray, weight: float) -> np.ndarray:
    """½/n ‖x w − y‖² + weight ‖w‖₁ by coordinate descent."""
    n, d = x.shape
    w = np.zeros(d)
    for _ in range(2000):
        for j in range(d):
            rest = y - x @ w + x[:, j] * w[j]
            c, s = x[:, j] @ rest / n, x[:, j] @ x[:, j] / n
            w[j] = np.sign(c) * max(abs(c) - weight, 0) / s
    return w


def test_proximal_steps_find_the_lasso_with_exact_zeros(rng: Rng) -> None:
    x = rng.standard_normal((60, 8))
    y = x @ np.array([2.0, -1, 0, 0, 0.5, 0, 0, 0]) + 0.1 * rng.standard_normal(60)
    expected = lasso(x, y, 0.2)
    assert (expected == 0).sum() >= 3
    net = nn.Linear(8, 1, bias=False).build(seed=0, dtype="float64")
    lipschitz = np.linalg.norm(x, 2) ** 2 / 60
    step = optim.ProximalL1(optim.SGD(net.parameters, lr=1 / lipschitz), 0.2)
    smooth = value_and_grad(lambda a, b: losses.half_squared_error(net(a), b), net.parameters)
    for _ in range(400):
        step.step(smooth(tensor(x), tensor(y[:, None]))[1])
    found = net.parameters["weight"].numpy()[:, 0]
    np.testing.assert_allclose(found, expected, atol=1e-10)
    assert ((found == 0) == (expected == 0)).all()
    assert step.penalty() == pytest.approx(0.2 * abs(expected).sum())


def test_proximal_steps_follow_the_groups(rng: np.random.Generator) -> None:
    """Each group by its own lr, at the step's schedule; frozen parameters stay, and so do those with lr 0."""
    net = nn.Sequential(*(nn.Linear(3, 3, bias=False) for _ in range(4))).build(seed=0, dtype="float64")
    names = [f"layers.{i}.weight" for i in range(4)]
    groups = [
        {"params": names[0], "frozen": True},
        {"params": names[1], "lr": 0.01},
        {"params": names[2], "lr": 0.0},
    ]
    step = optim.ProximalL1(optim.SGD(net.parameters, lr=lambda n: 0.5 / (n + 1), groups=groups), 0.4)
    expected = {name: net.parameters[name].numpy().copy() for name in names}
    gradient = tensor(0.1 * rng.standard_normal(net.parameters.size))
    parts = dict(zip(names, gradient.numpy().reshape(4, 3, 3), strict=True))
    for n in range(2):
        step.step(gradient)
        for name, lr in zip(names, (0.0, 0.01, 0.0, 0.5 / (n + 1)), strict=True):
            w = expected[name] - lr * parts[name]
            expected[name] = np.sign(w) * np.maximum(0, abs(w) - 0.4 * lr)
    for name in names:
        np.testing.assert_allclose(net.parameters[name].numpy(), expected[name], rtol=1e-13, atol=1e-16)
    assert step.steps == step.optimizer.steps == 2


def test_a_proximal_optimizer_fits_and_is_saved(rng: np.random.Generator) -> None:
    x = rng.standard_normal((40, 6)).astype("float32")
    y = x @ np.array([2.0, -1, 0, 0, 0, 0], "float32")
    found = []

    def make(parameters: nn.Parameters) -> optim.Optimizer:
        found.append(optim.ProximalL1(optim.SGD(parameters, lr=0.1, momentum=0.5), 0.3, list(parameters)[:1]))
        return found[-1]

    model = LinearRegression(6)
    model.fit(x, y, epochs=60, batch_size=40, optimizer=make, progress=False)
    step = found[0]
    assert (step.optimizer.parameters[step.names[0]].numpy() == 0).sum() >= 3
    saved = step.state_dict()
    assert saved["steps"] == 60
    again = optim.ProximalL1(optim.SGD(step.parameters, lr=0.1, momentum=0.5), 0.3)
    again.load_state_dict(saved)
    assert again.steps == again.optimizer.steps == 60
    for name, values in again.optimizer.state.items():
        np.testing.assert_array_equal(values.numpy(), saved["state"][name])


def test_objective(rng: Rng) -> None:
    net = nn.Sequential(nn.Linear(4, 3, "sigmoid"), nn.Linear(3, 2)).build(seed=0, dtype="float64")
    x, y = tensor(rng.standard_normal((5, 4))), [0, 1, 1, 0, 1]
    weight = net.parameters["layers.0.weight"]
    objective = penalties.Objective(
        lambda x, y: losses.cross_entropy(net(x), y),
        decay=(0.1, penalties.of(penalties.l2, weight)),
        net=(0.3, penalties.of(penalties.elastic_net, weight, l1_ratio=0.2)),
        sparsity=(0.5, lambda x, y: penalties.kl_sparsity(net.layers[0](x), 0.1)),
        unused=(0, lambda x, y: ops.full((), np.nan, "float64")),
    )
    terms = objective.terms(x, y)
    assert list(terms) == ["loss", "decay", "net", "sparsity", "unused"]
    assert terms["loss"] == losses.cross_entropy(net(x), y).item()
    w = weight.numpy()
    assert terms["decay"] == pytest.approx((w**2).sum() / 2)
    total = terms["loss"] + 0.1 * terms["decay"] + 0.3 * terms["net"] + 0.5 * terms["sparsity"]
    value, gradient = value_and_grad(objective, net.parameters)(x, y)
    assert value.item() == pytest.approx(total)
    direction = rng.standard_normal(gradient.shape)
    start = net.parameters.storage.numpy()

    def at(step: float) -> float:
        net.parameters.storage.array.assign(tensor(start + step * direction).array)
        return objective(x, y).item()

    assert (at(1e-6) - at(-1e-6)) / 2e-6 == pytest.approx(gradient.numpy() @ direction, rel=1e-6)


NET = nn.Linear(2, 1).build(seed=0)
SGD = optim.SGD(NET.parameters)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: penalties.l1(), ValueError, "^l1: no tensors are given"),
        (lambda: penalties.l2(), ValueError, "^l2: no tensors are given"),
        (lambda: penalties.elastic_net(), ValueError, "^elastic_net: no tensors are given"),
        (
            lambda: penalties.elastic_net(W, l1_ratio=2),
            ValueError,
            "^elastic_net: l1_ratio is 2, expected a finite number",
        ),
        (lambda: penalties.activity_l1(ops.zeros((0, 3))), ValueError, r"^activity_l1: the code has shape \(0, 3\)"),
        (
            lambda: penalties.kl_sparsity(W),
            ValueError,
            r"^kl_sparsity: the code has values from -2 to 3, expected activ",
        ),
        (lambda: penalties.kl_sparsity(W, 1.0), ValueError, "^kl_sparsity: rho is 1.0, expected a finite number > 0"),
        (
            lambda: penalties.contractive(W, W, "softmax"),
            ValueError,
            "^contractive: activation is 'softmax', expected one of",
        ),
        (
            lambda: penalties.contractive(W, tensor([[1.0]])),
            ValueError,
            r"^contractive: code is \(2, 2\), weight is \(1, 1\), expected \(n, units\) and \(inputs, units\)",
        ),
        (
            lambda: penalties.contractive_deep([W], [W, W], ["tanh"]),
            ValueError,
            "^contractive_deep: 1 outputs, 2 weights, 1 activations, expected one of each for each layer",
        ),
        (
            lambda: penalties.contractive_deep([W, W], [W, tensor([[1.0, 2.0]])], ["tanh", "tanh"]),
            ValueError,
            r"^contractive_deep: layer 1 does not fit on output 0, \(2, 2\)",
        ),
        (
            lambda: penalties.jacobian_norm(ops.sum, W),
            ValueError,
            r"^jacobian_norm: the function returned \(\), expected",
        ),
        (
            lambda: penalties.proximal_l1(W, -1),
            ValueError,
            "^proximal_l1: threshold is -1, expected a finite number >= 0",
        ),
        (lambda: penalties.Objective(3), TypeError, "^Objective: loss is a int, expected a function"),  # type: ignore[arg-type]
        (lambda: penalties.Objective(len, a=3), TypeError, r"^Objective: a is 3, expected \(weight, function\)"),  # type: ignore[arg-type]
        (
            lambda: penalties.Objective(len, a=(-1, len)),
            ValueError,
            "^Objective: the weight of a is -1, expected a finite",
        ),  # type: ignore[arg-type]
        (lambda: optim.ProximalL1(NET, 1), TypeError, "^ProximalL1: optimizer is a Linear, expected an Optimizer"),  # type: ignore[arg-type]
        (lambda: optim.ProximalL1(SGD, -1), ValueError, "^ProximalL1: l1 is -1, expected a finite number >= 0"),
        (
            lambda: optim.ProximalL1(optim.Rprop(SGD.parameters), 1),
            ValueError,
            "^ProximalL1: optimizer is Rprop, which has no lr to threshold by",
        ),
        (
            lambda: optim.ProximalL1(optim.SGD(SGD.parameters, 0.1, maximize=True), 1),
            ValueError,
            "^ProximalL1: optimizer has maximize=True, expected one that minimises",
        ),
        (lambda: optim.ProximalL1(SGD, 1, ["w"]), ValueError, r"^ProximalL1: names has \['w'\], expected names of"),
        (lambda: optim.ProximalL1(SGD, 1, []), ValueError, "^ProximalL1: no parameter is chosen, expected names of"),
    ],
)
def test_messages(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
