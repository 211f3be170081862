"""Denoising autoencoder."""

from __future__ import annotations

from collections.abc import Sequence

from ...nn import Corruption
from ...nn.corruption import require_level
from ...train import register
from .coding import arguments
from .dense import Autoencoder


@register
class DenoisingAutoencoder(Autoencoder):
    """Autoencoder that restores x from a corrupted x̃ ~ q(x̃ | x): the objective is the mean of
    L(x, decoder(encoder(x̃))).

    x is corrupted anew in each step, by the model's own generator; predictions and the validation's figures are without
    noise.

    Parameters
    ----------
    layer_sizes, activation, code_activation, loss, tied, seed, dtype : as for `Autoencoder`
    corruption : "masking" (elements set to 0), "salt-and-pepper" (to 0 or 1), "gaussian" (added), see
        `dlcore.nn.corrupt`
    level : probability in [0, 1) that an element is corrupted; of "gaussian" the standard deviation >= 0

    References
    ----------
    Vincent, Larochelle, Bengio, Manzagol (2008), Extracting and composing robust features with denoising autoencoders.
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        activation: str = "relu",
        code_activation: str | None = None,
        loss: str = "binary_cross_entropy",
        corruption: str = "masking",
        level: float = 0.3,
        tied: bool = False,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        config = arguments(locals())
        require_level(type(self).__name__, corruption, level)
        self._set_up(config, Corruption(corruption, level))
