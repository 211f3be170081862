"""Images under affine maps and displacement fields."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import Case

Shape = tuple[int, int, int, int]


def sources(maps: np.ndarray, field: np.ndarray | None, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column that each pixel comes from, (n, height, width) each."""
    i, j = np.mgrid[:height, :width].astype(float)
    place = np.einsum("nab,bhw->nahw", maps, np.stack([i, j, np.ones_like(i)]))
    if field is not None:
        place = place + field
    return place[:, 0], place[:, 1]


def neighbours(rows: np.ndarray, columns: np.ndarray, height: int, width: int) -> Any:
    """The four (row, column, weight, within) of each pixel's source."""
    top, left = np.floor(rows), np.floor(columns)
    for r in (0, 1):
        for c in (0, 1):
            weight = (rows - top if r else 1 - (rows - top)) * (columns - left if c else 1 - (columns - left))
            row, column = top + r, left + c
            within = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            clipped = [np.clip(np.nan_to_num(v), 0, n - 1).astype(int) for v, n in ((row, height), (column, width))]
            yield *clipped, weight, within


def warp(x: np.ndarray, maps: np.ndarray, field: np.ndarray | None = None, fill: float = 0.0) -> np.ndarray:
    n, channels, height, width = x.shape
    y = np.zeros(x.shape)
    if y.size == 0:
        return y
    rows, columns = sources(maps, field, height, width)
    image = np.arange(n)[:, None, None]
    touched = (rows > -1) & (rows < height) & (columns > -1) & (columns < width)
    for row, column, weight, within in neighbours(rows, columns, height, width):
        for c in range(channels):
            value = np.where(within, x[image, c, row, column], fill)
            y[:, c] += np.where(weight == 0, 0.0, weight * value)
    for c in range(channels):
        y[:, c] = np.where(touched, y[:, c], fill)
        y[:, c][np.isnan(rows) | np.isnan(columns)] = np.nan
    return y


def adjoint(dy: np.ndarray, maps: np.ndarray, field: np.ndarray | None = None) -> np.ndarray:
    n, channels, height, width = dy.shape
    dx = np.zeros(dy.shape)
    if dx.size == 0:
        return dx
    rows, columns = sources(maps, field, height, width)
    image = np.broadcast_to(np.arange(n)[:, None, None], rows.shape)
    for row, column, weight, within in neighbours(rows, columns, height, width):
        for c in range(channels):
            part = np.where(within & (weight != 0), weight * dy[:, c], 0.0)
            np.add.at(dx, (image, c, row, column), part)
    return dx


def reach(maps: np.ndarray, field: np.ndarray | None, height: int, width: int) -> float:
    """What rounding of a coordinate is relative to: the sizes of the terms that it is the sum of."""
    size = np.abs(maps) @ np.array([height, width, 1.0])
    moved = 0.0 if field is None else np.nanmax(np.where(np.isfinite(field), np.abs(field), 0), initial=0)
    return 1.0 + float(size.max(initial=0)) + moved


def warp_scale(x: np.ndarray, maps: np.ndarray, field: np.ndarray | None = None, fill: float = 0.0) -> Any:
    largest = np.abs(np.where(np.isfinite(x), x, 0)).max(initial=abs(fill))
    return np.full(x.shape, reach(maps, field, *x.shape[2:]) * largest)


def adjoint_scale(dy: np.ndarray, maps: np.ndarray, field: np.ndarray | None = None) -> Any:
    """Every element of a plane may be a term: its weight is off by the rounding of its coordinates."""
    whole = np.abs(np.where(np.isfinite(dy), dy, 0)).sum((2, 3), keepdims=True)
    return np.broadcast_to(reach(maps, field, *dy.shape[2:]) * whole, dy.shape)


def turned(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Rotations, scales and shears about the middle, with shifts: some leave the image."""
    n, _, height, width = shape
    angle, scale = rng.uniform(-1, 1, n), rng.uniform(0.6, 1.6, n)
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], 1).reshape(n, 2, 2)
    linear = scale[:, None, None] * turn + rng.uniform(-0.1, 0.1, (n, 2, 2))
    middle = np.array([(height - 1) / 2, (width - 1) / 2])
    shift = middle - linear @ middle + rng.uniform(-2, 2, (n, 2))
    return np.concatenate([linear, shift[:, :, None]], 2)


def whole_steps(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    maps = np.tile(np.eye(2, 3), (shape[0], 1, 1))
    maps[:, :, 2] = rng.integers(-3, 4, (shape[0], 2))
    return maps


def warp_case(name: str, shape: Shape, make_maps: Any = turned, fill: float | None = None, **options: Any) -> Case:
    """field: the displacements' size; special: NaN and infinities in the pixels; odd: in the field; exact: no error."""

    def inputs(rng: np.random.Generator) -> list[Any]:
        x = rng.standard_normal(shape)
        if options.get("special"):
            x.reshape(-1)[::7] = np.resize([np.nan, np.inf, -np.inf], x.reshape(-1)[::7].size)
        arguments = [x, make_maps(rng, shape)]
        if "field" in options:
            field = rng.normal(0, options["field"], (shape[0], 2, *shape[2:]))
            if options.get("odd"):
                field.reshape(-1)[::5] = np.resize([np.nan, np.inf, -np.inf, 1e30, -1e30], field.reshape(-1)[::5].size)
            arguments.append(field)
        return arguments if fill is None else [*arguments, *([None] if "field" not in options else []), fill]

    return Case(
        name=f"warp2d: {name}",
        functions=("warp2d",),
        inputs=inputs,
        call=lambda device, *arguments: device.warp2d(*arguments),
        reference=warp,
        tolerance=0.0 if options.get("exact") else 8.0,
        scale=warp_scale,
    )


def adjoint_case(name: str, shape: Shape, make_maps: Any = turned, field: float | None = None, **options: Any) -> Case:
    def inputs(rng: np.random.Generator) -> list[Any]:
        arguments = [rng.standard_normal(shape), make_maps(rng, shape)]
        return arguments if field is None else [*arguments, rng.normal(0, field, (shape[0], 2, *shape[2:]))]

    return Case(
        name=f"warp2d_grad: {name}",
        functions=("warp2d_grad",),
        inputs=inputs,
        call=lambda device, *arguments: device.warp2d_grad(*arguments),
        reference=adjoint,
        tolerance=0.0 if options.get("exact") else 8.0,
        scale=adjoint_scale,
    )


CASES = [
    warp_case("turned", (5, 1, 28, 28)),
    warp_case("above the grain", (9, 3, 30, 31), fill=-0.5),
    warp_case("a field", (3, 2, 9, 12), field=1.5),
    warp_case("a field and a fill", (3, 1, 12, 9), field=4.0, fill=2.0),
    warp_case("a field that is not finite", (2, 2, 6, 5), whole_steps, field=0.0, odd=True, exact=True),
    warp_case("whole steps", (6, 2, 7, 8), whole_steps, exact=True),
    warp_case("whole steps of what is not finite", (6, 2, 7, 8), whole_steps, special=True, exact=True),
    warp_case("a fill that is NaN", (4, 1, 7, 8), whole_steps, fill=np.nan, exact=True),
    warp_case("one pixel", (8, 3, 1, 1), field=0.4),
    warp_case("one row", (4, 1, 1, 17), field=0.4),
    warp_case("no images", (0, 2, 5, 5), field=1.0),
    warp_case("no channels", (2, 0, 5, 5)),
    warp_case("no rows", (2, 3, 0, 5), whole_steps),
    warp_case("no columns", (2, 3, 5, 0), whole_steps),
    adjoint_case("turned", (5, 1, 28, 28)),
    adjoint_case("above the grain", (9, 3, 30, 31), field=2.0),
    adjoint_case("whole steps", (6, 2, 7, 8), whole_steps, exact=True),
    adjoint_case("one pixel", (8, 3, 1, 1), field=0.4),
    adjoint_case("no images", (0, 2, 5, 5), field=1.0),
    adjoint_case("no channels", (2, 0, 5, 5)),
    adjoint_case("no columns", (2, 3, 5, 0), whole_steps),
]
