"""What a belief network imagines: samples, also of a class, and reconstructions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import losses, ops
from ...tensor import Tensor
from ..base import Array, sizes
from ..rbm.contrastive import check_steps
from ..rbm.machine import Machine
from .label_units import given_label
from .stack import Stack


class Generation(Stack):
    """The methods of a DBN that go down through its generative weights; a part of `dlcore.models.DBN`."""

    def reconstruct(self, x: Any, batch_size: int = 1024) -> Array:
        """Cases (n, visible units) brought up through all layers and down again, without sampling."""
        cases = self._check(x, "reconstruct")
        belief = self.belief
        return self.map_batches(lambda v: belief.down(belief.up(v)), cases, batch_size)

    def sample(self, n: int | None = None, steps: int = 1000, start: Any = None, y: Any = None) -> Array:
        """n fantasies (n, visible units): probabilities, from Gibbs sampling in the top RBM and one pass down.

        Parameters
        ----------
        n : how many; with labels y, or cases to start from, by default as many as these
        steps : int >= 1, of Gibbs sampling
        start : (n, visible units), cases whose features the chains begin with; by default they begin with features
            drawn from the top RBM's visible biases
        y : the class of all samples, or labels (n,); the label units are clamped to it throughout, so that the samples
            are of p(v | y). For a model with label units
        """
        steps = check_steps(steps, "sample: steps")
        labels = None if y is None else self._labels_to_clamp(y, n)
        cases = None if start is None else self._check(start, "sample: start")
        if n is None:
            n = 1 if labels is None else len(labels)
            n = n if cases is None else cases.shape[0]
        (n,) = sizes([n], "sample", "n", 1)
        if cases is not None and cases.shape[0] != n:
            raise ValueError(f"sample: start has {cases.shape[0]} cases, expected {n}")
        if labels is not None and len(labels) != n:
            raise ValueError(f"sample: y has {len(labels)} labels, expected {n}")
        belief = self.belief
        step = self.sample_generator.step
        try:
            features = None if cases is None else belief.below_top(cases)
            if labels is None:
                return self._send_down(*self._fantasies(belief.machines[-1], n, steps, features))
            result = np.empty((n, belief.widths[0]), self.dtype)
            for label in np.unique(labels):  # one machine and its chains for each class
                rows = np.flatnonzero(labels == label)
                machine = given_label(belief.machines[-1], belief.widths[-2], int(label))
                begin = None if features is None else ops.gather(features, rows)
                result[rows] = self._send_down(*self._fantasies(machine, len(rows), steps, begin))
            return result
        except BaseException:
            self.sample_generator.step = step
            raise

    def _labels_to_clamp(self, y: Any, n: int | None) -> np.ndarray[Any, Any]:
        """Labels (n,) int32 from one for all or from one for each."""
        if not self.belief.label_units:
            raise ValueError("sample: y is given, but the model has no label units: make it with label_units=True")
        several = np.ndim(y) > 0
        found = losses.labels(y if several else [y], self.outputs, "sample: y").numpy()
        return found if several or n is None else np.repeat(found, sizes([n], "sample", "n", 1)[0])

    def _fantasies(self, top: Machine, n: int, steps: int, features: Tensor | None) -> tuple[Tensor, Tensor]:
        """Features of the top machine after Gibbs sampling, and their probabilities."""
        belief, generator = self.belief, self.sample_generator
        if features is None:
            v = top.sample_visible(ops.zeros((n, top.n_hidden), self.dtype), generator)
        elif top.n_visible == features.shape[1]:
            v = features
        else:  # the label units begin at their biases
            bias = ops.narrow(ops.reshape(top.visible_bias, (1, top.n_visible)), 1, belief.widths[-2], self.outputs)
            labels = ops.broadcast_to(ops.softmax(bias), (n, self.outputs))
            v = ops.concatenate([features, labels], 1)
        samples, probabilities = top.gibbs(v, steps, generator)
        width = belief.widths[-2]
        return ops.narrow(samples, 1, 0, width), ops.narrow(probabilities, 1, 0, width)

    def _send_down(self, samples: Tensor, probabilities: Tensor) -> Array:
        """Visible probabilities under a sample of the top machine's features."""
        *below, _ = self.belief.machines
        if not below:
            return probabilities.numpy()
        for machine in reversed(below[1:]):
            samples = machine.sample_visible(samples, self.sample_generator)
        return below[0].visible(samples).numpy()
