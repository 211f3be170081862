"""Sparse autoencoder."""

from __future__ import annotations

from collections.abc import Sequence

from ... import penalties
from ...tensor import Tensor
from ...train import register
from ..base import not_negative
from .coding import arguments
from .dense import Autoencoder


@register
class SparseAutoencoder(Autoencoder):
    """Autoencoder whose objective adds sparsity · Σ |h|, averaged over the cases: few units of the code speak at once.

    The history also has, for at most 1024 of the cases, ``mean_activation`` (of |h|) and ``near_zero`` (share of the
    elements of the code below `NEAR_ZERO` in size).

    Parameters
    ----------
    layer_sizes, activation, code_activation, loss, tied, seed, dtype : as for `Autoencoder`
    sparsity : weight >= 0 of the penalty

    References
    ----------
    Olshausen, Field (1996), Emergence of simple-cell receptive field properties by learning a sparse code for natural
    images.
    """

    NEAR_ZERO = 1e-2

    def __init__(
        self,
        layer_sizes: Sequence[int],
        activation: str = "relu",
        code_activation: str | None = None,
        loss: str = "binary_cross_entropy",
        sparsity: float = 0.1,
        tied: bool = False,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        not_negative(type(self).__name__, sparsity=sparsity)
        self._set_up(arguments(locals()))
        self.sparsity = float(sparsity)

    def objective(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """Reconstruction loss plus sparsity · Σ |h|, mean over a batch's cases."""
        code = self.coder.encoder.forward(x)
        return self.loss(self.coder.decoder.forward(code), x, weight) + self.sparsity * penalties.activity_l1(code)

    def _report(self, data: Sequence[Tensor]) -> dict[str, float]:
        code = abs(self.reported_code(data).numpy())
        return {"mean_activation": float(code.mean()), "near_zero": float((code < self.NEAR_ZERO).mean())}
