"""Noise on inputs: its distribution, its reproducibility, its messages."""

import dlcore
import numpy as np
import pytest
from dlcore import nn
from dlcore.ops import Generator

X = np.random.default_rng(0).uniform(0.2, 0.8, (300, 200))  # neither 0 nor 1, so that what was struck can be seen
N = X.size


def within(found, expected, deviation):
    """5.5 standard errors."""
    assert abs(found - expected) <= 5.5 * deviation / np.sqrt(N)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("level", [0.1, 0.5])
def test_masking(level, dtype):
    x = X.astype(dtype)
    y = nn.corrupt(dlcore.tensor(x), "masking", level, Generator(1)).numpy()
    assert y.dtype == dtype
    assert ((y == 0) | (y == x)).all()
    within((y == 0).mean(), level, np.sqrt(level * (1 - level)))
    rows = (y == 0).mean(1)
    assert rows.std() == pytest.approx(np.sqrt(level * (1 - level) / 200), rel=0.25), (
        "elements fall apart from each other"
    )


@pytest.mark.parametrize("level", [0.1, 0.5])
def test_salt_and_pepper(level):
    y = nn.corrupt(dlcore.tensor(X), "salt-and-pepper", level, Generator(1)).numpy()
    assert ((y == 0) | (y == 1) | (y == X)).all()
    half = level / 2
    for value in (0, 1):
        within((y == value).mean(), half, np.sqrt(half * (1 - half)))


def test_gaussian():
    e = nn.corrupt(dlcore.tensor(X), "gaussian", 0.3, Generator(1)).numpy() - X
    within(e.mean(), 0, 0.3)
    within((e**2).mean(), 0.09, 0.09 * np.sqrt(2))
    within((e**4).mean(), 3 * 0.3**4, 0.3**4 * np.sqrt(96))


@pytest.mark.parametrize("kind", ["masking", "salt-and-pepper", "gaussian"])
def test_a_layer_is_at_work_while_training_only(kind):
    x = dlcore.tensor(X[:20])
    layer = nn.Corruption(kind, 0.3).build(seed=4)
    again = nn.Corruption(kind, 0.3).build(seed=4)
    first, second = layer(x).numpy(), layer(x).numpy()
    assert not np.array_equal(first, second), "new noise each time"
    assert np.array_equal(first, again(x).numpy()), "decided by the seed"
    step = layer.generator.step
    assert np.array_equal(layer.eval()(x).numpy(), x.numpy())
    assert layer.generator.step == step
    assert np.array_equal(nn.Corruption(kind, 0.0)(x).numpy(), x.numpy())
    assert layer.describe() == f"Corruption({kind}, 0.3)"


@pytest.mark.parametrize(
    ("kind", "level", "message"),
    [
        ("blur", 0.1, "Corruption: corruption is 'blur', expected one of masking, salt-and-pepper, gaussian"),
        ("masking", 1.0, r"Corruption: the level of masking corruption is 1.0, expected a number in \[0, 1\)"),
        ("masking", -0.1, "Corruption: the level of masking corruption is -0.1"),
        ("salt-and-pepper", "a", "Corruption: the level of salt-and-pepper corruption is 'a'"),
        (
            "gaussian",
            float("nan"),
            "Corruption: the level of gaussian corruption is nan, expected a finite number >= 0",
        ),
        ("gaussian", float("inf"), "Corruption: the level of gaussian corruption is inf"),
        ("masking", True, "Corruption: the level of masking corruption is True"),
    ],
)
def test_errors(kind, level, message):
    with pytest.raises(ValueError, match=message):
        nn.Corruption(kind, level)
