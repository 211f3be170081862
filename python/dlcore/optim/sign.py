"""Methods that use a gradient's sign: Rprop, Lion."""

from __future__ import annotations

from typing import Any, ClassVar

from .. import ops
from ..nn import Parameters
from ..tensor import Tensor
from .groups import Group
from .optimizer import LearningRate, Optimizer, Pair, Value
from .ranges import ABOVE_ONE, AT_LEAST_ZERO, BELOW_ONE, INSIDE_UNIT


class Rprop(Optimizer):
    """θ ← θ − sign(g) · Δ, with Δ grown by η₊ where g keeps its sign and shrunk by η₋, without a step, where it turns.

    Each parameter has its own step size Δ; the gradient's size does not matter, so its noise must not: full batches.
    It is the variant without backtracking, iRprop−, as PyTorch's.

    Parameters
    ----------
    lr : number >= 0, the Δ of the first step; schedules have no place here
    etas : (η₋, η₊), numbers in (0, 1) and above 1
    step_sizes : (least, largest) Δ
    **common : see `Optimizer`

    References
    ----------
    Riedmiller, Braun (1993), A direct adaptive method for faster backpropagation learning: the RPROP algorithm; Igel,
    Hüsken (2000), Improving the Rprop learning algorithm, section 2.3.
    """

    etas: Pair
    step_sizes: Pair
    _options: ClassVar = {
        "lr": AT_LEAST_ZERO,
        "etas": (("eta_minus", INSIDE_UNIT), ("eta_plus", ABOVE_ONE)),
        "step_sizes": (("step_min", AT_LEAST_ZERO), ("step_max", AT_LEAST_ZERO)),
    }
    follows_lr: ClassVar[bool] = False

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 0.01,
        etas: Pair = (0.5, 1.2),
        step_sizes: Pair = (1e-6, 50.0),
        **common: Any,
    ) -> None:
        super().__init__(parameters, lr, etas=etas, step_sizes=step_sizes, **common)
        if any(callable(value) for value in self._given("lr")):
            raise ValueError("Rprop: lr is a schedule, expected a number: it is the step size to begin with")
        for least, most in self._given("step_sizes"):
            if not (callable(least) or callable(most)) and least > most:
                raise ValueError(f"Rprop: step_sizes are {(least, most)!r}, expected the smaller one first")
        self._new_state("previous_gradient")
        theta = parameters.storage
        first = Tensor(ops.zeros(theta.shape, theta.dtype, theta.device).array)
        for group in self.groups:
            value = group.options.get("lr", lr)
            for begin, end in group.runs:
                part = first.array.view(begin, (end - begin,))
                part.assign(part.device.full(part.shape, value, part.dtype))
        self.state["step_sizes"] = first

    def _update(
        self, theta: Any, g: Any, state: dict[str, Any], group: Group, values: dict[str, float], scale: float, runs: Any
    ) -> None:
        theta.device.rprop(
            theta,
            g,
            state["previous_gradient"],
            state["step_sizes"],
            values["eta_minus"],
            values["eta_plus"],
            values["step_min"],
            values["step_max"],
            scale,
            runs,
        )


class Lion(Optimizer):
    """θ ← θ − lr (sign(β₁m + (1 − β₁)g) + weight_decay · θ); m ← β₂m + (1 − β₂)g.

    All steps have the same size, so lr is to be three to ten times smaller than Adam's, and weight_decay as much
    larger. Half of Adam's state.

    Parameters
    ----------
    betas : (β₁, β₂), numbers in [0, 1) or schedules
    weight_decay : number >= 0 or a schedule; decoupled
    **common : see `Optimizer`

    References
    ----------
    Chen, Liang, Huang, Real, Wang, Liu, Pham, Dong, Luong, Hsieh, Lu, Le (2023), Symbolic discovery of optimization
    algorithms, algorithm 2.
    """

    betas: Pair
    weight_decay: Value
    _options: ClassVar = {
        "lr": AT_LEAST_ZERO,
        "betas": (("beta1", BELOW_ONE), ("beta2", BELOW_ONE)),
        "weight_decay": AT_LEAST_ZERO,
    }

    def __init__(
        self,
        parameters: Parameters,
        lr: LearningRate = 1e-4,
        betas: Pair = (0.9, 0.99),
        weight_decay: Value = 0.0,
        **common: Any,
    ) -> None:
        super().__init__(parameters, lr, betas=betas, weight_decay=weight_decay, **common)
        self._new_state("first_moment")

    def _update(
        self, theta: Any, g: Any, state: dict[str, Any], group: Group, values: dict[str, float], scale: float, runs: Any
    ) -> None:
        theta.device.lion(
            theta,
            g,
            state["first_moment"],
            values["lr"],
            values["beta1"],
            values["beta2"],
            values["weight_decay"],
            scale,
            runs,
        )
