"""Losses, gradients and Hessians against 50-digit evaluations, and against PyTorch, kinks and extremes included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dlcore import losses, tensor, value_and_grad

LIMITS = {"float32": 1e-6, "float64": 1e-12}
REAL = (0.0, 1e-6, 0.3, -0.7, 1.0, -1.0, 2.5, -6.0, 8.0, 1e4, -1e4)
SCORES = (0.0, 1e-6, 0.3, -1.0, 1.0, 5.0, -5.0, 20.0, -20.0, 40.0, -40.0, 1e4, -1e4)
CHANCES = (0.0, 1e-7, 0.001, 0.25, 0.5, 0.9, 1.0)


def xlog(m: Any, w: Any, x: Any) -> Any:
    return m.mpf(0) if w == 0 else (m.inf if x == 0 else -w * m.log(x))


def softplus(m: Any, x: Any) -> Any:
    return m.log1p(m.exp(x)) if x < 100 else x + m.log1p(m.exp(-x))


def sigmoid(m: Any, x: Any) -> Any:
    return m.exp(-softplus(m, -x))


def sign(x: Any) -> int:
    return (x > 0) - (x < 0)


def focal(m: Any, f: Any, y: Any, g: Any) -> tuple[Any, ...]:
    u, t = (f, 1) if y == 1 else (-f, -1)
    s, q, loss = sigmoid(m, u), sigmoid(m, -u), softplus(m, -u)
    second = q**g * s * (g * loss * (g * s - q) + (2 * g + 1) * q)
    return q**g * loss, -t * q**g * (g * s * loss + q), second


def kernel(m: Any, r: Any, s: Any) -> tuple[Any, ...]:
    k = m.exp(-((r / s) ** 2) / 2)
    return k, -r / s**2 * k, ((r / s) ** 2 - 1) / s**2 * k


# loss, predictions, targets, (mpmath, f, y) -> value, first and second derivative
Formula = Callable[[Any, Any, Any], tuple[Any, ...]]
ELEMENTS: dict[str, tuple[losses.Loss, tuple[float, ...], tuple[float, ...], Formula]] = {
    "squared": (losses.SquaredError("none"), REAL, (0.0, 0.3), lambda m, f, y: ((f - y) ** 2, 2 * (f - y), 2)),
    "absolute": (losses.AbsoluteError("none"), REAL, (0.0, 0.3), lambda m, f, y: (abs(f - y), sign(f - y), 0)),
    "huber": (
        losses.Huber(1.0, "none"), REAL, (0.0, 0.3),
        lambda m, f, y: ((f - y) ** 2 / 2, f - y, 1) if abs(f - y) <= 1 else (abs(f - y) - m.mpf(0.5), sign(f - y), 0),
    ),
    "log_cosh": (
        losses.LogCosh("none"), REAL, (0.0, 0.3),
        lambda m, f, y: (abs(f - y) + m.log1p(m.exp(-2 * abs(f - y))) - m.log(2), m.tanh(f - y), m.sech(f - y) ** 2),
    ),
    "epsilon_insensitive": (
        losses.EpsilonInsensitive(1.0, "none"), REAL, (0.0, 0.3),
        lambda m, f, y: (max(0, abs(f - y) - 1), sign(f - y) if abs(f - y) > 1 else 0, 0),
    ),
    "gaussian_kernel": (
        losses.GaussianKernel(0.75, "none"), REAL, (0.0, 0.3), lambda m, f, y: kernel(m, f - y, m.mpf(0.75))
    ),
    "correntropy": (
        losses.Correntropy(0.75, "none"), REAL, (0.0, 0.3),
        lambda m, f, y: (-m.expm1(-((f - y) / m.mpf(0.75)) ** 2 / 2), *(-v for v in kernel(m, f - y, m.mpf(0.75))[1:])),
    ),
    "hinge": (
        losses.Hinge(reduction="none"), SCORES, (-1.0, 1.0),
        lambda m, f, y: (max(0, 1 - y * f), -y if y * f < 1 else 0, 0),
    ),
    "squared_hinge": (
        losses.SquaredHinge(reduction="none"), SCORES, (-1.0, 1.0),
        lambda m, f, y: (max(0, 1 - y * f) ** 2, -2 * y * max(0, 1 - y * f), 2 if y * f < 1 else 0),
    ),
    "binary_cross_entropy": (
        losses.BinaryCrossEntropy(reduction="none"), SCORES, (0.0, 1.0),
        lambda m, f, y: (
            softplus(m, f) if y == 0 else softplus(m, -f),
            sigmoid(m, f) if y == 0 else -sigmoid(m, -f),
            sigmoid(m, f) * sigmoid(m, -f),
        ),
    ),
    "log_loss": (
        losses.LogLoss(reduction="none"), CHANCES, (0.0, 1.0, 0.25),
        lambda m, f, y: (
            xlog(m, y, f) + xlog(m, 1 - y, 1 - f),
            (0 if y == 0 else -m.inf if f == 0 else -y / f) + (0 if y == 1 else m.inf if f == 1 else (1 - y) / (1 - f)),
            (0 if y == 0 else m.inf if f == 0 else y / f**2)
            + (0 if y == 1 else m.inf if f == 1 else (1 - y) / (1 - f) ** 2),
        ),
    ),
    "binary_focal": (
        losses.BinaryFocal(reduction="none"), SCORES, (0.0, 1.0), lambda m, f, y: focal(m, f, y, 2)
    ),
    "binary_focal 0.5": (
        losses.BinaryFocal(0.5, reduction="none"), SCORES, (0.0, 1.0), lambda m, f, y: focal(m, f, y, m.mpf(0.5))
    ),
    "poisson": (
        losses.Poisson(reduction="none"), (0.0, -1.0, 0.3, 5.0, 40.0, -1e4), (0.0, 3.0),
        lambda m, f, y: (m.exp(f) - y * f, m.exp(f) - y, m.exp(f)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ELEMENTS)
def test_elements_against_fifty_digits(name: str, dtype: str) -> None:
    m = pytest.importorskip("mpmath").mp
    m.dps = 50
    loss, predictions, targets, formula = ELEMENTS[name]
    f = np.repeat(np.array(predictions, dtype), len(targets))
    y = np.tile(np.array(targets, dtype), len(predictions))
    exact = [formula(m, m.mpf(float(a)), m.mpf(float(b))) for a, b in zip(f, y, strict=True)]
    # Below the smallest normal number a result has fewer digits.
    floor = np.finfo(dtype).tiny / np.finfo(dtype).eps
    for found, expected in zip((loss.value, loss.gradient, loss.hessian), zip(*exact, strict=True), strict=True):
        np.testing.assert_allclose(
            found(f, y).numpy().astype(float), np.array(expected, float), rtol=LIMITS[dtype], atol=floor
        )


ROWS = [
    [1e4, 0.0, -1e4], [0.0, 0.0, 0.0], [30.0, 1.0, -2.0], [-1e4, -1e4, 3.0], [0.5, -1.0, 2.0], [18.0, 18.0, 0.0]
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("make", "gamma"), [(losses.CrossEntropy, 0), (losses.Focal, 2), (losses.Focal, 0.5)])
def test_rows_against_fifty_digits(make: Any, gamma: float, dtype: str) -> None:
    """The cross-entropy and the focal loss with gradients and 3 × 3 Hessians, by exact chain rules."""
    m = pytest.importorskip("mpmath").mp
    m.dps = 50
    f = np.repeat(np.array(ROWS, dtype), 3, axis=0)
    y = np.tile(np.arange(3), len(ROWS))
    values, firsts, seconds = [], [], []
    for row, label in zip(f, y, strict=True):
        x = [m.mpf(float(v)) for v in row]
        others = [j for j in range(3) if j != label]
        top = max(x[j] for j in others)
        total = sum(m.exp(x[j] - top) for j in others)
        u = x[label] - top - m.log(total)
        pi = [m.exp(x[j] - top) / total if j != label else m.mpf(0) for j in range(3)]
        v = [(1 if j == label else 0) - pi[j] for j in range(3)]
        value, slope, curvature = focal(m, u, 1, m.mpf(gamma))
        values.append(value)
        firsts.append([slope * v[j] for j in range(3)])
        spread = [[(pi[i] if i == j else 0) - pi[i] * pi[j] for j in range(3)] for i in range(3)]
        seconds.append([[curvature * v[i] * v[j] - slope * spread[i][j] for j in range(3)] for i in range(3)])
    loss = make(reduction="none") if make is losses.CrossEntropy else make(gamma, reduction="none")
    floor = np.finfo(dtype).tiny / np.finfo(dtype).eps
    for found, expected in ((loss.value, values), (loss.gradient, firsts), (loss.hessian, seconds)):
        e = np.array(expected, float)
        scale = abs(e) if e.ndim == 1 else abs(e).max(axis=tuple(range(1, e.ndim)), keepdims=True)
        error = abs(found(f, y).numpy().astype(float) - e)
        assert (error <= LIMITS[dtype] * scale + floor).all(), (error / (scale + floor)).max()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_agreement_with_pytorch(dtype: str, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    f, y = (3 * rng.standard_normal((6, 4))).astype(dtype), (3 * rng.standard_normal((6, 4))).astype(dtype)
    labels, w = rng.integers(0, 4, 6), rng.uniform(0.5, 2, 4).astype(dtype)
    signs, binary = np.sign(y), (y > 0).astype(dtype)
    p = (1 / (1 + np.exp(-f))).astype(dtype)
    soft = rng.dirichlet(np.ones(4), 6).astype(dtype)
    variance = rng.uniform(0.1, 2, (6, 4)).astype(dtype)
    images, places = (3 * rng.standard_normal((2, 4, 3, 5))).astype(dtype), rng.integers(0, 4, (2, 3, 5))
    places[0, 1] = -100
    t = torch.tensor
    for ours, theirs, x in [
        (lambda x: losses.squared_error(x, y), lambda x: F.mse_loss(x, t(y)), f),
        (lambda x: losses.absolute_error(x, y), lambda x: F.l1_loss(x, t(y)), f),
        (lambda x: losses.huber(x, y, 0.7), lambda x: F.huber_loss(x, t(y), delta=0.7), f),
        (lambda x: losses.log_loss(x, binary), lambda x: F.binary_cross_entropy(x, t(binary)), p),
        (
            lambda x: losses.binary_cross_entropy(x, binary, class_weight=(1, 3)),
            lambda x: F.binary_cross_entropy_with_logits(x, t(binary), pos_weight=torch.tensor(3.0)),
            f,
        ),
        (lambda x: losses.hinge(x, signs), lambda x: (1 - t(signs) * x).clamp(min=0).mean(), f),
        (
            lambda x: losses.cross_entropy(x, labels, label_smoothing=0.2, class_weight=w),
            lambda x: F.cross_entropy(x, t(labels), t(w), label_smoothing=0.2),
            f,
        ),
        (
            lambda x: losses.cross_entropy(x, soft, label_smoothing=0.2, class_weight=w),
            lambda x: F.cross_entropy(x, t(soft), t(w), label_smoothing=0.2),
            f,
        ),
        (
            lambda x: losses.cross_entropy(x, places, class_weight=w, ignore_index=-100),
            lambda x: F.cross_entropy(x, t(places), t(w)),
            images,
        ),
        (
            lambda x: losses.kl_divergence(x, soft, "log_probabilities"),
            lambda x: F.kl_div(x, t(soft), reduction="batchmean"),
            np.log(p),
        ),
        (
            lambda x: losses.poisson(x, abs(y), full=True),
            lambda x: F.poisson_nll_loss(x, t(abs(y)), full=True),
            f,
        ),
        (
            lambda x: losses.poisson(x, abs(y), log_input=False, eps=1e-8),
            lambda x: F.poisson_nll_loss(x, t(abs(y)), log_input=False, eps=1e-8),
            p,
        ),
        (
            lambda x: losses.gaussian_nll(x, y, variance, full=True),
            lambda x: F.gaussian_nll_loss(x, t(y), t(variance), full=True),
            f,
        ),
    ]:  # fmt: skip
        value, gradient = value_and_grad(ours)(tensor(x))
        leaf = torch.tensor(x, requires_grad=True)
        expected = theirs(leaf)
        expected.backward()
        np.testing.assert_allclose(value.numpy(), expected.detach().numpy(), rtol=4 * LIMITS[dtype])
        np.testing.assert_allclose(
            gradient.numpy(),
            leaf.grad.numpy(),
            rtol=4 * LIMITS[dtype],
            atol=LIMITS[dtype] * abs(leaf.grad).max().item(),
        )
