"""Adam and its kin: AdamW, AMSGrad, NAdam."""

from __future__ import annotations

from typing import Any, ClassVar

from ..nn import Parameters
from .groups import Group
from .optimizer import LearningRate, Optimizer, Pair, Value
from .ranges import AT_LEAST_ZERO, BELOW_ONE, require_flags

BETAS = (("beta1", BELOW_ONE), ("beta2", BELOW_ONE))


class Adam(Optimizer):
    """m ← β₁m + (1 − β₁)g; s ← β₂s + (1 − β₂)g²; θ ← θ − lr · m̂ / (√ŝ + eps), with bias-corrected m̂, ŝ.

    AMSGrad puts the largest s so far in the place of s, before the bias correction.

    Parameters
    ----------
    betas : (β₁, β₂), numbers in [0, 1) or schedules
    eps, weight_decay : numbers >= 0 or schedules; the decay adds weight_decay · θ to g
    amsgrad : bool
    decoupled_weight_decay : bool; the decay is AdamW's instead: θ ← θ − lr · weight_decay · θ
    **common : see `Optimizer`

    References
    ----------
    Kingma, Ba (2015), Adam: a method for stochastic optimization, algorithm 1; Reddi, Kale, Kumar (2018), On the
    convergence of Adam and beyond, algorithm 2, for AMSGrad.
    """

    betas: Pair
    eps: Value
    weight_decay: Value
    _options: ClassVar = {"lr": AT_LEAST_ZERO, "betas": BETAS, "eps": AT_LEAST_ZERO, "weight_decay": AT_LEAST_ZERO}

    def __init__(
        self,
        parameters: Parameters,
        lr: LearningRate = 1e-3,
        betas: Pair = (0.9, 0.999),
        eps: Value = 1e-8,
        weight_decay: Value = 0.0,
        amsgrad: bool = False,
        decoupled_weight_decay: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(parameters, lr, betas=betas, eps=eps, weight_decay=weight_decay, **common)
        require_flags(type(self).__name__, amsgrad=amsgrad, decoupled_weight_decay=decoupled_weight_decay)
        self.decoupled_weight_decay = decoupled_weight_decay
        self._new_state("first_moment")
        self._new_state("second_moment")
        if amsgrad:
            self._new_state("max_second_moment")

    def _update(
        self, theta: Any, g: Any, state: dict[str, Any], group: Group, values: dict[str, float], scale: float, runs: Any
    ) -> None:
        kernel = theta.device.adamw if self.decoupled_weight_decay else theta.device.adam
        kernel(
            theta,
            g,
            state["first_moment"],
            state["second_moment"],
            group.steps + 1,
            values["lr"],
            values["beta1"],
            values["beta2"],
            values["eps"],
            values["weight_decay"],
            state.get("max_second_moment"),
            scale,
            runs,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay: θ ← θ − lr · weight_decay · θ before Adam's step.

    Parameters
    ----------
    betas, eps, amsgrad : see `Adam`
    weight_decay : number >= 0 or a schedule
    **common : see `Optimizer`

    References
    ----------
    Loshchilov, Hutter (2019), Decoupled weight decay regularization, algorithm 2.
    """

    def __init__(
        self,
        parameters: Parameters,
        lr: LearningRate = 1e-3,
        betas: Pair = (0.9, 0.999),
        eps: Value = 1e-8,
        weight_decay: Value = 0.01,
        amsgrad: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay, amsgrad, True, **common)


class NAdam(Optimizer):
    """Adam with Nesterov's momentum: θ ← θ − lr (μₜ₊₁ m / (1 − Πμ·μₜ₊₁) + (1 − μₜ) g / (1 − Πμ)) / (√ŝ + eps).

    μₜ = β₁ (1 − 0.96^(t · momentum_decay) / 2) warms up; Πμ is the product of the μ up to this step; m and s as Adam's.

    Parameters
    ----------
    betas, eps, weight_decay, decoupled_weight_decay : see `Adam`
    momentum_decay : number >= 0 or a schedule; 0.004 in the paper
    **common : see `Optimizer`

    References
    ----------
    Dozat (2016), Incorporating Nesterov momentum into Adam, algorithm 2 and section 2.2 for μₜ.
    """

    betas: Pair
    eps: Value
    weight_decay: Value
    momentum_decay: Value
    _options: ClassVar = Adam._options | {"momentum_decay": AT_LEAST_ZERO}

    def __init__(
        self,
        parameters: Parameters,
        lr: LearningRate = 2e-3,
        betas: Pair = (0.9, 0.999),
        eps: Value = 1e-8,
        weight_decay: Value = 0.0,
        momentum_decay: Value = 4e-3,
        decoupled_weight_decay: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(
            parameters, lr, betas=betas, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay, **common
        )
        require_flags("NAdam", decoupled_weight_decay=decoupled_weight_decay)
        self.decoupled_weight_decay = decoupled_weight_decay
        self._new_state("first_moment")
        self._new_state("second_moment")
        for group in self.groups:
            group.memory["mu_product"] = 1.0

    def _before(self, group: Group, values: dict[str, float]) -> None:
        step = group.steps + 1
        for name, t in (("mu", step), ("mu_next", step + 1)):
            values[name] = values["beta1"] * (1.0 - 0.5 * 0.96 ** (t * values["momentum_decay"]))
        values["mu_product"] = group.memory["mu_product"] * values["mu"]

    def _update(
        self, theta: Any, g: Any, state: dict[str, Any], group: Group, values: dict[str, float], scale: float, runs: Any
    ) -> None:
        theta.device.nadam(
            theta,
            g,
            state["first_moment"],
            state["second_moment"],
            group.steps + 1,
            values["lr"],
            values["beta1"],
            values["beta2"],
            values["eps"],
            values["weight_decay"],
            values["mu"],
            values["mu_next"],
            values["mu_product"],
            self.decoupled_weight_decay,
            scale,
            runs,
        )
