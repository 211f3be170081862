"""What all autoencoders share: the objective, fit, codes and reconstructions."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ... import ops, train
from ...nn import ConvTranspose2d, Corruption, Linear, Module, Sequential, corrupt
from ...ops import Generator
from ...optim import Optimizer
from ...tensor import Tensor, tensor_at
from ...train import Callback, History
from ..base import Array, Model
from ..fitting import EarlyStoppingLike, FitOptions, check_weights, fit_network, require_finite
from ..online import partial_fit_network

Self = TypeVar("Self", bound="CodingModel")

LOSSES = ("binary_cross_entropy", "squared_error")
REPORTED = 1024  # cases at most whose codes the figures of an epoch describe


class Coder(Module):
    """Encoder and decoder in one vector of parameters; the value is the decoder's, before its last non-linearity.

    Parameters
    ----------
    corruption : noise on the input while training, or None
    """

    def __init__(self, encoder: Sequential, decoder: Sequential, corruption: Corruption | None = None) -> None:
        super().__init__()
        self.encoder, self.decoder, self.corruption = encoder, decoder, corruption

    def corrupted(self, x: Tensor) -> Tensor:
        """What the encoder sees of x."""
        return x if self.corruption is None else self.corruption.forward(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder.forward(self.encoder.forward(self.corrupted(x)))


def arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """A constructor's arguments by name, from its ``locals()`` before any other name is given a value."""
    return {name: value for name, value in values.items() if name not in ("self", "__class__")}


class CodingModel(Model):
    """h = encoder(x), x̂ = decoder(h): base of the autoencoders, whatever their layers.

    Parameters
    ----------
    config : the constructor's arguments; "loss", "seed" and "dtype" are among them
    coder : encoder and decoder; not yet built
    input_shape, code_shape : of one case
    """

    def __init__(
        self, config: Mapping[str, Any], coder: Coder, input_shape: tuple[int, ...], code_shape: tuple[int, ...]
    ) -> None:
        if config["loss"] not in LOSSES:
            raise ValueError(f"{type(self).__name__}: loss is {config['loss']!r}, expected one of {', '.join(LOSSES)}")
        super().__init__(config, coder, input_shape)
        self.code_shape = code_shape
        self.is_binary = config["loss"] == "binary_cross_entropy"

    @property
    def coder(self) -> Coder:
        """The network."""
        network = self.network
        assert isinstance(network, Coder)
        return network

    # --- learning ---

    def loss(self, output: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """Reconstruction loss of the decoder's output: summed over the features, (weighted) mean over the cases."""
        losses = ops.sigmoid_cross_entropy(output, x) if self.is_binary else ops.squared_error(output, x)
        if weight is not None:
            losses = losses * ops.reshape(weight, (x.shape[0], *(1,) * (x.ndim - 1)))
        return ops.affine(ops.sum(losses), 1.0 / x.shape[0], 0.0)

    def objective(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """What `fit` makes small: the mean over a batch's cases.

        Parameters
        ----------
        x : (n, *input_shape), of the model's dtype
        weight : (n,), optional
        """
        return self.loss(self.coder.forward(x), x, weight)

    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        epochs: int = 10,
        batch_size: int = 64,
        optimizer: train.OptimizerLike = "adam",
        lr: train.LearningRate | None = None,
        schedule: str = "constant",
        validation_data: Any = None,
        validation_fraction: float | None = None,
        early_stopping: EarlyStoppingLike = None,
        callbacks: Iterable[Callback] = (),
        progress: bool | None = None,
        shuffle: bool = True,
        sample_weight: Any = None,
        resume: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> History:
        """Learn to restore cases; a second fit goes on from the parameters there are, with a fresh optimizer.

        Parameters
        ----------
        x : (n, *input_shape), finite; in [0, 1] for "binary_cross_entropy"; rows of ∏ input_shape numbers are accepted
        y : ignored
        validation_data : (m, *input_shape), cases whose ``validation_loss`` is reported after each epoch
        sample_weight : (n,) numbers >= 0; scaled to a mean of 1. With validation_fraction each of the two parts is
            scaled by itself, and the held-out one's figures are weighted means
        epochs, batch_size, optimizer, lr, schedule, validation_fraction, early_stopping, callbacks, progress, \
shuffle, resume, options : see `dlcore.models.fitting.FitOptions`

        Returns
        -------
        History with ``loss`` (the objective's mean over the epoch's cases), ``seconds``, what the variant reports of
        its codes, and with validation data ``validation_loss`` (of the reconstruction alone, without noise)

        Raises
        ------
        TypeError, ValueError
            For arguments that do not fit; the model is unchanged then.
        FloatingPointError
            When the loss or a parameter is no longer finite; the parameters are those after the last finite epoch.
        """
        data = [self._check(x, "fit")]
        if sample_weight is not None:
            data.append(check_weights(sample_weight, self, data[0].shape[0]))
        validation = None if validation_data is None else [self._check(validation_data, "fit: validation_data")]
        if validation is not None and validation[0].shape[0] == 0:
            raise ValueError("fit: validation_data has no cases")
        fit = FitOptions(
            epochs, batch_size, optimizer, lr, schedule, validation_fraction, early_stopping, callbacks, progress,
            shuffle, resume, options,
        )  # fmt: skip
        weighted = sample_weight is not None
        return fit_network(self, data, validation, fit, self.objective, self._figures, self._report, weighted)

    def partial_fit(
        self: Self,
        x: Any,
        y: Any = None,
        *,
        batch_size: int = 64,
        optimizer: str | Optimizer | None = None,
        lr: train.LearningRate | None = None,
        sample_weight: Any = None,
        **options: Any,
    ) -> Self:
        """Learn from some cases of a stream: one pass over them in the order given; returns the model.

        The optimizer is kept from call to call, and so are the arguments: see `Supervised.partial_fit`. y is ignored.
        """
        data = [self._check(x, "partial_fit")]
        if sample_weight is not None:
            data.append(check_weights(sample_weight, self, data[0].shape[0], "partial_fit", scaled=False))
        partial_fit_network(self, data, self.objective, optimizer, lr, batch_size, options)
        return self

    def fit_transform(self, x: Any, y: Any = None, **arguments: Any) -> Array:
        """The codes of the cases that `fit` has learned from, with the arguments of `fit`."""
        self.fit(x, y, **arguments)
        return self.transform(x)

    def _check(self, x: Any, who: str) -> Tensor:
        cases = self.as_cases(x, who, to_read=True)
        require_finite(cases, who, "x")
        if self.is_binary and cases.size:
            lowest, highest = ops.min(cases).item(), ops.max(cases).item()
            if lowest < 0 or highest > 1:
                raise ValueError(
                    f"{who}: x has values from {lowest:g} to {highest:g}, expected [0, 1] for the cross-entropy"
                )
        return cases

    def _figures(self, x: Tensor, weight: Tensor | None = None) -> dict[str, float]:
        return {"loss": self.loss(self.coder.forward(x), x, weight).item()}

    def _report(self, data: Sequence[Tensor]) -> dict[str, float]:
        return {}

    def reported(self, data: Sequence[Tensor]) -> Tensor:
        """The cases that an epoch's figures of the code describe."""
        x = data[0]
        return train.rows(x, 0, min(x.shape[0], REPORTED))

    # --- using ---

    def _restored(self, output: Tensor) -> Tensor:
        return ops.sigmoid(output) if self.is_binary else output

    def encode(self, x: Any, batch_size: int = 1024) -> Array:
        """The code h (n, *code_shape) of cases (n, *input_shape)."""
        return self.map_batches(self.coder.encoder.forward, self.as_cases(x, "encode"), batch_size)

    def decode(self, code: Any, batch_size: int = 1024) -> Array:
        """The reconstructions (n, *input_shape) of codes (n, *code_shape)."""
        decoder = self.coder.decoder
        h = ops.cast(tensor_at(code, self.parameters.storage, "decode: code"), self.dtype)
        if h.ndim == 2 and h.shape[1] == math.prod(self.code_shape):
            h = ops.reshape(h, (h.shape[0], *self.code_shape))
        if h.shape[1:] != self.code_shape or h.ndim == 0:
            expected = ", ".join(map(str, self.code_shape))
            raise ValueError(f"decode: code has shape {h.shape}, expected (n, {expected})")
        return self.map_batches(lambda part: self._restored(decoder.forward(part)), h, batch_size)

    def reconstruct(self, x: Any, batch_size: int = 1024) -> Array:
        """decode(encode(x)), (n, *input_shape)."""
        cases = self.as_cases(x, "reconstruct")
        return self.map_batches(lambda part: self._restored(self.coder.forward(part)), cases, batch_size)

    transform = encode
    predict = reconstruct

    def score(self, x: Any, y: Any = None) -> float:
        """Minus the mean reconstruction loss, so that larger is better."""
        cases = self._check(x, "score")
        if cases.shape[0] == 0:
            raise ValueError("score: there are no cases")
        with self.predicting():
            return -train.average(self._figures, [cases])["loss"]

    def stages(self) -> list[Module]:
        return [*self.coder.encoder.layers, *self.coder.decoder.layers]

    def pixel_weights(self) -> Array:
        """What units or patches next to the image add to it, for `dlcore.plot.filters`: (pixels, units) of a dense
        layer, (channels of the code, channels, height, width) of a transposed convolution, else the encoder's first
        weights."""
        last = self.coder.decoder.layers[-1]
        if isinstance(last, Linear):
            weight: Array = last.weight.numpy().T
            return weight
        if isinstance(last, ConvTranspose2d):
            return last.weight.numpy()
        return next(value.numpy() for name, value in self.parameters.items() if name.endswith("weight"))

    def corrupt(self, x: Any, seed: int = 0) -> Array:
        """Cases (n, *input_shape) with the noise that the model learns to remove, for a picture: a function of the seed
        that leaves the fit's own noise alone.

        Raises
        ------
        ValueError
            For a model without noise.
        """
        noise = self.coder.corruption
        if noise is None:
            raise ValueError(f"corrupt: this {type(self).__name__} learns without noise")
        return corrupt(self.as_cases(x, "corrupt"), noise.kind, noise.level, Generator(seed)).numpy()
