"""Second derivatives at kinks: an error where a kink is crossed, 0 beside it, and nothing else disturbed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dlcore import Tensor, gnvp, grad, hessian, hvp, jacobian, jvp, kinks, losses, ops, tensor
from dlcore.calculus import gradgradcheck
from dlcore.nn import Conv2d, Flatten, Linear, MaxPool2d, Sequential

Rng = np.random.Generator

AT_ZERO: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": ops.relu,
    "leaky_relu": ops.leaky_relu,
    "elu": lambda x: ops.elu(x, 0.5),
    "abs": ops.abs,
    "clamp": lambda x: ops.clamp(x, 0.0, 1.0),
    "maximum": lambda x: ops.maximum(x, 0.0),
    "minimum": lambda x: ops.minimum(0.0, x),
}


def total(f: Callable[[Tensor], Tensor]) -> Callable[[Any], Tensor]:
    """Σ f(x)² / 2 + Σ f(x), so that the slope itself enters the gradient."""
    return lambda x: 0.5 * ops.sum(ops.square(f(x))) + ops.sum(f(x))


@pytest.mark.parametrize("name", AT_ZERO)
def test_an_error_exactly_at_the_kink(name: str) -> None:
    f, x = total(AT_ZERO[name]), np.array([0.5, -0.5, 0.0, 0.25])
    expected = rf"^{name}: a second derivative is asked for exactly at a kink.*element \(2,\) of \(4,\); use "
    calls: list[Callable[[], Any]] = [
        lambda: hessian(f)(x),
        lambda: hvp(f)(np.ones(4), x),
        lambda: grad(lambda x: ops.sum(grad(f)(x)))(x),
        lambda: jacobian(grad(f))(x),
        lambda: gradgradcheck(f, (x,)),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=expected):
            call()
    grad(f)(x)  # the first derivative has its convention
    jvp(AT_ZERO[name])(x, x)  # and forward mode asks for no more


@pytest.mark.parametrize("name", AT_ZERO)
def test_beside_the_kink_and_under_the_other_policy(name: str) -> None:
    f = AT_ZERO[name]
    curvature = hessian(total(f))(np.array([0.5, -0.5, 1e-300])).numpy()
    slopes = grad(lambda x: ops.sum(f(x)))(np.array([0.5, -0.5, 1e-300])).numpy()
    expected = np.diag(slopes**2)
    if name == "elu":  # 0.5 (eˣ − 1) below: f″ (f + 1) beside f′²
        e = 0.5 * np.exp(-0.5)
        expected[1, 1] += e * (e - 0.5 + 1)
    np.testing.assert_allclose(curvature, expected, rtol=1e-14)
    with kinks("zero"):
        at = hessian(total(f))(np.array([0.0])).numpy()
    slope = grad(lambda x: ops.sum(f(x)))(np.array([0.0])).item()
    np.testing.assert_allclose(at, [[slope**2 + (0.5 if name == "elu" else 0)]], rtol=1e-14)


LOSSES: dict[str, Callable[[Tensor, Any], Tensor]] = {
    "absolute": losses.absolute_error,
    "epsilon_insensitive": lambda f, y: losses.epsilon_insensitive(f, y, 0.25),
    "hinge": losses.hinge,
}


@pytest.mark.parametrize(
    ("name", "position"), [(name, i) for name in LOSSES for i in (0, 1) if (name, i) != ("hinge", 1)]
)  # the hinge's target is a sign, by which there is no derivative
def test_losses_with_kinks(name: str, position: int) -> None:
    f, y = np.array([0.5, 3.0, 1.25]), np.array([-1.0, 1.0, 1.0])
    at = {"absolute": (1.25, 1.25), "epsilon_insensitive": (1.25, 1.0), "hinge": (1.0, 1.0)}[name]
    assert not hessian(lambda f: LOSSES[name](f, y))(f + 0.0625).numpy().any()
    f[2], y[2] = at
    expected = rf"^loss {name}: a second derivative .*element \(2,\) of \(3,\); use the "
    with pytest.raises(ValueError, match=expected):
        hessian(LOSSES[name], position)(tensor(f), tensor(y))
    grad(LOSSES[name])(tensor(f), tensor(y))
    with kinks("zero"):
        assert not hessian(LOSSES[name], position)(tensor(f), tensor(y)).numpy().any()


def test_a_kink_counts_only_where_it_is_crossed() -> None:
    f = lambda x, w: ops.sum(w * ops.relu(x))  # noqa: E731
    x, still, moving = np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([1.0, 0.0])
    H = hvp(f)
    assert H(still, x, tensor([1.0, 1.0], "float64")).numpy().tolist() == [0, 0]  # x[0] does not move
    assert H(moving, x, tensor([0.0, 1.0], "float64")).numpy().tolist() == [0, 0]  # nothing depends on relu(x[0])
    with pytest.raises(ValueError, match=r"^relu: .* element \(0,\)"):
        H(moving, x, tensor([1.0, 1.0], "float64"))


def test_smooth_functions_made_of_kinked_ones() -> None:
    """relu² has the gradient 2 relu everywhere, elu with alpha = 1 has a continuous one: no error."""
    x = np.array([0.0, 1.0])
    assert hessian(lambda x: ops.sum(ops.square(ops.relu(x))))(x).numpy().tolist() == [[0, 0], [0, 2]]
    assert hessian(lambda x: ops.sum(ops.elu(x)))(x).numpy().tolist() == [[1, 0], [0, 0]]
    assert hessian(lambda x: ops.sum(x * ops.abs(x)))(np.array([1.0, -1.0])).numpy().tolist() == [[2, 0], [0, -2]]


@pytest.mark.parametrize(("op", "sign"), [(ops.max, 1.0), (ops.min, -1.0)])
@pytest.mark.parametrize("axis", [None, 1, -1])
def test_ties_of_extremes(op: Any, sign: float, axis: int | None) -> None:
    x = sign * np.array([[1.0, 2.0, 2.0], [0.0, 1.0, 0.5]])
    f = lambda x: ops.sum(ops.square(op(x, axis)))  # noqa: E731
    name = op.__name__
    with pytest.raises(ValueError, match=rf"^{name}: .* element \(0, 1\) of \(2, 3\); use logsumexp"):
        hvp(f)(np.array([[0.0, 1.0, 2.0], [0.0, 0.0, 0.0]]), x)
    together = np.array([[5.0, 1.0, 1.0], [0.0, 0.0, 0.0]])  # the tied elements move as one
    expected = np.zeros((2, 3))
    expected[0, 1] = 2
    assert hvp(f)(together, x).numpy().tolist() == expected.tolist()


def test_ties_in_pooling() -> None:
    x = np.zeros((1, 1, 4, 4))
    x[0, 0, 0, :2] = 1.0
    f = lambda x: ops.sum(ops.square(ops.max_pool2d(x, 2)))  # noqa: E731
    v = np.zeros_like(x)
    v[0, 0, 0, 0], v[0, 0, 0, 1] = 1.0, 2.0
    with pytest.raises(ValueError, match=r"^max_pool2d: .* element \(0, 0, 0, 0\) of \(1, 1, 2, 2\); use avg_pool2d"):
        hvp(f)(v, x)
    v[0, 0, 0, 1] = 1.0
    v[0, 0, 3, 3] = 1.0  # parts from its ties, but f does not depend on a window of zeros: 2 y dy = 0
    expected = np.zeros_like(x)
    expected[0, 0, 0, 0] = 2
    assert hvp(f)(v, x).numpy().tolist() == expected.tolist()
    # padded windows that overlap: only real elements tie
    y = -np.arange(16.0).reshape(1, 1, 4, 4)
    g = lambda x: ops.sum(ops.max_pool2d(x, 3, 2, 1) ** 2)  # noqa: E731
    H = hessian(g)(y).numpy().reshape(16, 16)
    assert H[0, 0] == 2
    y[0, 0, 1, 2] = y[0, 0, 0, 1] = 5.0
    with pytest.raises(ValueError, match=r"^max_pool2d: .* element \(0, 0, 0, 1\)"):
        hessian(g)(y)


def convolutional() -> Sequential:
    return Sequential(
        Conv2d(1, 2, 3, padding=1, activation="relu"),
        MaxPool2d(2),
        Flatten(),
        Linear(8, 4, "relu"),
        Linear(4, 3),
    ).build(3, "float64")


def test_networks_with_units_at_zero_by_structure(rng: Rng) -> None:
    """Blank image corners and biases of 0 put pre-activations exactly at the kink, where only the biases cross it."""
    model, x = convolutional(), np.zeros((2, 1, 4, 4))
    x[:, :, 1:3, 0] = rng.standard_normal((2, 1, 2))  # the last column of windows sees zeros only
    assert (model.parameters["layers.0.bias"].numpy() == 0).all()
    f = lambda x: losses.cross_entropy(model(x), tensor([0, 2], "int32"))  # noqa: E731
    v = rng.standard_normal(model.parameters.size)
    with pytest.raises(ValueError, match=r"^relu: "):
        hvp(f, model.parameters)(v, x)
    # what crosses no kink is asked for without trouble: directions that leave the first biases alone
    still = {name: part.numpy() for name, part in model.parameters.split(tensor(v)).items()}
    still["layers.0.bias"][:] = 0
    d = np.concatenate([part.reshape(-1) for part in still.values()])
    product = hvp(f, model.parameters)(d, x).numpy()
    with kinks("zero"):
        assert product.tolist() == hvp(f, model.parameters)(d, x).numpy().tolist()
        assert np.isfinite(hvp(f, model.parameters)(v, x).numpy()).all()
    # Gauss–Newton products and forward mode differentiate f once
    loss = lambda logits: losses.cross_entropy(logits, tensor([0, 2], "int32"))  # noqa: E731
    assert np.isfinite(gnvp(model, loss, model.parameters)(v, x).numpy()).all()
    assert np.isfinite(jvp(model, model.parameters)(v, x).numpy()).all()
    assert np.isfinite(jacobian(model, model.parameters, "forward")(x[:1]).numpy()).all()


def test_hvp_of_a_relu_network_against_differences(rng: Rng) -> None:
    model, x = convolutional(), rng.standard_normal((2, 1, 4, 4))
    theta = model.parameters.storage
    start = theta.numpy() + 0.1 * rng.standard_normal(theta.size)
    f = grad(lambda x: losses.cross_entropy(model(x), tensor([0, 2], "int32")), model.parameters)
    v = rng.standard_normal(theta.size)

    def gradient_at(values: np.ndarray) -> np.ndarray:
        theta.array.assign(tensor(values).array)
        return f(x).numpy()

    difference = (gradient_at(start + 1e-6 * v) - gradient_at(start - 1e-6 * v)) / 2e-6
    gradient_at(start)
    product = hvp(lambda x: losses.cross_entropy(model(x), tensor([0, 2], "int32")), model.parameters)(v, x).numpy()
    np.testing.assert_allclose(product, difference, rtol=1e-6, atol=1e-8)


def test_a_fused_layer_gives_the_bits_of_two_ops(rng: Rng) -> None:
    """Under a second derivative a kinked layer runs as two ops; the gradient in between does not change."""
    model = Sequential(Linear(3, 5, "relu"), Linear(5, 4, "leaky_relu"), Linear(4, 2)).build(0)
    x = rng.standard_normal((7, 3)).astype(np.float32)
    alone = grad(lambda x: ops.sum(ops.square(model(x))))(x).numpy()
    seen: list[Any] = []

    def inside(x: Tensor) -> Tensor:
        seen.append(grad(lambda x: ops.sum(ops.square(model(x))))(x))
        return ops.sum(seen[0])

    grad(inside)(x)
    assert seen[0].numpy().tolist() == alone.tolist()


def test_what_does_not_depend_on_the_outer_variable_is_left_alone() -> None:
    """A kink of an inner function, at a point that is a constant outside, has no second derivative to miss."""
    f = lambda r: r * grad(lambda z: ops.sum(ops.relu(z)))(np.zeros(1))[0] * r  # noqa: E731
    assert grad(f)(tensor(3.0, "float64")).item() == 0


def test_the_policy_is_the_threads_own_and_nests() -> None:
    x, f = np.array([0.0]), lambda x: ops.sum(ops.relu(x))
    errors: list[str] = []

    def other() -> None:
        try:
            hessian(f)(x)
        except ValueError as error:
            errors.append(str(error))

    with kinks("zero"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert len(errors) == 1
        with kinks("raise"), pytest.raises(ValueError, match=r"^relu"):
            hessian(f)(x)
        assert hessian(f)(x).numpy().tolist() == [[0]]
    with pytest.raises(ValueError, match=r"^relu"):
        hessian(f)(x)
    with pytest.raises(ValueError, match=r"^kinks: policy is 'ignore', expected 'raise' or 'zero'"):
        kinks("ignore")
