"""Autoencoders: a code from which the input can be restored."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .. import ops, penalties, train
from ..nn import Linear, Module, Sequential, initializers
from ..ops.activation import PARAMETERS
from ..tensor import Tensor, as_tensor
from ..train import Callback, History, register
from .base import Array, Model, flag, not_negative, sizes
from .fitting import EarlyStoppingLike, FitOptions, fit_network, require_finite

LOSSES = ("binary_cross_entropy", "squared_error")


class Mirrored(Module):
    """f(h Wᵀ + c): the way back through a layer's weights, with a bias of its own."""

    def __init__(self, layer: Linear, activation: str) -> None:
        super().__init__()
        self.mirrored = layer
        self.activation = activation
        self._slope = PARAMETERS.get(activation, 0.0)
        self.declare("bias", (layer.inputs,), initializers.zeros)

    def forward(self, x: Tensor) -> Tensor:
        z = ops.matmul(x, self.mirrored.weight, transpose_b=True) + self.bias
        return ops.activation(z, self.activation, self._slope)

    def describe(self) -> str:
        return f"Mirrored({self.mirrored.outputs} → {self.mirrored.inputs}, {self.activation})"


class Coder(Module):
    """Encoder and decoder in one vector of parameters; the value is the decoder's, before its last non-linearity."""

    def __init__(self, encoder: Sequential, decoder: Sequential) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder.forward(self.encoder.forward(x))


@register
class Autoencoder(Model):
    """h = encoder(x), x̂ = decoder(h), trained to make x̂ like x; the decoder's layers mirror the encoder's.

    Parameters
    ----------
    layer_sizes : at least 2 integers: inputs, hidden units, …, units of the code
    activation : name of the hidden layers' non-linearity, see `dlcore.ops.ACTIVATIONS`
    code_activation : that of the code; `activation` where not given
    loss : "binary_cross_entropy" (inputs in [0, 1], x̂ = sigmoid) or "squared_error" (real inputs, x̂ linear); both are
        summed over the features and averaged over the cases
    tied : whether the decoder uses the encoder's weights, transposed
    seed : int in [0, 2⁶⁴): decides the initial weights and the order of the cases
    dtype : "float32" or "float64"

    References
    ----------
    Hinton, Salakhutdinov (2006), Reducing the dimensionality of data with neural networks.
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        activation: str = "relu",
        code_activation: str | None = None,
        loss: str = "binary_cross_entropy",
        tied: bool = False,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        config: dict[str, Any] = {
            "layer_sizes": sizes(layer_sizes, type(self).__name__, "layer_sizes", 2),
            "activation": activation,
            "code_activation": code_activation,
            "loss": loss,
            "tied": tied,
            "seed": seed,
            "dtype": dtype,
        }
        self._set_up(config)

    def _set_up(self, config: Mapping[str, Any]) -> None:
        who = type(self).__name__
        if config["loss"] not in LOSSES:
            raise ValueError(f"{who}: loss is {config['loss']!r}, expected one of {', '.join(LOSSES)}")
        flag(who, tied=config["tied"])
        widths, activation = config["layer_sizes"], config["activation"]
        code_activation = activation if config["code_activation"] is None else config["code_activation"]
        names = [activation] * (len(widths) - 2) + [code_activation]
        pairs = zip(widths[:-1], widths[1:], names, strict=True)
        forward = [Linear(inputs, outputs, name) for inputs, outputs, name in pairs]
        back: list[Module] = []
        for layer, name in zip(forward[::-1], [activation] * (len(forward) - 1) + ["identity"], strict=True):
            back.append(Mirrored(layer, name) if config["tied"] else Linear(layer.outputs, layer.inputs, name))
        coder = Coder(Sequential(*forward), Sequential(*back))
        Model.__init__(self, config, coder, (widths[0],))
        self.is_binary = config["loss"] == "binary_cross_entropy"

    @property
    def coder(self) -> Coder:
        """The network."""
        network = self.network
        assert isinstance(network, Coder)
        return network

    def loss(self, output: Tensor, x: Tensor) -> Tensor:
        """Reconstruction loss of the decoder's output: summed over the features, mean over the cases."""
        losses = ops.sigmoid_cross_entropy(output, x) if self.is_binary else ops.squared_error(output, x)
        return ops.affine(ops.sum(losses), 1.0 / x.shape[0], 0.0)

    def objective(self, x: Tensor) -> Tensor:
        """What `fit` makes small: the mean over a batch's cases."""
        return self.loss(self.coder.forward(x), x)

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
        resume: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> History:
        """Learn to restore cases; a second fit goes on from the parameters there are, with a fresh optimizer.

        Parameters
        ----------
        x : (n, inputs), finite; in [0, 1] for "binary_cross_entropy"
        y : ignored
        validation_data : (m, inputs), cases whose ``validation_loss`` is reported after each epoch
        epochs, batch_size, optimizer, lr, schedule, validation_fraction, early_stopping, callbacks, progress, \
shuffle, resume, options : see `dlcore.models.fitting.FitOptions`

        Returns
        -------
        History with ``loss`` (the objective's mean over the epoch's cases), ``seconds``, and with validation data
        ``validation_loss`` (of the reconstruction alone)

        Raises
        ------
        TypeError, ValueError
            For arguments that do not fit; the model is unchanged then.
        FloatingPointError
            When the loss or a parameter is no longer finite; the parameters are those after the last finite epoch.
        """
        data = [self._check(x, "fit")]
        validation = None if validation_data is None else [self._check(validation_data, "fit: validation_data")]
        if validation is not None and validation[0].shape[0] == 0:
            raise ValueError("fit: validation_data has no cases")
        fit = FitOptions(
            epochs, batch_size, optimizer, lr, schedule, validation_fraction, early_stopping, callbacks, progress,
            shuffle, resume, options,
        )  # fmt: skip
        return fit_network(self, data, validation, fit, self.objective, self._figures, self._report)

    def fit_transform(self, x: Any, y: Any = None, **arguments: Any) -> Array:
        """The codes of the cases that `fit` has learned from, with the arguments of `fit`."""
        self.fit(x, y, **arguments)
        return self.transform(x)

    def _check(self, x: Any, who: str) -> Tensor:
        cases = self.as_cases(x, who)
        require_finite(cases, who, "x")
        if self.is_binary and cases.size:
            lowest, highest = ops.min(cases).item(), ops.max(cases).item()
            if lowest < 0 or highest > 1:
                raise ValueError(
                    f"{who}: x has values from {lowest:g} to {highest:g}, expected [0, 1] for the cross-entropy"
                )
        return cases

    def _figures(self, x: Tensor) -> dict[str, float]:
        return {"loss": self.loss(self.coder.forward(x), x).item()}

    def _report(self, data: Sequence[Tensor]) -> dict[str, float]:
        return {}

    def _restored(self, output: Tensor) -> Tensor:
        return ops.sigmoid(output) if self.is_binary else output

    def encode(self, x: Any, batch_size: int = 1024) -> Array:
        """The code h (n, code units) of cases (n, inputs)."""
        return self.map_batches(self.coder.encoder.forward, self.as_cases(x, "encode"), batch_size)

    def decode(self, code: Any, batch_size: int = 1024) -> Array:
        """The reconstructions (n, inputs) of codes (n, code units)."""
        decoder = self.coder.decoder
        width = self.config["layer_sizes"][-1]
        h = ops.cast(as_tensor(code, self.parameters.storage, "decode: code"), self.dtype)
        if h.ndim != 2 or h.shape[1] != width:
            raise ValueError(f"decode: code has shape {h.shape}, expected (n, {width})")
        return self.map_batches(lambda part: self._restored(decoder.forward(part)), h, batch_size)

    def reconstruct(self, x: Any, batch_size: int = 1024) -> Array:
        """decode(encode(x)), (n, inputs)."""
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
        config: dict[str, Any] = {
            "layer_sizes": sizes(layer_sizes, type(self).__name__, "layer_sizes", 2),
            "activation": activation,
            "code_activation": code_activation,
            "loss": loss,
            "sparsity": sparsity,
            "tied": tied,
            "seed": seed,
            "dtype": dtype,
        }
        self._set_up(config)
        self.sparsity = float(sparsity)

    def objective(self, x: Tensor) -> Tensor:
        """Reconstruction loss plus sparsity · Σ |h|, mean over a batch's cases."""
        code = self.coder.encoder.forward(x)
        return self.loss(self.coder.decoder.forward(code), x) + self.sparsity * penalties.activity_l1(code)

    def _report(self, data: Sequence[Tensor]) -> dict[str, float]:
        x = data[0]
        code = abs(self.coder.encoder.forward(train.rows(x, 0, min(x.shape[0], 1024))).numpy())
        return {"mean_activation": float(code.mean()), "near_zero": float((code < self.NEAR_ZERO).mean())}
