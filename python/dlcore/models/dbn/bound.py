"""A lower bound of a belief network's log-likelihood."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import ops, train
from ...ops import Generator
from ...ops.creation import is_integer, is_number
from ...tensor import Tensor
from ..base import Array
from ..rbm import RBM
from ..rbm.annealing import AISResult
from ..rbm.contrastive import check_steps
from ..rbm.likelihood import MAX_ENUMERATED, enumerated_states, log_partition
from ..rbm.machine import Machine
from .label_units import given_label, label_scores, split_top
from .stack import Stack


@dataclass(frozen=True)
class LikelihoodBound:
    """An estimate of a lower bound of the mean log-likelihood of cases, in nats a case.

    Attributes
    ----------
    value : mean of `cases`
    standard_error : of value: that of the samples of the hidden states, and log_z's, together; NaN where one sample
        of states, which has no spread, was drawn for each case
    cases : (n,) float64, the bound of each case
    log_z : of the top RBM
    log_z_error : its standard error; 0 where it is exact
    """

    value: float
    standard_error: float
    cases: Array
    log_z: float
    log_z_error: float


class Bounds(Stack):
    """The methods of a DBN that say how probable cases are; a part of `dlcore.models.DBN`."""

    def top_log_partition(self, **ais: Any) -> tuple[float, float]:
        """log Z of the top RBM and its standard error.

        Exact where one of its layers has at most 2²⁸ states; else by annealed importance sampling, with label units
        once for each class, with chains of its own: Z = Σ_y exp(d_y) Z_y, where Z_y is of the RBM that clamping the
        label leaves.

        Parameters
        ----------
        ais : arguments of `RBM.ais` (``chains``, ``betas``, ``seed``); given, they are used in any case
        """
        belief, top = self.belief, self.belief.machines[-1]
        states = enumerated_states(top)
        if not ais and states is not None and states <= 2**MAX_ENUMERATED:
            return log_partition(top), 0.0
        if not belief.label_units:
            result = self.rbms[-1].ais(**ais)
            return result.log_z, result.standard_error
        results = []
        seed = ais.pop("seed", None)
        for label in range(self.outputs):
            machine = given_label(top, belief.widths[-2], label)
            rbm = RBM.of_machine(machine, self.fit_generator, self.sample_generator, dtype=self.dtype)
            own = None if seed is None else Generator(seed).split(label).key  # the errors are to be independent
            results.append(rbm.ais(seed=own, **ais))
        return self._mixed(top, np.array([r.log_z for r in results]), np.array([r.standard_error for r in results]))

    def _mixed(self, top: Machine, log_z: Array, errors: Array) -> tuple[float, float]:
        """log Σ exp(d_y + log Z_y), and its standard error by the delta method."""
        bias = split_top(top, self.belief.widths[-2])[3].numpy().astype(np.float64)
        largest = float((bias + log_z).max())
        shares = np.exp(bias + log_z - largest)
        total = float(shares.sum())
        return largest + math.log(total), float(np.sqrt(np.square(shares / total * errors).sum()))

    def log_likelihood_bound(
        self,
        x: Any,
        y: Any = None,
        samples: int = 20,
        log_z: float | AISResult | None = None,
        ais: Mapping[str, Any] | None = None,
        batch_size: int = 1024,
    ) -> LikelihoodBound:
        """log p(v) >= E_q[Σ_l log p(h_{l−1} | h_l) − log q(h_l | h_{l−1}) − F(h_{L−1})] − log Z, h₀ = v.

        F and Z are the top RBM's. The difference is the divergence of q(h | v), the factorial inference layer by layer,
        from p(h | v): the bound is tight where inference is exact. Hidden states are drawn from q, so each case's
        estimate has the bound as its mean. An estimate of log Z by `RBM.ais` tends to be low, which makes the bound
        high by as much: see its standard error and `RBM.reverse_ais`.

        Parameters
        ----------
        x : (n >= 1, visible units), values in [0, 1]
        y : labels (n,) of a model with label units, for a bound of log p(v, y); by default labels are summed out
        samples : int >= 1, of the hidden states for each case; one layer has none to draw
        log_z : of the top RBM, a number or what `RBM.ais` gave; by default `top_log_partition`, to which `ais` goes

        Raises
        ------
        TypeError, ValueError
            For arguments that do not fit.

        References
        ----------
        Salakhutdinov and Murray (2008), On the quantitative analysis of deep belief networks, section 4.2.
        """
        who = "log_likelihood_bound"
        self._require_plain(who)
        cases = self._check(x, who)
        if cases.shape[0] == 0:
            raise ValueError(f"{who}: there are no cases")
        belief = self.belief
        samples = check_steps(samples, f"{who}: samples")
        if y is not None and not belief.label_units:
            raise ValueError(f"{who}: y is given, but the model has no label units: make it with label_units=True")
        labels = None if y is None else self._one_hot(y, cases.shape[0], who)
        if not is_integer(batch_size) or batch_size < 1:
            raise ValueError(f"{who}: batch_size is {batch_size!r}, expected a positive integer")
        if log_z is None:
            z, z_error = self.top_log_partition(**dict(ais or {}))
        elif isinstance(log_z, AISResult):
            z, z_error = log_z.log_z, log_z.standard_error
        elif is_number(log_z) and math.isfinite(log_z):
            z, z_error = float(log_z), 0.0
        else:
            raise ValueError(f"{who}: log_z is {log_z!r}, expected a finite number or an AISResult")
        count = samples if belief.inference else 1
        data = [cases] if labels is None else [cases, labels]
        total, squares = np.zeros(cases.shape[0]), np.zeros(cases.shape[0])
        first = 0
        for n, (v, *beside) in train.batches(data, batch_size):
            rows = slice(first, first + n)
            for i in range(count):
                value = self._sampled_bound(v, beside[0] if beside else None)
                step = value - total[rows]  # Welford's recurrence: no large numbers are subtracted
                total[rows] += step / (i + 1)
                squares[rows] += step * (value - total[rows])
            first += n
        if belief.inference and count == 1:
            error = math.nan
        else:
            error = math.sqrt(float(squares.sum()) / max(count - 1, 1) / count) / len(total)
        return LikelihoodBound(float(total.mean()) - z, math.hypot(error, z_error), total - z, z, z_error)

    def _sampled_bound(self, v: Tensor, labels: Tensor | None) -> Array:
        """log p*(v, h) − log q(h | v) of each case with one h ~ q, (n,) float64; p* lacks log Z."""
        belief = self.belief
        *below, top = belief.machines
        total = np.zeros(v.shape[0])
        for layer, machine in zip(belief.inference, below, strict=True):
            field = ops.linear(v, layer.weight, layer.bias)
            h = ops.bernoulli(self.sample_generator, ops.sigmoid(field))
            restored = ops.matmul(h, machine.weight, transpose_b=True) + machine.visible_bias
            total += _log_probability(restored, v) - _log_probability(field, h)
            v = h
        if labels is not None or not belief.label_units:
            seen = v if labels is None else ops.concatenate([v, labels], 1)
            energy: Array = top.free_energy(seen).numpy()
            return total - energy
        weight, label_weight, bias, label_bias = split_top(top, v.shape[1])
        scores = label_scores(ops.linear(v, weight, top.hidden_bias), label_weight, label_bias)
        found: Array = total + (ops.logsumexp(scores) + ops.matmul(v, bias)).numpy()
        return found


def _log_probability(logits: Tensor, x: Tensor) -> Array:
    """log of the probability of the units' states x under logits, (n,) float64."""
    found: Array = -ops.sum(ops.sigmoid_cross_entropy(logits, x), 1).numpy().astype(np.float64)
    return found
