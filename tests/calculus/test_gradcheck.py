"""The public checks: right derivatives pass, wrong ones are found and named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dlcore import Generator, Tensor, gradcheck, gradgradcheck, is_recording, losses, ops, tensor
from dlcore.autodiff import differentiable
from dlcore.calculus import GradcheckError
from dlcore.nn import Linear, Parameters, Sequential

Rng = np.random.Generator


@differentiable(2)
def skewed(a: Tensor, b: Tensor) -> tuple[Any, ...]:
    """a² b, whose derivative by a is wrong where a > 1."""
    y = ops.square(Tensor(a.array)) * Tensor(b.array)
    return y, lambda dy: dy * b * (2.0 * a + 0.25 * ops.greater(a, 1.0)), lambda dy: dy * ops.square(a)


@differentiable(1)
def bent(x: Tensor) -> tuple[Any, ...]:
    """x³ with a right first derivative whose own derivative is wrong."""
    return ops.power(Tensor(x.array), 3), lambda dy: dy * slope_of_bent(x)


@differentiable(1)
def slope_of_bent(x: Tensor) -> tuple[Any, ...]:
    return 3.0 * ops.square(Tensor(x.array)), lambda dy: dy * 6.5 * x


def test_right_derivatives_pass(rng: Rng) -> None:
    a, b = rng.standard_normal((2, 3)), rng.standard_normal((3, 2))
    for options in ({}, {"directions": 4}, {"eps": 1e-4, "rtol": 1e-6}):
        assert gradcheck(lambda a, b: ops.tanh(ops.matmul(a, b)), (a, b), **options)
        assert gradgradcheck(lambda a, b: ops.tanh(ops.matmul(a, b)), (a, b), **options)
    assert gradcheck(lambda a, n: a**n, (a, 3), 0)
    assert gradcheck(lambda x: ops.sum(x * x), ([1.0, 2.0],), 0)  # a list is checked in float64
    assert gradcheck(lambda x: x * x, (np.float64(3.0),), 0)
    assert gradcheck(lambda x: x**3, (1e6 * a,))  # the step is relative to x
    assert gradcheck(lambda x: x[:, :0], (a,))
    labels = tensor([0, 2], "int32")
    assert gradcheck(lambda x, y: losses.cross_entropy(x, y, "none"), (a, labels))
    assert gradgradcheck(lambda x, y: losses.cross_entropy(x, y, "none"), (a, labels))


def test_parameters_are_checked_and_put_back(rng: Rng) -> None:
    model = Sequential(Linear(2, 3, "softplus"), Linear(3, 1)).build(0, "float64")
    before = model.parameters.storage.numpy().tolist()
    x = rng.standard_normal((4, 2))
    for options in ({}, {"directions": 2}):
        assert gradcheck(model, (x,), model.parameters, **options)
        assert gradgradcheck(model, (x,), model.parameters, **options)
    assert model.parameters.storage.numpy().tolist() == before

    def fails(x: Tensor) -> Tensor:
        if model.parameters.storage.numpy().tolist() != before:
            raise ZeroDivisionError
        return model(x)

    with pytest.raises(ZeroDivisionError):
        gradcheck(fails, (x,), model.parameters)
    assert model.parameters.storage.numpy().tolist() == before


def test_a_wrong_derivative_is_named() -> None:
    a, b = np.array([[0.5, -1.0], [2.0, 0.25]]), np.array([[1.0, 1.0], [3.0, 1.0]])
    expected = (
        r"^gradcheck: the derivative of output\[1, 0\] by element \[1, 0\] of argument 0 is 12\.75 by autodiff, "
        r"12(\.0000\d*|) by central differences: error 0\.75, allowed 0\.00012\d*; 1 of 16 differ"
    )
    with pytest.raises(GradcheckError, match=expected):
        gradcheck(skewed, (a, b))
    assert not gradcheck(skewed, (a, b), raise_exception=False)
    assert gradcheck(skewed, (a, b), 1)
    assert gradcheck(skewed, (a - 2, b))
    with pytest.raises(GradcheckError, match=r"^gradcheck: the derivative of a weighted sum .* random direction 0 is"):
        gradcheck(skewed, (a, b), directions=3)


def test_a_wrong_second_derivative_is_named() -> None:
    x = np.array([1.0, 2.0])
    assert gradcheck(bent, (x,))
    with pytest.raises(
        GradcheckError, match=r"^gradgradcheck: the derivative of output\[1\] by element \[1\] of argument 1"
    ):
        gradgradcheck(bent, (x,))
    assert not gradgradcheck(bent, (x,), raise_exception=False)
    assert not gradgradcheck(bent, (x,), directions=2, raise_exception=False)


def test_a_wrong_derivative_by_a_parameter_is_named() -> None:
    p = Parameters({"gain": (2,), "shift": (2,)}, "float64")
    p.assign({"gain": [0.5, 1.5], "shift": [1.0, 1.0]})
    with pytest.raises(GradcheckError, match=r"by element \[1\] of parameter 'gain' is 3\.25 by autodiff, 3"):
        gradcheck(lambda: skewed(p["gain"], p["shift"]), (), p)


def test_functions_that_cannot_be_checked(rng: Rng) -> None:
    x = rng.standard_normal(3)
    generator = Generator(1)
    with pytest.raises(GradcheckError, match=r"^gradcheck: the function returned other values for the same input"):
        gradcheck(lambda x: ops.dropout(x, 0.5, generator), (x,))
    assert gradcheck(lambda x: ops.dropout(x, 0.5, Generator(1)), (x,))
    with pytest.raises(GradcheckError, match=r"^gradcheck: .* is -1 by autodiff, nan by"):
        gradcheck(lambda x: ops.log(x), (np.array([-1.0]),))

    def inside(x: Tensor) -> Tensor:
        gradcheck(lambda z: z, (np.ones(1),))
        return ops.sum(x)

    from dlcore import grad

    with pytest.raises(RuntimeError, match=r"^gradcheck: called inside a transformation"):
        grad(inside)(x)
    assert not is_recording()


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_messages(check: Any) -> None:
    name, x = check.__name__, np.ones(2)
    with pytest.raises(
        TypeError, match=rf"^{name}: argument 0 has dtype float32, expected float64: differences in flo"
    ):
        check(lambda x: x, (tensor([1.0]),))
    with pytest.raises(TypeError, match=rf"^{name}: the function returned dtype float32, expected float64"):
        check(lambda x: ops.cast(x, "float32"), (x,))
    with pytest.raises(TypeError, match=rf"^{name}: the function returned float, expected a Tensor"):
        check(lambda x: 1.0, (x,))
    with pytest.raises(TypeError, match=rf"^{name}: parameter 'a' has dtype float32, expected float64"):
        check(lambda: ops.ones((1,)), (), Parameters({"a": (1,)}))
    with pytest.raises(TypeError, match=rf"^{name}: wrt is a str, expected an argument's position or Parameters"):
        check(lambda x: x, (x,), "x")
    with pytest.raises(ValueError, match=rf"^{name}: none of the 1 arguments is an array of floating-point numbers"):
        check(lambda x: x, (3,))
    with pytest.raises(ValueError, match=rf"^{name}: argument 1 is to be differentiated, 1 are given"):
        check(lambda x: x, (x,), 1)
    with pytest.raises(ValueError, match=rf"^{name}: directions is 0, expected an integer >= 1 or None"):
        check(lambda x: x, (x,), directions=0)
    for option in ("eps", "rtol", "atol"):
        with pytest.raises(ValueError, match=rf"^{name}: {option} is -1, expected a finite number > 0"):
            check(lambda x: x, (x,), **{option: -1})
