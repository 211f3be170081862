"""The parameters of a restricted Boltzmann machine and what the kernels compute from them; see ``csrc/rbm.h``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import ops
from ...nn import Module, initializers
from ...ops import Generator
from ...tensor import Tensor, tensor
from .terms import Terms
from .units import Segment, is_plain, require_hidden, require_values, visible_segments

GIBBS_WORK = 10**8  # weights times cases in a native call of Gibbs steps: a tenth of a second, also on a slow processor
LEAST_LOG_VARIANCE = -4.605170185988091  # σ >= 0.1
_DRAW, _CALL = 50, 10**4  # what a unit's draw, and a step of the smallest machine, take in the same measure


def gibbs_steps_at_once(machine: Machine, cases: int) -> int:
    """Gibbs steps of so many cases that one native call may do, at least 1."""
    units = machine.n_visible + machine.n_hidden
    work = cases * (machine.n_visible * machine.n_hidden + _DRAW * units) + _CALL
    return max(GIBBS_WORK // work, 1)


class Machine(Module):
    """p(v, h) ∝ exp(−E(v, h)), E = Σ e_i(v) − c·h − Σ v_i w_ij h_j / s_i, of visible and hidden units of several kinds.

    Bernoulli and softmax units have e = −b v; Gaussian ones e = (v − b)² / 2 s with s = σ² = exp(z). s is 1 for the
    others. Gaussian hidden units, of unit variance, add h² / 2. θ is W (n_visible, n_hidden), the visible biases b, the
    hidden biases c and, where there are Gaussian visible units, their z, in this order. The value is E[h | v].

    Parameters
    ----------
    n_visible, n_hidden : int, units of the two layers
    weight_std : standard deviation of the initial weights; biases start at 0
    visible : kinds of the visible units, see `dlcore.models.units.visible_segments`
    hidden : "bernoulli" or "gaussian"
    sigma : number > 0, σ of the Gaussian visible units to begin with

    Attributes
    ----------
    units : tuple of `dlcore.models.units.Segment`, the visible units by kind
    hidden : str, the kind of the hidden units
    n_gaussian : number of Gaussian visible units

    References
    ----------
    Smolensky (1986), Information processing in dynamical systems; Hinton (2002), Training products of experts by
    minimizing contrastive divergence; Salakhutdinov, Mnih, Hinton (2007), Restricted Boltzmann machines for
    collaborative filtering; Cho, Ilin, Raiko (2011), Improved learning of Gaussian-Bernoulli restricted Boltzmann
    machines; Hinton, Salakhutdinov (2006), Reducing the dimensionality of data with neural networks.
    """

    weight: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor
    log_variance: Tensor

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        weight_std: float = 0.01,
        visible: Any = "bernoulli",
        hidden: str = "bernoulli",
        sigma: float = 1.0,
    ) -> None:
        super().__init__()
        who = "RBM"
        self.n_visible, self.n_hidden = n_visible, n_hidden
        self.units: tuple[Segment, ...] = visible_segments(visible, n_visible, who)
        self.hidden = require_hidden(hidden, self.units, who)
        self.n_gaussian = sum(s.end - s.begin for s in self.units if s.kind == "gaussian")
        self.declare("weight", (n_visible, n_hidden), initializers.normal(weight_std), n_visible, n_hidden)
        self.declare("visible_bias", (n_visible,), initializers.zeros)
        self.declare("hidden_bias", (n_hidden,), initializers.zeros)
        if self.n_gaussian:
            self.declare("log_variance", (self.n_gaussian,), initializers.constant(2 * math.log(sigma)))

    @property
    def is_plain(self) -> bool:
        """Whether all units of both layers are Bernoulli."""
        return self.hidden == "bernoulli" and is_plain(self.units)

    @property
    def native_units(self) -> Any:
        """The argument `units` of the kernels."""
        if self.is_plain:
            return None
        visible = tuple((s.kind, s.end - s.begin, s.group) for s in self.units)
        return visible, self.log_variance.array if self.n_gaussian else None, self.hidden

    def precision(self) -> Tensor:
        """1 / s of all visible units, (n_visible,)."""
        parts, done = [], 0
        for s in self.units:
            count = s.end - s.begin
            if s.kind == "gaussian":
                parts.append(ops.exp(ops.negative(ops.narrow(self.log_variance, 0, done, count))))
                done += count
            else:
                parts.append(ops.full((count,), 1.0, self.weight.dtype, self.device))
        return ops.concatenate(parts, 0)

    def require_visible(self, x: Tensor, who: str, name: str) -> None:
        """Raise a ValueError unless the visible units can have these values; see `units.require_values`."""
        require_values(x, self.units, who, name)

    def require_hidden(self, h: Tensor, who: str, name: str) -> None:
        """Raise a ValueError unless the hidden units can have these values or means."""
        require_values(h, (Segment(self.hidden, 0, self.n_hidden, 1),), who, name)

    def describe(self) -> str:
        return f"RBM({self.n_visible} ↔ {self.n_hidden})"

    def _scaled(self, v: Tensor) -> Tensor:
        return v * self.precision() if self.n_gaussian else v

    def forward(self, v: Tensor) -> Tensor:
        """E[h | v], (n, n_hidden), of the fields c + (v / s) W: their sigmoid, or themselves for Gaussian units."""
        kind = "sigmoid" if self.hidden == "bernoulli" else "identity"
        return ops.linear(self._scaled(v), self.weight, self.hidden_bias, kind)

    def visible(self, h: Tensor) -> Tensor:
        """E[v | h], (n, n_visible), of the fields b + h Wᵀ: sigmoid, softmax of a group, or the field itself."""
        call = h.array.device.rbm_visible
        return Tensor(call(h.array, self.weight.array, self.visible_bias.array, self.native_units))

    def sample_hidden(self, v: Tensor, generator: Generator) -> Tensor:
        """h ~ p(h | v)."""
        draw = v.array.device.rbm_sample_hidden
        _, samples = draw(
            v.array, self.weight.array, self.hidden_bias.array, generator.key, generator.step, self.native_units
        )
        generator.take()  # after the draw: one that fails leaves the generator as it was
        return Tensor(samples)

    def sample_visible(self, h: Tensor, generator: Generator) -> Tensor:
        """v ~ p(v | h)."""
        draw = h.array.device.rbm_sample_visible
        _, samples = draw(
            h.array, self.weight.array, self.visible_bias.array, generator.key, generator.step, self.native_units
        )
        generator.take()
        return Tensor(samples)

    def gibbs(self, v: Tensor, k: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """The v after k >= 1 steps v → h → v of Gibbs sampling, and the means it was drawn from.

        The native calls are of so many steps that Ctrl-C is answered between them soon; they have the bits of one call.
        """
        at_once = min(gibbs_steps_at_once(self, v.shape[0]), k)
        samples, probabilities, done = v.array, v.array, 0
        while done < k:
            count = min(at_once, k - done)
            samples, probabilities = v.array.device.rbm_gibbs(
                samples, self.weight.array, self.visible_bias.array, self.hidden_bias.array, count, generator.key,
                (generator.step + 2 * done) % 2**64, self.native_units,
            )  # fmt: skip
            done += count
        generator.take(2 * k)
        return Tensor(samples), Tensor(probabilities)

    def contrast(
        self,
        v: Tensor,
        k: int,
        generator: Generator,
        chains: Tensor | None = None,
        terms: Terms | None = None,
        weight_decay: float = 0.0,
        scaled_steps: bool = False,
    ) -> tuple[Tensor, float | None]:
        """The CD-k estimate of the gradient of the mean of −log p(v), with θ's layout; PCD-k where chains are given.

        Parameters
        ----------
        chains : (n_chains, n_hidden), hidden states of the persistent chains, moved on by k steps in place
        terms : centring and sparsity, whose states are moved on in place
        weight_decay : λ >= 0: λ W is added to the gradient of W
        scaled_steps : whether the rows of W and the biases of Gaussian visible units get s times their gradient, which
            makes steps that do not grow as σ falls; of `terms`

        Returns
        -------
        the gradient, and without chains the mean over the cases of Σ (v − E[v | h])² after half a step
        """
        gradient, error = v.array.device.rbm_cd(
            v.array, self.weight.array, self.visible_bias.array, self.hidden_bias.array, k, generator.key,
            generator.step, None if chains is None else chains.array, None, self.native_units,
            weight_decay=weight_decay, **(terms.arguments(scaled_steps) if terms is not None else {}),
        )  # fmt: skip
        generator.take(2 * k)
        return Tensor(gradient), error

    def bound_variances(self) -> None:
        """z = max(z, `LEAST_LOG_VARIANCE`), which each step of a fit that learns z ends with.

        Where the data leave a unit hardly any noise, its precision, and with it the steps, would grow without bound.
        """
        if self.n_gaussian:
            z = self.log_variance.array
            z.assign(z.device.clamp(z, LEAST_LOG_VARIANCE, math.inf))

    def free_energy(self, v: Tensor) -> Tensor:
        """F(v) = Σ e_i(v) − Σ softplus(c + (v / s) W), (n,); p(v) = exp(−F(v)) / Z.

        For Gaussian hidden units the last sum is ½ Σ field² + ½ n_hidden log 2π.
        """
        call = v.array.device.rbm_free_energy
        return Tensor(
            call(v.array, self.weight.array, self.visible_bias.array, self.hidden_bias.array, self.native_units)
        )

    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """E(v, h) of each pair of rows, (n,)."""
        field = ops.linear(self._scaled(v), self.weight, self.hidden_bias)
        energy = ops.negative(ops.sum(h * field, 1))
        if self.hidden == "gaussian":
            energy = energy + 0.5 * ops.sum(ops.square(h), 1)
        if not self.n_gaussian:
            return energy - ops.matmul(v, self.visible_bias)
        gaussian = np.concatenate([np.full(s.end - s.begin, float(s.kind == "gaussian")) for s in self.units])
        mask = tensor(gaussian, self.weight.dtype, self.device)
        quadratic = ops.matmul(ops.square(v - self.visible_bias), 0.5 * mask * self.precision())
        return energy + quadratic - ops.matmul(v, (1.0 - mask) * self.visible_bias)
