"""Stacked autoencoder: layer-wise pre-training of a deep one, or of a classifier."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ... import train
from ...nn import Activation, Corruption, Linear, Module, Sequential
from ...nn.corruption import require_level
from ...ops import Generator
from ...train import Callback, History, Run, register
from ..base import sizes
from ..fitting import EarlyStoppingLike
from ..greedy import LayerOfStack, all_or_nothing, per_layer, restore_finished
from .coding import Coder, CodingModel, arguments
from .dense import Autoencoder, way_back


class CoderStack(Coder):
    """Coders one on the other, and the deep coder that they make: encoders upwards, decoders downwards.

    θ holds coder after coder, so that each one's parameters are a stretch of it.
    """

    def __init__(self, coders: Sequence[Coder], activation: str) -> None:
        Module.__init__(self)
        self.coders = tuple(coders)
        self.encoder = Sequential(*(coder.encoder.layers[0] for coder in coders))
        back: list[Module] = [coders[-1].decoder.layers[0]]
        for coder in coders[-2::-1]:
            back += [Activation(activation), coder.decoder.layers[0]]
        self.decoder = Sequential(*back)
        self.corruption = coders[0].corruption


@register
class StackedAutoencoder(Autoencoder):
    """A deep autoencoder whose layers can be learned one by one, each as an autoencoder of the features below it.

    `pretrain` learns the layers, from the inputs up, each to restore its input from a corrupted one. `fit` then trains
    all of them together to restore the inputs, and `classifier` gives a perceptron that starts at the encoders and
    learns from labels. In layers above the first the loss is the cross-entropy where the activation is "sigmoid", and
    the squared error elsewhere.

    Parameters
    ----------
    layer_sizes : at least 2 integers: inputs, hidden units of each layer
    activation : name of the hidden layers' non-linearity, see `dlcore.ops.ACTIVATIONS`
    loss : that of the inputs, "binary_cross_entropy" (in [0, 1]) or "squared_error"
    corruption : noise on each layer's input in `pretrain`, and on the inputs in `fit`, as for `DenoisingAutoencoder`;
        None for none
    level : of the noise, one for all layers or one for each
    tied : whether decoders use the encoders' weights, transposed
    seed : int in [0, 2⁶⁴): decides the initial weights, the order of the cases and the noise
    dtype : "float32" or "float64"

    Attributes
    ----------
    pretrain_history : list of the layers' histories, of the newest `pretrain`; not kept in files

    References
    ----------
    Bengio, Lamblin, Popovici, Larochelle (2007), Greedy layer-wise training of deep networks; Vincent, Larochelle,
    Lajoie, Bengio, Manzagol (2010), Stacked denoising autoencoders.
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        activation: str = "sigmoid",
        loss: str = "binary_cross_entropy",
        corruption: str | None = "masking",
        level: float | Sequence[float] = 0.2,
        tied: bool = True,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        config, who = arguments(locals()), type(self).__name__
        layers = len(sizes(layer_sizes, who, "layer_sizes", 2)) - 1
        levels: list[Any] = list(level) if isinstance(level, (list, tuple, np.ndarray)) else [level] * layers
        if len(levels) != layers:
            raise ValueError(f"{who}: level has {len(levels)} values, expected one or {layers}")
        self._noises: list[Corruption | None] = [None] * layers
        if corruption is not None:
            self._noises = [Corruption(corruption, require_level(who, corruption, each)) for each in levels]
        self._set_up(config | {"code_activation": None})
        del self.config["code_activation"]
        self.pretrain_history: list[History] = []

    def _join(self, forward: list[Linear], activation: str, tied: bool) -> CoderStack:
        coders = [
            Coder(Sequential(layer), Sequential(way_back(layer, "identity", tied)), noise)
            for layer, noise in zip(forward, self._noises, strict=True)
        ]
        return CoderStack(coders, activation)

    @property
    def stack(self) -> CoderStack:
        """The network."""
        network = self.network
        assert isinstance(network, CoderStack)
        return network

    def layer_pair(self, i: int) -> tuple[Any, Any]:
        coder = self.stack.coders[i]
        return coder.encoder.layers[0], coder.decoder.layers[0]

    def pretrain(
        self,
        x: Any,
        *,
        epochs: int | Sequence[int] = 15,
        batch_size: int = 64,
        optimizer: train.OptimizerLike = "adam",
        lr: train.LearningRate | Sequence[float] | None = None,
        schedule: str = "constant",
        validation_data: Any = None,
        early_stopping: EarlyStoppingLike = None,
        callbacks: Iterable[Callback] = (),
        progress: bool | None = None,
        shuffle: bool = True,
        resume: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> list[History]:
        """Learn the layers from the inputs up, each on the features of those below, which are computed once.

        Parameters
        ----------
        x : (n, inputs), in [0, 1] for "binary_cross_entropy"
        epochs, lr : one for all layers, or one for each
        validation_data : (m, inputs), cases held out, whose features each layer is watched on
        batch_size, optimizer, schedule, early_stopping, progress, shuffle, options : see
            `dlcore.models.fitting.FitOptions`
        callbacks : of each layer's fit. A Checkpoint writes files of the whole model
        resume : such a file, of any layer, to go on from to the bits of an undisturbed call with the same arguments

        Returns
        -------
        The history of each layer.

        Raises
        ------
        TypeError, ValueError
            For arguments that do not fit any of the layers; the model is unchanged then.
        KeyboardInterrupt and whatever else ends it early
            The model is again as it was, so that the next call has the bits of an undisturbed one; checkpoints stay.
        """
        features = self._check(x, "pretrain")
        held = None if validation_data is None else self._check(validation_data, "pretrain: validation_data")
        layers = [_Layer(self, i) for i in range(len(self.stack.coders))]
        rates, passes = per_layer(lr, len(layers), "lr"), per_layer(epochs, len(layers), "epochs")
        if not isinstance(callbacks, Iterable):
            raise TypeError(f"pretrain: callbacks is {callbacks!r}, expected a list of Callback")
        found, cases = list(callbacks), features.shape[0]
        size = train.check_batch_size(batch_size, cases)
        settings = []
        for layer, rate, count in zip(layers, rates, passes, strict=True):  # what is wrong shows before a layer learns
            steps = Run(layer, count).epochs * -(-cases // size)
            train.make_optimizer(optimizer, layer.parameters, rate, options, schedule, steps, True)
            settings.append(train.fit_settings(cases, size, shuffle, optimizer, rate, options, schedule))
            settings[-1]["epochs"] = int(count)
        given = {
            "batch_size": batch_size, "optimizer": optimizer, "schedule": schedule, "progress": progress,
            "early_stopping": early_stopping, "shuffle": shuffle, **options,
        }  # fmt: skip
        with all_or_nothing(self):
            histories = [] if resume is None else restore_finished(resume, self, passes)
            first = len(histories)
            for i, layer in enumerate(layers):
                if i >= first:
                    told = LayerOfStack(self, i, settings[:i], histories[:])
                    start = resume if i == first else None
                    histories.append(
                        layer.fit(
                            features, epochs=passes[i], lr=rates[i], validation_data=held, callbacks=[told, *found],
                            resume=start, **given,
                        )
                    )  # fmt: skip
                if layer is not layers[-1]:
                    features = layer.coder.encoder.forward(features)
                    held = None if held is None else layer.coder.encoder.forward(held)
        self.online = None  # its optimizer knows nothing of these steps
        self.pretrain_history = histories
        return histories


class _Layer(CodingModel):
    """One layer as a model: its coder has its parameters already; it draws from the stack's generators."""

    def __init__(self, stack: StackedAutoencoder, i: int) -> None:
        coder = stack.stack.coders[i]
        inputs, units = stack.config["layer_sizes"][i : i + 2]
        cross_entropy = stack.is_binary if i == 0 else stack.config["activation"] == "sigmoid"
        loss = "binary_cross_entropy" if cross_entropy else "squared_error"
        super().__init__(stack.config | {"loss": loss}, coder, (inputs,), (units,))
        self._is_built, self.fit_generator, self._stack = True, stack.fit_generator, stack
        self.label = f"{type(stack).__name__} layer {i + 1} ({inputs} → {units})"

    @property
    def generators(self) -> dict[str, Generator]:
        return self._stack.generators
