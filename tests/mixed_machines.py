"""Machines of several kinds of units, and the same in float64 NumPy by enumeration and integration."""

import itertools

import numpy as np
from dlcore.models import RBM

LAYERS = {
    "softmax": [("softmax", 3), ("softmax", 2)],
    "labels": [("bernoulli", 3), ("softmax", 3)],
    "gaussian": [("gaussian", 2)],
    "mixed": [("softmax", 2), ("gaussian", 1), ("bernoulli", 2), ("gaussian", 1)],
}


def made(visible, hidden="bernoulli", n_hidden=3, dtype="float64", seed=0, **options):
    units = sum(count for _, count in visible)
    rbm = RBM(units, n_hidden, visible=visible, hidden=hidden, dtype=dtype, seed=seed, **options)
    rng = np.random.default_rng(seed + 5)
    rbm.parameters.assign({name: 0.6 * rng.standard_normal(x.shape) for name, x in rbm.parameters.items()})
    return rbm


class Reference:
    """The machine in float64 NumPy, from its energy; Gaussian units are integrated on grids."""

    def __init__(self, rbm, points=41, width=12.0):
        self.p = {name: x.numpy().astype(np.float64) for name, x in rbm.parameters.items()}
        self.kinds, axes, weights, first = [], [], [], 0
        for kind, count in rbm.config["visible"]:
            self.kinds += [kind] * count
            if kind == "softmax":
                axes.append(list(np.eye(count)))
                weights.append([1.0] * count)
            for i in range(count if kind != "softmax" else 0):
                if kind == "bernoulli":
                    axes.append([np.zeros(1), np.ones(1)])
                    weights.append([1.0, 1.0])
                else:
                    sigma = np.exp(self.p["log_variance"][first] / 2)
                    middle = self.p["visible_bias"][len(self.kinds) - count + i]
                    grid = middle + sigma * np.linspace(-width, width, points)
                    axes.append([np.array([x]) for x in grid])
                    weights.append([grid[1] - grid[0]] * points)
                    first += 1
        self.gaussian = np.array([kind == "gaussian" for kind in self.kinds])
        self.s = np.ones(len(self.kinds))
        if self.gaussian.any():
            self.s[self.gaussian] = np.exp(self.p["log_variance"])
        self.v = np.array([np.concatenate(parts) for parts in itertools.product(*axes)])
        self.measure = np.prod(np.array(list(itertools.product(*weights))), axis=1)
        if rbm.machine.hidden == "bernoulli":
            self.h = np.array(list(itertools.product([0.0, 1.0], repeat=rbm.n_hidden)))
            self.h_measure = 1.0
        else:
            grid = np.linspace(-10, 10, 61)
            self.h = np.array(list(itertools.product(grid, repeat=rbm.n_hidden)))
            self.h_measure = (grid[1] - grid[0]) ** rbm.n_hidden
        self.hidden_kind = rbm.machine.hidden

    def energy(self, v, h):
        """(rows of v, rows of h)."""
        W, b, c = (self.p[name] for name in ("weight", "visible_bias", "hidden_bias"))
        own = np.where(self.gaussian, (v - b) ** 2 / (2 * self.s), -b * v).sum(1)
        found = own[:, None] - h @ c - (v / self.s) @ W @ h.T
        return found + (0.5 * (h**2).sum(1) if self.hidden_kind == "gaussian" else 0.0)

    def free_energy(self, v):
        return -np.log(np.exp(-self.energy(v, self.h)).sum(1) * self.h_measure)

    def log_z(self):
        return np.log((np.exp(-self.free_energy(self.v)) * self.measure).sum())

    def hidden_mean(self, v):
        weights = np.exp(-self.energy(v, self.h))
        return weights @ self.h / weights.sum(1, keepdims=True)

    def visible_mean(self, h):
        weights = np.exp(-self.energy(self.v, h)) * self.measure[:, None]
        return (weights.T @ self.v) / weights.sum(0)[:, None]


def cases_of(rbm, n=5, seed=1):
    """Data that the units can have, among them grey ones."""
    rng = np.random.default_rng(seed)
    columns = []
    for kind, count in rbm.config["visible"]:
        if kind == "softmax":
            columns.append(rng.dirichlet(np.ones(count), n))
        else:
            columns.append(rng.random((n, count)) if kind == "bernoulli" else rng.standard_normal((n, count)))
    return np.concatenate(columns, 1).astype(rbm.dtype)


class Enumerated(Reference):
    """Its chain and statistics too, over all states and grid points of v."""

    def __init__(self, rbm):
        super().__init__(rbm)
        weights = np.exp(-self.energy(self.v, self.h))
        self.up = weights / weights.sum(1, keepdims=True)  # p(h | v)
        joint = weights * self.measure[:, None]
        self.down = (joint / joint.sum(0)).T  # p(v | h)
        self.p_h, self.p_v = joint.sum(0) / joint.sum(), joint.sum(1) / joint.sum()

    def statistics(self, v):
        """−∂E/∂θ of each row, with E[h | v]: W, b, c, z."""
        p, W, b = self.hidden_mean(v), self.p["weight"], self.p["visible_bias"]
        x = v / self.s
        z = ((v - b) ** 2 / (2 * self.s) - x * (p @ W.T))[:, self.gaussian]
        return np.hstack([(x[:, :, None] * p[:, None, :]).reshape(len(v), -1), x, p, z])

    def centred(self, v, mu, lam):
        """The same of the machine whose units are v − μ and h − λ, as the step it makes of θ."""
        p, n = self.hidden_mean(v), len(v)
        x = v / self.s
        W = ((v - mu) / self.s)[:, :, None] * (p - lam)[:, None, :]
        steps = [W.reshape(n, -1), x - W @ lam, p - np.einsum("nij,i->nj", W, mu / self.s)]
        return np.hstack([*steps, self.statistics(v)[:, W[0].size + x.shape[1] + p.shape[1] :]])

    def ends(self, v, k):
        """The distribution over self.v of chains that k steps ago began at the row v."""
        weights = np.exp(-self.energy(v[None], self.h))[0]
        h = weights / weights.sum()
        for _ in range(k - 1):
            h = h @ self.down @ self.up
        return h @ self.down
