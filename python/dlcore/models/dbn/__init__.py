"""The deep belief network: a stack of machines, greedy and up-down learning, labels, samples, bounds, unrolling."""

from .model import DBN

__all__ = ["DBN"]
