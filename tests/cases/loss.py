"""Softmax cross-entropy with its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from case import Case

TINY = float(np.finfo(np.float32).tiny)


def precise(f: Callable[..., Any]) -> Callable[..., Any]:
    def reference(*arguments: Any) -> np.ndarray:
        wide = [a.astype(np.longdouble) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in arguments]
        with np.errstate(all="ignore"):
            return np.asarray(f(*wide))

    return reference


def parts(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    d = x - x.max(-1, keepdims=True, initial=-np.inf)
    e = np.exp(d)
    others = e.copy()
    if x.shape[1] > 0:
        np.put_along_axis(others, d.argmax(-1)[:, None], 0, -1)
    rest = others.sum(-1)
    rest[np.isnan(d).any(-1)] = np.nan
    return d, e, rest


def hard(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    d, _, rest = parts(x)
    return np.log1p(rest) - np.take_along_axis(d, t[:, None], 1)[:, 0]


def hard_grad(g: np.ndarray, x: np.ndarray, t: np.ndarray) -> np.ndarray:
    d, e, rest = parts(x)
    others = e.copy()
    np.put_along_axis(others, t[:, None], 0, 1)
    others[np.isnan(d).any(-1)] = np.nan
    p = e / (1 + rest)[:, None]
    np.put_along_axis(p, t[:, None], -(others.sum(-1) / (1 + rest))[:, None], 1)
    return g[:, None] * p


def soft(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    d, _, rest = parts(x)
    if x.shape[1] == 0:
        return np.zeros(len(x), x.dtype)
    return np.log1p(rest) * t.sum(-1) - np.where(t == 0, 0, t * d).sum(-1)


def soft_grad(g: np.ndarray, x: np.ndarray, t: np.ndarray) -> np.ndarray:
    _, e, rest = parts(x)
    return g[:, None] * (e / (1 + rest)[:, None] * t.sum(-1, keepdims=True) - t)


def spread(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """|d| and p: rounding x - m moves e^d by eps |d| / 2 of itself."""
    d, e, rest = parts(x)
    return np.nan_to_num(np.abs(d), posinf=0), e / (1 + rest)[:, None]


def hard_scale(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    far, p = spread(x)
    return np.abs(precise(hard)(x, t)) + (p * far).sum(-1) + TINY


def hard_grad_scale(g: np.ndarray, x: np.ndarray, t: np.ndarray) -> np.ndarray:
    far, p = spread(x)
    weight = p * (2 + far)
    others = weight.copy()
    np.put_along_axis(others, t[:, None], 0, 1)
    np.put_along_axis(weight, t[:, None], 2 * others.sum(-1, keepdims=True), 1)
    return np.abs(g)[:, None] * weight + TINY


def soft_scale(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    far, p = spread(x)
    own = np.log1p(parts(x)[2])[:, None] + far
    return (np.abs(t) * own).sum(-1) + np.abs(t).sum(-1) * (p * far).sum(-1) + TINY


def soft_grad_scale(g: np.ndarray, x: np.ndarray, t: np.ndarray) -> np.ndarray:
    far, p = spread(x)
    return np.abs(g)[:, None] * (p * (2 + far) * np.abs(t).sum(-1, keepdims=True) + np.abs(t)) + TINY


def rows(n: int, c: int) -> Callable[..., Any]:
    return lambda rng: [3 * rng.standard_normal((n, c)), rng.integers(0, max(c, 1), n).astype(np.int32)]


def soft_rows(n: int, c: int) -> Callable[..., Any]:
    def make(rng: np.random.Generator) -> list[np.ndarray]:
        t = rng.random((n, c)) * (rng.random((n, c)) < 0.7)
        return [3 * rng.standard_normal((n, c)), t]

    return make


def with_gradient(make: Callable[..., Any]) -> Callable[..., Any]:
    def gradient_first(rng: np.random.Generator) -> list[np.ndarray]:
        arguments = make(rng)
        return [rng.standard_normal(len(arguments[0])), *arguments]

    return gradient_first


def confident(columns: int) -> Callable[..., Any]:
    """Right, wrong and tied predictions, ever more certain; losses down to 1e-17."""

    def make(rng: np.random.Generator) -> list[np.ndarray]:
        x = rng.standard_normal((21, columns))
        leader = rng.integers(0, columns, 21)
        x[np.arange(21), leader] += np.repeat(np.arange(7), 3) * 6.5
        target = np.where(np.arange(21) % 3 == 1, (leader + 1) % columns, leader)
        tied = np.arange(21) % 3 == 2
        x[tied, (leader[tied] + 1) % columns] = x[tied, leader[tied]]
        return [x, target.astype(np.int32)]

    return make


def extreme(columns: int) -> Callable[..., Any]:
    """Logits of 1e4 and 1e30, masks of -inf, equal logits, and rows that are NaN alone."""

    def make(rng: np.random.Generator) -> list[np.ndarray]:
        x = rng.standard_normal((10, columns))
        x[0] *= 1e4
        x[1] *= 1e30
        x[2, 3:] = -np.inf
        x[3] = 7.0
        x[4, 2] = np.nan
        x[5, 2] = np.inf
        x[6] = -np.inf
        x[7, 1] = -np.inf
        x[8, 0], x[8, 1] = 1e35, -1e35
        return [x, np.array([2, 2, 2, 2, 3, 3, 3, 1, 1, 0], np.int32)]

    return make


def soft_extreme(columns: int) -> Callable[..., Any]:
    def make(rng: np.random.Generator) -> list[np.ndarray]:
        x, _ = extreme(columns)(rng)
        t = rng.random((10, columns))
        t[np.isneginf(x)] = 0
        t[6, 0] = 1
        t[7, 1] = 1  # certain of what the mask forbids: an infinite loss
        t[9] = 0
        return [x, t]

    return make


SIZES = [(0, 5), (1, 1), (3, 2), (8, 10), (21, 10), (9, 64), (5, 65), (33, 130), (3, 1003), (2000, 10), (300, 100)]


NAME = "softmax_cross_entropy"


def cases_of_targets(
    kind: str, loss: Any, loss_scale: Any, grad: Any, grad_scale: Any, inputs: dict[str, Any]
) -> list[Case]:
    cases = []
    for name, make in inputs.items():
        cases += [
            Case(
                name=f"{NAME}: {kind} targets, {name}",
                functions=(NAME,),
                inputs=make,
                call=lambda d, x, t: d.softmax_cross_entropy(x, t),
                reference=precise(loss),
                scale=loss_scale,
            ),
            Case(
                name=f"{NAME}_grad: {kind} targets, {name}",
                functions=(f"{NAME}_grad",),
                inputs=with_gradient(make),
                call=lambda d, g, x, t: d.softmax_cross_entropy_grad(g, x, t),
                reference=precise(grad),
                scale=grad_scale,
            ),
        ]
    return cases


HARD_INPUTS = {
    **{str(size): rows(*size) for size in SIZES},
    "confident": confident(10),
    "confident, wide": confident(70),
    "extreme": extreme(10),
    "extreme, wide": extreme(70),
}


SOFT_INPUTS = {
    **{str(size): soft_rows(*size) for size in [*SIZES, (4, 0)]},
    "extreme": soft_extreme(10),
    "extreme, wide": soft_extreme(70),
}


def same_bits(columns: int) -> Case:
    """A row's loss does not depend on the batch around it."""

    def call(d: Any, x: Any, t: Any) -> Any:
        part = d.softmax_cross_entropy(x.view(3 * columns, (18, columns)), t.view(3, (18,)))
        return d.subtract(d.softmax_cross_entropy(x, t).view(3, (18,)), part)

    return Case(
        name=f"{NAME}: the same bits in any batch, {columns} columns",
        functions=(NAME,),
        inputs=rows(21, columns),
        call=call,
        reference=lambda x, t: np.zeros(18),
        tolerance=0,
    )


CASES = [
    *cases_of_targets("hard", hard, hard_scale, hard_grad, hard_grad_scale, HARD_INPUTS),
    *cases_of_targets("soft", soft, soft_scale, soft_grad, soft_grad_scale, SOFT_INPUTS),
    same_bits(5),
    same_bits(71),
]
