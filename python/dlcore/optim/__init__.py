"""Gradient methods."""

from .first_order import SGD, AdaGrad, Adam, AdamW, Optimizer, RMSProp
from .minimize import minimize
from .result import OptimizeResult

__all__ = ["SGD", "AdaGrad", "Adam", "AdamW", "OptimizeResult", "Optimizer", "RMSProp", "minimize"]
