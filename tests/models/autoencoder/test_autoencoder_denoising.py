"""Denoising autoencoders: the objective is that of the corrupted input; predictions see no noise."""

import dlcore
import numpy as np
import pytest
from dlcore import nn
from dlcore.data import load_digits_split
from dlcore.models import Autoencoder, DenoisingAutoencoder
from dlcore.ops import Generator
from gradients import check_gradient

RNG = np.random.default_rng(0)
X = RNG.uniform(0.05, 0.95, (12, 6))
KINDS = [("masking", 0.4), ("salt-and-pepper", 0.4), ("gaussian", 0.3)]


def make(corruption="masking", level=0.4, **options):
    return DenoisingAutoencoder([6, 5, 3], "tanh", corruption=corruption, level=level, **options)


@pytest.mark.parametrize(("corruption", "level"), KINDS)
def test_objective_in_training_and_at_rest(corruption, level):
    """L(x, x̂(x̃)) with x̃ written out in NumPy from the same draws."""
    model = make(corruption, level, dtype="float64", seed=2)
    plain = Autoencoder([6, 5, 3], "tanh", dtype="float64", seed=2)
    assert np.array_equal(plain.parameters.storage.numpy(), model.parameters.storage.numpy())
    x = dlcore.tensor(X)
    assert model.objective(x).item() == plain.objective(x).item(), "at rest it sees x"
    generator = model.generators["network.corruption"]
    seen = nn.corrupt(x, corruption, level, Generator(generator.key, generator.step))
    restored = plain.reconstruct(seen)
    loss = -(X * np.log(restored) + (1 - X) * np.log(1 - restored)).sum(1).mean()
    model.network.train()
    assert model.objective(x).item() == pytest.approx(loss, rel=1e-12)
    assert model.objective(x).item() != pytest.approx(loss, rel=1e-6), "and other noise the next time"
    model.network.eval()
    assert np.array_equal(model.reconstruct(X), plain.reconstruct(X))
    assert model.score(X) == plain.score(X)


@pytest.mark.parametrize(("corruption", "level"), KINDS)
def test_gradient_with_fixed_noise(corruption, level):
    model = make(corruption, level, dtype="float64", seed=1)
    model.network.train()
    generator = model.generators["network.corruption"]
    step, objective = generator.step, model.objective

    def fixed(x):
        generator.step = step
        return objective(x)

    model.objective = fixed
    check_gradient(model, dlcore.tensor(X))


def test_noise_is_that_of_the_models_seed():
    def theta(seed, level=0.4):
        model = make(level=level, seed=seed)
        model.parameters.storage.array.assign(dlcore.tensor(np.full(model.parameters.size, 0.1, "f4")).array)
        model.fit(X, epochs=2, shuffle=False)
        return model.parameters.storage.numpy()

    assert np.array_equal(theta(1), theta(1))
    assert not np.array_equal(theta(1), theta(2))
    assert not np.array_equal(theta(1), theta(1, 0.3))


@pytest.mark.parametrize("optimizer", ["cg", "l-bfgs"])
def test_a_line_search_sees_one_noise(optimizer):
    """Every evaluation on a batch has the same noise: the objective falls, and the generator moves on by a batch."""
    model = make(dtype="float64")
    before = model.generators["network.corruption"].step
    model.fit(X, epochs=3, batch_size=6, optimizer=optimizer)
    assert model.generators["network.corruption"].step == before + 6  # three epochs of two batches
    assert np.isfinite(model.history["loss"]).all()


def test_corrupted_cases_for_pictures():
    model = make()
    state = {name: g.step for name, g in model.generators.items()}
    one = model.corrupt(X, seed=1)
    assert np.array_equal(one, model.corrupt(X, seed=1))
    assert not np.array_equal(one, model.corrupt(X, seed=2))
    assert ((one == 0) | (one == X.astype("f4"))).all()
    assert {name: g.step for name, g in model.generators.items()} == state


def test_it_removes_noise_that_a_plain_one_keeps():
    train, test = load_digits_split()
    options = {"epochs": 15, "lr": 3e-3, "batch_size": 32}
    denoising = DenoisingAutoencoder([64, 100], corruption="salt-and-pepper", level=0.2)
    plain = Autoencoder([64, 100])
    for model in (denoising, plain):
        model.fit(train.x, **options)
    noisy = denoising.corrupt(test.x, seed=5)
    error = {kind: np.square(model.reconstruct(noisy) - test.x).sum(1).mean()
             for kind, model in (("denoising", denoising), ("plain", plain))}  # fmt: skip
    assert error["denoising"] < 0.7 * error["plain"]
    assert error["denoising"] < 0.7 * np.square(noisy - test.x).sum(1).mean()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"corruption": "blur"},
            "DenoisingAutoencoder: corruption is 'blur', expected one of masking, salt-and-pepper",
        ),
        ({"level": 1}, r"DenoisingAutoencoder: the level of masking corruption is 1, expected a number in \[0, 1\)"),
        (
            {"corruption": "gaussian", "level": -1},
            "DenoisingAutoencoder: the level of gaussian corruption is -1, expected a finite number >= 0",
        ),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
