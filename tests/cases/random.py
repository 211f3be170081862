"""Samples against Philox4x32-10 in NumPy: uniform and Bernoulli bit for bit, normal up to rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import Case

KEY, STEP = 0x0123456789ABCDEF, 0xFEDCBA9876543210


LOW_WORD = np.uint64(0xFFFFFFFF)


def philox_words(key: int, step: int, first_block: int, blocks: int) -> np.ndarray:
    """(blocks, 4) uint32 words of philox4x32-10 for counters (block, step)."""
    block = np.arange(blocks, dtype=np.uint64) + np.uint64(first_block)
    half = np.uint64(32)
    c = [block & LOW_WORD, block >> half, np.full_like(block, step & 0xFFFFFFFF), np.full_like(block, step >> 32)]
    k = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [
            (p1 >> half) ^ c[1] ^ np.uint64(k[0]),
            p1 & LOW_WORD,
            (p0 >> half) ^ c[3] ^ np.uint64(k[1]),
            p0 & LOW_WORD,
        ]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(c, axis=1).astype(np.uint32)


def unit_samples(key: int, step: int, n: int, dtype: str) -> np.ndarray:
    """The samples in [0, 1) that elements 0..n-1 of a draw are made of, exact in float64."""
    if dtype == "float32":
        return (philox_words(key, step, 0, -(-n // 4)).reshape(-1)[:n] >> 8) * 2.0**-24
    words = philox_words(key, step, 0, -(-n // 2)).reshape(-1, 2)[:n].astype(np.uint64)
    return (((words[:, 0] << np.uint64(32)) | words[:, 1]) >> np.uint64(11)) * 2.0**-53


def uniform_reference(key: int, step: int, shape: Any, low: float, high: float, dtype: str) -> np.ndarray:
    low, high = float(np.dtype(dtype).type(low)), float(np.dtype(dtype).type(high))
    u = unit_samples(key, step, int(np.prod(shape)), dtype)
    return (low + (high - low) * u).reshape(shape)


def box_muller(key: int, step: int, n: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal samples and the radii they were made with."""
    even = n + n % 2
    if dtype == "float32":
        words = philox_words(key, step, 0, -(-even // 4)).reshape(-1)[:even]
        single = np.float32
        v = ((words[0::2] >> 1).astype(single) * single(2.0**-31) + single(2.0**-32)).astype(np.float64)
        turns = words[1::2] * 2.0**-32
    else:
        u = unit_samples(key, step, even, dtype)
        v, turns = u[0::2] + 2.0**-53, u[1::2]
    radius = np.sqrt(-2 * np.log(v))
    # Reduced to an eighth of a turn, so that no digit is lost to a rounded multiple of pi.
    quadrant = np.round(4 * turns)
    angle = 2 * np.pi * (turns - quadrant / 4)
    sine, cosine = np.sin(angle), np.cos(angle)
    q = quadrant.astype(int) % 4
    z = np.stack([np.choose(q, [cosine, -sine, -cosine, sine]), np.choose(q, [sine, cosine, -sine, -cosine])], axis=1)
    return (radius[:, None] * z).reshape(-1)[:n], np.repeat(radius, 2)[:n]


def normal_reference(key: int, step: int, shape: Any, mean: float, std: float, dtype: str) -> np.ndarray:
    real = np.dtype(dtype).type
    z = box_muller(key, step, int(np.prod(shape)), dtype)[0]
    return (float(real(mean)) + float(real(std)) * z).reshape(shape)


def normal_scale(key: int, step: int, shape: Any, mean: float, std: float, dtype: str) -> np.ndarray:
    z, radius = box_muller(key, step, int(np.prod(shape)), dtype)
    return (abs(mean) / 4 + abs(std) * np.maximum(np.abs(z), radius / 4)).reshape(shape)


def permutation_reference(key: int, step: int, n: int) -> np.ndarray:
    words = philox_words(key, step, 0, n // 4 + 64).reshape(-1)
    y = np.zeros(n, dtype=np.int32)
    taken = 0
    for i in range(1, n):
        while True:
            product = int(words[taken]) * (i + 1)
            taken += 1
            if product & 0xFFFFFFFF >= (2**32 - i - 1) % (i + 1):
                break
        y[i] = y[product >> 32]
        y[product >> 32] = i
    return y


def draw_cases(function: str, reference: Any, scale: Any, ranges: Any, tolerance: float) -> list[Case]:
    shapes = [(), (0,), (1,), (3,), (5, 7), (2, 0, 3), (513,), (1027,), (3, 20001)]
    settings = [(KEY, STEP, shape, *ranges[0]) for shape in shapes]
    settings += [(0, 0, (100,), *r) for r in ranges] + [(2**64 - 1, 2**64 - 1, (100,), *ranges[0])]
    return [
        Case(
            name=f"{function}: shape {setting[2]} parameters {setting[3:]} key {setting[0]:x}",
            functions=(function,),
            inputs=lambda rng, setting=setting, dtype=dtype: [*setting, dtype],
            call=lambda device, *arguments: getattr(device, function)(*arguments),
            reference=reference,
            tolerance=tolerance,
            scale=scale,
            dtypes=(dtype,),
        )
        for dtype in ("float32", "float64")
        for setting in settings
    ]


def probabilities(n: int) -> Any:
    def inputs(rng: np.random.Generator) -> list[Any]:
        p = rng.random(n)
        p[rng.random(n) < 0.2] = 0.0
        p[rng.random(n) < 0.2] = 1.0
        return [KEY, STEP, p]

    return inputs


def with_specials(n: int, p: float) -> Any:
    def inputs(rng: np.random.Generator) -> list[Any]:
        x = rng.standard_normal(n)
        x[: n // 2 : 7] = np.resize([np.nan, np.inf, -np.inf, -0.0, 1e-310], len(x[: n // 2 : 7]))
        return [KEY, STEP, x, p]

    return inputs


def dropout_reference(dtype: str) -> Any:
    def reference(key: int, step: int, x: np.ndarray, p: float) -> np.ndarray:
        real = np.dtype(dtype).type
        threshold = float(real(p))
        keep = (unit_samples(key, step, x.size, dtype) >= threshold).reshape(x.shape)
        return x * np.where(keep, float(real(1 / (1 - threshold))), 0.0)

    return reference


SIZES = (0, 1, 2, 7, 511, 512, 1030, 50001)


CASES = [
    *draw_cases(
        "uniform",
        uniform_reference,
        lambda *a: np.ones(a[2]) * (abs(a[3]) + abs(a[4])),
        [(0.0, 1.0), (-3.0, 5.0), (0.1, 0.1), (-1e30, 2e30), (1.0, 1.0000001)],
        1.0,
    ),
    *draw_cases("normal", normal_reference, normal_scale, [(0.0, 1.0), (-3.0, 0.5), (2.0, 0.0), (0.0, 1e30)], 4.0),
    *(
        Case(
            name=f"bernoulli: {n} probabilities",
            functions=("bernoulli",),
            inputs=probabilities(n),
            call=lambda device, key, step, p: device.bernoulli(key, step, p),
            reference=lambda key, step, p, dtype=dtype: (unit_samples(key, step, p.size, dtype) < p).astype(float),
            tolerance=0.0,
            dtypes=(dtype,),
        )
        for dtype in ("float32", "float64")
        for n in SIZES
    ),
    *(
        Case(
            name=f"dropout: {n} elements, p = {p}",
            functions=("dropout",),
            inputs=with_specials(n, p),
            call=lambda device, key, step, x, p: device.dropout(key, step, x, p),
            reference=dropout_reference(dtype),
            tolerance=0.5,
            dtypes=(dtype,),
        )
        for dtype in ("float32", "float64")
        for n, p in [*((n, 0.3) for n in SIZES), (100, 0.0), (1000, 0.999)]
    ),
    *(
        Case(
            name=f"permutation of {n}",
            functions=("permutation",),
            inputs=lambda rng, n=n: [KEY, STEP, n],
            call=lambda device, key, step, n: device.permutation(key, step, n),
            reference=permutation_reference,
            tolerance=0.0,
            dtypes=("float32",),
        )
        for n in (0, 1, 2, 3, 10, 511, 512, 513, 2000)
    ),
    *(
        Case(
            name=f"random_words: {blocks} blocks from {first}",
            functions=("random_words",),
            inputs=lambda rng, first=first, blocks=blocks: [KEY, STEP, first, blocks],
            call=lambda device, *arguments: device.random_words(*arguments),
            reference=lambda *arguments: philox_words(*arguments).view(np.int32),
            tolerance=0.0,
            dtypes=("float32",),
        )
        for first, blocks in [(0, 0), (0, 1), (5, 3), (2**32 - 3, 50), (2**63, 129), (7, 20000)]
    ),
]
