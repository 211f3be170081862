"""Moments and structure of initial weights. Tolerances are 5 standard errors of the statistic."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from dlcore.nn import Linear
from dlcore.nn import initializers as init
from dlcore.ops import Generator

FAN_IN, FAN_OUT = 300, 500
SHAPE = (FAN_IN, FAN_OUT)
N = FAN_IN * FAN_OUT
VARIANCES = {
    "lecun": 1 / FAN_IN,
    "glorot": 2 / (FAN_IN + FAN_OUT),
    "he": 2 / FAN_IN,
}


def draw(initializer: Any, shape: tuple[int, ...] = SHAPE, seed: int = 1, dtype: str = "float32") -> np.ndarray:
    w = initializer(Generator(seed), shape, shape[0], shape[-1], dtype)
    assert w.shape == shape
    assert w.dtype == np.dtype(dtype)
    return w.numpy().astype(np.float64)


def assert_normal(w: np.ndarray, variance: float) -> None:
    assert abs(w.mean()) < 5 * math.sqrt(variance / w.size)
    assert abs(w.var() / variance - 1) < 5 * math.sqrt(2 / w.size)
    assert abs((w**4).mean() / variance**2 - 3) < 5 * math.sqrt(96 / w.size)


def assert_uniform(w: np.ndarray, bound: float) -> None:
    assert abs(w).max() <= bound
    assert abs(w).max() > bound * (1 - 20 / w.size)  # the chance of fewer extremes is e^-20
    assert abs(w.mean()) < 5 * bound / math.sqrt(3 * w.size)
    assert abs(w.var() / (bound**2 / 3) - 1) < 5 * math.sqrt(0.8 / w.size)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", VARIANCES)
def test_fan_scaled(name: str, dtype: str) -> None:
    assert_normal(draw(getattr(init, f"{name}_normal"), dtype=dtype), VARIANCES[name])
    assert_uniform(draw(getattr(init, f"{name}_uniform"), dtype=dtype), math.sqrt(3 * VARIANCES[name]))


def test_given_scale() -> None:
    assert_normal(draw(init.normal(0.01)), 1e-4)
    assert_uniform(draw(init.uniform(0.25)), 0.25)
    assert (draw(init.constant(1.5)) == 1.5).all()
    assert (draw(init.zeros) == 0).all()


def test_elements_are_uncorrelated() -> None:
    w = draw(init.lecun_normal)
    for a, b in ((w[:, :-1], w[:, 1:]), (w[:-1], w[1:])):
        assert abs((a * b).mean()) * FAN_IN < 5 / math.sqrt(a.size)


def test_the_seed_decides() -> None:
    assert (draw(init.he_normal) == draw(init.he_normal)).all()
    assert (draw(init.he_normal) != draw(init.he_normal, seed=2)).mean() > 0.99


def test_sparse() -> None:
    w = draw(init.sparse(15, 2.0))
    assert ((w != 0).sum(axis=0) == 15).all()
    assert_normal(w[w != 0], 4.0)
    # Each input is chosen equally often: binomial counts.
    share, outputs = 15 / FAN_IN, FAN_OUT
    assert (abs((w != 0).sum(axis=1) - share * outputs) < 6 * math.sqrt(share * outputs)).all()
    assert (draw(init.sparse(15), (4, 3)) != 0).all()
    with pytest.raises(ValueError, match=r"^sparse: shape is \(3,\), expected \(inputs, outputs\)"):
        draw(init.sparse(), (3,))


@pytest.mark.parametrize("shape", [(20, 30), (30, 20), (20, 20), (8, 3, 2, 2), (16, 2, 2, 1)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    w = draw(init.orthogonal(2.0), shape, dtype="float64").reshape(shape[0], -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-13)
    with pytest.raises(ValueError, match=r"^orthogonal: shape is \(3,\)"):
        draw(init.orthogonal(), (3,))


def test_orthogonal_is_not_biased() -> None:
    """With the signs of R's diagonal the mean of Q is 0 (Mezzadri 2007); without, its diagonal would lean."""
    traces = [np.trace(draw(init.orthogonal(), (4, 4), seed)) for seed in range(400)]
    assert abs(np.mean(traces)) < 5 / math.sqrt(400)  # the trace of a random orthogonal matrix has variance 1


@pytest.mark.parametrize("activation", init.BY_ACTIVATION)
def test_the_activation_chooses(activation: str) -> None:
    w = Linear(FAN_IN, FAN_OUT, activation).build(3).weight.numpy().astype(np.float64)
    variance = {"he": 2 / FAN_IN, "lecun": 1 / FAN_IN, "glorot": 2 / (FAN_IN + FAN_OUT)}
    name = init.BY_ACTIVATION[activation].__name__.split("_")[0]
    assert abs(w.var() / variance[name] - 1) < 5 * math.sqrt(2 / w.size)
