"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from typing import Any, ClassVar

from ..nn import Parameters
from .groups import Group
from .optimizer import LearningRate, Optimizer, Value
from .ranges import AT_LEAST_ZERO, BELOW_ONE, UNIT, require_flags


class SGD(Optimizer):
    """θ ← θ − lr · v, with v ← momentum · v + (1 − dampening) g; v = g at first, and without momentum.

    Nesterov's form steps along g + momentum · v. Weight decay adds weight_decay · θ to g. With the whole data in a
    batch this is gradient descent.

    Parameters
    ----------
    momentum : number in [0, 1) or a schedule (a ramp)
    dampening : number in [0, 1]
    nesterov : bool; needs a momentum and no dampening
    weight_decay : number >= 0 or a schedule
    **common : see `Optimizer`

    References
    ----------
    Robbins, Monro (1951), A stochastic approximation method; Polyak (1964), Some methods of speeding up the
    convergence of iteration methods; Sutskever, Martens, Dahl, Hinton (2013), On the importance of initialization and
    momentum in deep learning, equations 1 to 4.
    """

    momentum: Value
    dampening: Value
    weight_decay: Value
    _options: ClassVar = {
        "lr": AT_LEAST_ZERO,
        "momentum": BELOW_ONE,
        "dampening": UNIT,
        "weight_decay": AT_LEAST_ZERO,
    }

    def __init__(
        self,
        parameters: Parameters,
        lr: LearningRate = 0.01,
        momentum: Value = 0.0,
        dampening: Value = 0.0,
        nesterov: bool = False,
        weight_decay: Value = 0.0,
        **common: Any,
    ) -> None:
        super().__init__(parameters, lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, **common)
        require_flags("SGD", nesterov=nesterov)
        self.nesterov = nesterov
        uses_momentum = any(callable(value) or value for value in self._given("momentum"))
        if nesterov and (not uses_momentum or any(callable(d) or d for d in self._given("dampening"))):
            raise ValueError("SGD: nesterov needs a momentum above 0 and no dampening")
        if uses_momentum:
            self._new_state("velocity")

    def _update(
        self, theta: Any, g: Any, state: dict[str, Any], group: Group, values: dict[str, float], scale: float, runs: Any
    ) -> None:
        # A schedule that passes through 0 keeps its velocity; with a momentum that is the number 0 there is none.
        given = group.options.get("momentum", self.momentum)
        velocity = state["velocity"] if callable(given) or given else None
        theta.device.sgd(
            theta,
            g,
            velocity,
            values["lr"],
            values["momentum"],
            values["dampening"],
            self.nesterov and velocity is not None,
            values["weight_decay"],
            group.steps == 0,  # the first velocity is the gradient itself
            scale,
            runs,
        )
