"""Small machines and data for the tests of RBMs and DBNs, and the machines' distributions by enumeration."""

from itertools import product

import numpy as np
from dlcore.models import RBM

SIGMAS = 5.5  # a sound estimate fails a bound of so many standard errors once in 26 million components


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def states(n):
    return np.array(list(product((0.0, 1.0), repeat=n)))


class Exact:
    """The same machine in float64 NumPy, by enumeration."""

    def __init__(self, rbm):
        self.W, self.b, self.c = (
            rbm.parameters[name].numpy().astype(np.float64) for name in ("weight", "visible_bias", "hidden_bias")
        )
        self.v, self.h = states(len(self.b)), states(len(self.c))
        self.energy = -(self.v @ self.b)[:, None] - (self.h @ self.c)[None, :] - self.v @ self.W @ self.h.T
        self.log_z = np.log(np.exp(-self.energy).sum())
        self.p_v = np.exp(-self.energy).sum(1) / np.exp(self.log_z)
        p_h, p_v = sigmoid(self.c + self.v @ self.W), sigmoid(self.b + self.h @ self.W.T)
        self.up = np.prod(np.where(self.h[None] == 1, p_h[:, None], 1 - p_h[:, None]), -1)  # (v states, h states)
        self.down = np.prod(np.where(self.v[None] == 1, p_v[:, None], 1 - p_v[:, None]), -1)

    def statistics(self, v):
        """[v p(h|v)ᵀ, v, p(h|v)] of each row."""
        p = sigmoid(self.c + v @ self.W)
        return np.hstack([(v[:, :, None] * p[:, None, :]).reshape(len(v), -1), v, p])


def drawn(n_visible, n_hidden, spread=1.0, seed=0, dtype="float64"):
    """A machine of Gaussian parameters."""
    rng = np.random.default_rng(seed)
    rbm = RBM(n_visible, n_hidden, dtype=dtype)
    rbm.parameters.assign({name: spread * rng.standard_normal(value.shape) for name, value in rbm.parameters.items()})
    return rbm


def small(dtype="float64", n_visible=4, n_hidden=3, seed=3, **options):
    rbm = RBM(n_visible, n_hidden, seed=seed, weight_std=0.8, dtype=dtype, **options)
    rng = np.random.default_rng(seed)
    rbm.parameters.assign(
        {
            "weight": rng.normal(0, 0.8, (n_visible, n_hidden)),
            "visible_bias": rng.normal(0, 0.5, n_visible),
            "hidden_bias": rng.normal(0, 0.5, n_hidden),
        }
    )
    return rbm


def bars(n=400, seed=0, flip=0.1):
    """4×4 images whose rows are on or off, with a share of the pixels flipped."""
    rng = np.random.default_rng(seed)
    rows = np.repeat(rng.integers(0, 2, (n, 4)), 4, axis=1)
    return (rows ^ (rng.random((n, 16)) < flip)).astype(np.float32)


def log_likelihood_of_bars(x, flip=0.1):
    """The mean log-probability under the process that made them: the best that any model can expect."""
    on = x.reshape(-1, 4, 4).sum(2)
    rows = 0.5 * ((1 - flip) ** on * flip ** (4 - on) + flip**on * (1 - flip) ** (4 - on))
    return np.log(rows).sum(1).mean()


def check_mean(found, mean, variance, n):
    """`found` is the mean of n independent draws."""
    error = np.sqrt(np.maximum(variance, 0) / n) + 1e-12
    assert (np.abs(found - mean) <= SIGMAS * error).all(), np.abs(found - mean).max() / error.max()
