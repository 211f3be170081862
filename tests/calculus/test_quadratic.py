"""The quadratic's closed forms against NumPy and against the tape."""

from __future__ import annotations

import numpy as np
import pytest
from dlcore import grad, hessian, hvp, tensor
from dlcore.calculus import Quadratic, gradgradcheck

Rng = np.random.Generator


def test_value_gradient_and_hessian(rng: Rng) -> None:
    A, b, c = rng.standard_normal((6, 6)), rng.standard_normal(6), 0.75
    S, x = (A + A.T) / 2, rng.standard_normal(6)
    f = Quadratic(A, b, c)
    scale = np.abs(S) @ np.abs(x) + np.abs(b)
    np.testing.assert_allclose(f(x).item(), 0.5 * x @ A @ x + b @ x + c, rtol=1e-14)
    for gradient in (f.gradient(x), grad(f)(x)):
        assert (np.abs(gradient.numpy() - (S @ x + b)) <= 8 * np.finfo(float).eps * scale).all()
    assert f.hessian().numpy().tolist() == S.tolist()
    np.testing.assert_allclose(hessian(f)(x).numpy(), S, rtol=4e-16, atol=0)
    np.testing.assert_allclose(hvp(f)(x, x).numpy(), S @ x, rtol=0, atol=8 * np.finfo(float).eps * scale.max())
    assert gradgradcheck(f, (x,))


def test_a_symmetric_matrix_is_kept_to_the_bit(rng: Rng) -> None:
    A = rng.standard_normal((4, 4))
    A = A @ A.T
    A = np.tril(A) + np.tril(A, -1).T
    f = Quadratic(A)
    assert f.hessian().numpy().tolist() == A.tolist()
    assert f(np.zeros(4)).item() == 0
    assert f.gradient(np.zeros(4)).numpy().tolist() == [0] * 4


def test_float32_and_size_zero() -> None:
    f = Quadratic(np.eye(3, dtype=np.float32), [1, 2, 3], 4)
    assert f.gradient([1, 1, 1]).numpy().tolist() == [2, 3, 4]
    assert f([1, 1, 1]).numpy().dtype == np.float32
    assert repr(f) == "Quadratic(n=3, dtype=float32)"
    empty = Quadratic(np.zeros((0, 0)), c=2.5)
    assert empty(np.zeros(0)).item() == 2.5
    assert hessian(empty)(np.zeros(0)).shape == (0, 0)


def test_messages() -> None:
    with pytest.raises(ValueError, match=r"^Quadratic: A is \(2, 3\), expected a square matrix"):
        Quadratic(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"^Quadratic: b is \(3,\), expected \(2,\)"):
        Quadratic(np.eye(2), np.ones(3))
    with pytest.raises(TypeError, match=r"^Quadratic: b has dtype float32, A has float64"):
        Quadratic(np.eye(2), tensor([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"^Quadratic: x is \(3,\), expected \(2,\)"):
        Quadratic(np.eye(2))(np.ones(3))
