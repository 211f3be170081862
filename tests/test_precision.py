"""float32 products of matrices on inputs that try their accuracy, and the precisions that may be chosen."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import dlcore
import dlcore.device
import numpy as np
import pytest
from dlcore import tensor

U = 2.0**-24
SMALLEST = 2.0**-149
HAS_TILES = dlcore.device.isa.startswith("amx")

Pair = tuple[np.ndarray, np.ndarray]


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    yield
    dlcore.set_matmul_precision("exact")


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (tensor(a) @ tensor(b)).numpy()


def errors(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|result - exact| in float32 roundings of Σ|a||b|, less what a chain loses by underflow."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    error = np.abs(product(a, b) - x @ y) - a.shape[1] * SMALLEST
    return np.maximum(error, 0.0) / np.maximum(U * (abs(x) @ abs(y)), SMALLEST)


# --- accuracy ---


def powers(rng: np.random.Generator, low: int, high: int, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape) * 2.0 ** rng.integers(low, high, shape)


def all_ones(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Just below and above powers of two: parts as large as they can be."""
    return 1 + rng.choice([2.0**-8 - 2.0**-17 - 2.0**-23, -(2.0**-9) + 2.0**-18, 2.0**-8 + 2.0**-23], shape)


def cancelling(rng: np.random.Generator, m: int, n: int, k: int) -> Pair:
    a, b = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    a[:, 1::2] = -a[:, : 2 * (k // 2) : 2] * (1 + 2.0**-18)
    b[1::2] = b[: 2 * (k // 2) : 2]
    return a, b


def small_beside_large(rng: np.random.Generator, m: int, n: int, k: int) -> Pair:
    a, b = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    a[rng.random((m, k)) < 0.5] *= 2.0**-115
    return a, b


def small_rows(rng: np.random.Generator, m: int, n: int, k: int) -> Pair:
    a, b = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    a[::5] *= 2.0**-120
    return a, b


INPUTS: dict[str, Callable[[np.random.Generator, int, int, int], Pair]] = {
    "normal": lambda rng, m, n, k: (rng.standard_normal((m, k)), rng.standard_normal((k, n))),
    "positive": lambda rng, m, n, k: (rng.random((m, k)), rng.random((k, n))),
    "largest parts": lambda rng, m, n, k: (all_ones(rng, m, k), all_ones(rng, k, n)),
    "states": lambda rng, m, n, k: (rng.integers(0, 2, (m, k)).astype(float), rng.standard_normal((k, n))),
    "wide": lambda rng, m, n, k: (powers(rng, -30, 30, m, k), powers(rng, -30, 30, k, n)),
    "very wide": lambda rng, m, n, k: (powers(rng, -120, 60, m, k), powers(rng, -120, 50, k, n)),
    "cancelling": cancelling,
    "small beside large": small_beside_large,
    "small rows": small_rows,
    "denormal": lambda rng, m, n, k: (powers(rng, -148, -130, m, k), powers(rng, 60, 100, k, n)),
    "low parts denormal": lambda rng, m, n, k: (powers(rng, -112, -104, m, k), powers(rng, 60, 100, k, n)),
    "products denormal": lambda rng, m, n, k: (powers(rng, -75, -60, m, k), powers(rng, -75, -60, k, n)),
    "products near the smallest": lambda rng, m, n, k: (powers(rng, -70, -50, m, k), powers(rng, -70, -50, k, n)),
    "near the largest": lambda rng, m, n, k: (powers(rng, 110, 125, m, k), powers(rng, -15, -10, k, n)),
    "sums near the largest": lambda rng, m, n, k: (rng.random((m, k)) * 2.0**60, rng.random((k, n)) * 2.0**58),
}


@pytest.mark.parametrize("name", INPUTS)
def test_no_input_is_worse_than_a_chain_of_float32_products(name: str) -> None:
    rng = np.random.default_rng(3)
    for m, n, k in ((37, 93, 16), (45, 70, 33), (67, 61, 300)):
        a, b = (x.astype(np.float32) for x in INPUTS[name](rng, m, n, k))
        assert errors(a, b).max() <= min(k, 32), (m, n, k)
        assert errors(b.T.copy(), a.T.copy()).max() <= min(k, 32), (n, m, k)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3.4e38, -3.4028235e38])
def test_one_element_spoils_its_row_alone(value: float) -> None:
    rng = np.random.default_rng(4)
    a, b = rng.standard_normal((70, 50)).astype(np.float32), rng.standard_normal((50, 70)).astype(np.float32)
    clean = product(a, b)
    a[40, 7], b[7, 3] = value, 0.0
    spoilt = product(a, b)
    with np.errstate(invalid="ignore", over="ignore"):
        expected = (a.astype(np.float64) @ b.astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(np.isnan(spoilt[40]), np.isnan(expected[40]))
    np.testing.assert_allclose(spoilt[40], expected[40], rtol=1e-5)
    others = [j for j in range(70) if j != 3]
    np.testing.assert_allclose(np.delete(spoilt, 40, 0)[:, others], np.delete(clean, 40, 0)[:, others], atol=1e-4)


def test_sums_that_leave_the_range_on_their_way_overflow_as_a_chain_does() -> None:
    rng = np.random.default_rng(5)
    a = (rng.choice([-1.0, 1.0], (64, 40)) * 2.0 ** rng.integers(124, 128, (64, 40))).astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        chain = np.add.accumulate(a, axis=1)[:, -1]
    assert 5 < np.isfinite(chain).sum() < 59
    result = product(a, np.ones((40, 64), np.float32))
    np.testing.assert_array_equal(result, np.repeat(chain[:, None], 64, axis=1))


def test_denormals_are_kept() -> None:
    a = (np.random.default_rng(6).integers(-99, 99, (64, 64)) * SMALLEST).astype(np.float32)
    np.testing.assert_array_equal(product(a, np.eye(64, dtype=np.float32)), a)
    np.testing.assert_array_equal(product(np.eye(64, dtype=np.float32) * np.float32(3), a), 3 * a)


@pytest.mark.parametrize("bits", [(1, 1), (1, 12), (8, 8), (9, 8), (16, 1), (5, 12), (17, 0)])
def test_whole_numbers_are_exact(bits: tuple[int, int]) -> None:
    rng = np.random.default_rng(7)
    k = min(70, 2 ** (24 - sum(bits)))
    for m, n in ((24, 130), (130, 24), (33, 64), (70, 41), (52, 100)):
        a = rng.integers(-(2 ** bits[0]) + 1, 2 ** bits[0], (m, k))
        b = rng.integers(-(2 ** bits[1]) + 1, 2 ** bits[1], (k, n)) if bits[1] else rng.integers(0, 2, (k, n))
        np.testing.assert_array_equal(product(a.astype(np.float32), b.astype(np.float32)), a @ b)


# --- the tile unit ---


def test_tiles_are_where_they_were_asked_for() -> None:
    if HAS_TILES:
        assert dlcore.device.cpu.use_tiles()
    else:
        assert not dlcore.device._load("generic").use_tiles()


def test_where_the_system_refuses_the_tiles_the_next_module_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def load(name: str) -> SimpleNamespace:
        loaded.append(name)
        return SimpleNamespace(use_tiles=lambda: False)

    monkeypatch.setattr(importlib, "import_module", load)
    why = "the system refuses this process the tiles of AMX, or this build lacks them"
    reasons = {"amx": "", "avx512": "", "avx2": "", "generic": ""}
    monkeypatch.delenv("DLCORE_ISA", raising=False)
    assert dlcore.device._begin(reasons)[0] == "avx512"
    assert loaded == ["dlcore._cpu_avx512"] * 2
    assert reasons == {"amx": why, "avx512": "", "avx2": "", "generic": ""}
    monkeypatch.setenv("DLCORE_ISA", "amx")
    with pytest.raises(ImportError, match=f"^DLCORE_ISA: 'amx' cannot be used: {why}$"):
        dlcore.device._begin({"amx": "", "avx512": "", "avx2": "", "generic": ""})


@pytest.mark.skipif(not HAS_TILES, reason="this module has no tiles")
def test_tiles_add_in_the_documented_order() -> None:
    """Two chains over pairs of the depth, added to each other: elements 0 to 15, and 16 to 31."""
    rng = np.random.default_rng(8)

    def short(*shape: int) -> np.ndarray:
        return (rng.integers(-255, 256, shape) * 2.0 ** rng.integers(-9, 9, shape)).astype(np.float32)

    a, b = short(48, 32), short(32, 64)
    terms = a.T[:, :, None] * b[:, None, :]  # exact
    even, odd = (np.add.accumulate(half, axis=0)[-1] for half in (terms[:16], terms[16:]))
    np.testing.assert_array_equal(product(a, b), even + odd)
    assert (even + odd != np.add.accumulate(terms, axis=0)[-1]).mean() > 0.2


# --- the precisions ---


def test_a_precision_that_is_unknown_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^set_matmul_precision: mode is 'half', expected exact, bf16x2 or bf16$"):
        dlcore.set_matmul_precision("half")
    assert dlcore.get_matmul_precision() == "exact"


@pytest.mark.skipif(HAS_TILES, reason="this module has them")
@pytest.mark.parametrize("mode", ["bf16x2", "bf16"])
def test_a_precision_that_the_module_lacks_is_refused(mode: str) -> None:
    expected = f"^set_matmul_precision: mode is '{mode}', the module in use, {dlcore.device.isa}, has 'exact' alone$"
    with pytest.raises(ValueError, match=expected):
        dlcore.set_matmul_precision(mode)
    dlcore.set_matmul_precision("exact")
    assert dlcore.get_matmul_precision() == "exact"


@pytest.mark.skipif(not HAS_TILES, reason="this module has no tiles")
@pytest.mark.parametrize(("mode", "least", "most"), [("bf16x2", 2.0**-20, 2.0**-15), ("bf16", 2.0**-11, 2.0**-7)])
def test_lower_precisions_round_operands_as_said(mode: str, least: float, most: float) -> None:
    rng = np.random.default_rng(9)
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((70, 90), (90, 50)))
    states = rng.integers(0, 2, (70, 90)).astype(np.float32)
    before = product(a, b)
    dlcore.set_matmul_precision(mode)
    assert dlcore.get_matmul_precision() == mode
    assert least < errors(a, b).max() * U < most
    np.testing.assert_array_equal(product(states, states.T.copy()), states @ states.T)
    assert errors(a[:3], b).max() <= 32, "a small product is exact"
    assert errors(a * np.float32(2.0**-120), b).max() <= 32, "small numbers are exact"
    dlcore.set_matmul_precision("exact")
    np.testing.assert_array_equal(product(a, b), before)
