"""Checks a model's objective against central differences along random directions."""

import dlcore
import numpy as np


def check_gradient(model, *batch, seed=0, directions=5, step=1e-6, tolerance=1e-7):
    """Compare gᵀd with (f(θ + hd) − f(θ − hd)) / 2h for a float64 model; returns the gradient."""
    assert model.dtype == "float64"
    theta = model.parameters.storage
    start = theta.numpy()
    value, g = dlcore.value_and_grad(model.objective, model.parameters)(*batch)
    assert value.item() == model.objective(*batch).item()
    gradient = g.numpy()
    rng = np.random.default_rng(seed)

    def at(moved):
        theta.array.assign(dlcore.tensor(moved).array)
        return model.objective(*batch).item()

    for _ in range(directions):
        d = rng.standard_normal(start.shape)
        d /= np.linalg.norm(d)
        found = (at(start + step * d) - at(start - step * d)) / (2 * step)
        assert abs(found - gradient @ d) <= tolerance * max(np.linalg.norm(gradient), 1.0)
    theta.array.assign(dlcore.tensor(start).array)
    assert np.linalg.norm(gradient) > 1e-3, "a gradient of 0 proves nothing"
    return gradient
