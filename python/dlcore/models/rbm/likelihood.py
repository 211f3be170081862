"""Likelihoods of a restricted Boltzmann machine: exact, by annealed importance sampling, pseudo-likelihood."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import ops, train
from ...ops import Generator
from ...tensor import Tensor, tensor
from ..base import Array
from .annealing import AISResult, anneal, base_bias, base_samples, check_betas, log_z_of_base
from .machine import Machine

MAX_ENUMERATED = 28  # units of the smaller layer whose 2ⁿ states are summed over: some minutes on one core
MAX_SAMPLED = 20  # units of the smaller layer whose 2ⁿ probabilities are kept for exact samples: 8 MiB
_PIECE = 10**8  # softplus in a native call: a tenth of a second, so that Ctrl-C is answered
_BLOCK = 12  # 2¹² states at a time bound the memory of exact sampling


def enumerated_states(machine: Machine) -> int | None:
    """States of the layer that has fewer, a softmax group's being as many as its units; None for Gaussian layers."""
    visible: int | None = 1
    for kind, begin, end, group in machine.units:
        if kind == "gaussian":
            visible = None
            break
        visible *= 2 ** (end - begin) if kind == "bernoulli" else group ** ((end - begin) // group)
    hidden = 2**machine.n_hidden if machine.hidden == "bernoulli" else None
    return min((x for x in (visible, hidden) if x is not None), default=None)


def log_partition(machine: Machine) -> float:
    """log Z = log Σ exp(−E(v, h)) over all states, by enumerating the layer with fewer; in float64.

    Raises
    ------
    ValueError
        If both layers have more than 2 to the power `MAX_ENUMERATED` states.
    """
    states = enumerated_states(machine)
    assert states is not None
    if states > 2**MAX_ENUMERATED and not machine.is_plain:
        raise ValueError(
            f"log_partition: both layers have more than 2**{MAX_ENUMERATED} states, at most as many are summed"
        )
    if states > 2**MAX_ENUMERATED:
        smaller = min(machine.n_visible, machine.n_hidden)
        raise ValueError(
            f"log_partition: the smaller layer has {smaller} units, exact summation is for at most {MAX_ENUMERATED}; "
            "ais estimates larger ones"
        )
    others = max(machine.n_visible, machine.n_hidden)
    # Pieces of a power of two, given by the shape, so that the bits are always the same.
    piece = min(states, 2 ** max(12, (_PIECE // (4 * others)).bit_length()))
    call = machine.weight.array.device.rbm_log_partition
    arrays = (machine.weight.array, machine.visible_bias.array, machine.hidden_bias.array)
    sums = np.array(
        [call(*arrays, first, min(piece, states - first), machine.native_units) for first in range(0, states, piece)]
    )
    largest = float(sums.max())
    if not math.isfinite(largest):
        return float(sums.sum())  # NaN, or an infinity of the parameters
    return largest + math.log(float(np.exp(sums - largest).sum()))


def require_bernoulli(machine: Machine, who: str) -> None:
    """Raise a ValueError unless all units are Bernoulli."""
    if not machine.is_plain:
        kinds = ", ".join(dict.fromkeys(s.kind for s in machine.units))
        raise ValueError(f"{who}: visible units are {kinds}, hidden ones {machine.hidden}; it is for bernoulli units")


def exact_samples(machine: Machine, n: int, generator: Generator) -> Tensor:
    """n independent v (n, n_visible) from p(v) itself, by the probabilities of all states of the smaller layer.

    Raises
    ------
    ValueError
        If both layers have more than `MAX_SAMPLED` units.
    """
    require_bernoulli(machine, "exact_samples")
    units = min(machine.n_visible, machine.n_hidden)
    if units > MAX_SAMPLED:
        raise ValueError(f"exact_samples: the smaller layer has {units} units, expected at most {MAX_SAMPLED}")
    weight, b, c = (ops.cast(x, "float64") for x in (machine.weight, machine.visible_bias, machine.hidden_bias))
    turned = machine.n_hidden < machine.n_visible
    if turned:  # h takes the part of v in the machine turned around
        weight, b, c = ops.transpose(weight), c, b
    energies = np.empty(2**units)
    for first in range(0, 2**units, 2**_BLOCK):
        v = tensor(_states(np.arange(first, min(first + 2**_BLOCK, 2**units)), units))
        energies[first : first + v.shape[0]] = v.array.device.rbm_free_energy(
            v.array, weight.array, b.array, c.array
        ).numpy()
    cumulated = np.cumsum(np.exp(energies.min() - energies))
    u = ops.uniform(generator, (n,), dtype="float64").numpy() * cumulated[-1]
    index = np.minimum(np.searchsorted(cumulated, u, side="right"), 2**units - 1)
    states = tensor(_states(index, units), machine.weight.dtype)
    return machine.sample_visible(states, generator) if turned else states


def _states(index: Array, units: int) -> Array:
    return ((index[:, None] >> np.arange(units)) & 1).astype(np.float64)


def pseudo_log_likelihood(machine: Machine, cases: Tensor) -> Array:
    """Σ_i log p(v_i | v without i) of each case, (n,) float64."""
    require_bernoulli(machine, "pseudo_log_likelihood")
    piece = max(1, _PIECE // (8 * machine.n_visible * machine.n_hidden))
    found = []
    for first in range(0, cases.shape[0], piece):
        v = train.rows(cases, first, min(piece, cases.shape[0] - first)).array
        found.append(
            v.device.rbm_pseudo_log_likelihood(
                v, machine.weight.array, machine.visible_bias.array, machine.hidden_bias.array
            ).numpy()
        )
    return np.concatenate(found)


class Likelihoods:
    """The methods of an RBM that say how probable cases are; a part of `dlcore.models.RBM`."""

    sample_generator: Generator

    if TYPE_CHECKING:  # of RBM

        @property
        def machine(self) -> Machine: ...
        def _check(self, x: Any, who: str) -> Tensor: ...

    def log_partition(self) -> float:
        """log Z = log Σ exp(−E(v, h)), exactly, in nats and float64.

        The states of the smaller layer are enumerated: 2ⁿ times the units of the other, some 3 · 10⁸ a second on
        one core; Ctrl-C is answered.

        Raises
        ------
        ValueError
            If both layers have more than 28 units, or 2²⁸ states where some are not Bernoulli.
        """
        return log_partition(self.machine)

    def log_likelihood(self, x: Any, log_z: float | None = None) -> float:
        """Mean of log p(v) = −F(v) − log Z over cases (n, n_visible), in nats a case.

        Parameters
        ----------
        x : (n >= 1, n_visible), values in [0, 1]
        log_z : log Z where it is known, such as ``rbm.ais().log_z``; by default it is computed by `log_partition`

        Raises
        ------
        ValueError
            If there are no cases, or both layers have more than 28 units and log_z is not given.
        """
        cases = self._cases(x, "log_likelihood")
        if log_z is None:
            log_z = self.log_partition()
        elif isinstance(log_z, bool) or not isinstance(log_z, (int, float, np.number)) or not math.isfinite(log_z):
            raise ValueError(f"log_likelihood: log_z is {log_z!r}, expected a finite number")
        return -float(self.machine.free_energy(cases).numpy().astype(np.float64).mean()) - float(log_z)

    def pseudo_log_likelihood(self, x: Any) -> float:
        """Mean over cases of Σ_i log p(v_i | v without i), in nats a case; every unit is flipped, nothing is drawn.

        log p(v_i | v without i) = log sigmoid(F(v with i flipped) − F(v)). The fields c + v W are computed once and
        moved by a row of W for each unit: O(n · n_visible · n_hidden). A value between 0 and 1 weighs the two
        outcomes. scikit-learn's ``BernoulliRBM.score_samples`` flips one random unit of each case and multiplies by
        n_visible instead, which has this as its expectation.

        Parameters
        ----------
        x : (n >= 1, n_visible), values in [0, 1]

        References
        ----------
        Besag (1975), Statistical analysis of non-lattice data.
        """
        return float(pseudo_log_likelihood(self.machine, self._cases(x, "pseudo_log_likelihood")).mean())

    def ais(
        self, chains: int = 100, betas: Any = 10_000, base: Any = "visible_bias", seed: int | None = None
    ) -> AISResult:
        """log Z by annealed importance sampling: w = Π p_{k+1}(v_k) / p_k(v_k), E w = Z / Z_base.

        Chains begin at independent units of biases b′ = `base` and follow p_β(v) ∝ exp((1 − β) b′·v + β b·v) Π (1 +
        exp(β (c + v W)_j)) from β = 0 to 1 by one Gibbs step each. log w is added in float64. The expectation of the
        estimate of log Z is at most log Z, so that likelihoods are flattered: see `reverse_ais` for the other side.

        Parameters
        ----------
        chains : int >= 2, independent runs
        betas : number of equidistant steps, or inverse temperatures that rise from 0 to 1
        base : "visible_bias", the machine's own; "uniform", 0; biases (n_visible,); or cases (n, n_visible), whose
            base rates are taken, as Salakhutdinov and Murray do
        seed : int in [0, 2⁶⁴); by default the model's generator of samples draws, and moves on

        Raises
        ------
        TypeError, ValueError
            For arguments that do not fit.
        FloatingPointError
            If parameters are not finite.

        References
        ----------
        Neal (2001), Annealed importance sampling; Salakhutdinov and Murray (2008), On the quantitative analysis of
        deep belief networks, section 4.1.
        """
        machine, rising, bias, generator = self._annealing("ais", chains, betas, base, seed)
        v = base_samples(machine, chains, bias, generator)
        log_weights = anneal(machine, v, bias, rising, generator)
        self._drawn(generator, seed)
        return AISResult.of_weights(log_weights, log_z_of_base(machine, bias), len(rising) - 1, reverse=False)

    def reverse_ais(
        self,
        chains: int = 100,
        betas: Any = 10_000,
        base: Any = "visible_bias",
        start: Any = None,
        burn_in: int = 10_000,
        seed: int | None = None,
    ) -> AISResult:
        """log Z by annealing samples of the model to the base: E w = Z_base / Z, log Z = log Z_base − log mean(w).

        The expectation of this estimate is at least log Z where the chains begin at samples of the model, so that it
        and `ais` bracket log Z.

        Parameters
        ----------
        chains, betas, base, seed : see `ais`; the betas still rise, and are followed downwards
        start : (chains, n_visible), samples of the model. By default exact ones where the smaller layer has at most 20
            units, else the ends of Gibbs chains, which have forgotten their start only as far as `burn_in` is long
        burn_in : int >= 1, Gibbs steps from v ~ sigmoid(b), where exact samples cannot be had

        References
        ----------
        Burda, Grosse, Salakhutdinov (2015), Accurate and conservative estimates of MRF log-likelihood using reverse
        annealing; Grosse, Ghahramani, Adams (2015), Sandwiching the marginal likelihood using bidirectional Monte
        Carlo.
        """
        machine, rising, bias, generator = self._annealing("reverse_ais", chains, betas, base, seed)
        if not isinstance(burn_in, (int, np.integer)) or isinstance(burn_in, bool) or not 1 <= burn_in < 2**31:
            raise ValueError(f"reverse_ais: burn_in is {burn_in!r}, expected an integer from 1 to 2**31 - 1")
        if start is not None:
            given = self._check(start, "reverse_ais: start")
            if given.shape[0] != chains:
                raise ValueError(f"reverse_ais: start has {given.shape[0]} cases, expected {chains}")
            v = tensor(given.numpy())  # annealing overwrites it
        elif min(machine.n_visible, machine.n_hidden) <= MAX_SAMPLED:
            v = exact_samples(machine, chains, generator)
        else:
            v = base_samples(machine, chains, machine.visible_bias, generator)
            v = machine.gibbs(v, int(burn_in), generator)[0]
        log_weights = anneal(machine, v, bias, rising[::-1], generator)
        self._drawn(generator, seed)
        return AISResult.of_weights(log_weights, log_z_of_base(machine, bias), len(rising) - 1, reverse=True)

    def _annealing(
        self, who: str, chains: Any, betas: Any, base: Any, seed: int | None
    ) -> tuple[Machine, Array, Tensor, Generator]:
        """The arguments that `ais` and `reverse_ais` share, checked; the generator is a copy."""
        machine = self.machine
        require_bernoulli(machine, who)
        if not isinstance(chains, (int, np.integer)) or isinstance(chains, bool) or not 2 <= chains < 2**31:
            raise ValueError(f"{who}: chains is {chains!r}, expected an integer from 2 to 2**31 - 1")
        rising, bias = check_betas(betas, who), base_bias(machine, base, who)
        for name, value in machine.parameters.items():
            if not value.array.device.all_finite(value.array):
                raise FloatingPointError(f"{who}: {name} has numbers that are not finite")
        generator = self.sample_generator
        return machine, rising, bias, Generator(generator.key, generator.step) if seed is None else Generator(seed)

    def _drawn(self, generator: Generator, seed: int | None) -> None:
        """Move the model's generator on, once nothing can fail any more."""
        if seed is None:
            self.sample_generator.step = generator.step

    def _cases(self, x: Any, who: str) -> Tensor:
        cases: Tensor = self._check(x, who)
        if cases.shape[0] == 0:
            raise ValueError(f"{who}: there are no cases")
        return cases
