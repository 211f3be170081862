"""Machines of Bernoulli, softmax and Gaussian units against sums over their states, integrals and differences."""

import itertools

import numpy as np
import pytest
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

    def __init__(self, rbm, points=61, width=12.0):
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
        if rbm.config["hidden"] == "bernoulli":
            self.h = np.array(list(itertools.product([0.0, 1.0], repeat=rbm.n_hidden)))
            self.h_measure = 1.0
        else:
            grid = np.linspace(-10, 10, 61)
            self.h = np.array(list(itertools.product(grid, repeat=rbm.n_hidden)))
            self.h_measure = (grid[1] - grid[0]) ** rbm.n_hidden
        self.hidden_kind = rbm.config["hidden"]

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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", [*LAYERS, "hidden"])
def test_energies_conditionals_and_likelihood(layer, dtype):
    rbm = made(LAYERS["labels"], "gaussian", 2, dtype) if layer == "hidden" else made(LAYERS[layer], dtype=dtype)
    exact = Reference(rbm)
    eps = 3e-5 if dtype == "float32" else 1e-9
    v, h = cases_of(rbm), exact.h[[1, 3, -2]].astype(dtype)
    np.testing.assert_allclose(rbm.energy(v[:3], h), np.diag(exact.energy(v[:3], h)), rtol=eps, atol=eps)
    np.testing.assert_allclose(rbm.free_energy(v), exact.free_energy(v), rtol=eps, atol=eps)
    np.testing.assert_allclose(rbm.transform(v), exact.hidden_mean(v), rtol=eps, atol=eps)
    np.testing.assert_allclose(rbm.inverse_transform(h[:2]), exact.visible_mean(h[:2]), rtol=eps, atol=eps)
    assert rbm.log_partition() == pytest.approx(exact.log_z(), rel=1e-9)
