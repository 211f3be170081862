"""What the conv functions refuse, and in which words."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import ErrorCase


def error(name: str, function: str, call: Any, message: str, kind: type[Exception] = ValueError) -> ErrorCase:
    return ErrorCase(f"{function}: {name}", (function,), call, kind, f"^{function}: {message}$")


ONE, NONE = (1, 1), (0, 0)


def option_errors() -> list[ErrorCase]:
    """What the three functions refuse in the same words; x is (2, 4, 5, 6), the kernel 3 x 3, out_channels 6."""
    calls = {
        "conv2d": lambda d, a, s, p, dil, g, k: d.conv2d(
            a(np.zeros((2, 4, 5, 6))), a(np.zeros((6, 4 // max(g, 1), *k))), None, s, p, dil, g
        ),
        "conv2d_input_grad": lambda d, a, s, p, dil, g, k: d.conv2d_input_grad(
            a(np.zeros((2, 6, 3, 4))), a(np.zeros((6, 4 // max(g, 1), *k))), (5, 6), s, p, dil, g
        ),
        "conv2d_weight_grad": lambda d, a, s, p, dil, g, k: d.conv2d_weight_grad(
            a(np.zeros((2, 4, 5, 6))), a(np.zeros((2, 6, 3, 4))), k, s, p, dil, g
        ),
    }
    k3 = (3, 3)
    refused = [
        ("stride of zero", ((1, 0), NONE, ONE, 1, k3), r"stride is \(1, 0\), expected at least 1"),
        ("stride is one number", (1, NONE, ONE, 1, k3), "stride is 1, expected a tuple of two integers"),
        ("negative padding", (ONE, (-1, 0), ONE, 1, k3), r"padding is \(-1, 0\), expected at least 0"),
        ("dilation of zero", (ONE, NONE, (1, 0), 1, k3), r"dilation is \(1, 0\), expected at least 1"),
        ("no groups", (ONE, NONE, ONE, 0, k3), "groups is 0, expected at least 1"),
        ("groups and out_channels", (ONE, NONE, ONE, 4, k3), "groups is 4, which does not divide out_channels 6"),
        (
            "kernel larger than the padded image",
            (ONE, (1, 0), ONE, 1, (3, 7)),
            r"kernel \(3, 7\) with dilation \(1, 1\) does not fit in images of \(5, 6\) with padding \(1, 0\)",
        ),
        (
            "dilated kernel larger than the image",
            (ONE, NONE, (3, 1), 1, k3),
            r"kernel \(3, 3\) with dilation \(3, 1\) does not fit in images of \(5, 6\) with padding \(0, 0\)",
        ),
        (
            "padding above 31 bits",
            (ONE, (2**31, 0), ONE, 1, k3),
            r"padding is \(2147483648, 0\), expected at most 2147483647",
        ),
    ]
    # Valid, and dy is a pair of positions; but what lies between them could not be numbered, let alone laid out.
    far = (ONE, (2**30 - 1, 2**30 - 1), (2**31 - 1, 2**31 - 1), 1)
    spread = {
        "conv2d": lambda d, a: d.conv2d(a(np.zeros((1, 1, 2, 2))), a(np.zeros((1, 1, 2, 2))), None, *far),
        "conv2d_input_grad": lambda d, a: d.conv2d_input_grad(
            a(np.zeros((1, 1, 1, 1))), a(np.zeros((1, 1, 2, 2))), (2, 2), *far
        ),
        "conv2d_weight_grad": lambda d, a: d.conv2d_weight_grad(
            a(np.zeros((1, 1, 2, 2))), a(np.zeros((1, 1, 1, 1))), (2, 2), *far
        ),
    }
    return [
        error(name, function, lambda d, a, call=call, options=options: call(d, a, *options), message)
        for function, call in calls.items()
        for name, options, message in refused
    ] + [
        error(
            "more padding than can be numbered",
            function,
            call,
            r"images of \(2, 2\) with padding \(1073741823, 1073741823\) have more than 2\*\*42 elements in the "
            "channels of a group",
        )
        for function, call in spread.items()
    ]


ERRORS = [
    *option_errors(),
    error(
        "groups and in_channels",
        "conv2d",
        lambda d, a: d.conv2d(a(np.zeros((1, 4, 5, 5))), a(np.zeros((3, 1, 3, 3))), None, ONE, NONE, ONE, 3),
        "groups is 3, which does not divide in_channels 4",
    ),
    error(
        "channels",
        "conv2d",
        lambda d, a: d.conv2d(a(np.zeros((1, 4, 5, 5))), a(np.zeros((2, 4, 3, 3))), None, ONE, NONE, ONE, 2),
        r"channels differ: x is \(1, 4, 5, 5\), weight is \(2, 4, 3, 3\), groups is 2",
    ),
    error(
        "bias",
        "conv2d",
        lambda d, a: d.conv2d(a(np.zeros((1, 4, 5, 5))), a(np.zeros((2, 4, 3, 3))), a(np.zeros(3)), ONE, NONE, ONE, 1),
        r"bias has shape \(3,\), expected \(2,\)",
    ),
    error(
        "bias of another dtype",
        "conv2d",
        lambda d, a: d.conv2d(
            a(np.zeros((1, 4, 5, 5))), a(np.zeros((2, 4, 3, 3))), a(np.zeros(2), "float64"), ONE, NONE, ONE, 1
        ),
        "dtypes differ: x is float32, bias is float64",
        TypeError,
    ),
    error(
        "weight of another dtype",
        "conv2d",
        lambda d, a: d.conv2d(a(np.zeros((1, 4, 5, 5))), a(np.zeros((2, 4, 3, 3)), "float64"), None, ONE, NONE, ONE, 1),
        "dtypes differ: x is float32, weight is float64",
        TypeError,
    ),
    error(
        "int32",
        "conv2d",
        lambda d, a: d.conv2d(
            a(np.zeros((1, 1, 5, 5)), "int32"), a(np.zeros((1, 1, 3, 3)), "int32"), None, ONE, NONE, ONE, 1
        ),
        "x has dtype int32, expected float32 or float64",
        TypeError,
    ),
    error(
        "x of three dimensions",
        "conv2d",
        lambda d, a: d.conv2d(a(np.zeros((4, 5, 5))), a(np.zeros((2, 4, 3, 3))), None, ONE, NONE, ONE, 1),
        r"x has shape \(4, 5, 5\), expected 4 dimensions",
    ),
    error(
        "weight of three dimensions",
        "conv2d",
        lambda d, a: d.conv2d(a(np.zeros((1, 4, 5, 5))), a(np.zeros((4, 3, 3))), None, ONE, NONE, ONE, 1),
        r"weight has shape \(4, 3, 3\), expected 4 dimensions",
    ),
    error(
        "empty kernel",
        "conv2d",
        lambda d, a: d.conv2d(a(np.zeros((1, 4, 5, 5))), a(np.zeros((2, 4, 0, 3))), None, ONE, NONE, ONE, 1),
        r"the kernel is \(0, 3\), expected at least \(1, 1\)",
    ),
    error(
        "empty images",
        "conv2d",
        lambda d, a: d.conv2d(a(np.zeros((1, 4, 0, 5))), a(np.zeros((2, 4, 1, 3))), None, ONE, NONE, ONE, 1),
        r"kernel \(1, 3\) with dilation \(1, 1\) does not fit in images of \(0, 5\) with padding \(0, 0\)",
    ),
    error(
        "unknown activation",
        "conv2d",
        lambda d, a: d.conv2d(
            a(np.zeros((1, 4, 5, 5))), a(np.zeros((2, 4, 3, 3))), None, ONE, NONE, ONE, 1, "swish", 0.0
        ),
        "activation is 'swish', expected .*",
    ),
    error(
        "output above 63 bits",
        "conv2d",
        lambda d, a: d.conv2d(
            d.empty((2**20, 1, 1, 1), "float32"), d.empty((2**20, 1, 1, 1), "float32"), None, ONE, (800, 800), ONE, 1
        ),
        r"an array of shape \(1048576, 1048576, 1601, 1601\) has more than 2\*\*63 bytes",
    ),
    error(
        "height above 63 bits",
        "conv2d",
        lambda d, a: d.conv2d(
            d.empty((0, 1, 2**63 - 1, 1), "float32"), a(np.zeros((1, 1, 1, 1))), None, ONE, (1, 0), ONE, 1
        ),
        "size 9223372036854775807 with padding 1 has more than 63 bits",
    ),
    error(
        "shape of dy",
        "conv2d_input_grad",
        lambda d, a: d.conv2d_input_grad(
            a(np.zeros((2, 6, 4, 4))), a(np.zeros((6, 4, 3, 3))), (5, 6), ONE, NONE, ONE, 1
        ),
        r"dy has shape \(2, 6, 4, 4\), expected \(2, 6, 3, 4\)",
    ),
    error(
        "channels of dy",
        "conv2d_input_grad",
        lambda d, a: d.conv2d_input_grad(
            a(np.zeros((2, 5, 3, 4))), a(np.zeros((6, 4, 3, 3))), (5, 6), ONE, NONE, ONE, 1
        ),
        r"dy has shape \(2, 5, 3, 4\), expected \(2, 6, 3, 4\)",
    ),
    error(
        "three dimensions",
        "conv2d_input_grad",
        lambda d, a: d.conv2d_input_grad(a(np.zeros((6, 3, 4))), a(np.zeros((6, 4, 3, 3))), (5, 6), ONE, NONE, ONE, 1),
        r"dy has shape \(6, 3, 4\), expected 4 dimensions",
    ),
    error(
        "weight of three dimensions",
        "conv2d_input_grad",
        lambda d, a: d.conv2d_input_grad(a(np.zeros((2, 6, 3, 4))), a(np.zeros((4, 3, 3))), (5, 6), ONE, NONE, ONE, 1),
        r"weight has shape \(4, 3, 3\), expected 4 dimensions",
    ),
    error(
        "dtypes",
        "conv2d_input_grad",
        lambda d, a: d.conv2d_input_grad(
            a(np.zeros((2, 6, 3, 4))), a(np.zeros((6, 4, 3, 3)), "float64"), (5, 6), ONE, NONE, ONE, 1
        ),
        "dtypes differ: dy is float32, weight is float64",
        TypeError,
    ),
    error(
        "int32",
        "conv2d_input_grad",
        lambda d, a: d.conv2d_input_grad(
            a(np.zeros((2, 6, 3, 4)), "int32"), a(np.zeros((6, 4, 3, 3)), "int32"), (5, 6), ONE, NONE, ONE, 1
        ),
        "dy has dtype int32, expected float32 or float64",
        TypeError,
    ),
    error(
        "negative size",
        "conv2d_input_grad",
        lambda d, a: d.conv2d_input_grad(
            a(np.zeros((2, 6, 3, 4))), a(np.zeros((6, 4, 3, 3))), (5, -6), ONE, NONE, ONE, 1
        ),
        r"input_size is \(5, -6\), expected at least 0",
    ),
    error(
        "channels above 63 bits",
        "conv2d_input_grad",
        lambda d, a: d.conv2d_input_grad(
            a(np.zeros((2, 0, 3, 4))), a(np.zeros((0, 4, 3, 3))), (5, 6), ONE, NONE, ONE, 2**62
        ),
        r"weight is \(0, 4, 3, 3\), groups is 4611686018427387904: in_channels has more than 63 bits",
    ),
    error(
        "shape of dy",
        "conv2d_weight_grad",
        lambda d, a: d.conv2d_weight_grad(
            a(np.zeros((2, 4, 5, 6))), a(np.zeros((2, 6, 3, 3))), (3, 3), ONE, NONE, ONE, 1
        ),
        r"dy has shape \(2, 6, 3, 3\), expected \(2, 6, 3, 4\)",
    ),
    error(
        "batch",
        "conv2d_weight_grad",
        lambda d, a: d.conv2d_weight_grad(
            a(np.zeros((2, 4, 5, 6))), a(np.zeros((1, 6, 3, 4))), (3, 3), ONE, NONE, ONE, 1
        ),
        r"dy has shape \(1, 6, 3, 4\), expected \(2, 6, 3, 4\)",
    ),
    error(
        "groups and in_channels",
        "conv2d_weight_grad",
        lambda d, a: d.conv2d_weight_grad(
            a(np.zeros((2, 4, 5, 6))), a(np.zeros((2, 6, 3, 4))), (3, 3), ONE, NONE, ONE, 3
        ),
        "groups is 3, which does not divide in_channels 4",
    ),
    error(
        "kernel of zero",
        "conv2d_weight_grad",
        lambda d, a: d.conv2d_weight_grad(
            a(np.zeros((2, 4, 5, 6))), a(np.zeros((2, 6, 3, 4))), (0, 3), ONE, NONE, ONE, 1
        ),
        r"kernel_size is \(0, 3\), expected at least 1",
    ),
    error(
        "x of three dimensions",
        "conv2d_weight_grad",
        lambda d, a: d.conv2d_weight_grad(a(np.zeros((4, 5, 6))), a(np.zeros((2, 6, 3, 4))), (3, 3), ONE, NONE, ONE, 1),
        r"x has shape \(4, 5, 6\), expected 4 dimensions",
    ),
    error(
        "dy of three dimensions",
        "conv2d_weight_grad",
        lambda d, a: d.conv2d_weight_grad(a(np.zeros((2, 4, 5, 6))), a(np.zeros((6, 3, 4))), (3, 3), ONE, NONE, ONE, 1),
        r"dy has shape \(6, 3, 4\), expected 4 dimensions",
    ),
    error(
        "dtypes",
        "conv2d_weight_grad",
        lambda d, a: d.conv2d_weight_grad(
            a(np.zeros((2, 4, 5, 6))), a(np.zeros((2, 6, 3, 4)), "float64"), (3, 3), ONE, NONE, ONE, 1
        ),
        "dtypes differ: x is float32, dy is float64",
        TypeError,
    ),
    error(
        "int32",
        "conv2d_weight_grad",
        lambda d, a: d.conv2d_weight_grad(
            a(np.zeros((2, 4, 5, 6)), "int32"), a(np.zeros((2, 6, 3, 4)), "int32"), (3, 3), ONE, NONE, ONE, 1
        ),
        "x has dtype int32, expected float32 or float64",
        TypeError,
    ),
    error(
        "shape of out",
        "conv2d_weight_grad",
        lambda d, a: d.conv2d_weight_grad(
            a(np.zeros((2, 4, 5, 6))), a(np.zeros((2, 6, 3, 4))), (3, 3), ONE, NONE, ONE, 1, a(np.zeros((6, 4, 3, 2)))
        ),
        r"out has shape \(6, 4, 3, 2\), expected \(6, 4, 3, 3\)",
    ),
    error(
        "dtype of out",
        "conv2d_weight_grad",
        lambda d, a: d.conv2d_weight_grad(
            a(np.zeros((1, 1, 1, 1))),
            a(np.zeros((1, 1, 1, 1))),
            ONE,
            ONE,
            NONE,
            ONE,
            1,
            a(np.zeros((1, 1, 1, 1)), "float64"),
        ),
        "out has dtype float64, expected float32",
        TypeError,
    ),
    *[
        error(
            f"out is {name}",
            "conv2d_weight_grad",
            lambda d, a, place=place: (
                lambda x, dy: d.conv2d_weight_grad(x, dy, ONE, ONE, NONE, ONE, 1, (x, dy)[place])
            )(a(np.zeros((1, 1, 1, 1))), a(np.zeros((1, 1, 1, 1)))),
            f"out shares memory with {name}",
        )
        for place, name in enumerate(("x", "dy"))
    ],
]
