"""Convolution with a bias and an activation, and on infinities, NaN and tiny numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import Case

from cases.conv import Geometry, integers

ODD = Geometry("", (3, 4, 9, 11), 7, (3, 3), padding=(1, 1))


def lecun_tanh(x: np.ndarray) -> np.ndarray:
    return 1.7159 * np.tanh(2 * x / 3)


ACTIVATIONS = {
    "identity": lambda x: x,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.1 * x),
    "elu": lambda x: np.where(x > 0, x, 0.1 * np.expm1(x)),
    "softplus": lambda x: np.logaddexp(x, 0),
    "lecun_tanh": lecun_tanh,
}


def biased(g: Geometry, x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return g.forward(x, weight) + bias[:, None, None]


def activation_case(kind: str, f: Any, g: Geometry) -> Case:
    return Case(
        name=f"conv2d: bias and {kind}, {g.name}",
        functions=("conv2d",),
        inputs=lambda rng: [
            rng.standard_normal(g.x),
            rng.standard_normal(g.weight),
            rng.standard_normal(g.out_channels),
        ],
        call=lambda device, x, weight, bias: device.conv2d(x, weight, bias, *g.options, kind, 0.1),
        reference=lambda x, weight, bias: f(biased(g, x, weight, bias)),
        scale=lambda x, weight, bias: 1 + biased(g, np.abs(x), np.abs(weight), np.abs(bias)),
        tolerance=16.0,
    )


def special(rng: np.random.Generator, shape: tuple[int, ...], values: tuple[float, ...]) -> np.ndarray:
    x = rng.integers(1, 4, shape).astype(float)
    for value in values:
        x.reshape(-1)[rng.integers(0, x.size, 2)] = value
    return x


def special_cases(values: tuple[float, ...], name: str) -> list[Case]:
    """Without padding every product takes part: NaN and infinity reach exactly the results they should."""
    geometries = [
        Geometry(name, (2, 3, 14, 13), 5, (3, 4)),
        Geometry(f"{name}, stride", (2, 3, 14, 13), 5, (3, 4), stride=(2, 2)),
        Geometry(f"{name}, one channel", (2, 1, 14, 21), 5, (3, 4)),
        Geometry(f"{name}, batch", (35, 3, 5, 4), 5, (3, 3)),
        Geometry(f"{name}, one by one", (3, 35, 5, 9), 8, (1, 1)),
    ]
    return [
        case
        for h in geometries
        for label in [h.name]
        for case in [
            Case(
                name=f"conv2d: {label}",
                functions=("conv2d",),
                inputs=lambda rng, h=h: [special(rng, h.x, values), integers(rng, h.weight) + 4],
                call=lambda device, x, weight, h=h: device.conv2d(x, weight, None, *h.options),
                reference=h.forward,
                tolerance=0.0,
            ),
            Case(
                name=f"conv2d_weight_grad: {label}",
                functions=("conv2d_weight_grad",),
                inputs=lambda rng, h=h: [special(rng, h.x, values), integers(rng, h.y) + 4],
                call=lambda device, x, dy, h=h: device.conv2d_weight_grad(x, dy, h.kernel, *h.options),
                reference=h.weight_grad,
                tolerance=0.0,
            ),
        ]
    ]


CASES = [
    *[
        activation_case(kind, f, g)
        for kind, f in ACTIVATIONS.items()
        for g in (
            ODD,
            Geometry("stride and groups", (2, 4, 9, 9), 6, (3, 3), stride=(2, 2), groups=2),
            Geometry("long rows", (2, 6, 9, 31), 8, (3, 3), padding=(1, 1), groups=2),
            Geometry("kernel of the image", (5, 3, 4, 3), 20, (4, 3)),
            Geometry("one by one, groups", (2, 6, 5, 9), 14, (1, 1), groups=2),
        )
    ],
    activation_case("relu", ACTIVATIONS["relu"], Geometry("no channels", (2, 0, 8, 8), 4, (3, 3))),
    *special_cases((np.nan,), "NaN"),
    *special_cases((np.inf,), "infinity"),
    Case(
        name="conv2d: tiny numbers stay",
        functions=("conv2d",),
        inputs=lambda rng: [np.full((1, 1, 6, 9), 1e-39), np.full((1, 1, 2, 2), 2.0)],
        call=lambda device, x, weight: device.conv2d(x, weight, None, (1, 1), (0, 0), (1, 1), 1),
        reference=lambda x, weight: np.full((1, 1, 5, 8), 8 * x[0, 0, 0, 0]),
        tolerance=0.0,
    ),
    Case(
        name="conv2d_weight_grad: out",
        functions=("conv2d_weight_grad",),
        inputs=lambda rng: [integers(rng, ODD.x), integers(rng, ODD.y), np.full(ODD.weight, np.nan)],
        call=lambda device, x, dy, out: device.conv2d_weight_grad(x, dy, ODD.kernel, *ODD.options, out),
        reference=lambda x, dy, out: ODD.weight_grad(x, dy),
        tolerance=0.0,
    ),
    Case(
        name="conv2d_weight_grad: no images, out",
        functions=("conv2d_weight_grad",),
        inputs=lambda rng: [np.zeros((0, 2, 5, 5)), np.zeros((0, 3, 3, 3)), np.full((3, 2, 3, 3), np.nan)],
        call=lambda device, x, dy, out: device.conv2d_weight_grad(x, dy, (3, 3), (1, 1), (0, 0), (1, 1), 1, out),
        reference=lambda x, dy, out: np.zeros((3, 2, 3, 3)),
        tolerance=0.0,
    ),
]
