"""Sparse and contractive autoencoders: objectives against formulas, gradients, figures of the history."""

import dlcore
import numpy as np
import pytest
from dlcore.data import load_digits_split
from dlcore.models import Autoencoder, ContractiveAutoencoder, SparseAutoencoder
from dlcore.ops import ACTIVATIONS
from gradients import check_gradient

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 1, (12, 6))
WEIGHT = RNG.uniform(0, 2, 12)
SLOPES = {
    "identity": np.ones_like,
    "sigmoid": lambda a: np.exp(-a) / (1 + np.exp(-a)) ** 2,
    "tanh": lambda a: 1 / np.cosh(a) ** 2,
    "relu": lambda a: (a > 0) * 1.0,
    "leaky_relu": lambda a: np.where(a > 0, 1.0, 0.01),
    "elu": lambda a: np.where(a > 0, 1.0, np.exp(a)),
    "softplus": lambda a: 1 / (1 + np.exp(-a)),
    "lecun_tanh": lambda a: 1.7159 * 2 / 3 / np.cosh(2 * a / 3) ** 2,
}


def layer(model, i):
    return model.parameters[f"encoder.layers.{i}.weight"].numpy(), model.parameters[f"encoder.layers.{i}.bias"].numpy()


def jacobians(model, names, activate):
    """∂h/∂x (n, units, inputs) in NumPy, multiplied out case by case."""
    found, h = [np.eye(X.shape[1])] * len(X), X
    for i, name in enumerate(names):
        w, b = layer(model, i)
        a = h @ w + b
        found = [np.diag(SLOPES[name](a[case])) @ w.T @ found[case] for case in range(len(X))]
        h = activate(name, a)
    return np.stack(found)


def activate(name, a):
    return dlcore.ops.activation(dlcore.tensor(a), name).numpy()


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("widths", [[6, 4], [6, 5, 3], [6, 9, 4, 2]])
def test_contractive_objective_and_gradient(name, widths):
    model = ContractiveAutoencoder(widths, name, contraction=0.7, seed=1, dtype="float64")
    plain = Autoencoder(widths, name, tied=True, seed=1, dtype="float64")
    theta = model.parameters.storage.numpy()
    theta += 0.1 * RNG.standard_normal(theta.shape)  # no bias of 0, and so nobody exactly at a kink
    for either in (model, plain):
        either.parameters.storage.array.assign(dlcore.tensor(theta).array)
    squares = (jacobians(model, [name] * (len(widths) - 1), activate) ** 2).sum((1, 2))
    assert model.jacobian_norm(X) == pytest.approx(squares.mean(), rel=1e-10)
    x, weight = dlcore.tensor(X), dlcore.tensor(WEIGHT)
    loss = plain.objective(x).item()
    assert model.objective(x).item() == pytest.approx(loss + 0.7 * squares.mean(), rel=1e-10)
    weighted = plain.objective(x, weight).item() + 0.7 * (WEIGHT * squares).mean()
    assert model.objective(x, weight).item() == pytest.approx(weighted, rel=1e-10)
    check_gradient(model, x)
    check_gradient(model, x, weight)


def test_the_jacobian_is_that_of_finite_differences():
    model = ContractiveAutoencoder([6, 5, 3], "sigmoid", "tanh", seed=1, dtype="float64")
    total = 0.0
    for i in range(6):
        step = np.zeros(6)
        step[i] = 1e-5
        total += (((model.encode(X + step) - model.encode(X - step)) / 2e-5) ** 2).sum() / len(X)
    assert model.jacobian_norm(X) == pytest.approx(total, rel=1e-8)
    assert model.jacobian_norm(np.tile(X, (30, 1))) == pytest.approx(total, rel=1e-8)  # more than one part


def test_contraction_contracts_at_the_price_of_reconstruction():
    train, test = load_digits_split()
    found = {}
    for contraction in (0.0, 1.0):
        model = ContractiveAutoencoder([64, 60], contraction=contraction)
        history = model.fit(train.x, epochs=8, lr=5e-3, batch_size=32)
        assert history["jacobian_norm"][-1] == pytest.approx(model.jacobian_norm(train.x[:1024]), rel=1e-5)
        found[contraction] = model.jacobian_norm(test.x), model.score(test.x)
    assert found[1.0][0] < 0.5 * found[0.0][0]
    assert found[1.0][1] < found[0.0][1]


def kl(rho, mean):
    return (rho * np.log(rho / mean) + (1 - rho) * np.log((1 - rho) / (1 - mean))).sum()


def test_kl_objective_and_gradient():
    options = {"loss": "squared_error", "seed": 1, "dtype": "float64"}
    model = SparseAutoencoder([6, 5, 4], "tanh", sparsity=0.7, penalty="kl", rho=0.2, **options)
    assert model.config["code_activation"] == "sigmoid"
    plain = Autoencoder([6, 5, 4], "tanh", "sigmoid", **options)
    x, code = dlcore.tensor(X), model.encode(X)
    assert model.objective(x).item() == pytest.approx(plain.objective(x).item() + 0.7 * kl(0.2, code.mean(0)))
    weight = WEIGHT / WEIGHT.mean()
    w = dlcore.tensor(weight)
    expected = plain.objective(x, w).item() + 0.7 * kl(0.2, (weight[:, None] * code).mean(0))
    assert model.objective(x, w).item() == pytest.approx(expected)
    check_gradient(model, x)
    check_gradient(model, x, w)


def test_weighted_l1_objective():
    model = SparseAutoencoder([6, 4], "tanh", sparsity=0.7, dtype="float64")
    plain = Autoencoder([6, 4], "tanh", dtype="float64")
    x, w = dlcore.tensor(X), dlcore.tensor(WEIGHT)
    expected = plain.objective(x, w).item() + 0.7 * (WEIGHT * abs(model.encode(X)).sum(1)).mean()
    assert model.objective(x, w).item() == pytest.approx(expected)
    check_gradient(model, x, w)


def test_kl_brings_each_unit_to_rho():
    train, _ = load_digits_split()
    model = SparseAutoencoder([64, 50], loss="squared_error", sparsity=3.0, penalty="kl", rho=0.1)
    model.fit(train.x, epochs=15, batch_size=50, lr=5e-3)
    activity = model.encode(train.x).mean(0)
    assert abs(activity - 0.1).max() < 0.08
    assert activity.mean() == pytest.approx(0.1, abs=0.03)
    free = SparseAutoencoder([64, 50], loss="squared_error", sparsity=0.0, penalty="kl")
    free.fit(train.x, epochs=5, batch_size=50, lr=5e-3)
    assert free.encode(train.x).mean() > 0.2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SparseAutoencoder([6, 3], penalty="l2"), "SparseAutoencoder: penalty is 'l2', expected one of l1, kl"),
        (lambda: SparseAutoencoder([6, 3], rho=0), r"SparseAutoencoder: rho is 0, expected a number in \(0, 1\)"),
        (lambda: SparseAutoencoder([6, 3], rho="a"), "SparseAutoencoder: rho is 'a'"),
        (
            lambda: SparseAutoencoder([6, 3], "relu", "relu", penalty="kl"),
            "SparseAutoencoder: code_activation is 'relu', expected 'sigmoid' for penalty 'kl'",
        ),
        (
            lambda: ContractiveAutoencoder([6, 3], contraction=-1),
            "ContractiveAutoencoder: contraction is -1, expected a finite number >= 0",
        ),
        (lambda: ContractiveAutoencoder([6, 3]).jacobian_norm(X[:0]), "jacobian_norm: there are no cases"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
