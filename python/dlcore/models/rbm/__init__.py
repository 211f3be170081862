"""The restricted Boltzmann machine: what it is, how it learns, what it can be asked."""

from .model import RBM

__all__ = ["RBM"]
