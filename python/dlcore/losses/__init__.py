"""Losses: what a model is trained to make small; docs/losses.md compares them.

Each is a function of predictions and targets, and a class with `value`, `gradient` and `hessian` with respect to the
prediction. ``reduction`` is "mean" (default), "sum" or "none". Sample weights, of shape (n,) or the losses' shape,
multiply the losses; the weighted mean divides by the sum of the weights. The classes of a row lie on axis 1.
"""

from .base import REDUCTIONS, Loss, labels
from .cross_entropy import CrossEntropy, Focal, cross_entropy, focal
from .discrete import Tolerance, ZeroOne, tolerance, zero_one
from .gaussian import (
    Correntropy,
    GaussianKernel,
    GaussianNLL,
    SigmaAnnealing,
    correntropy,
    gaussian_kernel,
    gaussian_nll,
)
from .likelihood import KLDivergence, Poisson, kl_divergence, poisson
from .logistic import BinaryCrossEntropy, BinaryFocal, LogLoss, binary_cross_entropy, binary_focal, log_loss
from .margin import (
    Hinge,
    MulticlassHinge,
    Perceptron,
    SquaredHinge,
    hinge,
    multiclass_hinge,
    perceptron,
    squared_hinge,
)
from .regression import (
    AbsoluteError,
    EpsilonInsensitive,
    HalfSquaredError,
    Huber,
    LogCosh,
    MeanSquaredError,
    SquaredError,
    absolute_error,
    epsilon_insensitive,
    half_squared_error,
    huber,
    log_cosh,
    mean_squared_error,
    squared_error,
)

__all__ = [
    "REDUCTIONS",
    "AbsoluteError",
    "BinaryCrossEntropy",
    "BinaryFocal",
    "Correntropy",
    "CrossEntropy",
    "EpsilonInsensitive",
    "Focal",
    "GaussianKernel",
    "GaussianNLL",
    "HalfSquaredError",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "LogLoss",
    "Loss",
    "MeanSquaredError",
    "MulticlassHinge",
    "Perceptron",
    "Poisson",
    "SigmaAnnealing",
    "SquaredError",
    "SquaredHinge",
    "Tolerance",
    "ZeroOne",
    "absolute_error",
    "binary_cross_entropy",
    "binary_focal",
    "correntropy",
    "cross_entropy",
    "epsilon_insensitive",
    "focal",
    "gaussian_kernel",
    "gaussian_nll",
    "half_squared_error",
    "hinge",
    "huber",
    "kl_divergence",
    "labels",
    "log_cosh",
    "log_loss",
    "mean_squared_error",
    "multiclass_hinge",
    "perceptron",
    "poisson",
    "squared_error",
    "squared_hinge",
    "tolerance",
    "zero_one",
]
