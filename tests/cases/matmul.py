"""matmul and linear: every way through the driver (vector products, few columns, many columns, slices of the depth)."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import Case

GAUSS = "gauss"


INTEGERS = "integers"  # small enough that every sum is exact in float32


SPECIAL = "special"  # NaN, infinities, zeros and denormals among ordinary numbers


def fill(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> np.ndarray:
    if kind == INTEGERS:
        return rng.integers(-8, 9, shape).astype(np.float64)
    values = rng.standard_normal(shape)
    if kind == SPECIAL:
        values[rng.random(shape) < 0.3] = 0.0
        values[rng.random(shape) < 0.01] = np.nan
        values[rng.random(shape) < 0.01] = np.inf
        values[rng.random(shape) < 0.01] = -np.inf
    return values


def product(a: np.ndarray, b: np.ndarray, transpose_a: bool, transpose_b: bool) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return (a.T if transpose_a else a) @ (b.T if transpose_b else b)


def finite_size(x: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(x), abs(x), 0.0)


def tolerance(k: int) -> float:
    return 16.0 if k <= 64 else max(16.0, 2.0 * np.sqrt(k))


def matmul_case(
    name: str, m: int, n: int, k: int, flags: str = "nn", alpha: float = 1.0, beta: float = 0.0, kind: str = GAUSS
) -> Case:
    """out = alpha op(a) op(b) + beta out, into an array of NaN where beta is 0; `flags`: "t" where op transposes."""
    transpose_a, transpose_b = flags[0] == "t", flags[1] == "t"

    def inputs(rng: np.random.Generator) -> list[Any]:
        a = fill(rng, (k, m) if transpose_a else (m, k), kind)
        b = fill(rng, (n, k) if transpose_b else (k, n), kind)
        out = fill(rng, (m, n), kind) if beta else np.full((m, n), np.nan)
        return [a, b, out]

    def reference(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> np.ndarray:
        c = alpha * product(a, b, transpose_a, transpose_b)
        return c + beta * out if beta else c

    def scale(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> np.ndarray:
        size = abs(alpha) * product(finite_size(a), finite_size(b), transpose_a, transpose_b)
        return size + abs(beta * out) if beta else size

    return Case(
        name=f"{name}: ({m}x{k})({k}x{n}) {flags}",
        functions=("matmul",),
        inputs=inputs,
        call=lambda d, a, b, out: d.matmul(a, b, transpose_a, transpose_b, alpha, beta, out),
        reference=reference,
        tolerance=0.0 if kind == INTEGERS else tolerance(k),
        scale=scale,
    )


def new_output_case(m: int, n: int, k: int) -> Case:
    return Case(
        name=f"new output ({m}x{k})({k}x{n})",
        functions=("matmul",),
        inputs=lambda rng: [rng.standard_normal((m, k)), rng.standard_normal((k, n))],
        call=lambda d, a, b: d.matmul(a, b),
        reference=lambda a, b: a @ b,
        tolerance=tolerance(k),
        scale=lambda a, b: abs(a) @ abs(b),
    )


ACTIVATIONS: dict[str, tuple[float, Any]] = {
    "identity": (0.0, lambda x, p: x),
    "sigmoid": (0.0, lambda x, p: 1.0 / (1.0 + np.exp(-x))),
    "tanh": (0.0, lambda x, p: np.tanh(x)),
    "relu": (0.0, lambda x, p: np.where(x < 0.0, 0.0, x)),
    "leaky_relu": (0.01, lambda x, p: np.where(x < 0.0, p * x, x)),
    "elu": (1.25, lambda x, p: np.where(x > 0.0, x, p * np.expm1(np.minimum(x, 0.0)))),
    "softplus": (0.0, lambda x, p: np.logaddexp(0.0, x)),
    "lecun_tanh": (0.0, lambda x, p: 1.7159 * np.tanh(2.0 / 3.0 * x)),
}


def linear_case(m: int, n: int, k: int, activation: str, bias: bool = True) -> Case:
    parameter, function = ACTIVATIONS[activation]

    def inputs(rng: np.random.Generator) -> list[Any]:
        x = rng.standard_normal((m, k))
        weight = rng.standard_normal((k, n)) / np.sqrt(max(k, 1))
        return [x, weight, rng.standard_normal(n) if bias else None]

    def reference(x: np.ndarray, weight: np.ndarray, b: np.ndarray | None) -> np.ndarray:
        return function(x @ weight + (0.0 if b is None else b), parameter)

    def scale(x: np.ndarray, weight: np.ndarray, b: np.ndarray | None) -> np.ndarray:
        # No activation here is steeper than 1.25; its own error is a few units of its value.
        return abs(x) @ abs(weight) + (1.0 if b is None else 1.0 + abs(b))

    return Case(
        name=f"{activation} ({m}x{k})({k}x{n})" + ("" if bias else " without bias"),
        functions=("linear",),
        inputs=inputs,
        call=lambda d, x, weight, b: d.linear(x, weight, b, activation, parameter),
        reference=reference,
        tolerance=1.25 * tolerance(k),
        scale=scale,
    )


ALL_FLAGS = ("nn", "tn", "nt", "tt")


CASES: list[Case] = [
    *(matmul_case("empty", *shape, beta=beta) for shape in ((0, 5, 3), (5, 0, 3), (0, 0, 0)) for beta in (0.0, 1.0)),
    *(
        matmul_case("no depth", m, n, 0, beta=beta)
        for m, n in ((5, 40), (40, 5), (1, 9), (9, 1))
        for beta in (0.0, 0.5)
    ),
    *(matmul_case("one element", 1, 1, 1, flags) for flags in ALL_FLAGS),
    *(matmul_case("one row", 1, n, k, flags) for n, k in ((19, 3), (533, 75), (1100, 401)) for flags in ALL_FLAGS),
    *(matmul_case("one column", m, 1, k, flags) for m, k in ((19, 3), (533, 75), (1100, 401)) for flags in ALL_FLAGS),
    matmul_case("one row", 1, 33, 20, alpha=-0.5, beta=2.0),
    matmul_case("one column", 33, 1, 20, alpha=-0.5, beta=2.0),
    *(matmul_case("tiny", 7, 5, 3, flags) for flags in ALL_FLAGS),
    *(matmul_case("few columns", 75, 37, 21, flags, beta=1.0) for flags in ALL_FLAGS),
    *(matmul_case("few columns, blocks of depth", 61, 35, 850, flags, alpha=0.5) for flags in ALL_FLAGS),
    *(matmul_case("few columns, threads", 523, 60, 130, flags) for flags in ALL_FLAGS),
    *(matmul_case("few columns, rows of 4096 bytes", 1024, 20, 35, flags) for flags in ("tn", "tt")),
    *(matmul_case("many columns", 43, 293, 67, flags, alpha=-1.5, beta=0.25) for flags in ALL_FLAGS),
    *(matmul_case("many columns, blocks of depth, threads", 131, 307, 811, flags, beta=1.0) for flags in ALL_FLAGS),
    *(matmul_case("blocks of rows", 1203, 311, 35, flags) for flags in ALL_FLAGS),
    *(matmul_case("slices of depth", 19, 37, 2003, flags, alpha=2.0, beta=-1.0) for flags in ALL_FLAGS),
    matmul_case("slices of depth", 6, 25, 9000),
    *(
        matmul_case("integers", m, n, k, flags, beta=1.0, kind=INTEGERS)
        for m, n, k in ((37, 150, 130), (1, 40, 70), (12, 9, 2100))
        for flags in ALL_FLAGS
    ),
    *(
        matmul_case("NaN and infinities", m, n, k, flags, kind=SPECIAL)
        for m, n, k in ((37, 150, 30), (1, 40, 30), (12, 9, 30))
        for flags in ALL_FLAGS
    ),
    Case(
        name="denormals are kept",
        functions=("matmul",),
        inputs=lambda rng: [np.array([[2.0**-130, 2.0**-140], [2.0**-149, 0.0]]), np.eye(2)],
        call=lambda d, a, b: d.matmul(a, b),
        reference=lambda a, b: a,
        tolerance=0.0,
        dtypes=("float32",),
    ),
    new_output_case(10, 20, 30),
    new_output_case(0, 3, 2),
    *(linear_case(19, 37, 23, activation) for activation in ACTIVATIONS),
    *(linear_case(1, 37, 23, activation) for activation in ACTIVATIONS),
    *(linear_case(37, 1, 23, activation) for activation in ("identity", "sigmoid")),
    *(linear_case(40, 170, 21, activation, bias=False) for activation in ("identity", "tanh", "relu")),
    linear_case(100, 500, 784, "sigmoid"),
    linear_case(12, 10, 2000, "tanh"),
    linear_case(0, 4, 3, "tanh"),
    linear_case(3, 0, 4, "tanh"),
    linear_case(4, 5, 0, "sigmoid"),
]
