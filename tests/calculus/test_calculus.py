"""Jacobians, Hessians and their products against formulas in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dlcore import Tensor, grad, hessian, hvp, is_recording, jacobian, jvp, ops, tensor, vjp
from dlcore.nn import Linear, Parameters, Sequential

Rng = np.random.Generator


class Quadratic:
    """½ xᵀAx + bᵀx + c with gradient ½(A + Aᵀ)x + b and Hessian ½(A + Aᵀ)."""

    def __init__(self, rng: Rng, n: int) -> None:
        self.A, self.b, self.c = rng.standard_normal((n, n)), rng.standard_normal(n), rng.standard_normal()

    def __call__(self, x: Tensor) -> Tensor:
        return 0.5 * (x @ (tensor(self.A) @ x)) + tensor(self.b) @ x + self.c

    def hessian(self) -> np.ndarray:
        return (self.A + self.A.T) / 2


def rosenbrock(x: Tensor) -> Tensor:
    """Σ 100 (x_{i+1} − x_i²)² + (1 − x_i)². Rosenbrock (1960)."""
    head, tail = x[:-1], x[1:]
    return ops.sum(100.0 * (tail - head**2) ** 2 + (1.0 - head) ** 2)


def rosenbrock_gradient(x: np.ndarray) -> np.ndarray:
    g = np.zeros_like(x)
    g[:-1] = -400 * x[:-1] * (x[1:] - x[:-1] ** 2) - 2 * (1 - x[:-1])
    g[1:] += 200 * (x[1:] - x[:-1] ** 2)
    return g


def rosenbrock_hessian(x: np.ndarray) -> np.ndarray:
    n = x.size
    h = np.zeros((n, n))
    for i in range(n - 1):
        h[i, i] += 1200 * x[i] ** 2 - 400 * x[i + 1] + 2
        h[i + 1, i + 1] += 200
        h[i, i + 1] = h[i + 1, i] = -400 * x[i]
    return h


class Logistic:
    """Mean logistic loss of w on rows X with labels t ∈ {0, 1}: gradient Xᵀ(p − t)/n, Hessian Xᵀ diag(p(1 − p)) X/n."""

    def __init__(self, rng: Rng, n: int, d: int) -> None:
        self.X, self.t = rng.standard_normal((n, d)), rng.integers(0, 2, n).astype(np.float64)

    def __call__(self, w: Tensor) -> Tensor:
        return ops.mean(ops.sigmoid_cross_entropy(tensor(self.X) @ w, tensor(self.t)))

    def p(self, w: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-self.X @ w))

    def gradient(self, w: np.ndarray) -> np.ndarray:
        return self.X.T @ (self.p(w) - self.t) / self.t.size

    def hessian(self, w: np.ndarray) -> np.ndarray:
        p = self.p(w)
        return self.X.T @ (self.X * (p * (1 - p))[:, None]) / self.t.size


def close(found: Tensor, expected: Any, rtol: float = 1e-11) -> None:
    np.testing.assert_allclose(found.numpy(), expected, rtol=rtol, atol=1e-11 * np.abs(expected).max(initial=0))


def test_quadratic(rng: Rng) -> None:
    f, x = Quadratic(rng, 5), rng.standard_normal(5)
    close(f(tensor(x)), 0.5 * x @ f.A @ x + f.b @ x + f.c)
    close(grad(f)(x), f.hessian() @ x + f.b)
    close(hessian(f)(x), f.hessian())
    close(hvp(f)(x, x), f.hessian() @ x)


def test_rosenbrock(rng: Rng) -> None:
    x, v = rng.standard_normal(6), rng.standard_normal(6)
    close(grad(rosenbrock)(x), rosenbrock_gradient(x))
    close(hessian(rosenbrock)(x), rosenbrock_hessian(x))
    close(hvp(rosenbrock)(v, x), rosenbrock_hessian(x) @ v)
    close(jacobian(grad(rosenbrock))(x), rosenbrock_hessian(x))
    close(jvp(grad(rosenbrock))(v, x), rosenbrock_hessian(x) @ v)
    close(vjp(grad(rosenbrock))(v, x), rosenbrock_hessian(x) @ v)
    close(grad(rosenbrock)(np.ones(6)), np.zeros(6))


def test_logistic(rng: Rng) -> None:
    f, w, v = Logistic(rng, 20, 4), rng.standard_normal(4), rng.standard_normal(4)
    close(grad(f)(w), f.gradient(w))
    close(hessian(f)(w), f.hessian(w))
    close(hvp(f)(v, w), f.hessian(w) @ v)


def test_newton_finds_the_minimum_of_the_quadratic(rng: Rng) -> None:
    f = Quadratic(rng, 4)
    f.A = f.A @ f.A.T + np.eye(4)
    x = rng.standard_normal(4)
    x = x - np.linalg.solve(hessian(f)(x).numpy(), grad(f)(x).numpy())
    assert np.abs(grad(f)(x).numpy()).max() < 1e-12


def test_jacobian_of_any_shape(rng: Rng) -> None:
    A = rng.standard_normal((3, 2))

    def f(x: Tensor) -> Tensor:
        return ops.sin(tensor(A) @ x)

    x = rng.standard_normal((2, 4))
    J = jacobian(f)(x)
    assert J.shape == (3, 4, 2, 4)
    expected = np.einsum("ij,ik,jl->ijkl", np.cos(A @ x), A, np.eye(4))
    close(J, expected)
    u, v = rng.standard_normal((3, 4)), rng.standard_normal((2, 4))
    close(vjp(f)(u, x), np.einsum("ij,ijkl->kl", u, expected))
    close(jvp(f)(v, x), np.einsum("ijkl,kl->ij", expected, v))


def test_jacobian_by_another_argument_and_with_options(rng: Rng) -> None:
    def f(x: Tensor, y: Tensor, scale: float = 1.0) -> Tensor:
        return x * y * scale

    x, y = rng.standard_normal(3), rng.standard_normal(3)
    close(jacobian(f, 1)(tensor(x), y, scale=2.0), np.diag(2 * x))
    close(vjp(f, 1)(np.ones(3), tensor(x), y, scale=2.0), 2 * x)
    close(jvp(f, 1)(y, tensor(x), y, scale=2.0), 2 * x * y)


def test_empty_and_constant_functions() -> None:
    x = np.ones((2, 3))
    assert jacobian(lambda x: x[:0])(x).shape == (0, 3, 2, 3)
    assert jacobian(lambda x: ops.zeros((2,), "float64"))(x).numpy().tolist() == np.zeros((2, 2, 3)).tolist()
    assert jvp(lambda x: ops.zeros((2,), "float64"))(x, x).numpy().tolist() == [0, 0]
    assert jacobian(lambda x: ops.sum(x))(np.ones(0)).shape == (0,)
    assert hessian(lambda x: ops.sum(x))(np.ones(2)).numpy().tolist() == [[0, 0], [0, 0]]


def test_parameters_as_the_variable(rng: Rng) -> None:
    model = Sequential(Linear(2, 3, "tanh"), Linear(3, 2)).build(0, "float64")
    x = rng.standard_normal((4, 2))
    theta = model.parameters.storage
    n = theta.size

    def at(values: np.ndarray, f: Callable[[], np.ndarray]) -> np.ndarray:
        before = theta.numpy()
        theta.array.assign(tensor(values).array)
        found = f()
        theta.array.assign(tensor(before).array)
        return found

    J = jacobian(model, model.parameters)(x)
    assert J.shape == (4, 2, n)
    step, start = 1e-6, theta.numpy()
    expected = np.stack(
        [
            (at(start + d, lambda: model(x).numpy()) - at(start - d, lambda: model(x).numpy())) / (2 * step)
            for d in step * np.eye(n)
        ],
        -1,
    )
    np.testing.assert_allclose(J.numpy(), expected, atol=1e-8)
    v = rng.standard_normal(n)
    close(jvp(model, model.parameters)(v, x), J.numpy() @ v)
    u = rng.standard_normal((4, 2))
    close(vjp(model, model.parameters)(u, x), np.einsum("ij,ijk->k", u, J.numpy()))

    def loss(x: Any) -> Tensor:
        return ops.mean(ops.square(model(x)))

    H = hessian(loss, model.parameters)(x).numpy()
    np.testing.assert_allclose(H, H.T, atol=1e-15)
    close(hvp(loss, model.parameters)(v, x), H @ v)
    g = grad(loss, model.parameters)
    d = 1e-6 * v
    difference = (at(start + d, lambda: g(x).numpy()) - at(start - d, lambda: g(x).numpy())) / 2e-6
    np.testing.assert_allclose(H @ v, difference, rtol=1e-6, atol=1e-8)


def test_derivatives_of_derivatives(rng: Rng) -> None:
    """The gradient of |J|² for y = tanh(W x): what a contractive penalty needs."""
    W, x = rng.standard_normal((3, 2)), rng.standard_normal(2)

    def penalty(W: Tensor) -> Tensor:
        return ops.sum(ops.square(jacobian(lambda x: ops.tanh(W @ x))(x)))

    h = np.tanh(W @ x)
    s = 1 - h**2
    rows = (W**2).sum(1)
    close(penalty(tensor(W)), (s**2 * rows).sum())
    expected = 2 * W * (s**2)[:, None] - np.outer(4 * rows * s**2 * h, x)
    close(grad(penalty)(W), expected)
    third = jacobian(hessian(lambda x: ops.sum(x**4)))(np.array([1.0, 2.0])).numpy()
    assert third.tolist() == [[[24, 0], [0, 0]], [[0, 0], [0, 48]]]


P = Parameters({"a": (2,)})


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: jacobian(lambda x: 1.0)([1.0]),
            TypeError,
            "^jacobian: the function returned float, expected",
        ),
        (lambda: jacobian(lambda x: ops.argmax(x))([1.0]), TypeError, "^jacobian: the function returned dtype int32"),
        (
            lambda: jacobian(lambda x: x, (0, 1)),
            TypeError,
            "^jacobian: wrt is a tuple, expected an argument",
        ),
        (lambda: jacobian(lambda x: x, 2)([1.0]), ValueError, "^jacobian: argument 2 is to be differentiated, 1 are"),
        (lambda: hessian(lambda x: x)([1.0, 2.0]), ValueError, r"^hessian: the function returned shape \(2,\)"),
        (lambda: vjp(lambda x: x)([1.0], [1.0, 2.0]), ValueError, r"^vjp: dy is \(1,\), the function returned \(2,\)"),
        (lambda: vjp(lambda x: 1.0)([1.0], [1.0]), TypeError, "^vjp: the function returned float"),
        (
            lambda: jvp(lambda x: x)([1.0], [1.0, 2.0]),
            ValueError,
            r"^jvp: dx is \(1,\), expected the variable's shape \(2,\)",
        ),
        (lambda: jvp(lambda x: None)([1.0], [1.0]), TypeError, "^jvp: the function returned NoneType"),
        (
            lambda: hvp(lambda x: ops.sum(x))([1.0], [1.0, 2.0]),
            ValueError,
            r"^hvp: v is \(1,\), expected the variable's shape \(2,\)",
        ),
        (
            lambda: hvp(lambda: ops.sum(P["a"]), P)([1.0]),
            ValueError,
            r"^hvp: v is \(1,\), expected the variable's shape \(2,\)",
        ),
    ],
)
def test_messages(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
    assert not is_recording()
