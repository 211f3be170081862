"""Activations with their gradients from the output, and the softmax row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from case import Case

TINY = float(np.finfo(np.float32).tiny)


DTYPES = ("float32", "float64")


PARAMETER = {"leaky_relu": 0.125, "elu": 1.5}


AMPLITUDE, SLOPE = np.longdouble("1.7159"), np.longdouble(2) / 3


def sigmoid(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def softplus(x: Any) -> Any:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


# f(x, parameter), f'(y, parameter), tolerance of f in eps. NaN passes through all of them.
KINDS: dict[str, tuple[Callable[..., Any], Callable[..., Any], float]] = {
    "identity": (lambda x, p: x, lambda y, p: y * 0 + 1, 0),
    "sigmoid": (lambda x, p: sigmoid(x), lambda y, p: y * (1 - y), 2),
    "tanh": (lambda x, p: np.tanh(x), lambda y, p: (1 - y) * (1 + y), 2.5),
    "relu": (lambda x, p: np.where(x < 0, 0, x), lambda y, p: np.where(y <= 0, 0, 1), 0),
    "leaky_relu": (lambda x, p: np.where(x < 0, p * x, x), lambda y, p: np.where(y <= 0, p, 1), 1),
    "elu": (
        lambda x, p: np.where(x > 0, x, p * np.expm1(np.minimum(x, 0))),
        lambda y, p: np.where(y <= 0, y + p, 1),
        3,
    ),
    "softplus": (lambda x, p: softplus(x), lambda y, p: -np.expm1(-y), 2),
    "lecun_tanh": (
        lambda x, p: AMPLITUDE * np.tanh(SLOPE * x),
        lambda y, p: AMPLITUDE * SLOPE * (1 - y / AMPLITUDE) * (1 + y / AMPLITUDE),
        5,
    ),
}


SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 2.0**-149, -(2.0**-149), TINY, -TINY, TINY / 4, 1e-6, -1e-6, 3e38, -3e38]


SPECIAL += [0.2, -0.2, 0.35, -0.35, 9.4, 9.6, -9.4, -9.6, 17.0, -17.5, 20.5, 37.0, 88.8, -88.0, -95.0, -103.9, -105.0]


def precise(f: Callable[..., Any]) -> Callable[..., Any]:
    def reference(*arguments: Any) -> np.ndarray:
        wide = [a.astype(np.longdouble) if isinstance(a, np.ndarray) else a for a in arguments]
        with np.errstate(all="ignore"):
            return np.asarray(f(*wide))

    return reference


def values(*shape: int) -> Callable[..., Any]:
    return lambda rng: [3 * rng.standard_normal(shape)]


def activation_cases(kind: str) -> list[Case]:
    f, slope, tolerance = KINDS[kind]
    parameter = PARAMETER.get(kind, 0.0)
    forward = precise(lambda x: f(x, parameter))
    common: dict[str, Any] = {
        "functions": ("activation",),
        "call": lambda d, x: d.activation(x, kind, parameter),
        "reference": forward,
        "tolerance": tolerance,
        "scale": lambda x: np.abs(forward(x)) + TINY,
    }

    def special(dtype: str) -> Case:
        least = float(np.finfo(dtype).tiny)
        more = {"scale": lambda x: np.abs(forward(x)) + least, "dtypes": (dtype,)}
        return Case(
            name=f"{kind}: special values in {dtype}", inputs=lambda rng: [np.array(SPECIAL)], **{**common, **more}
        )

    def outputs(*shape: int) -> Callable[..., Any]:
        return lambda rng: [rng.standard_normal(shape), forward(3 * rng.standard_normal(shape)).astype(np.float64)]

    backward = precise(lambda dy, y: dy * slope(y, parameter))
    gradient: dict[str, Any] = {
        "functions": ("activation_grad",),
        "call": lambda d, dy, y: d.activation_grad(dy, y, kind, parameter),
        "reference": backward,
        # lecun_tanh: y may be rounded to beyond the amplitude.
        "scale": (lambda dy, y: np.abs(dy)) if kind == "lecun_tanh" else lambda dy, y: np.abs(backward(dy, y)) + TINY,
        "tolerance": 3,
    }
    return [
        Case(name=f"{kind}: empty", inputs=values(0, 3), **common),
        Case(name=f"{kind}: one element", inputs=values(1), **common),
        Case(name=f"{kind}: ragged tail", inputs=values(7, 29), **common),
        Case(name=f"{kind}: several chunks", inputs=values(70_001), **common),
        *[special(dtype) for dtype in DTYPES],
        Case(
            name=f"{kind}: the same bits wherever an element stands",
            functions=("activation",),
            inputs=values(1003),
            call=lambda d, x: d.subtract(
                d.activation(x, kind, parameter).view(3, (1000,)), d.activation(x.view(3, (1000,)), kind, parameter)
            ),
            reference=lambda x: np.zeros(1000),
            tolerance=0,
        ),
        Case(name=f"{kind} gradient: empty", inputs=outputs(0), **gradient),
        Case(name=f"{kind} gradient: one element", inputs=outputs(1), **gradient),
        Case(name=f"{kind} gradient: ragged tail", inputs=outputs(7, 29), **gradient),
        Case(name=f"{kind} gradient: several chunks", inputs=outputs(70_001), **gradient),
    ]


def edges(kind: str, expected: list[float]) -> Case:
    """At the kink the slope is the one below it; where y is NaN the gradient is NaN or passes."""
    parameter = PARAMETER.get(kind, 0.0)
    return Case(
        name=f"{kind} gradient: at the edges",
        functions=("activation_grad",),
        inputs=lambda rng: [np.array([2.0, 2.0, 2.0, np.nan, np.inf]), np.array([0.0, -0.0, np.nan, 1.0, 1.0])],
        call=lambda d, dy, y: d.activation_grad(dy, y, kind, parameter),
        reference=lambda dy, y: np.array(expected),
        tolerance=0,
    )


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return e / e.sum(-1, keepdims=True)


def log_softmax(x: np.ndarray) -> np.ndarray:
    """Without cancellation where one element leads: log of 1 + the sum of the others."""
    if x.shape[-1] == 0:
        return x
    d = x - x.max(-1, keepdims=True)
    e = np.exp(d)
    np.put_along_axis(e, d.argmax(-1)[..., None], 0, -1)
    rest = e.sum(-1, keepdims=True)
    return d - np.log1p(np.where(np.isnan(d).any(-1, keepdims=True), np.nan, rest))


def distance(x: np.ndarray) -> np.ndarray:
    """How far below the maximum: x - m is rounded, and that error is multiplied by the exponential."""
    with np.errstate(all="ignore"):
        return np.nan_to_num(np.abs(x - x.max(-1, keepdims=True, initial=-np.inf)), posinf=1e300)


def softmax_scale(x: np.ndarray) -> np.ndarray:
    p = precise(softmax)(x)
    return p * (2 + np.minimum(distance(x), 1e4)) + TINY


def log_softmax_scale(x: np.ndarray) -> np.ndarray:
    p = precise(softmax)(x)
    return np.abs(precise(log_softmax)(x)) + (p * np.minimum(distance(x), 1e4)).sum(-1, keepdims=True)


ROWS: list[tuple[int, ...]] = [
    (0, 5),
    (5, 0),
    (1, 1),
    (7,),
    (3, 10),
    (8, 10),
    (9, 64),
    (5, 65),
    (33, 130),
    (3, 1003),
    (1, 40_000),
    (2000, 17),
    (300, 100),
    (2, 3, 4),
]


def masked(rng: np.random.Generator) -> list[np.ndarray]:
    x = rng.standard_normal((40, 10))
    x[rng.random(x.shape) < 0.3] = -np.inf
    return [x]


def bad_rows(columns: int) -> Callable[..., Any]:
    def make(rng: np.random.Generator) -> list[np.ndarray]:
        x = rng.standard_normal((9, columns))
        x[1] = -np.inf
        x[2, 3] = np.inf
        x[4, 4] = np.nan
        x[5, 0], x[5, 1:] = np.nan, -np.inf
        x[6] *= 1e30
        x[7, 2] = 1.5e38
        x[7, 3] = -1.5e38
        x[8] = 7.0
        return [x]

    return make


def confident(rng: np.random.Generator) -> list[np.ndarray]:
    x = rng.standard_normal((12, 10))
    x[np.arange(12), np.arange(12) % 10] += np.arange(12) * 4
    return [x]


def row_cases(name: str, f: Callable[..., Any], scale: Callable[..., Any]) -> list[Case]:
    common: dict[str, Any] = {
        "functions": (name,),
        "call": lambda d, x: getattr(d, name)(x),
        "reference": precise(f),
        "scale": scale,
        "tolerance": 3,
    }
    return [
        *[Case(name=f"{name}: {shape}", inputs=values(*shape), **common) for shape in ROWS],
        Case(name=f"{name}: -inf masks", inputs=masked, **common),
        Case(name=f"{name}: bad rows leave the others alone", inputs=bad_rows(10), **common),
        Case(name=f"{name}: bad wide rows leave the others alone", inputs=bad_rows(70), **common),
        Case(name=f"{name}: confident", inputs=confident, **common),
        *[
            Case(
                name=f"{name}: the same bits in any batch, {columns} columns",
                functions=(name,),
                inputs=values(21, columns),
                call=lambda d, x, columns=columns: d.subtract(
                    getattr(d, name)(x).view(3 * columns, (18, columns)),
                    getattr(d, name)(x.view(3 * columns, (18, columns))),
                ),
                reference=lambda x, columns=columns: np.zeros((18, columns)),
                tolerance=0,
            )
            for columns in (5, 71)
        ],
    ]


def row_grad_cases(
    name: str, forward: Callable[..., Any], f: Callable[..., Any], scale: Callable[..., Any]
) -> list[Case]:
    def make(shape: tuple[int, ...]) -> Callable[..., Any]:
        return lambda rng: [
            rng.standard_normal(shape),
            precise(forward)(rng.standard_normal(shape)).astype(np.float64),
        ]

    return [
        Case(
            name=f"{name}: {shape}",
            functions=(name,),
            inputs=make(shape),
            call=lambda d, dy, y: getattr(d, name)(dy, y),
            reference=precise(f),
            scale=scale,
            tolerance=8,
        )
        for shape in ROWS
    ]


def softmax_grad_scale(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    return y * (np.abs(dy) + (y * np.abs(dy)).sum(-1, keepdims=True))


def log_softmax_grad_scale(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(dy) + np.exp(y) * (1 + np.abs(y)) * np.abs(dy).sum(-1, keepdims=True)


CASES = [
    *[case for kind in KINDS for case in activation_cases(kind)],
    edges("relu", [0.0, 0.0, 2.0, np.nan, np.inf]),
    edges("leaky_relu", [0.25, 0.25, 2.0, np.nan, np.inf]),
    edges("elu", [3.0, 3.0, 2.0, np.nan, np.inf]),
    edges("tanh", [2.0, 2.0, np.nan, np.nan, np.nan]),
    edges("sigmoid", [0.0, -0.0, np.nan, np.nan, np.nan]),
    edges("identity", [2.0, 2.0, 2.0, np.nan, np.inf]),
    *row_cases("softmax", softmax, softmax_scale),
    *row_cases("log_softmax", log_softmax, log_softmax_scale),
    *row_grad_cases(
        "softmax_grad", softmax, lambda dy, y: y * (dy - (y * dy).sum(-1, keepdims=True)), softmax_grad_scale
    ),
    *row_grad_cases(
        "log_softmax_grad",
        log_softmax,
        lambda dy, y: dy - np.exp(y) * dy.sum(-1, keepdims=True),
        log_softmax_grad_scale,
    ),
]
