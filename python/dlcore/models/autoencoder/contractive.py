"""Contractive autoencoder."""

from __future__ import annotations

from collections.abc import Sequence

from ... import penalties, train
from ...nn import Linear
from ...tensor import Tensor
from ...train import register
from ..base import Array, not_negative
from .coding import arguments
from .dense import Autoencoder

_PART = 128  # cases whose Jacobians are held at once


@register
class ContractiveAutoencoder(Autoencoder):
    """Autoencoder whose objective adds contraction · ‖∂h/∂x‖², averaged over the cases: its code ignores small changes.

    The squared Frobenius norm of the encoder's Jacobian is exact for any number of layers: in closed form for one,
    Σ_j s′(a_j)² Σ_i W_ij², which costs less than the layer; for more see `dlcore.penalties.contractive_deep`, whose
    cost grows with the number of code units. The history also has, for at most 1024 of the cases, ``jacobian_norm``
    (mean of ‖∂h/∂x‖², without its weight).

    Parameters
    ----------
    layer_sizes, activation, code_activation, loss, seed, dtype : as for `Autoencoder`
    contraction : weight >= 0 of the penalty
    tied : whether the decoder uses the encoder's weights, transposed. Tied, the code cannot be contracted by making the
        encoder's weights small and the decoder's large

    References
    ----------
    Rifai, Vincent, Muller, Glorot, Bengio (2011), Contractive auto-encoders: explicit invariance during feature
    extraction.
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        activation: str = "sigmoid",
        code_activation: str | None = None,
        loss: str = "binary_cross_entropy",
        contraction: float = 0.1,
        tied: bool = True,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        config = arguments(locals())
        not_negative(type(self).__name__, contraction=contraction)
        self._set_up(config)
        self.contraction = float(contraction)

    def objective(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """Reconstruction loss plus contraction · ‖∂h/∂x‖², mean over a batch's cases."""
        outputs = self._outputs(x)
        loss = self.loss(self.coder.decoder.forward(outputs[-1]), x, weight)
        return loss + self.contraction * self._norm(outputs, weight)

    def _outputs(self, x: Tensor) -> list[Tensor]:
        """What each layer of the encoder gives."""
        found = []
        for layer in self.coder.encoder.layers:
            x = layer.forward(x)
            found.append(x)
        return found

    def _norm(self, outputs: Sequence[Tensor], weight: Tensor | None = None) -> Tensor:
        layers = [layer for layer in self.coder.encoder.layers if isinstance(layer, Linear)]
        weights, names = [layer.weight for layer in layers], [layer.activation for layer in layers]
        return penalties.contractive_deep(outputs, weights, names, weight)

    def jacobian_norm(self, x: Tensor | Array) -> float:
        """Mean over the cases (n, inputs) of ‖∂h/∂x‖²."""
        cases = self.as_cases(x, "jacobian_norm")
        if cases.shape[0] == 0:
            raise ValueError("jacobian_norm: there are no cases")
        with self.predicting():
            found = train.average(lambda part: {"norm": self._norm(self._outputs(part)).item()}, [cases], _PART)
        return found["norm"]

    def _report(self, data: Sequence[Tensor]) -> dict[str, float]:
        return {"jacobian_norm": self.jacobian_norm(self.reported(data))}
