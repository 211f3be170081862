"""Convolutional networks for images and sequences, and LeNet-5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..train import register
from .base import share, sizes
from .composition import batch_norm, compose, conv, dense, dropout, frame, pool, subsample
from .supervised import Supervised

# Fits the bundled 8×8 digits: about 1 % of errors after 20 epochs of Adam, lr 2e-3 falling as a cosine, batches of 32.
SMALL_LAYERS = (
    conv(16, 3, padding=1),
    conv(32, 3, padding=1),
    pool(2),
    dropout(0.25),
    dense(128),
    dropout(0.5),
)


@register
class CNN(Supervised):
    """Convolutions, sub-sampling and dense layers in any order, then scores.

    Local receptive fields and shared weights are the convolution's; sub-sampling in space or time is the pool's, or the
    trainable one's.

    Parameters
    ----------
    input_shape : (channels, height, width), or (channels, length) for sequences
    classes : int, number of scores
    layers : descriptions from `CNN.conv`, `CNN.pool`, `CNN.subsample`, `CNN.batch_norm`, `CNN.dense`, `CNN.dropout`,
        `CNN.frame`; by default a network for small images
    activation : name of the f of those layers that have one and name none
    output : "softmax", "sigmoid", "identity" or "svm"
    weight_decay, l1 : λ >= 0 of the penalties ½ λ Σ W² and λ Σ |W|
    seed : int in [0, 2⁶⁴): decides the initial weights, the order of the cases and the dropped units
    dtype : "float32" or "float64"

    Raises
    ------
    ValueError
        For a layer that does not fit the one before it, naming it.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document recognition.
    """

    conv = staticmethod(conv)
    pool = staticmethod(pool)
    subsample = staticmethod(subsample)
    batch_norm = staticmethod(batch_norm)
    frame = staticmethod(frame)
    dense = staticmethod(dense)
    dropout = staticmethod(dropout)

    def __init__(
        self,
        input_shape: Sequence[int],
        classes: int,
        layers: Sequence[Mapping[str, Any]] | None = None,
        activation: str = "relu",
        output: str = "softmax",
        weight_decay: float = 0.0,
        l1: float = 0.0,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        chosen = SMALL_LAYERS if layers is None else layers
        config: dict[str, Any] = {
            "input_shape": _input_shape(input_shape, type(self).__name__),
            "classes": classes,
            "layers": list(chosen),
            "activation": activation,
            "output": output,
            "weight_decay": weight_decay,
            "l1": l1,
            "seed": seed,
            "dtype": dtype,
        }
        self._compose(config, chosen, config)

    def _compose(self, config: Mapping[str, Any], layers: Sequence[Mapping[str, Any]], of: Mapping[str, Any]) -> None:
        """Set up from `layers` and the other values `of` a CNN's config; `config` is what makes the model again."""
        who = type(self).__name__
        (classes,) = sizes([of["classes"]], who, "classes", 1)
        shape = tuple(of["input_shape"])
        network = compose(shape, layers, classes, of["activation"], who)
        Supervised.__init__(self, config, network, shape, classes, of["output"], of["weight_decay"], of["l1"])


def _input_shape(values: Any, who: str) -> list[int]:
    found = sizes(values, who, "input_shape", 2)
    if len(found) > 3:
        raise ValueError(
            f"{who}: input_shape is {tuple(found)}, expected (channels, length) or (channels, height, width)"
        )
    return found


@register
class LeNet5(CNN):
    """LeNet-5 in its modern reading, for 28×28 images.

    6 maps 5×5 (padding 2), sub-sampling 2×2, 16 maps 5×5, sub-sampling 2×2, dense 120 and 84, scores. The network as it
    was published is `LeNet5Original`.

    Parameters
    ----------
    activation : "relu", or "tanh" or "lecun_tanh" as in the original
    pooling : "max", or "average" as in the original
    classes : int
    dropout : share in [0, 1) of the dense layers' units dropped while training
    weight_decay, l1, seed, dtype : as for `CNN`

    References
    ----------
    LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document recognition, figure 2.
    """

    def __init__(
        self,
        activation: str = "relu",
        pooling: str = "max",
        classes: int = 10,
        dropout: float = 0.0,
        weight_decay: float = 0.0,
        l1: float = 0.0,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        config: dict[str, Any] = {
            "activation": activation,
            "pooling": pooling,
            "classes": classes,
            "dropout": dropout,
            "weight_decay": weight_decay,
            "l1": l1,
            "seed": seed,
            "dtype": dtype,
        }
        share(type(self).__name__, dropout=dropout)
        noise = [CNN.dropout(dropout)] if dropout else []
        layers = [
            conv(6, 5, padding=2),
            pool(2, pooling),
            conv(16, 5),
            pool(2, pooling),
            *(layer for units in (120, 84) for layer in (dense(units), *noise)),
        ]
        self._compose(config, layers, config | {"input_shape": [1, 28, 28], "output": "softmax"})
