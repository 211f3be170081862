"""Gradient methods: first-order optimizers with schedules and averages, and the numerical ones behind `minimize`."""

from . import schedules
from .adam import Adam, AdamW, NAdam
from .adaptive import AdaDelta, AdaGrad, RMSProp
from .averaging import EMA
from .clipping import clip_grad_norm, clip_grad_value, grad_norm
from .groups import Group
from .minimize import minimize
from .optimizer import Optimizer
from .proximal import ProximalL1
from .result import OptimizeResult
from .sgd import SGD
from .sign import Lion, Rprop
from .training import BATCH_METHODS, BatchMinimizer, minimize_parameters

__all__ = [
    "BATCH_METHODS",
    "EMA",
    "SGD",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "BatchMinimizer",
    "Group",
    "Lion",
    "NAdam",
    "OptimizeResult",
    "Optimizer",
    "ProximalL1",
    "RMSProp",
    "Rprop",
    "clip_grad_norm",
    "clip_grad_value",
    "grad_norm",
    "minimize",
    "minimize_parameters",
    "schedules",
]
