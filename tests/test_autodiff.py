"""What a transformation records and returns, nested as deep as one likes, and what it leaves behind: nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from dlcore import Tensor, grad, hessian, is_recording, no_grad, ops, stop_gradient, tensor, value_and_grad
from dlcore.nn import Linear, Module, Parameters, Sequential


@pytest.fixture(autouse=True)
def tape_is_clean() -> Iterator[None]:
    """Every test of this file ends with no tape in this thread."""
    yield
    assert not is_recording()


def value(x: Any) -> Any:
    return x.numpy().tolist()


def network(dtype: str = "float32") -> Module:
    return Sequential(Linear(3, 4, "tanh"), Linear(4, 2)).build(1, dtype)


def loss(model: Module) -> Callable[[Any], Tensor]:
    return lambda x: ops.sum(ops.square(model(x)))


# --- values ---


def test_value_and_gradient() -> None:
    y, g = value_and_grad(lambda x: ops.sum(x * x))(tensor([1.0, 2.0]))
    assert y.shape == ()
    assert (y.item(), value(g)) == (5, [2, 4])


def test_wrt_several_arguments_and_options() -> None:
    def f(a: Tensor, b: Tensor, c: Any, power: int = 1) -> Tensor:
        return ops.sum(a * b**power) * c

    ga, gb = grad(f, (0, 1))(tensor([2.0]), tensor([3.0]), 10.0, power=2)
    assert (value(ga), value(gb)) == ([90], [120])
    assert value(grad(f, 1)([2.0], [3.0], 1.0)) == [2]
    assert value(grad(f, -2)([2.0], [3.0], 1.0)) == [2]
    twice = grad(f, (0, 0))([2.0], tensor([3.0]), 1.0)
    assert [value(g) for g in twice] == [[3], [3]]


def test_arrays_become_tensors_and_shapes_stay() -> None:
    x = np.arange(6.0).reshape(2, 3)
    g = grad(lambda x: ops.mean(x**3))(x)
    np.testing.assert_allclose(g.numpy(), x**2 / 2, rtol=1e-15)
    assert grad(lambda x: x * 2.0)(3.0).shape == ()
    assert grad(lambda x: ops.sum(x))(np.zeros((0, 3))).shape == (0, 3)


def test_a_value_used_often_gathers_its_shares() -> None:
    def f(x: Tensor) -> Tensor:
        total = x
        for _ in range(5):
            total = total + x * x + x
        return ops.sum(total)

    assert value(grad(f)(tensor([3.0]))) == [1 + 5 * 7]


def test_what_does_not_depend_has_a_zero_gradient() -> None:
    x = tensor([[1.0, 2.0]])
    assert value(grad(lambda x, y: ops.sum(y))(x, 3.0)) == [[0, 0]]
    assert value(grad(lambda x: ops.ones(()))(x)) == [[0, 0]]
    assert value(grad(lambda x: ops.sum(stop_gradient(x) * 2.0))(x)) == [[0, 0]]


def test_the_function_itself_may_return_its_argument() -> None:
    assert value(grad(lambda x: x)(tensor([3.0]))) == [1]


def test_no_grad_and_stop_gradient_are_constants() -> None:
    def f(x: Tensor) -> Tensor:
        assert is_recording()
        with no_grad():
            assert not is_recording()
            c = x * x
        assert is_recording()
        return ops.sum(c * x * stop_gradient(x))

    assert value(grad(f)(tensor([2.0]))) == [8]
    assert value(grad(grad(f))(tensor([2.0]))) == [0]


def test_a_gradient_under_no_grad_is_a_constant_outside() -> None:
    def f(x: Tensor) -> Tensor:
        with no_grad():
            inner = grad(lambda z: z * z * z)(x)
        return inner * x

    assert grad(f)(tensor(2.0)).item() == 12


# --- nesting ---


def test_derivatives_of_every_order() -> None:
    f: Callable[..., Any] = lambda x: x**5  # noqa: E731
    x = tensor(2.0, "float64")
    for expected in (32, 80, 160, 240, 240, 120, 0, 0):
        assert f(x).item() == expected
        f = grad(f)


def test_orders_of_tanh() -> None:
    t = np.tanh(0.3)
    f: Callable[..., Any] = ops.tanh
    expected = [t, 1 - t**2, -2 * t * (1 - t**2), (6 * t**2 - 2) * (1 - t**2), (16 * t - 24 * t**3) * (1 - t**2)]
    for derivative in expected:
        np.testing.assert_allclose(f(tensor(0.3, "float64")).item(), derivative, rtol=1e-13)
        f = grad(f)


def test_transformations_do_not_confuse_their_variables() -> None:
    """d/dx (x d/dy (x + y)) = 1: Siskind & Pearlmutter (2005), Perturbation confusion."""
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(tensor(1.0)).item() == 1
    assert grad(lambda x: x * grad(lambda y: x * y)(3.0))(tensor(5.0)).item() == 10
    # the inner variable is the outer variable's value, and still another variable
    assert grad(lambda x: x * grad(lambda y: y * y)(x))(tensor(3.0)).item() == 12
    assert grad(lambda x: grad(lambda y: x * x * y)(x))(tensor(3.0)).item() == 6
    assert grad(lambda x: grad(lambda x: x**3)(x) + x**2)(tensor(2.0)).item() == 16


def test_mixed_derivatives_agree_in_either_order() -> None:
    def f(x: Tensor, y: Tensor) -> Tensor:
        return ops.sin(x * y) * x

    x, y = tensor(0.7, "float64"), tensor(1.1, "float64")
    xy, yx = grad(grad(f, 0), 1)(x, y).item(), grad(grad(f, 1), 0)(x, y).item()
    expected = 2 * 0.7 * np.cos(0.77) - 0.7**2 * 1.1 * np.sin(0.77)
    np.testing.assert_allclose([xy, yx], expected, rtol=1e-14)


def test_an_inner_gradient_is_a_step_of_an_outer_function() -> None:
    """The derivative of f(x − r f'(x)) by r and by x, f = x³."""

    def after_a_step(x: Tensor, r: Tensor) -> Tensor:
        return (x - r * grad(lambda z: z**3)(x)) ** 3

    x, r = 1.5, 0.1
    moved = x - r * 3 * x**2
    by_x, by_r = grad(after_a_step, (0, 1))(tensor(x, "float64"), tensor(r, "float64"))
    np.testing.assert_allclose(by_x.item(), 3 * moved**2 * (1 - 6 * r * x), rtol=1e-14)
    np.testing.assert_allclose(by_r.item(), 3 * moved**2 * (-3 * x**2), rtol=1e-14)


def test_values_of_an_enclosing_transformation_are_constants_inside() -> None:
    def outer(x: Tensor) -> Tensor:
        z = x * 2.0
        inner = grad(lambda y: y * z * z)(1.0)  # 4 x²
        return inner + z

    assert grad(outer)(tensor(3.0)).item() == 26


# --- parameters ---


def test_a_model_gradient_has_the_layout_of_theta() -> None:
    model = network("float64")
    x = np.linspace(-1, 1, 6).reshape(2, 3)
    y, g = value_and_grad(loss(model), model.parameters)(x)
    assert g.shape == model.parameters.theta.shape
    w0, b0, w1, b1 = (model.parameters[n].numpy() for n in model.parameters)
    h = np.tanh(x @ w0 + b0)
    out = h @ w1 + b1
    np.testing.assert_allclose(y.item(), (out**2).sum(), rtol=1e-14)
    dout = 2 * out
    dh = dout @ w1.T * (1 - h**2)
    expected = [x.T @ dh, dh.sum(0), h.T @ dout, dout.sum(0)]
    for piece, e in zip(model.parameters.split(g).values(), expected, strict=True):
        np.testing.assert_allclose(piece.numpy(), e, rtol=1e-13)


def test_unused_parameters_get_zeros_even_in_memory_full_of_nan(checked: Any) -> None:
    p = Parameters({"a": (2,), "b": (3,), "c": ()})
    p.assign({"a": [1, 2], "b": [1, 2, 3], "c": 5})
    assert value(grad(lambda: ops.sum(p["b"] * 2.0), p)()) == [0, 0, 2, 2, 2, 0]
    assert value(grad(lambda: ops.ones(()), p)()) == [0] * 6
    assert value(grad(lambda: p["c"], p)()) == [0, 0, 0, 0, 0, 1]
    assert value(grad(lambda: p["c"] * p["c"] + p["c"] + ops.sum(p["a"]), p)()) == [1, 1, 0, 0, 0, 11]


def test_theta_as_a_whole_is_a_function_of_the_parameters() -> None:
    model = network()
    theta = model.parameters.theta.numpy()
    g = grad(lambda: ops.sum(ops.square(model.parameters.theta)), model.parameters)()
    np.testing.assert_array_equal(g.numpy(), 2 * theta)
    part = model[1].parameters  # type: ignore[index]
    g = grad(lambda: ops.sum(ops.square(model.parameters.theta)), part)()
    np.testing.assert_array_equal(g.numpy(), 2 * part.theta.numpy())
    assert model.parameters.theta is model.parameters.storage


def test_a_part_of_a_model_can_be_differentiated_alone() -> None:
    model = network("float64")
    x = np.ones((2, 3))
    whole = model.parameters.split(grad(loss(model), model.parameters)(x))
    part = model[1].parameters  # type: ignore[index]
    pieces = part.split(grad(loss(model), part)(x))
    for name, piece in pieces.items():
        assert value(piece) == value(whole[f"layers.1.{name}"])


def test_second_derivatives_by_parameters() -> None:
    p = Parameters({"a": (2,), "b": ()}, "float64")
    p.assign({"a": [1, 2], "b": 3})
    h = hessian(lambda: ops.sum(p["a"] ** 3) * p["b"] + ops.sum(p["a"]) * 0.0, p)()
    assert value(h) == [[18, 0, 3], [0, 36, 12], [3, 12, 0]]


def test_parameters_and_arguments_nest() -> None:
    """The parameter gradient of an input gradient's square: a double backward through a network."""
    model = network("float64")
    x = np.array([[0.1, -0.2, 0.3]])

    def penalty(x: Any) -> Tensor:
        return ops.sum(ops.square(grad(loss(model))(x)))

    g = grad(penalty, model.parameters)(x)
    theta, step = model.parameters.storage, 1e-6
    start = theta.numpy()
    for i in range(0, start.size, 3):
        sides = []
        for sign in (1, -1):
            moved = start.copy()
            moved[i] += sign * step
            theta.array.assign(tensor(moved).array)
            sides.append(penalty(x).item())
        np.testing.assert_allclose(g.numpy()[i], (sides[0] - sides[1]) / (2 * step), rtol=1e-6, atol=1e-8)


def test_a_shared_parameter_gathers_every_use() -> None:
    layer = Linear(3, 3).build(2, "float64")
    twice = Sequential(layer, layer)
    assert twice.parameters.size == 12
    x = np.ones((1, 3))
    w, b = layer.weight.numpy(), layer.bias.numpy()
    g = grad(lambda x: ops.sum(twice(x)), twice.parameters)(x)
    h, one = x @ w + b, np.ones((1, 3))
    np.testing.assert_allclose(g.numpy()[:9].reshape(3, 3), x.T @ (one @ w.T) + h.T @ one, rtol=1e-13)


# --- messages ---


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: grad(lambda x: x)([1.0, 2.0]), ValueError, r"^grad: the function returned shape \(2,\), expected one"),
        (lambda: grad(lambda x: 1.0)(1.0), TypeError, "^grad: the function returned float, expected a Tensor"),
        (lambda: grad(lambda x: None)(1.0), TypeError, "^grad: the function returned NoneType, expected a Tensor"),
        (lambda: grad(lambda x: ops.argmax(x))([1.0]), TypeError, "^grad: the function returned dtype int32"),
        (lambda: grad(lambda x: x, 1)(1.0), ValueError, "^grad: argument 1 is to be differentiated, 1 are given"),
        (lambda: grad(lambda x: x)(), ValueError, "^grad: argument 0 is to be differentiated, 0 are given"),
        (lambda: grad(lambda x: x)("a"), TypeError, "^grad: dtype is <U1, expected real numbers"),
        (lambda: grad(lambda x: x)(tensor(1, "int32")), TypeError, "^grad: argument 0 has dtype int32"),
        (lambda: grad(lambda x: x, "x"), TypeError, "^grad: wrt is a str, expected an argument's position or Param"),
        (lambda: grad(lambda x: x, network()), TypeError, "^grad: wrt is a Sequential, expected an argument's pos"),
    ],
)
def test_messages(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
