"""Pooling of images, and its adjoints."""

from __future__ import annotations

import numpy as np
from case import Case

Pair = tuple[int, int]


def windows(x: np.ndarray, k: Pair, s: Pair, p: Pair, fill: float) -> np.ndarray:
    """(n, c, out_height, out_width, kernel_height, kernel_width)"""
    padded = np.pad(x, ((0, 0), (0, 0), (p[0], p[0]), (p[1], p[1])), constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(padded, k, (2, 3))[:, :, :: s[0], :: s[1]]


def max_pool2d(x: np.ndarray, k: Pair, s: Pair, p: Pair) -> tuple[np.ndarray, np.ndarray]:
    """The first maximum, or the first NaN, among the elements of x; padding is not among them."""
    height, width = x.shape[2:]
    places = np.broadcast_to(np.arange(height * width).reshape(height, width), x.shape)
    values, index = windows(x, k, s, p, -np.inf), windows(places, k, s, p, -1)
    key = np.where(index >= 0, values, -np.inf).reshape(*values.shape[:4], -1)
    index = np.ascontiguousarray(index).reshape(key.shape)
    best = np.argmax(key, -1)[..., None]
    # where all are -inf, argmax may stand on the padding: the first element of x instead
    best = np.where(np.take_along_axis(index, best, -1) < 0, np.argmax(index >= 0, -1)[..., None], best)
    taken = np.take_along_axis(index, best, -1)[..., 0]
    return np.take_along_axis(key, best, -1)[..., 0], taken.astype(np.int32)


def scatter(dy: np.ndarray, indices: np.ndarray, size: Pair) -> np.ndarray:
    dx = np.zeros((*dy.shape[:2], size[0] * size[1]))
    if dy.size == 0:
        return dx.reshape(*dy.shape[:2], *size)
    n, c = np.indices(dy.shape[:2])
    np.add.at(dx, (n[..., None], c[..., None], indices.reshape(*dy.shape[:2], -1)), dy.reshape(*dy.shape[:2], -1))
    return dx.reshape(*dy.shape[:2], *size)


def inside(dy: np.ndarray, indices: np.ndarray, size: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Without the terms whose indices lie outside the plane."""
    good = (indices >= 0) & (indices < size[0] * size[1])
    return np.where(good, dy, 0.0), np.where(good, indices, 0)


def avg_pool2d(x: np.ndarray, k: Pair, s: Pair, p: Pair) -> np.ndarray:
    return windows(x, k, s, p, 0.0).sum((-2, -1)) / (k[0] * k[1])


def avg_pool2d_grad(dy: np.ndarray, k: Pair, s: Pair, p: Pair, size: Pair) -> np.ndarray:
    dx = np.zeros((*dy.shape[:2], size[0] + 2 * p[0], size[1] + 2 * p[1]))
    for i in range(dy.shape[2]):
        for j in range(dy.shape[3]):
            dx[:, :, i * s[0] : i * s[0] + k[0], j * s[1] : j * s[1] + k[1]] += dy[:, :, i : i + 1, j : j + 1]
    return dx[:, :, p[0] : p[0] + size[0], p[1] : p[1] + size[1]] / (k[0] * k[1])


def out_shape(shape: tuple[int, ...], k: Pair, s: Pair, p: Pair) -> tuple[int, ...]:
    return (*shape[:2], *((shape[2 + i] + 2 * p[i] - k[i]) // s[i] + 1 for i in (0, 1)))


def special(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Ties everywhere; infinities and NaN here and there."""
    x = rng.integers(-3, 4, shape).astype(float)
    for value in (np.nan, -np.inf, np.inf):
        x[rng.random(shape) < 1 / 30] = value
    return x


# name, shape, kernel, stride, padding
GEOMETRIES: list[tuple[str, tuple[int, ...], Pair, Pair, Pair]] = [
    ("LeNet", (4, 6, 28, 28), (2, 2), (2, 2), (0, 0)),
    ("LeNet, second", (4, 16, 10, 10), (2, 2), (2, 2), (0, 0)),
    ("eights", (3, 2, 8, 8), (2, 2), (2, 2), (0, 0)),
    ("two outputs a row", (3, 2, 4, 4), (2, 2), (2, 2), (0, 0)),
    ("one output", (2, 3, 2, 2), (2, 2), (2, 2), (0, 0)),
    ("whole vectors", (2, 2, 32, 32), (2, 2), (2, 2), (0, 0)),
    ("odd size cuts the rest", (2, 3, 9, 11), (2, 2), (2, 2), (0, 0)),
    ("three outputs a row", (3, 5, 6, 6), (2, 2), (2, 2), (0, 0)),
    ("seven outputs a row, odd", (3, 4, 5, 15), (2, 2), (2, 2), (0, 0)),
    ("seven outputs a plane", (3, 4, 3, 14), (2, 2), (2, 2), (0, 0)),
    ("narrow planes above the grain", (40, 8, 18, 12), (2, 2), (2, 2), (0, 0)),
    ("overlapping", (2, 3, 13, 27), (3, 3), (2, 2), (1, 1)),
    ("stride one", (2, 3, 9, 21), (3, 3), (1, 1), (1, 1)),
    ("stride one, two by two", (2, 3, 9, 21), (2, 2), (1, 1), (0, 0)),
    ("stride three", (2, 3, 13, 29), (3, 3), (3, 3), (0, 0)),
    ("gaps", (2, 3, 13, 29), (2, 1), (3, 4), (0, 0)),
    ("one dimension", (5, 3, 1, 40), (1, 3), (1, 2), (0, 1)),
    ("unequal", (2, 2, 11, 17), (4, 2), (3, 1), (2, 0)),
    ("half the kernel padded", (2, 2, 7, 9), (4, 4), (2, 2), (2, 2)),
    ("padding beyond the image", (2, 2, 1, 2), (6, 6), (1, 1), (3, 3)),
    ("kernel of one", (2, 3, 5, 18), (1, 1), (1, 1), (0, 0)),
    ("global", (3, 5, 7, 7), (7, 7), (1, 1), (0, 0)),
    ("planes above the grain", (5, 1, 200, 190), (2, 2), (2, 2), (0, 0)),
    ("no images", (0, 3, 8, 8), (2, 2), (2, 2), (0, 0)),
    ("no channels", (2, 0, 8, 8), (3, 3), (1, 1), (1, 1)),
]


def max_cases(name: str, shape: tuple[int, ...], k: Pair, s: Pair, p: Pair) -> list[Case]:
    def reference(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if x.size == 0:
            return np.zeros(out_shape(shape, k, s, p)), np.zeros(out_shape(shape, k, s, p), np.int32)
        return max_pool2d(x, k, s, p)

    def adjoint_inputs(rng: np.random.Generator) -> list[np.ndarray]:
        indices = reference(rng.standard_normal(shape))[1]
        return [rng.standard_normal(indices.shape), indices]

    return [
        *[
            Case(
                name=f"max_pool2d: {name}{suffix}",
                functions=("max_pool2d",),
                inputs=lambda rng, make=make: [make(rng, shape)],
                call=lambda device, x: device.max_pool2d(x, k, s, p),
                reference=reference,
                tolerance=0.0,
            )
            for suffix, make in [("", lambda rng, n: rng.standard_normal(n)), (", ties and NaN", special)]
        ],
        Case(
            name=f"max_pool2d_grad: {name}",
            functions=("max_pool2d_grad",),
            inputs=adjoint_inputs,
            call=lambda device, dy, indices: device.max_pool2d_grad(dy, indices, shape[2:]),
            reference=lambda dy, indices: scatter(dy, indices, shape[2:]),
            scale=lambda dy, indices: scatter(np.abs(dy), indices, shape[2:]),
            tolerance=float(k[0] * k[1]),
        ),
        Case(
            name=f"max_pool2d_gather: {name}",
            functions=("max_pool2d_gather",),
            inputs=lambda rng: [rng.standard_normal(shape), adjoint_inputs(rng)[1]],
            call=lambda device, x, indices: device.max_pool2d_gather(x, indices),
            reference=lambda x, indices: (
                np.take_along_axis(
                    x.reshape(*shape[:2], -1), indices.reshape(*shape[:2], -1).astype(np.int64), 2
                ).reshape(indices.shape)
                if x.size
                else np.zeros(indices.shape)
            ),
            tolerance=0.0,
        ),
    ]


def avg_cases(name: str, shape: tuple[int, ...], k: Pair, s: Pair, p: Pair) -> list[Case]:
    output = out_shape(shape, k, s, p)

    def reference(x: np.ndarray) -> np.ndarray:
        return avg_pool2d(x, k, s, p) if x.size else np.zeros(output)

    def adjoint(dy: np.ndarray) -> np.ndarray:
        return avg_pool2d_grad(dy, k, s, p, shape[2:])

    return [
        Case(
            name=f"avg_pool2d: {name}",
            functions=("avg_pool2d",),
            inputs=lambda rng: [rng.standard_normal(shape)],
            call=lambda device, x: device.avg_pool2d(x, k, s, p),
            reference=reference,
            scale=lambda x: reference(np.abs(x)),
        ),
        Case(
            name=f"avg_pool2d_grad: {name}",
            functions=("avg_pool2d_grad",),
            inputs=lambda rng: [rng.standard_normal(output)],
            call=lambda device, dy: device.avg_pool2d_grad(dy, k, s, p, shape[2:]),
            reference=adjoint,
            scale=lambda dy: adjoint(np.abs(dy)),
        ),
    ]


CASES = [
    *[case for geometry in GEOMETRIES for case in max_cases(*geometry)],
    *[case for geometry in GEOMETRIES for case in avg_cases(*geometry)],
    Case(
        name="max_pool2d: windows of 2**31 - 1",
        functions=("max_pool2d",),
        inputs=lambda rng: [rng.standard_normal((2, 3, 3, 4))],
        call=lambda device, x: device.max_pool2d(x, (2**31 - 1, 2), (1, 2), (2**30 - 1, 0)),
        # three windows up and down, each over all rows
        reference=lambda x: tuple(np.repeat(y, 3, axis=2) for y in max_pool2d(x, (3, 2), (1, 2), (0, 0))),
        tolerance=0.0,
    ),
    *[
        Case(
            name=f"avg_pool2d: windows of {k} by {k} of {height} by {width}",
            functions=("avg_pool2d",),
            inputs=lambda rng, shape=(2, 3, height, width): [rng.standard_normal(shape)],
            call=lambda device, x, k=k: device.avg_pool2d(x, (k, k), (1, 1), (k // 2, k // 2)),
            reference=lambda x, k=k: np.broadcast_to(
                x.sum((2, 3), keepdims=True) / k**2, (2, 3, x.shape[2] + 1 - k % 2, x.shape[3] + 1 - k % 2)
            ),
            scale=lambda x, k=k: np.abs(x).sum((2, 3), keepdims=True) / k**2,
        )
        for height, width, k in [(2, 2, 2**31 - 1), (1, 1, 30001), (3, 5, 30000)]
    ],
    Case(
        name="avg_pool2d_grad: windows of 2**31 - 1 by 3",
        functions=("avg_pool2d_grad",),
        inputs=lambda rng: [rng.standard_normal((2, 3, 3, 9))],
        call=lambda device, dy: device.avg_pool2d_grad(dy, (2**31 - 1, 3), (1, 1), (2**30 - 1, 1), (3, 9)),
        # three windows up and down, each over all three rows
        reference=lambda dy: (
            np.repeat(avg_pool2d_grad(dy.sum(2, keepdims=True), (1, 3), (1, 1), (0, 1), (1, 9)), 3, axis=2)
            / (2**31 - 1)
        ),
        scale=lambda dy: np.abs(dy).sum() / (2**31 - 1),
    ),
    *[
        Case(
            name=f"{function}: no images of 2**40 elements",
            functions=(function,),
            inputs=lambda rng: [],
            call=lambda device, function=function, size=size: getattr(device, function)(
                device.empty((0, 1, 2**20, 2**20), "float32"), (3, 3), (1, 1), (1, 1), *size
            ),
            reference=lambda: np.zeros((0, 1, 2**20, 2**20)),
            dtypes=("float32",),
        )
        for function, size in [("avg_pool2d", ()), ("avg_pool2d_grad", ((2**20, 2**20),))]
    ],
    Case(
        name="max_pool2d: -inf everywhere",
        functions=("max_pool2d",),
        inputs=lambda rng: [np.full((1, 1, 5, 19), -np.inf)],
        call=lambda device, x: device.max_pool2d(x, (3, 3), (1, 1), (1, 1)),
        reference=lambda x: max_pool2d(x, (3, 3), (1, 1), (1, 1)),
        tolerance=0.0,
    ),
    Case(
        name="avg_pool2d: infinities and NaN",
        functions=("avg_pool2d",),
        inputs=lambda rng: [special(rng, (2, 3, 9, 21))],
        call=lambda device, x: device.avg_pool2d(x, (2, 3), (1, 2), (1, 1)),
        reference=lambda x: avg_pool2d(x, (2, 3), (1, 2), (1, 1)),
        scale=lambda x: 10.0,
    ),
    Case(
        name="max_pool2d_grad: one place taken many times",
        functions=("max_pool2d_grad",),
        inputs=lambda rng: [rng.integers(-9, 10, (2, 2, 6, 7)).astype(float), np.full((2, 2, 6, 7), 3, np.int32)],
        call=lambda device, dy, indices: device.max_pool2d_grad(dy, indices, (2, 3)),
        reference=lambda dy, indices: scatter(dy, indices, (2, 3)),
        tolerance=0.0,
    ),
    *[
        Case(
            name=f"max_pool2d_grad: own indices, {name}",
            functions=("max_pool2d_grad",),
            inputs=lambda rng, size=size: [
                rng.standard_normal((2, 3, 4, 9)),
                rng.integers(-5, size[0] * size[1] + 5, (2, 3, 4, 9)).astype(np.int32),
            ],
            call=lambda device, dy, indices, size=size: device.max_pool2d_grad(dy, indices, size, own=True),
            reference=lambda dy, indices, size=size: scatter(*inside(dy, indices, size), size),
            scale=lambda dy, indices, size=size: scatter(*inside(np.abs(dy), indices, size), size),
            tolerance=8.0,
        )
        for name, size in [("halved planes", (9, 19)), ("other planes", (5, 20))]
    ],
    *[
        Case(
            name=f"max_pool2d_grad: halved planes of {width} columns, indices anywhere",
            functions=("max_pool2d_grad",),
            inputs=lambda rng, width=width: [
                rng.standard_normal((2, 3, 4, width // 2)),
                rng.integers(0, 9 * width, (2, 3, 4, width // 2)).astype(np.int32),
            ],
            call=lambda device, dy, indices, width=width: device.max_pool2d_grad(dy, indices, (9, width)),
            reference=lambda dy, indices, width=width: scatter(dy, indices, (9, width)),
            scale=lambda dy, indices, width=width: scatter(np.abs(dy), indices, (9, width)),
            tolerance=8.0,
        )
        for width in (19, 11)
    ],
]
