"""The parameters of a restricted Boltzmann machine and what the kernels compute from them; see ``csrc/rbm.h``."""

from __future__ import annotations

from .. import ops
from ..nn import Module, initializers
from ..ops import Generator
from ..tensor import Tensor

GIBBS_WORK = 10**8  # weights times cases in a native call of Gibbs steps: a tenth of a second, also on a slow processor
_DRAW, _CALL = 50, 10**4  # what a unit's draw, and a step of the smallest machine, take in the same measure


class Machine(Module):
    """Binary units v and h of energy E(v, h) = −b·v − c·h − v W h, with p(v, h) ∝ exp(−E(v, h)).

    θ is W (n_visible, n_hidden), the visible biases b, the hidden biases c, in this order. The value is p(h = 1 | v).

    Parameters
    ----------
    n_visible, n_hidden : int, units of the two layers
    weight_std : standard deviation of the initial weights; biases start at 0

    References
    ----------
    Smolensky (1986), Information processing in dynamical systems; Hinton (2002), Training products of experts by
    minimizing contrastive divergence.
    """

    weight: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor

    def __init__(self, n_visible: int, n_hidden: int, weight_std: float = 0.01) -> None:
        super().__init__()
        self.n_visible, self.n_hidden = n_visible, n_hidden
        self.declare("weight", (n_visible, n_hidden), initializers.normal(weight_std), n_visible, n_hidden)
        self.declare("visible_bias", (n_visible,), initializers.zeros)
        self.declare("hidden_bias", (n_hidden,), initializers.zeros)

    def describe(self) -> str:
        return f"RBM({self.n_visible} ↔ {self.n_hidden})"

    def forward(self, v: Tensor) -> Tensor:
        """p(h = 1 | v) = sigmoid(c + v W), (n, n_hidden)."""
        return ops.linear(v, self.weight, self.hidden_bias, "sigmoid")

    def visible(self, h: Tensor) -> Tensor:
        """p(v = 1 | h) = sigmoid(b + h Wᵀ), (n, n_visible)."""
        return Tensor(h.array.device.rbm_visible(h.array, self.weight.array, self.visible_bias.array))

    def sample_hidden(self, v: Tensor, generator: Generator) -> Tensor:
        """h ~ p(h | v)."""
        draw = v.array.device.rbm_sample_hidden
        _, samples = draw(v.array, self.weight.array, self.hidden_bias.array, generator.key, generator.step)
        generator.take()  # after the draw: one that fails leaves the generator as it was
        return Tensor(samples)

    def sample_visible(self, h: Tensor, generator: Generator) -> Tensor:
        """v ~ p(v | h)."""
        draw = h.array.device.rbm_sample_visible
        _, samples = draw(h.array, self.weight.array, self.visible_bias.array, generator.key, generator.step)
        generator.take()
        return Tensor(samples)

    def gibbs(self, v: Tensor, k: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """The v after k >= 1 steps v → h → v of Gibbs sampling, and the probabilities it was drawn from.

        The native calls are of so many steps that Ctrl-C is answered between them soon; they have the bits of one call.
        """
        units = self.n_visible + self.n_hidden
        work = v.shape[0] * (self.n_visible * self.n_hidden + _DRAW * units) + _CALL
        at_once = min(max(GIBBS_WORK // work, 1), k)
        samples, probabilities, done = v.array, v.array, 0
        while done < k:
            count = min(at_once, k - done)
            samples, probabilities = v.array.device.rbm_gibbs(
                samples, self.weight.array, self.visible_bias.array, self.hidden_bias.array, count, generator.key,
                (generator.step + 2 * done) % 2**64,
            )  # fmt: skip
            done += count
        generator.take(2 * k)
        return Tensor(samples), Tensor(probabilities)

    def contrast(
        self, v: Tensor, k: int, generator: Generator, chains: Tensor | None = None
    ) -> tuple[Tensor, float | None]:
        """The CD-k estimate of the gradient of the mean of −log p(v), with θ's layout; PCD-k where chains are given.

        Parameters
        ----------
        chains : (n_chains, n_hidden), hidden states of the persistent chains, moved on by k steps in place

        Returns
        -------
        the gradient, and without chains the mean over the cases of Σ (v − p(v | h))² after half a step
        """
        gradient, error = v.array.device.rbm_cd(
            v.array, self.weight.array, self.visible_bias.array, self.hidden_bias.array, k, generator.key,
            generator.step, None if chains is None else chains.array,
        )  # fmt: skip
        generator.take(2 * k)
        return Tensor(gradient), error

    def free_energy(self, v: Tensor) -> Tensor:
        """F(v) = −b·v − Σ softplus(c + v W), (n,); p(v) = exp(−F(v)) / Z."""
        return Tensor(
            v.array.device.rbm_free_energy(v.array, self.weight.array, self.visible_bias.array, self.hidden_bias.array)
        )

    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """E(v, h) of each pair of rows, (n,)."""
        field = ops.linear(v, self.weight, self.hidden_bias)
        return ops.negative(ops.sum(h * field, 1) + ops.matmul(v, self.visible_bias))
