"""Gradient methods: first-order ones, a step a gradient, and the numerical optimizers behind `minimize`."""

from .first_order import SGD, AdaGrad, Adam, AdamW, Optimizer, RMSProp
from .minimize import minimize
from .result import OptimizeResult
from .training import BATCH_METHODS, BatchMinimizer, minimize_parameters

__all__ = [
    "BATCH_METHODS",
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "BatchMinimizer",
    "OptimizeResult",
    "Optimizer",
    "RMSProp",
    "minimize",
    "minimize_parameters",
]
