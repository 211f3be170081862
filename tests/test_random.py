"""Known answers of Philox, and the distributions of what is made of it.

Every statistical bound is passed by a right generator with probability above 1 - 1e-7 (5.5 standard errors: 4e-8);
keys are fixed, so a test that passes once passes always.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ERRORS = 5.5  # standard errors
KOLMOGOROV = 2.9  # sqrt(n) D: exceeded with probability 2 exp(-2 * 2.9**2) = 1e-7
N = 400_000
DTYPES = ("float32", "float64")


def known_answers() -> list[list[int]]:
    lines = Path(__file__).with_name("philox_kat.txt").read_text(encoding="ascii").splitlines()
    return [[int(word, 16) for word in line.split()] for line in lines if not line.startswith("#")]


@pytest.mark.parametrize("words", known_answers())
def test_known_answer(device: Any, words: list[int]) -> None:
    block, step, key = (words[i] | words[i + 1] << 32 for i in (0, 2, 4))
    result = device.random_words(key, step, block, 1).numpy().view(np.uint32)
    assert result.tolist() == [words[6:]]


def close(estimate: float, expected: float, variance: float, n: int = N) -> bool:
    return abs(estimate - expected) <= ERRORS * math.sqrt(variance / n)


def distance(sample: np.ndarray, cumulative: np.ndarray) -> float:
    """sqrt(n) sup |empirical - cumulative|; `cumulative` at the sorted sample."""
    n = len(sample)
    steps = np.arange(n + 1) / n
    return math.sqrt(n) * max(np.max(steps[1:] - cumulative), np.max(cumulative - steps[:-1]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_uniform(device: Any, dtype: str) -> None:
    u = device.uniform(1, 0, (N,), -1.0, 3.0, dtype).numpy().astype(np.float64)
    assert u.min() >= -1 and u.max() < 3
    assert distance(u, (np.sort(u) + 1) / 4) < KOLMOGOROV
    assert close(u.mean(), 1, 16 / 12)
    assert close(((u - 1) ** 2).mean(), 16 / 12, 256 * (1 / 80 - 1 / 144))


@pytest.mark.parametrize("dtype", DTYPES)
def test_normal(device: Any, dtype: str) -> None:
    z = (device.normal(2, 0, (N,), 5.0, 2.0, dtype).numpy().astype(np.float64) - 5) / 2
    cumulative = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in np.sort(z)])
    assert distance(z, cumulative) < KOLMOGOROV
    for power, moment, next_moment in [(1, 0, 1), (2, 1, 3), (3, 0, 15), (4, 3, 105)]:
        assert close((z**power).mean(), moment, next_moment - moment**2), power
    for lag in (1, 2, 3, 4):  # 1 and 3 include the two halves of a Box-Muller pair
        assert close((z[lag:] * z[:-lag]).mean(), 0, 1, N - lag), lag
        assert close((z[lag:] ** 2 * z[:-lag] ** 2).mean(), 1, 8, N - 2 * lag), lag


@pytest.mark.parametrize("dtype", DTYPES)
def test_bernoulli(device: Any, dtype: str) -> None:
    for p in (0.001, 0.3, 0.999):
        sample = device.bernoulli(3, 0, device.from_numpy(np.full(N, p, dtype))).numpy()
        assert set(np.unique(sample)) == {0, 1}
        assert close(sample.mean(dtype=np.float64), p, p * (1 - p))
    certain = device.bernoulli(3, 1, device.from_numpy(np.tile(np.array([0, 1], dtype), N))).numpy()
    assert np.array_equal(certain, np.tile([0, 1], N))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dropout(device: Any, dtype: str) -> None:
    ones = device.from_numpy(np.ones(N, dtype))
    y = device.dropout(4, 0, ones, 0.25).numpy()
    assert np.array_equal(np.unique(y), np.array([0, 4 / 3], dtype))
    assert close(y.mean(dtype=np.float64), 1, 1 / 0.75 - 1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_draws_are_independent(device: Any, dtype: str) -> None:
    draws = [
        device.uniform(key, step, (N,), -1.0, 1.0, dtype).numpy().astype(np.float64)
        for key, step in [(0, 0), (0, 1), (1, 0), (0, 2**32), (2**32, 0), (2**63, 0)]
    ]
    for a, b in itertools.combinations(draws, 2):
        assert close((a * b).mean(), 0, 1 / 9)


def test_sample_depends_on_its_index_alone(device: Any) -> None:
    for draw in (device.uniform, device.normal):
        for dtype in DTYPES:
            whole = draw(9, 7, (100, 1001), 0.0, 1.0, dtype).numpy().reshape(-1)
            for n in (1, 2, 31, 513, 70000):
                assert np.array_equal(draw(9, 7, (n,), 0.0, 1.0, dtype).numpy(), whole[:n])


def test_permutations_of_four_are_uniform(device: Any) -> None:
    draws = 24_000
    counts: dict[tuple[int, ...], int] = {}
    for step in range(draws):
        order = tuple(device.permutation(5, step, 4).numpy().tolist())
        counts[order] = counts.get(order, 0) + 1
    assert set(counts) == set(itertools.permutations(range(4)))
    chi_square = sum((count - draws / 24) ** 2 for count in counts.values()) / (draws / 24)
    assert chi_square < 77.4  # 23 degrees of freedom, probability 1e-7


def test_permutation_is_one(device: Any) -> None:
    n = 200_000
    order = device.permutation(6, 0, n).numpy()
    assert order.dtype == np.int32
    assert np.array_equal(np.sort(order), np.arange(n))
    centred = (np.arange(n) - (n - 1) / 2) / n
    assert close((centred * centred[order]).mean(), 0, 1 / 144, n)
    assert not np.array_equal(order, device.permutation(6, 1, n).numpy())
