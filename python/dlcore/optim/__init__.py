"""Gradient methods: first-order optimizers, schedules, clipping, averages of the weights."""

from . import schedules
from .adam import Adam, AdamW, NAdam
from .adaptive import AdaDelta, AdaGrad, RMSProp
from .averaging import EMA
from .clipping import clip_grad_norm, clip_grad_value, grad_norm
from .groups import Group
from .optimizer import Optimizer
from .proximal import ProximalL1
from .sgd import SGD
from .sign import Lion, Rprop

__all__ = [
    "EMA",
    "SGD",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Group",
    "Lion",
    "NAdam",
    "Optimizer",
    "ProximalL1",
    "RMSProp",
    "Rprop",
    "clip_grad_norm",
    "clip_grad_value",
    "grad_norm",
    "schedules",
]
