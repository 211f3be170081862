"""Numerical derivatives, against which every op is checked. All in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from dlcore import Tensor, grad, jacobian, ops, tensor

Arrays = Sequence[np.ndarray]


@dataclass(frozen=True)
class Derivative:
    """
    names : the ops it covers.
    f : (*tensors) -> Tensor, smooth around the inputs.
    inputs : rng -> float64 arrays, away from kinks.
    step : of the central differences. Their error is about step² f''' / 6 + 1e-16 f / step.
    tolerance : of a derivative, relative to the magnitude of its terms.
    """

    names: tuple[str, ...]
    f: Callable[..., Tensor]
    inputs: Callable[[np.random.Generator], Arrays]
    step: float = 1e-5
    tolerance: float = 2e-7
    label: str = ""


def objective(case: Derivative) -> Callable[..., Tensor]:
    """(weights, *inputs) -> the scalar sum(weights f(inputs)), linear in the weights."""

    def scalar(weights: Any, *inputs: Any) -> Tensor:
        return ops.sum(weights * case.f(*inputs))

    return scalar


def variables(case: Derivative, rng: np.random.Generator) -> list[np.ndarray]:
    """Weights and inputs at which to differentiate `objective`."""
    inputs = list(case.inputs(rng))
    shape = case.f(*map(tensor, inputs)).shape
    return [rng.standard_normal(shape), *inputs]


def gradients(f: Callable[..., Tensor], points: Arrays) -> list[np.ndarray]:
    found = grad(f, tuple(range(len(points))))(*map(tensor, points))
    for g, x in zip(found, points, strict=True):
        assert g.shape == x.shape
        assert g.dtype == np.float64
    return [g.numpy() for g in found]


def along(f: Callable[..., np.ndarray], points: Arrays, directions: Arrays, step: float) -> np.ndarray:
    """Central difference of f along the directions."""
    ahead = f(*(x + step * d for x, d in zip(points, directions, strict=True)))
    behind = f(*(x - step * d for x, d in zip(points, directions, strict=True)))
    return (ahead - behind) / (2 * step)


def check_first(case: Derivative, rng: np.random.Generator) -> None:
    """The gradient of `objective` along three random directions."""
    points, f = variables(case, rng), objective(case)
    found = gradients(f, points)
    for _ in range(3):
        directions = [rng.standard_normal(x.shape) for x in points]
        expected = along(lambda *xs: f(*map(tensor, xs)).numpy(), points, directions, case.step)
        terms = [g * d for g, d in zip(found, directions, strict=True)]
        assert_derivative(sum(t.sum() for t in terms), expected, sum(abs(t).sum() for t in terms), case.tolerance)


def check_jacobian(case: Derivative, rng: np.random.Generator, largest: int = 600) -> None:
    """The whole Jacobian by each input, column by column, where it is small."""
    points = list(case.inputs(rng))
    size = case.f(*map(tensor, points)).size
    for i, x in enumerate(points):
        if size * x.size > largest:
            continue
        found = jacobian(case.f, i)(*map(tensor, points)).numpy().reshape(size, x.size)
        for j in range(x.size):
            directions = [np.zeros(y.shape) for y in points]
            directions[i].reshape(-1)[j] = 1
            column = along(lambda *xs: case.f(*map(tensor, xs)).numpy(), points, directions, case.step)
            assert_derivative(found[:, j], column.reshape(-1), 1.0 + abs(found[:, j]), case.tolerance)


def check_second(case: Derivative, rng: np.random.Generator) -> None:
    """The gradient of <random, gradient of `objective`> along three random directions, in weights and inputs."""
    points, f = variables(case, rng), objective(case)
    every = tuple(range(len(points)))
    random = [rng.standard_normal(x.shape) for x in points]

    def contracted(*xs: Tensor) -> Tensor:
        total = ops.zeros((), "float64")
        for g, r in zip(grad(f, every)(*xs), random, strict=True):
            total = total + ops.sum(g * tensor(r))
        return total

    found = gradients(contracted, points)
    for _ in range(3):
        directions = [rng.standard_normal(x.shape) for x in points]
        expected = along(
            lambda *xs: np.asarray(sum((g * r).sum() for g, r in zip(gradients(f, xs), random, strict=True))),
            points,
            directions,
            case.step,
        )
        terms = [g * d for g, d in zip(found, directions, strict=True)]
        assert_derivative(sum(t.sum() for t in terms), expected, sum(abs(t).sum() for t in terms), case.tolerance)


def assert_derivative(found: Any, expected: Any, magnitude: Any, tolerance: float) -> None:
    error = np.abs(np.asarray(found) - expected)
    allowed = tolerance * (1.0 + np.asarray(magnitude))
    assert (error <= allowed).all(), f"{found}, expected {expected}, error {error.max()}, allowed {allowed.min()}"
