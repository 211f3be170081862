"""Gradient methods."""

from .first_order import SGD, AdaGrad, Adam, AdamW, Optimizer, RMSProp

__all__ = ["SGD", "AdaGrad", "Adam", "AdamW", "Optimizer", "RMSProp"]
