"""Two-dimensional convolution and its two adjoints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from case import Case

Pair = tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    name: str
    x: tuple[int, int, int, int]
    out_channels: int
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def options(self) -> tuple[Pair, Pair, Pair, int]:
        return self.stride, self.padding, self.dilation, self.groups

    @property
    def weight(self) -> tuple[int, int, int, int]:
        return (self.out_channels, self.x[1] // self.groups, *self.kernel)

    @property
    def y(self) -> tuple[int, ...]:
        spans = [self.dilation[i] * (self.kernel[i] - 1) + 1 for i in (0, 1)]
        return (
            self.x[0],
            self.out_channels,
            *((self.x[2 + i] + 2 * self.padding[i] - spans[i]) // self.stride[i] + 1 for i in (0, 1)),
        )

    def windows(self, padded: np.ndarray) -> np.ndarray:
        """View of padded images: (n, groups, channels, out_height, out_width, kernel_height, kernel_width)"""
        n, c, h, w = padded.strides
        shape = (self.x[0], self.groups, self.weight[1], *self.y[2:], *self.kernel)
        return np.lib.stride_tricks.as_strided(
            padded,
            shape,
            (
                n,
                c * self.weight[1],
                c,
                h * self.stride[0],
                w * self.stride[1],
                h * self.dilation[0],
                w * self.dilation[1],
            ),
        )

    def padded(self, x: np.ndarray) -> np.ndarray:
        (top, left) = self.padding
        return np.ascontiguousarray(np.pad(x, ((0, 0), (0, 0), (top, top), (left, left))))

    def grouped(self, channels_first: np.ndarray) -> np.ndarray:
        """Splits axis 0 into (groups, channels)."""
        shape = channels_first.shape
        return channels_first.reshape(self.groups, shape[0] // self.groups, *shape[1:])

    def forward(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        if 0 in self.y or self.x[1] == 0:
            return np.zeros(self.y)
        y = np.einsum("ngchwij,gocij->ngohw", self.windows(self.padded(x)), self.grouped(weight), optimize=True)
        return y.reshape(self.y)

    def input_grad(self, dy: np.ndarray, weight: np.ndarray) -> np.ndarray:
        dx = self.padded(np.zeros(self.x))
        if dx.size and dy.size:
            dy = dy.reshape(self.x[0], self.groups, -1, *self.y[2:])
            windows, weight = self.windows(dx), self.grouped(weight)
            for i in range(self.kernel[0]):  # windows of one kernel element do not overlap
                for j in range(self.kernel[1]):
                    windows[..., i, j] += np.einsum("ngohw,goc->ngchw", dy, weight[..., i, j], optimize=True)
        top, left = self.padding
        return dx[:, :, top : top + self.x[2], left : left + self.x[3]]

    def weight_grad(self, x: np.ndarray, dy: np.ndarray) -> np.ndarray:
        if 0 in self.weight or 0 in self.y:
            return np.zeros(self.weight)
        dy = dy.reshape(self.x[0], self.groups, -1, *self.y[2:])
        return np.einsum("ngchwij,ngohw->gocij", self.windows(self.padded(x)), dy, optimize=True).reshape(self.weight)


def bound(terms: int) -> float:
    """The promised error of a sum of products in units of eps sum |a||b|."""
    return 16 if terms <= 64 else 2 * terms**0.5


def integers(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(-3, 4, shape).astype(float)


def cases_of(g: Geometry) -> list[Case]:
    terms = g.weight[1] * g.kernel[0] * g.kernel[1]
    cases = []
    for exact in (False, True):  # integers must come out exact
        make = integers if exact else lambda rng, shape: rng.standard_normal(shape)
        suffix = ", integers" if exact else ""
        cases += [
            Case(
                name=f"conv2d: {g.name}{suffix}",
                functions=("conv2d",),
                inputs=lambda rng, make=make: [make(rng, g.x), make(rng, g.weight)],
                call=lambda device, x, weight: device.conv2d(x, weight, None, *g.options),
                reference=g.forward,
                scale=lambda x, weight: g.forward(np.abs(x), np.abs(weight)),
                tolerance=0.0 if exact else bound(terms),
            ),
            Case(
                name=f"conv2d_input_grad: {g.name}{suffix}",
                functions=("conv2d_input_grad",),
                inputs=lambda rng, make=make: [make(rng, g.y), make(rng, g.weight)],
                call=lambda device, dy, weight: device.conv2d_input_grad(dy, weight, g.x[2:], *g.options),
                reference=g.input_grad,
                scale=lambda dy, weight: g.input_grad(np.abs(dy), np.abs(weight)),
                tolerance=0.0 if exact else bound(terms // max(g.weight[1], 1) * g.weight[0] // g.groups),
            ),
            Case(
                name=f"conv2d_weight_grad: {g.name}{suffix}",
                functions=("conv2d_weight_grad",),
                inputs=lambda rng, make=make: [make(rng, g.x), make(rng, g.y)],
                call=lambda device, x, dy: device.conv2d_weight_grad(x, dy, g.kernel, *g.options),
                reference=g.weight_grad,
                scale=lambda x, dy: g.weight_grad(np.abs(x), np.abs(dy)),
                tolerance=0.0 if exact else bound(g.y[0] * g.y[2] * g.y[3]),
            ),
        ]
    return cases


GEOMETRIES = [
    Geometry("LeNet, first", (9, 1, 28, 28), 6, (5, 5), padding=(2, 2)),
    Geometry("LeNet, second", (9, 6, 14, 14), 16, (5, 5)),
    Geometry("LeNet, third", (9, 16, 5, 5), 120, (5, 5)),
    Geometry("twenty filters", (3, 1, 28, 28), 20, (5, 5)),
    Geometry("fifty filters", (3, 20, 12, 12), 50, (5, 5)),
    Geometry("digits", (17, 1, 8, 8), 8, (3, 3), padding=(1, 1)),
    Geometry("digits, second", (17, 8, 4, 4), 16, (3, 3), padding=(1, 1)),
    Geometry("two by two", (5, 4, 2, 2), 7, (3, 3), padding=(1, 1)),
    Geometry("wide", (2, 32, 32, 32), 64, (3, 3), padding=(1, 1)),
    Geometry("wide, a vector not full", (2, 31, 19, 21), 31, (3, 3), padding=(1, 1)),
    Geometry("wide, stride", (2, 32, 15, 13), 47, (3, 3), stride=(2, 2), padding=(1, 1)),
    Geometry("wide, groups", (2, 64, 12, 19), 64, (3, 3), padding=(1, 1), groups=2),
    Geometry("deep", (2, 70, 9, 9), 13, (3, 3)),
    Geometry("deep, padded", (2, 130, 7, 11), 5, (3, 3), padding=(1, 1)),
    Geometry("deep, long rows", (2, 70, 9, 31), 13, (3, 3), padding=(1, 1)),
    Geometry("few taps", (5, 2, 23, 41), 7, (3, 3), stride=(2, 2), padding=(3, 1), dilation=(3, 2)),
    Geometry("few taps, groups", (6, 3, 12, 37), 6, (3, 3), padding=(1, 0), groups=3),
    Geometry("kernel of the image, dilated", (4, 3, 7, 9), 5, (3, 3), dilation=(3, 4)),
    Geometry("strips of rows", (2, 3, 130, 95), 5, (3, 5), padding=(1, 2)),
    Geometry("strips of rows in place", (1, 8, 121, 70), 9, (3, 3)),
    Geometry("long rows", (1, 2, 3, 3001), 3, (2, 7)),
    Geometry("one by one", (3, 19, 6, 7), 11, (1, 1)),
    Geometry("one by one, large", (2, 64, 32, 32), 32, (1, 1)),
    Geometry("one by one, less than a vector left over", (2, 70, 9, 5), 13, (1, 1)),
    Geometry("one by one, one image", (1, 21, 5, 25), 70, (1, 1)),
    Geometry("one by one, deep", (2, 803, 5, 8), 5, (1, 1)),
    Geometry("one by one, many filters", (2, 5, 8, 5), 801, (1, 1)),
    Geometry("one by one, groups", (3, 72, 7, 6), 36, (1, 1), groups=2),
    Geometry("one by one, a group each", (3, 6, 7, 9), 6, (1, 1), groups=6),
    Geometry("one by one, one dimension", (3, 40, 1, 67), 9, (1, 1)),
    Geometry("one by one, one channel", (5, 1, 8, 9), 1, (1, 1)),
    Geometry("one by one, stride", (3, 19, 7, 9), 11, (1, 1), stride=(2, 2)),
    Geometry("one dimension", (5, 3, 1, 50), 7, (1, 4), stride=(1, 2), padding=(0, 1)),
    Geometry("one dimension, dilated", (5, 3, 1, 50), 7, (1, 4), padding=(0, 3), dilation=(1, 2)),
    Geometry("stride two", (3, 5, 17, 19), 7, (3, 3), stride=(2, 2), padding=(1, 1)),
    Geometry("stride three", (3, 5, 17, 19), 7, (4, 5), stride=(3, 3)),
    Geometry("stride beyond the kernel", (3, 5, 17, 19), 7, (2, 2), stride=(3, 4)),
    Geometry("unequal strides", (2, 3, 12, 29), 4, (5, 2), stride=(1, 3), padding=(3, 1)),
    Geometry("patches", (4, 3, 16, 24), 20, (4, 8), stride=(4, 8)),
    Geometry("dilation", (2, 4, 15, 17), 6, (3, 3), padding=(2, 2), dilation=(2, 2)),
    Geometry("dilation and stride", (2, 4, 21, 23), 6, (3, 4), stride=(2, 3), padding=(4, 1), dilation=(3, 2)),
    Geometry("dilation a multiple of the stride", (2, 4, 21, 23), 6, (3, 3), stride=(2, 2), dilation=(4, 2)),
    Geometry("padding beyond the kernel", (2, 3, 4, 5), 4, (2, 2), padding=(3, 4)),
    Geometry("kernel of the padded image", (3, 2, 3, 4), 5, (7, 6), padding=(2, 1)),
    Geometry("groups", (3, 6, 11, 13), 9, (3, 3), padding=(1, 1), groups=3),
    Geometry("groups and stride", (3, 8, 11, 13), 4, (3, 3), stride=(2, 2), groups=2),
    Geometry("depthwise", (2, 16, 14, 14), 16, (3, 3), padding=(1, 1), groups=16),
    Geometry("depthwise, two each", (2, 5, 9, 9), 10, (3, 3), groups=5),
    Geometry("one image", (1, 3, 32, 32), 16, (3, 3), padding=(1, 1)),
    Geometry("one pixel", (4, 3, 1, 1), 2, (1, 1)),
    Geometry("one of everything", (1, 1, 1, 1), 1, (1, 1)),
    Geometry("more than forty-eight filters", (3, 2, 9, 9), 101, (3, 3)),
    # vectors over images: a whole group of them, or more
    Geometry("batch, padded", (37, 5, 7, 6), 9, (3, 3), padding=(1, 1)),
    Geometry("batch, one position", (33, 16, 5, 5), 20, (5, 5)),
    Geometry("batch, two by two", (64, 4, 2, 2), 7, (3, 3), padding=(1, 1)),
    Geometry("batch, stride", (40, 3, 9, 7), 5, (3, 3), stride=(2, 2), padding=(1, 0)),
    Geometry("batch, stride beyond the kernel", (40, 3, 9, 7), 5, (2, 1), stride=(3, 2)),
    Geometry("batch, dilation", (40, 3, 9, 8), 5, (3, 2), padding=(2, 3), dilation=(2, 3)),
    Geometry("batch, dilation and stride", (40, 3, 9, 11), 5, (3, 3), (2, 2), (4, 4), (3, 2)),
    Geometry("batch, groups", (40, 6, 5, 5), 9, (3, 3), padding=(1, 1), groups=3),
    Geometry("batch, one dimension", (48, 7, 1, 9), 6, (1, 5), padding=(0, 2)),
    Geometry("batch, strips of rows", (35, 90, 11, 9), 30, (5, 5)),
    Geometry("batch, deep", (32, 300, 4, 4), 3, (3, 3), padding=(1, 1)),
    Geometry("batch, padding beyond the kernel", (40, 3, 3, 2), 4, (2, 2), padding=(3, 4)),
    Geometry("no images", (0, 3, 8, 8), 4, (3, 3)),
    Geometry("no filters", (2, 3, 8, 8), 0, (3, 3)),
    Geometry("no channels", (2, 0, 8, 8), 4, (3, 3)),
]

CASES = [case for g in GEOMETRIES for case in cases_of(g)]
