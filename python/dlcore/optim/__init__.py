"""Gradient methods."""

from .first_order import SGD, AdaGrad, Adam, AdamW, Optimizer, RMSProp
from .proximal import ProximalL1

__all__ = ["SGD", "AdaGrad", "Adam", "AdamW", "Optimizer", "ProximalL1", "RMSProp"]
