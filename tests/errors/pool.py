"""What the pool functions refuse, and in which words."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import ErrorCase


def error(name: str, function: str, call: Any, message: str, kind: type[Exception] = ValueError) -> ErrorCase:
    return ErrorCase(f"{function}: {name}", (function,), call, kind, f"^{function}: {message}$")


def images(a: Any, *shape: int, dtype: str = "float32") -> Any:
    return a(np.zeros(shape), dtype)


def forward_errors(function: str) -> list[ErrorCase]:
    def call(k: Any, s: Any, p: Any, shape: tuple[int, ...] = (1, 2, 5, 6), dtype: str = "float32") -> Any:
        return lambda d, a: getattr(d, function)(images(a, *shape, dtype=dtype), k, s, p)

    return [
        error(
            "kernel of zero", function, call((0, 2), (1, 1), (0, 0)), r"kernel_size is \(0, 2\), expected at least 1"
        ),
        error("one number", function, call(2, (1, 1), (0, 0)), "kernel_size is 2, expected a tuple of two integers"),
        error("stride of zero", function, call((2, 2), (1, 0), (0, 0)), r"stride is \(1, 0\), expected at least 1"),
        error(
            "negative padding", function, call((2, 2), (1, 1), (0, -1)), r"padding is \(0, -1\), expected at least 0"
        ),
        error(
            "padding above half the kernel",
            function,
            call((3, 3), (1, 1), (1, 2)),
            r"padding is \(1, 2\), expected at most half of kernel_size \(3, 3\)",
        ),
        error(
            "kernel above 31 bits",
            function,
            call((2**70, 1), (1, 1), (0, 0)),
            rf"kernel_size is \({2**70}, 1\), expected at most 2147483647",
        ),
        error(
            "kernel larger than the padded image",
            function,
            call((8, 2), (1, 1), (1, 1)),
            r"kernel_size \(8, 2\) does not fit in images of \(5, 6\) with padding \(1, 1\)",
        ),
        error(
            "empty images",
            function,
            call((2, 2), (1, 1), (1, 1), shape=(1, 2, 0, 6)),
            r"kernel_size \(2, 2\) does not fit in images of \(0, 6\) with padding \(1, 1\)",
        ),
        error(
            "three dimensions",
            function,
            call((2, 2), (1, 1), (0, 0), shape=(2, 5, 6)),
            r"x has shape \(2, 5, 6\), expected 4 dimensions",
        ),
        error(
            "int32",
            function,
            call((2, 2), (1, 1), (0, 0), dtype="int32"),
            "x has dtype int32, expected float32 or float64",
            TypeError,
        ),
    ]


def place(a: Any, *values: int) -> Any:
    return a(np.reshape(values, (1, 1, 1, len(values))), "int32")


ERRORS = [
    *forward_errors("max_pool2d"),
    *forward_errors("avg_pool2d"),
    error(
        "plane too large for an index",
        "max_pool2d",
        lambda d, a: d.max_pool2d(d.empty((0, 1, 65536, 32768), "float32"), (2, 2), (2, 2), (0, 0)),
        r"planes of \(65536, 32768\) have more elements than an int32 index can number",
    ),
    error(
        "shapes",
        "max_pool2d_grad",
        lambda d, a: d.max_pool2d_grad(images(a, 1, 1, 2, 2), place(a, 0), (4, 4)),
        r"shapes differ: dy is \(1, 1, 2, 2\), indices is \(1, 1, 1, 1\)",
    ),
    error(
        "three dimensions",
        "max_pool2d_grad",
        lambda d, a: d.max_pool2d_grad(images(a, 1, 2, 2), place(a, 0), (4, 4)),
        r"dy has shape \(1, 2, 2\), expected 4 dimensions",
    ),
    error(
        "index",
        "max_pool2d_grad",
        lambda d, a: d.max_pool2d_grad(images(a, 1, 1, 1, 2), place(a, 15, 16), (4, 4)),
        r"indices\[1\] of the flat array is 16, expected 0 <= index < 16",
    ),
    error(
        "float indices",
        "max_pool2d_grad",
        lambda d, a: d.max_pool2d_grad(images(a, 1, 1, 1, 1), images(a, 1, 1, 1, 1), (4, 4)),
        "indices has dtype float32, expected int32",
        TypeError,
    ),
    error(
        "int32",
        "max_pool2d_grad",
        lambda d, a: d.max_pool2d_grad(place(a, 0), place(a, 0), (4, 4)),
        "dy has dtype int32, expected float32 or float64",
        TypeError,
    ),
    error(
        "negative size",
        "max_pool2d_grad",
        lambda d, a: d.max_pool2d_grad(images(a, 1, 1, 1, 1), place(a, 0), (-4, 4)),
        r"input_size is \(-4, 4\), expected at least 0",
    ),
    error(
        "plane too large for an index",
        "max_pool2d_grad",
        lambda d, a: d.max_pool2d_grad(images(a, 0, 1, 1, 1), a(np.zeros((0, 1, 1, 1)), "int32"), (65536, 32768)),
        r"planes of \(65536, 32768\) have more elements than an int32 index can number",
    ),
    error(
        "planes",
        "max_pool2d_gather",
        lambda d, a: d.max_pool2d_gather(images(a, 1, 2, 3, 3), place(a, 0)),
        r"planes differ: x is \(1, 2, 3, 3\), indices is \(1, 1, 1, 1\)",
    ),
    error(
        "index",
        "max_pool2d_gather",
        lambda d, a: d.max_pool2d_gather(images(a, 1, 1, 3, 3), place(a, 8, -1)),
        r"indices\[1\] of the flat array is -1, expected 0 <= index < 9",
    ),
    error(
        "dimensions of x",
        "max_pool2d_gather",
        lambda d, a: d.max_pool2d_gather(images(a, 3, 3), place(a, 0)),
        r"x has shape \(3, 3\), expected 4 dimensions",
    ),
    error(
        "dimensions of indices",
        "max_pool2d_gather",
        lambda d, a: d.max_pool2d_gather(images(a, 1, 1, 3, 3), a([0], "int32")),
        r"indices has shape \(1,\), expected 4 dimensions",
    ),
    error(
        "float indices",
        "max_pool2d_gather",
        lambda d, a: d.max_pool2d_gather(images(a, 1, 1, 1, 1), images(a, 1, 1, 1, 1)),
        "indices has dtype float32, expected int32",
        TypeError,
    ),
    error(
        "int32",
        "max_pool2d_gather",
        lambda d, a: d.max_pool2d_gather(place(a, 0), place(a, 0)),
        "x has dtype int32, expected float32 or float64",
        TypeError,
    ),
    error(
        "shape of dy",
        "avg_pool2d_grad",
        lambda d, a: d.avg_pool2d_grad(images(a, 1, 1, 3, 2), (2, 2), (2, 2), (0, 0), (5, 5)),
        r"dy has shape \(1, 1, 3, 2\), expected \(1, 1, 2, 2\)",
    ),
    error(
        "three dimensions",
        "avg_pool2d_grad",
        lambda d, a: d.avg_pool2d_grad(images(a, 1, 3, 2), (2, 2), (2, 2), (0, 0), (5, 5)),
        r"dy has shape \(1, 3, 2\), expected 4 dimensions",
    ),
    error(
        "kernel",
        "avg_pool2d_grad",
        lambda d, a: d.avg_pool2d_grad(images(a, 1, 1, 3, 2), (6, 2), (2, 2), (0, 0), (5, 5)),
        r"kernel_size \(6, 2\) does not fit in images of \(5, 5\) with padding \(0, 0\)",
    ),
    error(
        "int32",
        "avg_pool2d_grad",
        lambda d, a: d.avg_pool2d_grad(place(a, 0), (1, 1), (1, 1), (0, 0), (1, 1)),
        "dy has dtype int32, expected float32 or float64",
        TypeError,
    ),
]
