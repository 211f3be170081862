"""Schedules: numbers as functions of the count of steps made, for lr, momentum and every other option.

``SGD(parameters, lr=Cosine(0.1, 1000))`` asks the schedule before each step. Schedules are plain objects without a
clock of their own, so they pickle, and a restored optimizer goes on with them exactly; only `Plateau` has a state,
which the optimizer saves with its own. They compose: ``Warmup(Step(0.1, 30), 5)``, ``0.1 * Cosine(1, 100)``,
``Sequence([Constant(0.1), Cosine(0.1, 90)], [10])``, ``ByEpoch(Step(0.1, 30))``.
"""

from .base import ByEpoch, Constant, Product, Schedule, Sequence, Warmup
from .cycles import OneCycle, OneCycleMomentum
from .decays import (
    Cosine,
    CosineRestarts,
    Exponential,
    InverseTime,
    Linear,
    MultiStep,
    Piecewise,
    Polynomial,
    Step,
    SutskeverMomentum,
)
from .plateau import Plateau

__all__ = [
    "ByEpoch",
    "Constant",
    "Cosine",
    "CosineRestarts",
    "Exponential",
    "InverseTime",
    "Linear",
    "MultiStep",
    "OneCycle",
    "OneCycleMomentum",
    "Piecewise",
    "Plateau",
    "Polynomial",
    "Product",
    "Schedule",
    "Sequence",
    "Step",
    "SutskeverMomentum",
    "Warmup",
]
