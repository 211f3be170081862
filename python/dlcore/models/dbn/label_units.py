"""Label units beside the features in a top RBM: their exact conditional distribution, and the machine they leave."""

from __future__ import annotations

from collections.abc import Callable

from ... import ops, train
from ...autodiff import is_recording
from ...nn import Module, initializers
from ...tensor import Tensor
from ..rbm.machine import Machine

_AT_ONCE = 2**20  # cases times classes times hidden units in a block: 4 MiB of float32, which stay in the cache


def label_scores(field: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """−F(f, y) up to what no y changes: s_y = d_y + Σ_j softplus(z + U_y)_j, (n, classes); p(y | f) = softmax(s).

    The features' part z = c + f W of the hidden units' fields is computed once for all classes, each of which only adds
    its row of U.

    Parameters
    ----------
    field : z (n, n_hidden)
    weight, bias : U (classes, n_hidden) and d (classes,) of the label units
    """
    return _in_blocks(lambda part: ops.sum(ops.softplus(_fields(part, weight)), 2) + bias, field, weight.shape[0])


def mean_hidden(field: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """p(h = 1 | f) = Σ_y p(y | f) p(h = 1 | f, y), (n, n_hidden): the label unknown; arguments as of `label_scores`."""

    def mean(part: Tensor) -> Tensor:
        share = ops.softmax(label_scores(part, weight, bias))
        return ops.sum(ops.reshape(share, (*share.shape, 1)) * ops.sigmoid(_fields(part, weight)), 1)

    return _in_blocks(mean, field, weight.shape[0])


def _fields(field: Tensor, weight: Tensor) -> Tensor:
    """z + U_y of each case and class, (n, classes, n_hidden)."""
    return ops.reshape(field, (field.shape[0], 1, field.shape[1])) + weight


def _in_blocks(function: Callable[[Tensor], Tensor], field: Tensor, classes: int) -> Tensor:
    """The function of so many cases at a time that what it has for each class stays in the cache."""
    n, hidden = field.shape
    at_once = max(1, _AT_ONCE // max(classes * hidden, 1))
    if n <= at_once or is_recording():
        return function(field)
    return ops.concatenate(
        [function(train.rows(field, first, min(at_once, n - first))) for first in range(0, n, at_once)], 0
    )


class LabelUnits(Module):
    """Scores of classes from features f (n, inputs): minus the free energies of an RBM over [f, one-hot label].

    Parameters
    ----------
    inputs, classes, hidden : int, units of the two parts of the visible layer and of the hidden one
    weight_std : standard deviation of the initial weights; biases start at 0

    References
    ----------
    Hinton, Osindero, Teh (2006), A fast learning algorithm for deep belief nets, section 6.2;
    Larochelle, Bengio (2008), Classification using discriminative restricted Boltzmann machines, equation 3.
    """

    weight: Tensor
    label_weight: Tensor
    label_bias: Tensor
    bias: Tensor

    def __init__(self, inputs: int, classes: int, hidden: int, weight_std: float = 0.01) -> None:
        super().__init__()
        self.inputs, self.classes, self.hidden = inputs, classes, hidden
        self.declare("weight", (inputs, hidden), initializers.normal(weight_std), inputs, hidden)
        self.declare("label_weight", (classes, hidden), initializers.normal(weight_std), classes, hidden)
        self.declare("label_bias", (classes,), initializers.zeros)
        self.declare("bias", (hidden,), initializers.zeros)

    def describe(self) -> str:
        return f"LabelUnits([{self.inputs}, {self.classes}] ↔ {self.hidden})"

    def forward(self, x: Tensor) -> Tensor:
        """The scores (n, classes); see `label_scores`."""
        return label_scores(ops.linear(x, self.weight, self.bias), self.label_weight, self.label_bias)

    def features(self, x: Tensor) -> Tensor:
        """Means of the hidden units, (n, hidden); see `mean_hidden`."""
        return mean_hidden(ops.linear(x, self.weight, self.bias), self.label_weight, self.label_bias)

    def assign(self, top: Machine) -> None:
        """Take the parameters of an RBM whose visible layer is [features, label units]."""
        weight, label_weight, _, label_bias = split_top(top, self.inputs)
        self.weight.array.assign(weight.array)
        self.label_weight.array.assign(label_weight.array)
        self.label_bias.array.assign(label_bias.array)
        self.bias.array.assign(top.hidden_bias.array)


def split_top(top: Machine, inputs: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """W, U, b, d of the features and of the label units beside them: views of the machine's own tensors."""
    classes, hidden = top.n_visible - inputs, top.n_hidden
    weight, bias = top.weight.array, top.visible_bias.array
    return (
        Tensor(weight.view(0, (inputs, hidden))),
        Tensor(weight.view(inputs * hidden, (classes, hidden))),
        Tensor(bias.view(0, (inputs,))),
        Tensor(bias.view(inputs, (classes,))),
    )


def given_label(top: Machine, inputs: int, label: int) -> Machine:
    """The RBM of the features alone that fixing the label leaves: p(f, h | y), its hidden biases c + U_y.

    Its log Z is that of p(y) = exp(d_y + log Z_y) / Z.
    """
    weight, label_weight, bias, _ = split_top(top, inputs)
    machine = Machine(inputs, top.n_hidden)
    machine.build(0, top.weight.dtype)
    row = ops.reshape(ops.narrow(label_weight, 0, label, 1), (top.n_hidden,))
    machine.parameters.assign({"weight": weight, "visible_bias": bias, "hidden_bias": top.hidden_bias + row})
    return machine
