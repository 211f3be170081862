"""y = f(x), and their in-place and typed relatives; functions of two arrays are in elementwise_binary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from case import Case

TINY = float(np.finfo(np.float32).tiny)  # least normal float32


FRACTION = 2.0**-149  # least denormal float32


# Where the elementary functions change their ways: signed zeros, denormals, infinities, NaN, overflow and underflow.
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, FRACTION, -FRACTION, TINY, -TINY, TINY / 8, 1.0, -1.0, 3e38, -3e38]


SPECIAL += [0.5, 2.0, 88.72, 88.73, 89.0, -87.3, -87.4, -88.0, -100.0, -103.9, -104.1, -17.5, -25.5, 1e-5, -1e-5, 1e30]


SPECIAL += [0.7071, 0.70711, 1.41421, 1.41422, 0.99999, 1.00001, -0.99999, 16777216.0, 33554432.0, 1.9e19]


SPECIAL64 = [5e-324, -5e-324, 2.2e-308, 1e-310, 709.78, 709.79, 710.5, -708.4, -708.5, -740.0, -745.1, -745.2]


SPECIAL64 += [
    -36.9,
    -37.5,
    999999.5,
    1000000.5,
    1.7e308,
    -1.7e308,
    1e-17,
    -1e-17,
    1 - 2**-53,
    2**-53 - 1,
    2.0**53,
    2.0**54,
    2.0**65,
]


def precise(f: Callable[..., Any]) -> Callable[..., Any]:
    """f in long double: NumPy's own float64 functions are off by some ulp."""

    def reference(*arguments: Any) -> np.ndarray:
        wide = [a.astype(np.longdouble) if isinstance(a, np.ndarray) else a for a in arguments]
        with np.errstate(all="ignore"):
            return np.asarray(f(*wide))

    return reference


def rounded(reference: Callable[..., Any], least: float = TINY) -> Callable[..., Any]:
    """Error scale: the result itself, but not below the least normal number."""
    return lambda *arguments: np.abs(reference(*arguments)) + least


def extreme(name: str, make: Callable[..., Any], dtype: str, **common: Any) -> Case:
    """Results may overflow, or be denormal, in `dtype`."""

    def reference(*arguments: Any) -> np.ndarray:
        y = common["reference"](*arguments)
        with np.errstate(all="ignore"):
            return np.where(np.isinf(y.astype(dtype)), y.astype(dtype), y)

    scale = rounded(reference, float(np.finfo(dtype).tiny))
    more = {"reference": reference, "scale": scale, "dtypes": (dtype,)}
    return Case(name=f"{name} in {dtype}", inputs=make, **{**common, **more})


DTYPES = ("float32", "float64")


def values(*shape: int, low: float = -3.0, high: float = 3.0) -> Callable[..., Any]:
    return lambda rng: [rng.uniform(low, high, shape)]


def exponents(n: int) -> Callable[..., Any]:
    """Magnitudes over all of float32's exponents, both signs."""
    return lambda rng: [rng.choice([-1.0, 1.0], n) * 2.0 ** rng.uniform(-148, 127, n)]


def fixed(*numbers: float) -> Callable[..., Any]:
    return lambda rng: [np.array(numbers)]


UNARY: dict[str, tuple[Callable[..., Any], float, float]] = {  # reference, tolerance in eps, least argument of `values`
    "negative": (np.negative, 0, -3),
    "abs": (np.abs, 0, -3),
    "sign": (np.sign, 0, -3),
    "square": (np.square, 1, -3),
    "sqrt": (np.sqrt, 1, 0),
    "reciprocal": (np.reciprocal, 1, -3),
    "exp": (np.exp, 2, -3),
    "expm1": (np.expm1, 2, -3),
    "log": (np.log, 2, 0),
    "log1p": (np.log1p, 2, -1),
    "sin": (np.sin, 2, -3),
    "cos": (np.cos, 2, -3),
}


def unary_cases(name: str, f: Callable[..., Any], tolerance: float, low: float) -> list[Case]:
    def call(d: Any, x: Any) -> Any:
        return getattr(d, name)(x)

    reference = precise(f)
    common: dict[str, Any] = {
        "functions": (name,),
        "call": call,
        "reference": reference,
        "tolerance": tolerance,
        "scale": rounded(reference),
    }
    return [
        Case(name=f"{name}: empty", inputs=values(0), **common),
        Case(name=f"{name}: no dimensions", inputs=values(low=low), **common),
        Case(name=f"{name}: one element", inputs=values(1, low=low), **common),
        Case(name=f"{name}: ragged tail", inputs=values(7, 29, low=low), **common),
        Case(name=f"{name}: several chunks", inputs=values(70_001, low=low), **common),
        *[extreme(f"{name}: special values", fixed(*SPECIAL), dtype, **common) for dtype in DTYPES],
        *[extreme(f"{name}: all exponents", exponents(20_000), dtype, **common) for dtype in DTYPES],
        extreme(f"{name}: its own special values", fixed(*SPECIAL64), "float64", **common),
        Case(
            name=f"{name}: sign of a zero",
            functions=(name,),
            inputs=fixed(-0.0, 0.0, -np.inf, np.inf),
            call=lambda d, x: d.reciprocal(call(d, x)),
            reference=precise(lambda x: 1 / (f(x) + 0.0 if name == "sign" else f(x))),
        ),
        Case(
            name=f"{name}: the same bits wherever an element stands",
            functions=(name,),
            inputs=values(1003, low=low),
            call=lambda d, x: d.subtract(call(d, x).view(3, (1000,)), call(d, x.view(3, (1000,)))),
            reference=lambda x: np.zeros(1000),
            tolerance=0,
        ),
    ]


def affine(x: Any, scale: float, shift: float) -> Any:
    return scale * x + shift


AFFINE: dict[str, Any] = {
    "functions": ("affine",),
    "call": lambda d, x, scale, shift: d.affine(x, scale, shift),
    "reference": precise(affine),
    "scale": lambda x, scale, shift: np.abs(scale * x) + abs(shift) + TINY,
    "tolerance": 1,
}


def power_cases(name: str, exponent: float, make: Callable[..., Any]) -> list[Case]:
    reference = precise(lambda x: np.power(x, np.longdouble(exponent)))
    common: dict[str, Any] = {
        "functions": ("power_scalar",),
        "call": lambda d, x: d.power_scalar(x, exponent),
        "reference": reference,
        "tolerance": 2,
    }
    return [extreme(f"power_scalar: {name}", make, dtype, **common) for dtype in DTYPES]


POWER_SPECIAL = fixed(0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 2.5, -2.5, 1e-20, 3e38)


def clamp_case(name: str, low: float, high: float, make: Callable[..., Any]) -> Case:
    return Case(
        name=f"clamp: {name}",
        functions=("clamp",),
        inputs=make,
        call=lambda d, x: d.clamp(x, low, high),
        reference=lambda x: np.where(np.isnan(x), np.nan, np.minimum(np.maximum(x, low), high)),
        tolerance=0,
    )


def three(n: int) -> Callable[..., Any]:
    return lambda rng: [rng.integers(-1, 2, n).astype(float), rng.standard_normal(n), rng.standard_normal(n)]


def where_case(name: str, make: Callable[..., Any]) -> Case:
    return Case(
        name=f"where: {name}",
        functions=("where",),
        inputs=make,
        call=lambda d, condition, a, b: d.where(condition, a, b),
        reference=lambda condition, a, b: np.where(condition != 0, a, b),
        tolerance=0,
    )


def axpy_case(name: str, n: int, alpha: float) -> Case:
    return Case(
        name=f"axpy: {name}",
        functions=("axpy",),
        inputs=lambda rng: [rng.standard_normal(n), rng.standard_normal(n)],
        call=lambda d, x, y: d.axpy(alpha, x, y),
        reference=precise(lambda x, y: y + alpha * x),
        scale=lambda x, y: np.abs(y) + np.abs(alpha * x),
        tolerance=1,
    )


def same_object(d: Any, x: Any, y: Any) -> float:
    result = d.axpy(0.5, x, y)
    return float(result is y)


def full_case(shape: tuple[int, ...], value: float, dtype: str) -> Case:
    return Case(
        name=f"full: {shape} of {value} in {dtype}",
        functions=("full",),
        inputs=lambda rng: [],
        call=lambda d: d.full(shape, value, dtype),
        reference=lambda: np.full(shape, value, dtype),
        tolerance=0,
        dtypes=("float32",),
    )


def cast_case(name: str, make: Callable[..., Any], dtype: str, dtypes: tuple[str, ...] = DTYPES) -> Case:
    def reference(x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return x.astype(dtype)

    return Case(
        name=f"cast: {name} to {dtype}",
        functions=("cast",),
        inputs=make,
        call=lambda d, x: d.cast(x, dtype),
        reference=reference,
        tolerance=0,
        dtypes=dtypes,
    )


def integers(*shape: int) -> Callable[..., Any]:
    return lambda rng: [rng.integers(-(2**31), 2**31, shape).astype(np.int32)]


CASES = [
    *[case for name, (f, tolerance, low) in UNARY.items() for case in unary_cases(name, f, tolerance, low)],
    Case(name="affine: empty", inputs=lambda rng: [np.zeros((0, 3)), 2.0, 1.0], **AFFINE),
    Case(name="affine: one element", inputs=lambda rng: [rng.standard_normal(1), -2.5, 1.0], **AFFINE),
    Case(name="affine: several chunks", inputs=lambda rng: [rng.standard_normal((70, 1003)), 0.375, -0.5], **AFFINE),
    Case(name="affine: special values", inputs=lambda rng: [np.array(SPECIAL), 0.5, -0.25], **AFFINE),
    *[
        case
        for e in (0.0, 1.0, 2.0, 3.0, -1.0, 0.5, 2.5, -2.0, 0.25, 5.0)
        for what, make in (("a ragged tail", values(203, low=0.0)), ("special values", POWER_SPECIAL))
        for case in power_cases(f"{e} of {what}", e, make)
    ],
    *power_cases("3 of negative numbers", 3.0, values(31)),
    *power_cases("5 of negative numbers", 5.0, values(31)),
    *power_cases("2.5, several chunks", 2.5, values(40_001, low=0.0)),
    *power_cases("2, several chunks", 2.0, values(70_001)),
    *power_cases("2.5, empty", 2.5, values(0)),
    clamp_case("ragged tail", -1.0, 2.0, values(203)),
    clamp_case("empty", -1.0, 2.0, values(0)),
    clamp_case("several chunks", -1.0, 2.0, values(70_001)),
    clamp_case("special values", -1.0, 2.0, fixed(*SPECIAL)),
    clamp_case("one side", 0.0, np.inf, fixed(*SPECIAL)),
    clamp_case("to one value", 0.5, 0.5, fixed(*SPECIAL)),
    where_case("ragged tail", three(203)),
    where_case("empty", three(0)),
    where_case("several chunks", three(70_001)),
    where_case("NaN is not zero, -0 is", lambda rng: [np.array([np.nan, -0.0]), np.ones(2), np.array([2, np.nan])]),
    axpy_case("empty", 0, 2.0),
    axpy_case("one element", 1, -0.5),
    axpy_case("ragged tail", 203, 0.25),
    axpy_case("several chunks", 70_001, -3.0),
    Case(
        name="axpy: y += alpha y",
        functions=("axpy",),
        inputs=values(203),
        call=lambda d, y: d.axpy(2.0, y, y),
        reference=lambda y: y + 2.0 * y,
        tolerance=1,
    ),
    Case(
        name="axpy: returns y itself",
        functions=("axpy",),
        inputs=lambda rng: [np.ones(3), np.ones(3)],
        call=same_object,
        reference=lambda x, y: 1.0,
        tolerance=0,
    ),
    full_case((), 1.5, "float32"),
    full_case((2, 3), -2.5, "float64"),
    full_case((0, 4), 1.0, "float32"),
    full_case((70_001,), 0.75, "float32"),
    full_case((5,), np.nan, "float64"),
    full_case((3, 1), -(2.0**31), "int32"),
    full_case((70_001,), 2.0**31 - 1, "int32"),
    cast_case("special values", fixed(*SPECIAL), "float32"),
    cast_case("special values", fixed(*SPECIAL), "float64"),
    cast_case("overflow", fixed(1e300, -1e300, 1e-300, 1 + 2**-30), "float32", ("float64",)),
    cast_case("several chunks", values(70_001, high=1e6), "int32"),
    cast_case("empty", values(0, 2), "int32"),
    cast_case("halves and ends", fixed(0.5, -0.5, 1.99, -1.99, -0.0, 2147483520.0, -2147483648.0), "int32"),
    cast_case("fractions at the ends", fixed(2147483647.9, -2147483648.9), "int32", ("float64",)),
    cast_case("int32", integers(7, 29), "float32", ("float32",)),
    cast_case("int32", integers(70_001), "float64", ("float32",)),
    cast_case("int32", integers(5), "int32", ("float32",)),
    Case(
        name="cast: a copy even where the dtype stays",
        functions=("cast",),
        inputs=lambda rng: [np.ones(5)],
        call=lambda d, x: (d.axpy(1.0, x, d.cast(x, x.dtype)), x),
        reference=lambda x: (x + 1, x),
        tolerance=0,
    ),
]
