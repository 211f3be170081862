"""A belief network unrolled into a deep autoencoder."""

from __future__ import annotations

from ... import ops
from ...nn import Linear
from ..autoencoder import Autoencoder
from ..base import flag
from .belief import copy_layer, copy_machine
from .stack import Stack


class Unrolling(Stack):
    """The method of a DBN that makes an autoencoder of it; a part of `dlcore.models.DBN`."""

    def unroll(self, loss: str | None = None, tied: bool = False) -> Autoencoder:
        """A deep autoencoder that starts at this stack: up by its inference, down by its generative weights, mirrored.

        Before it is trained it gives `reconstruct` of this model. Hidden layers are sigmoid ones; the code is linear
        where the stack was made with ``code="gaussian"``, as in the paper, else sigmoid.

        Parameters
        ----------
        loss : see `Autoencoder`; by default "binary_cross_entropy", or "squared_error" for Gaussian visible units
        tied : whether the decoder uses the encoder's weights, transposed

        Returns
        -------
        An `Autoencoder` with copies of the weights.

        Raises
        ------
        ValueError
            For a model with label units, whose code would depend on them; for a loss that does not fit the visible
            units; for tied weights where those of the two directions differ: after `fit_up_down`, and with Gaussian
            visible units whose variance is not 1.

        References
        ----------
        Hinton, Salakhutdinov (2006), Reducing the dimensionality of data with neural networks.
        """
        belief = self.belief
        flag("unroll", tied=tied)
        if belief.label_units:
            raise ValueError("unroll: the top RBM has label units, expected a model without them")
        kinds = {segment.kind for segment in self.units}
        if kinds not in ({"bernoulli"}, {"gaussian"}):
            raise ValueError(f"unroll: the visible units are {self.config['visible']!r}, expected one kind of numbers")
        fitting = "binary_cross_entropy" if kinds == {"bernoulli"} else "squared_error"
        if loss not in (None, fitting):
            raise ValueError(f"unroll: loss is {loss!r}, expected {fitting!r} for these visible units")
        *below, top = belief.machines
        scaled = top.n_gaussian > 0 and bool(top.log_variance.numpy().any())  # what it infers with is W / s
        if tied and (
            scaled
            or any(
                layer.weight.numpy().tobytes() != machine.weight.numpy().tobytes()
                for layer, machine in zip(belief.inference, below, strict=True)
            )
        ):
            raise ValueError("unroll: tied is True, but the weights up and down differ, by fit_up_down or variances")
        autoencoder = Autoencoder(
            belief.widths,
            activation="sigmoid",
            code_activation="sigmoid" if self.config["code"] == "bernoulli" else "identity",
            loss=fitting,
            tied=tied,
            seed=self.config["seed"],
            dtype=self.config["dtype"],
        )
        coder = autoencoder.coder
        *lower, code = coder.encoder.layers
        for layer, source in zip(lower, belief.inference, strict=True):
            copy_layer(source, layer)
        copy_machine(top, code)
        for layer, machine in zip(coder.decoder.layers, reversed(belief.machines), strict=True):
            if isinstance(layer, Linear):
                layer.weight.array.assign(ops.transpose(machine.weight).array)
            layer.bias.array.assign(machine.visible_bias.array)
        return autoencoder
