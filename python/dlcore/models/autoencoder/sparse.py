"""Sparse autoencoder."""

from __future__ import annotations

from collections.abc import Sequence

from ... import penalties
from ...ops.creation import is_number
from ...tensor import Tensor
from ...train import register
from ..base import not_negative
from .coding import arguments
from .dense import Autoencoder
from .sparsity import NEAR_ZERO

PENALTIES = ("l1", "kl")


@register
class SparseAutoencoder(Autoencoder):
    """Autoencoder whose objective adds sparsity · Ω(h): few units of the code speak at once.

    Ω is Σ |h|, averaged over the cases ("l1"), or Σ_j KL(ρ ‖ ρ̂_j) with ρ̂_j the mean activity of unit j over the batch
    ("kl"), which needs a sigmoid code. The history also has, for at most 1024 of the cases, ``mean_activation`` (of
    |h|) and ``near_zero`` (share of the elements of the code below `NEAR_ZERO` in size).

    Parameters
    ----------
    layer_sizes, activation, loss, tied, seed, dtype : as for `Autoencoder`
    code_activation : that of the code; where not given `activation` for "l1", "sigmoid" for "kl"
    sparsity : weight >= 0 of the penalty
    penalty : "l1" or "kl"
    rho : in (0, 1), the mean activity that "kl" wants of each unit

    References
    ----------
    Olshausen, Field (1996), Emergence of simple-cell receptive field properties by learning a sparse code for natural
    images; Ng (2011), Sparse autoencoder, CS294A lecture notes.
    """

    NEAR_ZERO = NEAR_ZERO

    def __init__(
        self,
        layer_sizes: Sequence[int],
        activation: str = "relu",
        code_activation: str | None = None,
        loss: str = "binary_cross_entropy",
        sparsity: float = 0.1,
        penalty: str = "l1",
        rho: float = 0.05,
        tied: bool = False,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        config, who = arguments(locals()), type(self).__name__
        not_negative(who, sparsity=sparsity)
        if penalty not in PENALTIES:
            raise ValueError(f"{who}: penalty is {penalty!r}, expected one of {', '.join(PENALTIES)}")
        if not is_number(rho) or not 0 < rho < 1:
            raise ValueError(f"{who}: rho is {rho!r}, expected a number in (0, 1)")
        if penalty == "kl":
            if code_activation not in (None, "sigmoid"):
                raise ValueError(f"{who}: code_activation is {code_activation!r}, expected 'sigmoid' for penalty 'kl'")
            config["code_activation"] = "sigmoid"
        self._set_up(config)
        self.sparsity, self.penalty, self.rho = float(sparsity), penalty, float(rho)

    def objective(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """Reconstruction loss plus sparsity · Ω(h), mean over a batch's cases."""
        code = self.coder.encoder.forward(x)
        if self.penalty == "l1":
            penalty = penalties.activity_l1(code, weight)
        else:
            penalty = penalties.kl_sparsity(code, self.rho, weight)
        return self.loss(self.coder.decoder.forward(code), x, weight) + self.sparsity * penalty

    def _report(self, data: Sequence[Tensor]) -> dict[str, float]:
        code = abs(self.coder.encoder.forward(self.reported(data)).numpy())
        return {"mean_activation": float(code.mean()), "near_zero": float((code < NEAR_ZERO).mean())}
