"""Every loss: as a function, as a class, with inputs and with its formula in float64 NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from dlcore import Tensor, losses

Array = np.ndarray
Rng = np.random.Generator
CLASSES = 4


@dataclass(frozen=True)
class Row:
    """
    function : (f, y, reduction=, sample_weight=) -> Tensor.
    make : reduction -> the class.
    inputs : rng -> f, y; 6 cases.
    each : (f, y) -> the single losses.
    mass : (f, y) -> what each loss counts in the mean.
    """

    function: Callable[..., Tensor]
    make: Callable[[str], losses.Loss]
    inputs: Callable[[Rng], tuple[Array, Array]]
    each: Callable[[Array, Array], Array]
    mass: Callable[[Array, Array], Array] = lambda f, y: np.ones(())


def log_softmax(x: Array) -> Array:
    m = x.max(1, keepdims=True)
    return x - m - np.log(np.exp(x - m).sum(1, keepdims=True))


def softmax(x: Array) -> Array:
    return np.exp(log_softmax(x))


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def scores(rng: Rng) -> Array:
    return 3 * rng.standard_normal((6, CLASSES))


def one_hot(labels: Array) -> Array:
    return np.eye(CLASSES)[labels]


def picked(x: Array, labels: Array) -> Array:
    return x[np.arange(len(x)), labels]


def both(rng: Rng) -> tuple[Array, Array]:
    return scores(rng), scores(rng)


def labelled(rng: Rng) -> tuple[Array, Array]:
    return scores(rng), rng.integers(0, CLASSES, 6)


def soft(rng: Rng) -> tuple[Array, Array]:
    return scores(rng), rng.dirichlet(np.ones(CLASSES), 6)


def signed(rng: Rng) -> tuple[Array, Array]:
    return scores(rng), rng.choice([-1.0, 1.0], (6, CLASSES))


def chances(rng: Rng) -> tuple[Array, Array]:
    return rng.uniform(0.1, 0.9, (6, CLASSES)), rng.uniform(0, 1, (6, CLASSES))


def simplex(rng: Rng) -> tuple[Array, Array]:
    return softmax(0.2 * scores(rng)), rng.dirichlet(np.ones(CLASSES), 6)


def counts(rng: Rng) -> tuple[Array, Array]:
    return rng.uniform(0.5, 4, (6, CLASSES)), rng.poisson(2.0, (6, CLASSES)).astype(float)


def huber(r: Array, d: float) -> Array:
    return np.where(abs(r) <= d, r**2 / 2, d * (abs(r) - d / 2))


def crammer_singer(f: Array, y: Array) -> Array:
    others = np.where(one_hot(y) == 1, -np.inf, f).max(1)
    return np.maximum(0, 1 + others - picked(f, y))


def one_vs_rest(f: Array, y: Array) -> Array:
    return np.maximum(0, 1 - (2 * one_hot(y) - 1) * f)


def stirling(y: Array) -> Array:
    return np.where(y > 1, y * np.log(np.maximum(y, 1)) - y + 0.5 * np.log(2 * np.pi * np.maximum(y, 1)), 0)


def nll(mean: Array, log_variance: Array, y: Array) -> Array:
    return 0.5 * ((y - mean) ** 2 / np.exp(log_variance) + log_variance)


def plain(function: Callable[..., Tensor], cls: Callable[..., losses.Loss], inputs: Any, each: Any, **o: Any) -> Row:
    """A loss whose function and class take the same options."""
    mass = o.pop("mass", Row.mass)
    return Row(lambda f, y, **r: function(f, y, **o, **r), lambda r: cls(**o, reduction=r), inputs, each, mass)


W = np.array([0.5, 2.0, 1.0, 3.0])
SMOOTHED = 0.3
LOSSES: dict[str, Row] = {
    "squared_error": plain(losses.squared_error, losses.SquaredError, both, lambda f, y: (f - y) ** 2),
    "mean_squared_error": plain(losses.mean_squared_error, losses.MeanSquaredError, both, lambda f, y: (f - y) ** 2),
    "half_squared_error": plain(
        losses.half_squared_error, losses.HalfSquaredError, both, lambda f, y: 0.5 * (f - y) ** 2
    ),
    "absolute_error": plain(losses.absolute_error, losses.AbsoluteError, both, lambda f, y: abs(f - y)),
    "huber": plain(losses.huber, losses.Huber, both, lambda f, y: huber(f - y, 0.75), delta=0.75),
    "log_cosh": plain(losses.log_cosh, losses.LogCosh, both, lambda f, y: np.log(np.cosh(f - y))),
    "epsilon_insensitive": plain(
        losses.epsilon_insensitive, losses.EpsilonInsensitive, both,
        lambda f, y: np.maximum(0, abs(f - y) - 0.5), epsilon=0.5,
    ),
    "gaussian_kernel": plain(
        losses.gaussian_kernel, losses.GaussianKernel, both, lambda f, y: np.exp(-(((f - y) / 2) ** 2) / 2), sigma=2.0
    ),
    "correntropy": plain(
        losses.correntropy, losses.Correntropy, both, lambda f, y: 1 - np.exp(-(((f - y) / 2) ** 2) / 2), sigma=2.0
    ),
    "gaussian_nll": plain(
        losses.gaussian_nll, losses.GaussianNLL, both, lambda f, y: nll(f, np.log(2.5), y), variance=2.5
    ),
    "gaussian_nll full": plain(
        losses.gaussian_nll, losses.GaussianNLL, both,
        lambda f, y: nll(f, np.log(2.5), y) + 0.5 * np.log(2 * np.pi), variance=2.5, full=True,
    ),
    "gaussian_nll predicted": plain(
        losses.gaussian_nll, losses.GaussianNLL, lambda rng: (rng.standard_normal((6, 2)), rng.standard_normal(6)),
        lambda f, y: nll(f[:, 0], f[:, 1], y), variance=None,
    ),
    "hinge": plain(losses.hinge, losses.Hinge, signed, lambda f, t: np.maximum(0, 1 - t * f)),
    "hinge margin": plain(losses.hinge, losses.Hinge, signed, lambda f, t: np.maximum(0, 0.25 - t * f), margin=0.25),
    "squared_hinge": plain(
        losses.squared_hinge, losses.SquaredHinge, signed, lambda f, t: np.maximum(0, 1 - t * f) ** 2
    ),
    "perceptron": plain(losses.perceptron, losses.Perceptron, signed, lambda f, t: np.maximum(0, -t * f)),
    "multiclass_hinge": plain(
        losses.multiclass_hinge, losses.MulticlassHinge, labelled, lambda f, y: one_vs_rest(f, y).sum(1)
    ),
    "multiclass_hinge squared": plain(
        losses.multiclass_hinge, losses.MulticlassHinge, labelled,
        lambda f, y: (one_vs_rest(f, y) ** 2).sum(1), squared=True,
    ),
    "multiclass_hinge crammer_singer": plain(
        losses.multiclass_hinge, losses.MulticlassHinge, labelled, crammer_singer, form="crammer_singer"
    ),
    "multiclass_hinge weighted": plain(
        losses.multiclass_hinge, losses.MulticlassHinge, labelled,
        lambda f, y: W[y] * crammer_singer(f, y) ** 2, form="crammer_singer", squared=True, class_weight=W,
    ),
    "log_loss": plain(
        losses.log_loss, losses.LogLoss, chances, lambda p, y: -y * np.log(p) - (1 - y) * np.log(1 - p)
    ),
    "log_loss weighted, clipped": plain(
        losses.log_loss, losses.LogLoss, chances,
        lambda p, y: -2 * y * np.log(np.clip(p, 0.2, 0.8)) - 0.5 * (1 - y) * np.log(1 - np.clip(p, 0.2, 0.8)),
        class_weight=(0.5, 2.0), eps=0.2,
    ),
    "binary_cross_entropy": plain(
        losses.binary_cross_entropy, losses.BinaryCrossEntropy,
        lambda rng: (scores(rng), rng.uniform(0, 1, (6, CLASSES))),
        lambda f, y: -y * np.log(sigmoid(f)) - (1 - y) * np.log(1 - sigmoid(f)),
    ),
    "binary_cross_entropy weighted": plain(
        losses.binary_cross_entropy, losses.BinaryCrossEntropy,
        lambda rng: (scores(rng), rng.integers(0, 2, (6, CLASSES)) * 1.0),
        lambda f, y: -3 * y * np.log(sigmoid(f)), class_weight=(0.0, 3.0),
    ),
    "binary_focal": plain(
        losses.binary_focal, losses.BinaryFocal,
        lambda rng: (scores(rng), rng.integers(0, 2, (6, CLASSES)) * 1.0),
        lambda f, y: -np.where(y == 1, 0.25 * sigmoid(-f) ** 1.5 * np.log(sigmoid(f)),
                               0.75 * sigmoid(f) ** 1.5 * np.log(sigmoid(-f))),
        gamma=1.5, alpha=0.25,
    ),
    "cross_entropy labels": plain(
        losses.cross_entropy, losses.CrossEntropy, labelled, lambda f, y: -picked(log_softmax(f), y)
    ),
    "cross_entropy soft": plain(
        losses.cross_entropy, losses.CrossEntropy, soft, lambda f, y: -(y * log_softmax(f)).sum(1)
    ),
    "cross_entropy weighted": plain(
        losses.cross_entropy, losses.CrossEntropy, labelled, lambda f, y: -W[y] * picked(log_softmax(f), y),
        class_weight=W, mass=lambda f, y: W[y],
    ),
    "cross_entropy smoothed, weighted": plain(
        losses.cross_entropy, losses.CrossEntropy, labelled,
        lambda f, y: -(((1 - SMOOTHED) * one_hot(y) + SMOOTHED / CLASSES) * W * log_softmax(f)).sum(1),
        class_weight=W, label_smoothing=SMOOTHED, mass=lambda f, y: W[y],
    ),
    "cross_entropy soft, smoothed, weighted": plain(
        losses.cross_entropy, losses.CrossEntropy, soft,
        lambda f, y: -(((1 - SMOOTHED) * y + SMOOTHED / CLASSES) * W * log_softmax(f)).sum(1),
        class_weight=W, label_smoothing=SMOOTHED,
    ),
    "cross_entropy ignoring": plain(
        losses.cross_entropy, losses.CrossEntropy,
        lambda rng: (scores(rng), np.array([0, -100, 3, 1, -100, 2])),
        lambda f, y: np.where(y < 0, 0, -picked(log_softmax(f), np.maximum(y, 0))),
        ignore_index=-100, mass=lambda f, y: (y >= 0) * 1.0,
    ),
    "cross_entropy probabilities": plain(
        losses.cross_entropy, losses.CrossEntropy,
        lambda rng: (softmax(0.5 * scores(rng)), rng.integers(0, CLASSES, 6)),
        lambda p, y: -np.log(picked(p, y)), from_logits=False,
    ),
    "cross_entropy soft probabilities": plain(
        losses.cross_entropy, losses.CrossEntropy, simplex, lambda p, y: -(y * np.log(p)).sum(1), from_logits=False
    ),
    "focal": plain(
        losses.focal, losses.Focal, labelled,
        lambda f, y: -((1 - picked(softmax(f), y)) ** 2) * picked(log_softmax(f), y),
    ),
    "focal weighted": plain(
        losses.focal, losses.Focal, labelled,
        lambda f, y: -W[y] * (1 - picked(softmax(f), y)) ** 0.7 * picked(log_softmax(f), y),
        gamma=0.7, class_weight=W,
    ),
    "kl_divergence": plain(
        losses.kl_divergence, losses.KLDivergence, simplex, lambda p, y: (y * np.log(y / p)).sum(1)
    ),
    "kl_divergence log": plain(
        losses.kl_divergence, losses.KLDivergence,
        lambda rng: (np.log(simplex(rng)[0]), simplex(rng)[1]),
        lambda f, y: (y * (np.log(y) - f)).sum(1), input="log_probabilities",
    ),
    "kl_divergence logits": plain(
        losses.kl_divergence, losses.KLDivergence, soft,
        lambda f, y: (y * (np.log(y) - log_softmax(f))).sum(1), input="logits",
    ),
    "poisson": plain(losses.poisson, losses.Poisson, counts, lambda f, y: np.exp(f) - y * f),
    "poisson rate": plain(
        losses.poisson, losses.Poisson, counts, lambda f, y: f - y * np.log(f + 0.125) + stirling(y),
        log_input=False, eps=0.125, full=True,
    ),
}  # fmt: skip
COUNTING: dict[str, Row] = {
    "zero_one": plain(
        losses.zero_one, losses.ZeroOne,
        lambda rng: (rng.integers(0, 3, (6, 2)) * 1.0, rng.integers(0, 3, (6, 2)) * 1.0),
        lambda f, y: (f != y) * 1.0,
    ),
    "tolerance": plain(
        losses.tolerance, losses.Tolerance, both, lambda f, y: (abs(f - y) > 1.5) * 1.0, tolerance=1.5
    ),
}  # fmt: skip
