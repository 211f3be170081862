"""Gradient clipping, alone and inside a step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import trajectories
from dlcore import ops, optim, tensor

G = np.random.default_rng(0).standard_normal(50001) * 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_by_norm(dtype: str) -> None:
    g = tensor(G, dtype)
    exact = float(np.linalg.norm(G.astype(dtype).astype(np.float64)))
    assert optim.grad_norm(g) == pytest.approx(exact, rel=1e-13)
    clipped, norm = optim.clip_grad_norm(g, 2.5)
    assert norm == pytest.approx(exact, rel=1e-13)
    np.testing.assert_allclose(clipped.numpy(), G * (2.5 / exact), rtol=1e-6 if dtype == "float32" else 1e-13)
    assert optim.grad_norm(clipped) == pytest.approx(2.5, rel=1e-6)
    np.testing.assert_array_equal(g.numpy(), G.astype(dtype))  # the value that was given is left alone
    same, _ = optim.clip_grad_norm(g, 2 * exact)
    assert same is g


def test_any_shape_and_no_elements() -> None:
    assert optim.grad_norm(tensor(np.ones((2, 2, 4)))) == 4.0
    assert optim.grad_norm(ops.zeros((0,))) == 0.0
    clipped, norm = optim.clip_grad_norm(ops.zeros((3,)), 1.0)
    assert norm == 0.0
    assert clipped.numpy().tolist() == [0, 0, 0]
    assert optim.clip_grad_norm(tensor(np.ones((2, 2))), 1.0)[0].shape == (2, 2)


def test_the_norm_of_float32_does_not_overflow() -> None:
    g = ops.full((4,), 3e38)
    clipped, norm = optim.clip_grad_norm(g, 1.0)
    assert norm == pytest.approx(6e38)
    np.testing.assert_allclose(clipped.numpy(), 0.5, rtol=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_norm_that_is_not_finite(bad: float) -> None:
    values = np.array([1.0, bad, 100.0], np.float32)
    with pytest.raises(FloatingPointError, match=r"^clip_grad_norm: the norm of the gradient is (nan|inf)"):
        optim.clip_grad_norm(tensor(values), 1.0)
    kept, norm = optim.clip_grad_norm(tensor(values), 1.0, error_if_nonfinite=False)
    assert not math.isfinite(norm)
    np.testing.assert_array_equal(kept.numpy(), values)


def test_by_value() -> None:
    values = np.array([-3, -0.5, 0, 0.5, 3, math.inf, -math.inf, math.nan])
    np.testing.assert_array_equal(
        optim.clip_grad_value(tensor(values), 1.0).numpy(), [-1, -0.5, 0, 0.5, 1, 1, -1, math.nan]
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optim.clip_grad_norm(ops.ones((3,)), 0.0), "^clip_grad_norm: max_norm is 0.0, expected a finite num"),
        (lambda: optim.clip_grad_norm(ops.ones((3,)), math.nan), "^clip_grad_norm: max_norm is nan"),
        (lambda: optim.clip_grad_value(ops.ones((3,)), -1), "^clip_grad_value: clip_value is -1, expected a finite"),
    ],
)
def test_messages(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("make", trajectories.SETTINGS)
def test_inside_a_step(make: Any) -> None:
    """max_grad_norm and max_grad_value step as a clipped gradient does."""
    fused = make(trajectories.parameters("float64"), lr=0.01, max_grad_norm=0.7, max_grad_value=1.5)
    apart = make(trajectories.parameters("float64"), lr=0.01)
    for step in range(20):
        g = tensor(trajectories.gradient(apart.parameters.storage.numpy(), step), "float64")
        fused.step(g)
        apart.step(optim.clip_grad_norm(optim.clip_grad_value(g, 1.5), 0.7)[0])
        np.testing.assert_allclose(
            fused.parameters.storage.numpy(), apart.parameters.storage.numpy(), rtol=1e-12, atol=1e-13
        )


def test_frozen_parts_do_not_count_in_a_step_s_norm() -> None:
    p = trajectories.parameters("float64")
    before = p.storage.numpy()
    optimizer = optim.SGD(p, 1.0, groups=[{"params": "a", "frozen": True}], max_grad_norm=1.0, maximize=True)
    g = np.full(37, np.nan)
    g[25:] = 3.0
    optimizer.step(tensor(g, "float64"))
    np.testing.assert_allclose(p.storage.numpy()[25:] - before[25:], 1 / math.sqrt(12))
