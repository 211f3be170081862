"""What a contrastive gradient has beside its statistics, and the state of it that a fit carries on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...tensor import Tensor


@dataclass
class Terms:
    """Centring and sparsity; formulas and sources are in ``csrc/rbm.h``.

    Parameters
    ----------
    offsets : (n_visible + n_hidden,), μ and λ of the centred gradient, which each gradient moves on in place; or None
    offset_rate : number in [0, 1], by which they slide to a batch's means
    activity : (n_hidden,), the decayed means q of the hidden units, moved on likewise; or None
    sparsity_target, sparsity_cost, sparsity_decay : what q should be, the strength, the share of q that each gradient
        keeps
    fixed_variance : whether the gradient of z is 0
    """

    offsets: Tensor | None = None
    offset_rate: float = 0.01
    activity: Tensor | None = None
    sparsity_target: float = 0.0
    sparsity_cost: float = 0.0
    sparsity_decay: float = 0.9
    fixed_variance: bool = False

    def arguments(self, scaled_steps: bool) -> dict[str, Any]:
        """Those of ``rbm_cd`` and ``rbm_statistics``; a fit scales the steps of Gaussian units, a gradient is one."""
        found: dict[str, Any] = {"fixed_variance": self.fixed_variance, "scaled_steps": scaled_steps}
        if self.offsets is not None:
            found["centring"] = (self.offsets.array, self.offset_rate)
        if self.activity is not None:
            numbers = (self.sparsity_target, self.sparsity_cost, self.sparsity_decay)
            found["sparsity"] = (self.activity.array, *numbers)
        return found

    @property
    def state(self) -> dict[str, Tensor]:
        """The tensors that a fit carries on, by name."""
        given = {"offsets": self.offsets, "activity": self.activity}
        return {name: x for name, x in given.items() if x is not None}
