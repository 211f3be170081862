"""The element-wise losses with their first and second derivatives, against formulas in extended precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from case import Case

TINY = float(np.finfo(np.float32).tiny)


INF, NAN = np.inf, np.nan


Array = np.ndarray


Formula = Callable[[Array, Array, float], Array]


def weigh(weight: Array, x: Array) -> Array:
    return np.where(weight == 0, 0, weight * x)


def softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


def sigmoid(x: Array) -> Array:
    return np.exp(-softplus(-x))


def log_cosh(f: Array, y: Array, p: float) -> Array:
    a = np.abs(f - y)
    return np.where(a < 1, np.log1p(2 * np.sinh(a / 2) ** 2), a + np.log1p(np.exp(-2 * a)) - np.log(a.dtype.type(2)))


def sech2(f: Array, y: Array, p: float) -> Array:
    e = np.exp(-2 * np.abs(f - y))
    return 4 * e / (1 + e) ** 2


def clip_zero(m: Array) -> Array:
    return np.where(m <= 0, 0, m)


def hinge_slope(f: Array, y: Array, p: float) -> Array:
    m = p - y * f
    return np.where(m <= 0, 0, np.where(m > 0, -y, NAN))


def logistic(f: Array, y: Array, p: float) -> Array:
    return weigh(np.where(f < 0, y, 1 - y), np.abs(f)) + np.log1p(np.exp(-np.abs(f)))


def logistic_slope(f: Array, y: Array, p: float) -> Array:
    e = np.exp(-np.abs(f))
    q = e / (1 + e)
    return np.where(f < 0, q - y, (1 - y) - q)


def log_loss(f: Array, y: Array, p: float) -> Array:
    return -(weigh(y, np.log(f)) + weigh(1 - y, np.log1p(-f)))


def log_loss_slope(f: Array, y: Array, p: float) -> Array:
    return np.where(y == 0, 1 / (1 - f), np.where(y == 1, -1 / f, (f - y) / (f * (1 - f))))


def kl(f: Array, y: Array, p: float) -> Array:
    near = np.log1p((y - f) / f)
    return weigh(y, np.where(np.abs(y - f) <= f / 2, near, np.log(y) - np.log(f)))


def half_square(f: Array, y: Array, p: float) -> Array:
    return ((f - y) / p) ** 2 / 2


def kernel(f: Array, y: Array, p: float) -> Array:
    return np.exp(-half_square(f, y, p))


def kernel_slope(f: Array, y: Array, p: float) -> Array:
    return weigh(kernel(f, y, p), (y - f) / p**2)


def kernel_curvature(f: Array, y: Array, p: float) -> Array:
    return weigh(kernel(f, y, p), (2 * half_square(f, y, p) - 1) / p**2)


def kernel_curvature_scale(f: Array, y: Array, p: float) -> Array:
    return weigh(kernel(f, y, p), (2 * half_square(f, y, p) + 1) / p**2)


def damped(u: Array, p: float) -> Array:
    return np.exp(-p * softplus(u))


def focal(f: Array, y: Array, p: float) -> Array:
    return weigh(damped(y * f, p), softplus(-y * f))


def focal_slope(f: Array, y: Array, p: float) -> Array:
    u = y * f
    return -y * damped(u, p) * (p * weigh(sigmoid(u), softplus(-u)) + sigmoid(-u))


def focal_curvature(f: Array, y: Array, p: float, sign: int = -1) -> Array:
    u = y * f
    s, q = sigmoid(u), sigmoid(-u)
    return damped(u, p) * (p * weigh(s, softplus(-u)) * (p * s + sign * q) + (2 * p + 1) * s * q)


def tolerance(f: Array, y: Array, p: float) -> Array:
    return np.where(f == y, 0, np.where(np.abs(f - y) <= p, 0, 1))


@dataclass(frozen=True)
class Kind:
    """value, first, second : formulas of (f, y, parameter).
    ordinary : rng, n -> f, y.
    f, y : special values, crossed.
    scales : error scales where terms cancel, by order; else the reference's magnitude.
    """

    value: Formula
    first: Formula | None
    second: Formula | None
    ordinary: Callable[[np.random.Generator, int], tuple[Array, Array]]
    f: tuple[float, ...]
    y: tuple[float, ...]
    parameters: tuple[float, ...] = (0.0,)
    scales: dict[int, Formula] = field(default_factory=dict)
    exponent: Formula | None = None  # what an exponential is taken of: in float64 its rounding is magnified


def real(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    return 3 * rng.standard_normal(n), rng.standard_normal(n)


def signed(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    return 3 * rng.standard_normal(n), rng.choice([-1.0, 1.0], n)


def probability(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    close = rng.uniform(0, 1, n)
    return np.clip(close + rng.choice([0.3, 1e-3], n) * rng.standard_normal(n), 1e-3, 1 - 1e-3), close


def count(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    return rng.gamma(2.0, 2.0, n), rng.poisson(3.0, n).astype(float)


def log_count(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    return rng.standard_normal(n), rng.poisson(3.0, n).astype(float)


REAL = (0.0, -0.0, 1e-30, 1e-3, 0.25, 1.0, -1.0, 2.0, -2.5, 8.0, 1e4, -1e4, 1e15, INF, -INF, NAN)


SCORES = (0.0, -0.0, 1e-30, 1.0, -1.0, 30.0, -30.0, 80.0, -80.0, 1e4, -1e4, 1e30, -1e30, INF, -INF, NAN)


CHANCES = (0.0, 1e-30, 1e-4, 0.25, 0.5, 0.75, 1.0, NAN)


def zeros(f: Array, y: Array, p: float) -> Array:
    return np.zeros_like(f)


KINDS = {
    "squared": Kind(
        lambda f, y, p: p * (f - y) ** 2,
        lambda f, y, p: 2 * p * (f - y),
        lambda f, y, p: np.full_like(f, 2 * p),
        real, REAL, (0.0, 1.0), (1.0, 0.5),
    ),
    "absolute": Kind(
        lambda f, y, p: np.abs(f - y), lambda f, y, p: np.sign(f - y), zeros, real, REAL, (0.0, 1.0)
    ),
    "epsilon_insensitive": Kind(
        lambda f, y, p: clip_zero(np.abs(f - y) - p),
        lambda f, y, p: np.where(np.abs(f - y) <= p, 0, np.sign(f - y)),
        zeros, real, REAL, (0.0, 1.0), (0.0, 0.25, 1.0),
        {0: lambda f, y, p: np.abs(f - y)},
    ),
    "tolerance": Kind(tolerance, None, None, real, (*REAL, 0.75, 1 + 1e-7, 2 - 1e-7), (0.0, 1.0, 1e-8, -1e-8, INF),
                      (0.0, 0.25, 1.0)),
    "zero_one": Kind(
        lambda f, y, p: np.where(f == y, 0, 1), None, None,
        lambda rng, n: (rng.integers(0, 3, n).astype(float), rng.integers(0, 3, n).astype(float)),
        REAL, (0.0, 1.0, INF),
    ),
    "huber": Kind(
        lambda f, y, p: np.where(np.abs(f - y) <= p, (f - y) ** 2 / 2, p * (np.abs(f - y) - p / 2)),
        lambda f, y, p: np.clip(f - y, -p, p),
        lambda f, y, p: np.where(np.abs(f - y) <= p, 1, 0),
        real, REAL, (0.0, 1.0), (1.0, 0.25, 4.0),
    ),
    "log_cosh": Kind(
        log_cosh, lambda f, y, p: np.tanh(f - y), sech2, real, (*REAL, 0.999, 1e-2, 20.0, -40.0), (0.0, 1.0),
        exponent=lambda f, y, p: 2 * np.abs(f - y),
    ),
    "hinge": Kind(
        lambda f, y, p: clip_zero(p - y * f), hinge_slope, zeros, signed, SCORES, (-1.0, 1.0), (1.0, 0.0, 0.25)
    ),
    "squared_hinge": Kind(
        lambda f, y, p: clip_zero(p - y * f) ** 2,
        lambda f, y, p: -2 * y * clip_zero(p - y * f),
        lambda f, y, p: np.where(p - y * f <= 0, 0, 2),
        signed, SCORES[:-5], (-1.0, 1.0), (1.0, 0.0, 0.25),
    ),
    "logistic": Kind(
        logistic, logistic_slope,
        lambda f, y, p: np.exp(-np.abs(f)) / (1 + np.exp(-np.abs(f))) ** 2,
        lambda rng, n: (5 * rng.standard_normal(n), rng.random(n)), SCORES, (0.0, 0.5, 1.0),
        scales={1: lambda f, y, p: np.exp(-np.abs(f)) + np.where(f < 0, np.abs(y), np.abs(1 - y))},
    ),
    "log_loss": Kind(
        log_loss, log_loss_slope,
        lambda f, y, p: np.where(y == 0, 0, y / f**2) + np.where(y == 1, 0, (1 - y) / (1 - f) ** 2),
        probability, CHANCES, (0.0, 0.3, 0.5, 1.0),
    ),
    "kl": Kind(
        kl,
        lambda f, y, p: np.where(y == 0, 0, -y / f),
        lambda f, y, p: np.where(y == 0, 0, y / f**2),
        probability, (*CHANCES, 0.2500001, 1e-36), (0.0, 1e-30, 1e-4, 0.25, 1.0, 100.0),
    ),
    "kl_log": Kind(
        lambda f, y, p: weigh(y, np.log(y) - f), lambda f, y, p: -y, zeros,
        lambda rng, n: (np.log(rng.random(n)), rng.random(n)), (0.0, -0.5, -30.0, -1e4, -INF, NAN), (0.0, 1e-4, 0.5, 1),
        scales={0: lambda f, y, p: weigh(y, np.abs(np.log(y)) + np.abs(f))},
    ),
    "poisson": Kind(
        lambda f, y, p: f - weigh(y, np.log(f + p)),
        lambda f, y, p: np.where(y == 0, 1, (f + p - y) / (f + p)),
        lambda f, y, p: np.where(y == 0, 0, y / (f + p) ** 2),
        count, (0.0, 1e-4, 0.5, 1.0, 3.0, 1e4, INF, NAN), (0.0, 1.0, 3.0, 1e4), (0.0, 0.25),
        {0: lambda f, y, p: f + weigh(y, np.abs(np.log(f + p)) + 1),
         1: lambda f, y, p: np.where(y == 0, 1, (f + p + y) / (f + p))},
    ),
    "poisson_log": Kind(
        lambda f, y, p: np.exp(f) - weigh(y, f), lambda f, y, p: np.exp(f) - y, lambda f, y, p: np.exp(f),
        log_count, (0.0, 0.5, -30.0, 30.0, 1e5, -1e4, -INF, NAN), (0.0, 1.0, 3.0),
        scales={0: lambda f, y, p: np.exp(f) + weigh(y, np.abs(f)), 1: lambda f, y, p: np.exp(f) + y},
    ),
    "gaussian_kernel": Kind(
        kernel, kernel_slope, kernel_curvature, real, REAL, (0.0, 1.0), (1.0, 0.3, 7.0), {2: kernel_curvature_scale},
        half_square,
    ),
    "correntropy": Kind(
        lambda f, y, p: -np.expm1(-half_square(f, y, p)),
        lambda f, y, p: -kernel_slope(f, y, p),
        lambda f, y, p: -kernel_curvature(f, y, p),
        real, REAL, (0.0, 1.0), (1.0, 0.3, 7.0), {2: kernel_curvature_scale}, half_square,
    ),
    "focal": Kind(
        focal, focal_slope, focal_curvature, signed, SCORES, (-1.0, 1.0), (2.0, 0.5, 1.7, 5.0),
        {2: lambda f, y, p: focal_curvature(f, y, p, 1)}, lambda f, y, p: p * softplus(y * f),
    ),
}  # fmt: skip


KINDS_WITH_DERIVATIVES = [name for name, kind in KINDS.items() if kind.first]


TOLERANCE = 6.0  # units in the last place, relative: 7e-7 in float32, 1.4e-15 in float64


def inputs(kind: Kind, n: int, order: int) -> Callable[..., Any]:
    def make(rng: np.random.Generator) -> list[Array]:
        # The derivatives of logarithms at denormal predictions lie outside float32.
        special = [f for f in kind.f if order == 0 or f == 0 or not abs(f) < 1e-17]
        pair = [np.repeat(special, len(kind.y)), np.tile(kind.y, len(special))] if n < 0 else [*kind.ordinary(rng, n)]
        return pair if order == 0 else [rng.choice([-0.5, 1.0, 2.0], len(pair[0])), *pair]

    return make


def case(name: str, order: int, parameter: float, n: int, dtype: str) -> Case:
    kind = KINDS[name]
    formula = (kind.value, kind.first, kind.second)[order]
    scale = kind.scales.get(order, formula)
    assert formula is not None
    assert scale is not None
    exponent = kind.exponent if dtype == "float64" else None
    function = ("pointwise_loss", "pointwise_loss_grad", "pointwise_loss_hessian")[order]

    def of(formula: Formula) -> Callable[..., Array]:
        def call(*arguments: Array) -> Array:
            f, y = (a.astype(np.longdouble) for a in arguments[-2:])
            with np.errstate(all="ignore"):
                result = np.asarray(formula(f, y, np.longdouble(parameter)))
                return result if order == 0 else arguments[0] * result

        return call

    return Case(
        name=f"{function}: {name}({parameter:g}), {'special values' if n < 0 else n}",
        functions=(function,),
        inputs=inputs(kind, n, order),
        call=lambda d, *arrays: getattr(d, function)(*arrays, name, parameter),
        reference=of(formula),
        scale=lambda *a: (
            np.abs(of(scale)(*a)) * (1 if exponent is None else 1 + np.abs(exponent(*a[-2:], parameter))) + TINY
        ),
        dtypes=(dtype,),
        tolerance=0 if name in ("zero_one", "tolerance") else TOLERANCE,
    )


CASES = [
    case(name, order, parameter, n, dtype)
    for dtype in ("float32", "float64")
    for name, kind in KINDS.items()
    for order in range(3 if kind.first else 1)
    for parameter in kind.parameters
    for n in ((-1, 0, 203, 40_001) if parameter == kind.parameters[0] else (-1, 203))
]
