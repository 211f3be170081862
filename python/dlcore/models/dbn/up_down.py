"""The up-down algorithm: contrastive wake-sleep of a belief network's separate recognition and generative weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from ... import ops, train
from ...ops import Generator
from ...tensor import Tensor
from ...train import Run
from .belief import Belief


class UpDownGradient:
    """One batch's step: the gradients of the generative, the recognition and the top weights, in θ's layout.

    Wake: states s₀ = v, s_l ~ q(s_l | s_{l−1}) go up; generative weights take the gradient of −log p(s_{l−1} | s_l).
    Top: contrastive divergence from [s, labels]. Sleep: the ends of its chains go down through the generative weights,
    and the recognition weights take the gradient of −log q(s_l | s_{l−1}). The visible states of the sleep phase are
    probabilities, as in the paper's code. Everything is a mean over the cases, or over the chains.

    Parameters
    ----------
    belief : laid out; the gradient's other parts stay 0

    References
    ----------
    Hinton, Dayan, Frey, Neal (1995), The wake-sleep algorithm for unsupervised neural networks; Hinton, Osindero, Teh
    (2006), A fast learning algorithm for deep belief nets, section 5 and appendix B.
    """

    def __init__(self, belief: Belief) -> None:
        parameters = belief.parameters
        self.belief = belief
        self.gradient = ops.zeros(parameters.storage.shape, parameters.storage.dtype)
        parts = parameters.split(self.gradient)
        self.generative = [
            (parts[f"machines.{i}.weight"], parts[f"machines.{i}.visible_bias"]) for i in range(len(belief.inference))
        ]
        self.recognition = [
            (parts[f"inference.{i}.weight"], parts[f"inference.{i}.bias"]) for i in range(len(belief.inference))
        ]
        top = f"machines.{len(belief.inference)}."
        before = takewhile(lambda item: not item[0].startswith(top), parameters.items())
        start = sum(value.size for _, value in before)
        self.top = Tensor(self.gradient.array.view(start, (belief.machines[-1].parameters.size,)))
        self.decayed = [
            (parameters[name], value)
            for name, value in parts.items()
            if name.endswith(".weight") and not name.startswith("recognition")
        ]

    def __call__(
        self, v: Tensor, labels: Tensor | None, k: int, generator: Generator, chains: Tensor | None = None
    ) -> tuple[Tensor, float]:
        """The gradient, overwritten by the next call, and the mean over the cases of Σ (v − p(v | s₁))².

        Parameters
        ----------
        v : (n, visible units); labels : (n, classes), one-hot, where the top machine has label units
        k : steps of Gibbs sampling in the top machine
        chains : (m, top units), hidden states of persistent chains, moved on in place; by default chains begin at the
            data (contrastive)
        """
        belief, (*below, top) = self.belief, self.belief.machines
        states = [v]
        for layer in belief.inference:
            states.append(ops.bernoulli(generator, layer.forward(states[-1])))
        seen = states[-1] if labels is None else ops.concatenate([states[-1], labels], 1)
        if chains is None:
            chains = top.sample_hidden(seen, generator)
        predicted = None
        for machine, low, high, (weight, bias) in zip(below, states[:-1], states[1:], self.generative, strict=True):
            mean = machine.visible(high)
            predicted = mean if predicted is None else predicted
            _of_layer(mean - low, high, weight, bias, transposed=True)
        if predicted is None:
            predicted = belief.without_labels(top.visible(top.forward(seen)))
        self.top.array.assign(top.contrast(seen, k, generator, chains)[0].array)
        dream = belief.without_labels(top.sample_visible(chains, generator))
        for i in reversed(range(len(below))):
            above = dream
            dream = below[i].sample_visible(above, generator) if i else below[i].visible(above)
            guess = belief.inference[i].forward(dream)
            _of_layer(guess - above, dream, *self.recognition[i])
        return self.gradient, ops.sum(ops.squared_error(v, predicted)).item() / v.shape[0]

    def decay(self, rate: float) -> None:
        """Add the gradient of ½ rate Σ W² over the weights that learn."""
        for weight, gradient in self.decayed:
            gradient.array.device.axpy(rate, weight.array, gradient.array)


def _of_layer(error: Tensor, given: Tensor, weight: Tensor, bias: Tensor, transposed: bool = False) -> None:
    """Write the gradient of a layer that maps `given` to a mean with this error, mean over the cases."""
    n = error.shape[0]
    left, right = (error, given) if transposed else (given, error)
    weight.array.device.matmul(left.array, right.array, True, False, 1.0 / n, 0.0, weight.array)
    bias.array.assign(ops.affine(ops.sum(error, 0), 1.0 / n, 0.0).array)


@dataclass
class UpDownEpoch:
    """An epoch of the up-down algorithm.

    Parameters
    ----------
    belief : what learns; its network gets the new weights after the epoch
    data : cases, and one-hot labels where there are label units
    steps : Gibbs steps in the top machine, for equal parts of the epochs
    chains : persistent ones, or None
    generator : draws the order of the cases and all samples
    watched : further figures of an epoch
    """

    belief: Belief
    data: Sequence[Tensor]
    batch_size: int
    steps: Sequence[int]
    chains: Tensor | None
    weight_decay: float
    generator: Generator
    shuffle: bool
    watched: Callable[[], Mapping[str, float]]

    def __call__(self, run: Run) -> dict[str, float]:
        """Do the steps; the figure is ``reconstruction_error``."""
        optimizer = run.optimizer
        assert optimizer is not None
        step = UpDownGradient(self.belief)
        k = self.steps[min(run.epoch * len(self.steps) // max(run.epochs, 1), len(self.steps) - 1)]
        hooks = train.batch_hooks(run)
        network = self.belief.recognition
        before = network.parameters.storage.array.copy() if network.layers else None
        total = 0.0
        try:
            for count, (v, *labels) in train.batches(
                self.data, self.batch_size, self.generator if self.shuffle else None
            ):
                gradient, error = step(v, labels[0] if labels else None, k, self.generator, self.chains)
                run.batch += 1
                if not math.isfinite(error):
                    raise FloatingPointError(f"the reconstruction error is {error} at batch {run.batch}")
                if self.weight_decay:
                    step.decay(self.weight_decay)
                optimizer.step(gradient)
                total += error * count
                run.batch_loss = error
                for hook in hooks:
                    hook(run)
        finally:
            if before is not None:  # an optimizer's own decay may have moved the layer of scores
                network.parameters.storage.array.assign(before)
            self.belief.teach()
        return {"reconstruction_error": total / self.data[0].shape[0]} | dict(self.watched())
