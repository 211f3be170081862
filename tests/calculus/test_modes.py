"""Jacobians by rows and by columns, Gauss–Newton products and directional derivatives; how often the function runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dlcore import (
    Tensor,
    directional_derivative,
    gnvp,
    grad,
    hessian,
    hvp,
    is_recording,
    jacobian,
    jvp,
    ops,
    placement,
    tensor,
    vjp,
)
from dlcore.nn import Linear, Parameters, Sequential

Rng = np.random.Generator


def close(found: Tensor, expected: Any, rtol: float = 1e-11) -> None:
    np.testing.assert_allclose(found.numpy(), expected, rtol=rtol, atol=1e-12 * np.abs(expected).max(initial=1))


class Counted:
    """A function that counts its evaluations."""

    def __init__(self, f: Callable[..., Tensor]) -> None:
        self.f, self.calls = f, 0

    def __call__(self, *args: Any) -> Tensor:
        self.calls += 1
        return self.f(*args)


class CountedTanh(Counted):
    """tanh(A x), the walks down to x counted by the gradient of an op of its own."""

    def __init__(self, A: np.ndarray) -> None:
        super().__init__(lambda x: ops.tanh(tensor(A) @ self.watched(x)))
        self.walks = 0

    def watched(self, x: Tensor) -> Tensor:
        from dlcore.autodiff import differentiable

        @differentiable(1)
        def alias(x: Tensor) -> tuple[Any, ...]:
            def dx(dy: Tensor) -> Tensor:
                self.walks += 1
                return alias(dy)

            return Tensor(x.array), dx

        return alias(x)


@pytest.mark.parametrize("mode", ["reverse", "forward", None])
@pytest.mark.parametrize(("m", "n"), [(3, 7), (7, 3), (1, 4), (4, 1), (5, 5)])
def test_both_modes_evaluate_once_and_agree(rng: Rng, mode: str | None, m: int, n: int) -> None:
    A, x = rng.standard_normal((m, n)), rng.standard_normal(n)
    f = CountedTanh(A)
    close(jacobian(f, mode=mode)(x), (1 - np.tanh(A @ x) ** 2)[:, None] * A)
    assert f.calls == 1
    # forward: the recorded walk, then one a column down that record, which passes alias's gradient once more
    cost = {"reverse": m, "forward": 1 + n}
    assert f.walks == (min(cost.values()) if mode is None else cost[mode])


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_modes_by_parameters_and_nested(rng: Rng, mode: str) -> None:
    model = Sequential(Linear(2, 3, "relu"), Linear(3, 2, "tanh")).build(0, "float64")
    x = rng.standard_normal((2, 2))
    expected = jacobian(model, model.parameters, "reverse")(x).numpy()
    close(jacobian(model, model.parameters, mode)(x), expected)
    by_x = jacobian(model, 0, mode)(x)
    assert by_x.shape == (2, 2, 2, 2)
    assert np.abs(by_x.numpy()[0, :, 1]).max() == 0  # cases do not mix
    W = rng.standard_normal((4, 2))

    def penalty(x: Tensor) -> Tensor:
        return ops.sum(ops.square(jacobian(lambda z: ops.tanh(tensor(W) @ z), mode=mode)(x)))

    z = rng.standard_normal(2)
    h = np.tanh(W @ z)
    s = 1 - h**2
    close(penalty(tensor(z)), (s**2 * (W**2).sum(1)).sum())
    close(grad(penalty)(z), (-4 * (W**2).sum(1) * s**2 * h) @ W)
    third = jacobian(hessian(lambda x: ops.sum(x**5)))
    close(third(np.array([1.0, 2.0])), np.array([[[60, 0], [0, 0]], [[0, 0], [0, 240]]]))


def test_parameters_the_function_does_not_use(rng: Rng) -> None:
    p = Parameters({"a": (2,), "b": (3,), "c": (1,)}, "float64")
    p.assign({"a": [1, 2], "b": [1, 2, 3], "c": [4]})
    for mode in ("reverse", "forward"):
        J = jacobian(lambda: ops.concatenate([p["b"], p["b"] * 2.0, p["c"]]), p, mode)().numpy()
        expected = np.zeros((7, 6))
        expected[:3, 2:5], expected[3:6, 2:5], expected[6, 5] = np.eye(3), 2 * np.eye(3), 1
        assert J.tolist() == expected.tolist()
    H = hessian(lambda: ops.sum(p["b"] ** 3) + p["c"][0] * p["a"][1], p)().numpy()
    expected = np.diag([0.0, 0, 6, 12, 18, 0])
    expected[1, 5] = expected[5, 1] = 1
    assert H.tolist() == expected.tolist()
    assert hvp(lambda: ops.sum(p["b"]) + 0.0 * ops.sum(p["a"]), p)(np.ones(6)).numpy().tolist() == [0] * 6


def test_a_parameter_that_goes_straight_into_a_concatenation() -> None:
    """Its gradient function has default arguments, which are not the place to write to."""
    p = Parameters({"a": (2,), "b": (1,)}, "float64")
    p.assign({"a": [1, 2], "b": [3]})
    assert grad(lambda: ops.sum(ops.concatenate([p["b"], p["a"]]) ** 2), p)().numpy().tolist() == [2, 4, 6]


@pytest.mark.parametrize("product", ["vjp", "jvp", "hvp", "gnvp", "hessian", "directional"])
def test_products_evaluate_once(rng: Rng, product: str) -> None:
    f = Counted(lambda x: ops.sum(x**3) if product in ("hvp", "hessian") else x**3)
    x = rng.standard_normal(3)
    calls = {
        "vjp": lambda: vjp(f)(x, x),
        "jvp": lambda: jvp(f)(x, x),
        "hvp": lambda: hvp(f)(x, x),
        "gnvp": lambda: gnvp(f)(x, x),
        "hessian": lambda: hessian(f)(x),
        "directional": lambda: directional_derivative(f)(x, x),
    }
    calls[product]()
    assert f.calls == 1


def test_products_cost_few_gradients(rng: Rng, monkeypatch: pytest.MonkeyPatch) -> None:
    """In multiplications of matrix products, which are the time of a large network: hvp ≤ 3 gradients, gnvp ≤ 2⅓."""
    device, work = placement.placed(None), [0]

    def counting(name: str) -> Callable[..., Any]:
        kernel = getattr(device, name)

        def counted(a: Any, b: Any, *rest: Any, **options: Any) -> Any:
            y = kernel(a, b, *rest, **options)
            work[0] += y.size * round((a.size * b.size // y.size) ** 0.5)  # (m k)(k n) / (m n) = k²
            return y

        return counted

    for name in ("matmul", "linear"):
        monkeypatch.setattr(device, name, counting(name))
    model = Sequential(Linear(20, 30, "relu"), Linear(30, 30, "tanh"), Linear(30, 5)).build(0, "float64")
    x, v = rng.standard_normal((8, 20)), rng.standard_normal(model.parameters.size)

    def cost(call: Callable[[], Any]) -> int:
        work[0] = 0
        call()
        return work[0]

    loss = lambda y: ops.mean(ops.square(y))  # noqa: E731
    gradient = cost(lambda: grad(lambda x: loss(model(x)), model.parameters)(x))
    assert gradient == 8 * (2 * 20 * 30 + 3 * 30 * 30 + 3 * 30 * 5)
    assert cost(lambda: hvp(lambda x: loss(model(x)), model.parameters)(v, x)) <= 3 * gradient
    assert cost(lambda: gnvp(model, loss, model.parameters)(v, x)) <= 7 * gradient // 3


def test_directional_derivative(rng: Rng) -> None:
    x, v = rng.standard_normal(4), rng.standard_normal(4)
    close(directional_derivative(lambda x: ops.sum(x**3))(v, x), (3 * x**2) @ v)
    close(directional_derivative(lambda x: ops.sin(x))(v, x), np.cos(x) * v)
    close(directional_derivative(lambda x: ops.reshape(ops.sum(x**3), (1, 1)))(v, x), [[(3 * x**2) @ v]])
    # of the directional derivative itself, by x and by v
    slope = directional_derivative(lambda x: ops.sum(x**3))
    close(grad(slope, 1)(v, x), 6 * x * v)
    close(grad(slope, 0)(v, x), 3 * x**2)
    close(jvp(lambda z: jvp(lambda x: x**3)(v, z))(v, x), 6 * x * v**2)


def test_gauss_newton_of_least_squares(rng: Rng) -> None:
    A, x, v = rng.standard_normal((5, 3)), rng.standard_normal(3), rng.standard_normal(3)
    J = np.cos(A @ x)[:, None] * A
    close(gnvp(lambda x: ops.sin(tensor(A) @ x))(v, x), J.T @ (J @ v))
    half_squares = lambda r: 0.5 * ops.sum(r * r)  # noqa: E731
    close(gnvp(lambda x: ops.sin(tensor(A) @ x), half_squares)(v, x), J.T @ (J @ v))
    # the Hessian has a second term; the Gauss–Newton matrix leaves it out
    H = hessian(lambda x: half_squares(ops.sin(tensor(A) @ x)))(x).numpy()
    r = np.sin(A @ x)
    close(tensor(H), J.T @ J - A.T @ np.diag(r * r) @ A)


def test_gauss_newton_of_a_network_with_a_softmax(rng: Rng) -> None:
    model = Sequential(Linear(3, 4, "relu"), Linear(4, 3)).build(1, "float64")
    x, y = rng.standard_normal((5, 3)), np.array([0, 2, 1, 1, 0])
    v = rng.standard_normal(model.parameters.size)

    def loss(logits: Tensor) -> Tensor:
        return ops.mean(ops.softmax_cross_entropy(logits, tensor(y, "int32")))

    J = jacobian(model, model.parameters)(x).numpy()
    logits = model(x).numpy()
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    H = np.array([np.diag(q) - np.outer(q, q) for q in p]) / 5
    expected = np.einsum("nci,ncd,ndj,j->i", J, H, J, v)
    close(gnvp(model, loss, model.parameters)(v, x), expected)
    # with relu and a linear last layer, G is H without what a network linear in its parameters would not have
    close(grad(lambda v: ops.dot(v, gnvp(model, loss, model.parameters)(v, x)))(v), 2 * expected)


def test_mixed_partials_of_arguments_and_parameters(rng: Rng) -> None:
    model = Sequential(Linear(2, 3, "tanh"), Linear(3, 1)).build(0, "float64")
    x = rng.standard_normal((1, 2))

    def f(x: Tensor) -> Tensor:
        return ops.sum(ops.square(model(x)))

    by_x_then_theta = jacobian(grad(f), model.parameters)(x).numpy().reshape(2, -1)
    by_theta_then_x = jacobian(grad(f, model.parameters))(x).numpy().reshape(-1, 2)
    np.testing.assert_allclose(by_x_then_theta, by_theta_then_x.T, rtol=1e-12)
    assert np.abs(by_x_then_theta).max() > 0.1
    g = lambda a, b: ops.sum(ops.sin(a) * b**3)  # noqa: E731
    a, b = rng.standard_normal(3), rng.standard_normal(3)
    close(jacobian(grad(g, 0), 1)(a, b), np.diag(3 * np.cos(a) * b**2))


def test_third_and_fourth_derivatives_of_several_variables(rng: Rng) -> None:
    """f = (a·x)⁴: the k-th derivative is 4!/(4−k)! (a·x)^(4−k) a ⊗ … ⊗ a."""
    a, x = rng.standard_normal(3), rng.standard_normal(3)
    f = lambda x: (tensor(a) @ x) ** 4  # noqa: E731
    s = a @ x
    close(jacobian(hessian(f))(x), 24 * s * np.einsum("i,j,k->ijk", a, a, a))
    close(jacobian(jacobian(jacobian(grad(f))))(x), 24 * np.einsum("i,j,k,l->ijkl", a, a, a, a))
    close(grad(lambda x: hvp(f)(a, x) @ tensor(a))(x), 24 * s * (a @ a) ** 2 * a)


def test_hessian_is_symmetric(rng: Rng) -> None:
    A = rng.standard_normal((6, 6))
    H = hessian(lambda x: ops.logsumexp(ops.tanh(tensor(A) @ x) * x))(rng.standard_normal(6)).numpy()
    np.testing.assert_allclose(H, H.T, rtol=0, atol=1e-14)
    assert np.abs(H).max() > 0.1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: jacobian(lambda x: x, mode="rows"), ValueError, "^jacobian: mode is 'rows', expected 'reverse', 'for"),
        (lambda: hvp(lambda x: x, "x"), TypeError, "^hvp: wrt is a str, expected an argument's position or Parameters"),
        (lambda: gnvp(lambda x: x, wrt=None), TypeError, "^gnvp: wrt is a NoneType, expected an argument's position"),
        (lambda: jvp(lambda x: x, True), TypeError, "^jvp: wrt is a bool"),
        (lambda: hessian(lambda x: x, 1)([1.0]), ValueError, "^hessian: argument 1 is to be differentiated, 1 are"),
        (
            lambda: hvp(lambda x: x)([1.0], [1.0, 2.0]),
            ValueError,
            r"^hvp: the function returned shape \(2,\), expected o",
        ),
        (lambda: gnvp(lambda x: x)([1.0], [1.0, 2.0]), ValueError, r"^gnvp: v is \(1,\), expected the variable's sh"),
        (
            lambda: jvp(lambda x: x)(np.ones(2), tensor([1.0, 2.0])),
            TypeError,
            "^jvp: dx has dtype float64, expected float32",
        ),
        (
            lambda: vjp(lambda x: x)(np.ones(2), tensor([1.0, 2.0])),
            TypeError,
            "^vjp: dy has dtype float64, the function returned float32",
        ),
        (
            lambda: directional_derivative(lambda x: x)([1.0], [1.0, 2.0]),
            ValueError,
            r"^directional_derivative: v is \(1,\), expected the variable's shape \(2,\)",
        ),
    ],
)
def test_messages(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
    assert not is_recording()
