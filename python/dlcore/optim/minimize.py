"""minimize: numerical optimization of a function of n variables, with derivatives by the tape or as given."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from .conjugate import ConjugateGradient
from .descent import GradientDescent
from .evaluations import Array, Exhausted, Point, Stalled, noise
from .functions import Call, Given
from .least_squares import GaussNewton, LevenbergMarquardt
from .method import Method
from .newton import Newton, NewtonCG
from .quasi_newton import BFGS, LBFGS
from .result import MESSAGES, STALLED, SUCCESSES, OptimizeResult, Trace
from .trust_region import TrustExact, TrustNCG

METHODS: dict[str, type[Method]] = {
    "gradient-descent": GradientDescent,
    "cg": ConjugateGradient,
    "bfgs": BFGS,
    "l-bfgs": LBFGS,
    "newton": Newton,
    "newton-cg": NewtonCG,
    "trust-exact": TrustExact,
    "trust-ncg": TrustNCG,
    "gauss-newton": GaussNewton,
    "lm": LevenbergMarquardt,
}


@dataclass
class Stopping:
    """When a descent ends: options of every method.

    Parameters
    ----------
    gtol : largest component of ∇f in size
    ftol : relative decrease of f in one iteration, and its slope along it; an f that rises never ends one, nor does 0
    xtol : ‖Δx‖ relative to ‖x‖; 0 never ends one
    maxiter, maxfun : largest number of iterations, of evaluations of f
    """

    gtol: float = 1e-5
    ftol: float = 0.0
    xtol: float = 0.0
    maxiter: int | None = None
    maxfun: int | None = None

    def __post_init__(self) -> None:
        for name in ("gtol", "ftol", "xtol"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float, np.floating)) or not 0 <= value < math.inf:
                raise ValueError(f"minimize: {name} is {value!r}, expected a finite number >= 0")
        for name in ("maxiter", "maxfun"):
            value = getattr(self, name)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < (name == "maxfun")
            ):
                lowest = "a positive integer" if name == "maxfun" else "an integer >= 0"
                raise ValueError(f"minimize: {name} is {value!r}, expected {lowest}")


def find_method(name: Any) -> type[Method]:
    """The method of that name, in capitals or not.

    Raises
    ------
    ValueError
    """
    if not isinstance(name, str) or name.lower() not in METHODS:
        raise ValueError(f"minimize: method is {name!r}, expected one of {', '.join(METHODS)}")
    return METHODS[name.lower()]


def split_options(
    name: str, options: Mapping[str, Any] | None, tol: float | None
) -> tuple[type[Method], Stopping, dict[str, Any]]:
    """The method, the stopping rules and the method's own options."""
    kind = find_method(name)
    known = [p for p in inspect.signature(kind).parameters if p != "evaluations"]
    rules = [f.name for f in fields(Stopping)]
    given = dict(options or {})
    for option in given:
        if option not in known and option not in rules:
            names = ", ".join(known + rules)
            raise ValueError(f"minimize: {option!r} is not an option of {name.lower()}, which has {names}")
    stop = {option: given.pop(option) for option in rules if option in given}
    if tol is not None:
        stop.setdefault("gtol", tol)
    return kind, Stopping(**stop), given


def minimize(
    f: Call | None,
    x0: Any,
    args: tuple[Any, ...] = (),
    method: str = "l-bfgs",
    jac: Call | bool | None = None,
    hess: Call | None = None,
    hessp: Call | None = None,
    residual: Call | None = None,
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> OptimizeResult:
    """A local minimum of f near x0: a point with max |∂f/∂x_i| ≤ gtol.

    Parameters
    ----------
    f : function of a Tensor (and `args`) returning a Tensor of one element, which dlcore differentiates as often as the
        method asks; or with `jac` a function of NumPy arrays returning a number
    x0 : array-like of any shape, finite. x comes in x0's shape, in float64; in float32 where x0 is a float32 array or
        Tensor, for the functions, the callback and in the result. A number is an x0 of shape (1,).
    args : further arguments of all functions
    method : "gradient-descent", "cg", "bfgs", "l-bfgs", "newton", "newton-cg", "trust-exact", "trust-ncg",
        "gauss-newton" or "lm" (Levenberg–Marquardt). L-BFGS needs the least memory of the fast ones; docs/minimize.md
        says when to use which
    jac : None (automatic), True (f returns the pair of value and gradient), or ``jac(x, *args)``; with `residual` the
        Jacobian (m, n), which may be any matrix with ``@`` and ``.T`` where only products are needed
    hess : ``hess(x, *args)`` of NumPy arrays, (n, n) or x0's shape twice; automatic for functions of Tensors
    hessp : ``hessp(x, v, *args)`` of NumPy arrays, H v; automatic for functions of Tensors
    residual : instead of f: r with f = ½ Σ r_i²; every method takes it, "gauss-newton" and "lm" need it
    tol : gtol
    callback : called after each iteration as ``callback(intermediate_result=OptimizeResult)`` where its parameter has
        this name, else as ``callback(x)``; raising StopIteration ends the descent
    options : ``gtol`` (default 1e-5), ``ftol``, ``xtol``, ``maxiter``, ``maxfun`` (see `Stopping`) and the method's
        own, listed where its class is described (``line_search``, ``c1``, ``c2``, ``memory``, ``formula``, …)

    Returns
    -------
    OptimizeResult

    Raises
    ------
    TypeError, ValueError
        For arguments that do not fit, an unknown method or option, a value or derivative of the wrong shape, an x0 that
        is not finite, or an f that is not finite there.

    References
    ----------
    Nocedal, Wright (2006), Numerical Optimization; each method's own in its class.
    """
    kind, stopping, own = split_options(method, options, tol)
    given = Given(f, residual, x0, args, jac, hess, hessp)
    if kind.needs_residual and residual is None:
        raise ValueError(
            f"minimize: method {method!r} needs the residual vector r of f = ½ Σ r²: give residual instead of f"
        )
    evaluations = given.evaluations()
    result = descend(kind(evaluations, **own), given.x0, stopping, observer(callback, given.shape, given.dtype))
    result["x"] = result["x"].astype(given.dtype).reshape(given.shape)
    result["jac"] = result["jac"].reshape(given.shape)
    return result


Observer = Callable[[Point, int], None]


def observer(
    callback: Callable[..., Any] | None, shape: tuple[int, ...], dtype: np.dtype[Any] | type = np.float64
) -> Observer | None:
    """The callback as a function of a point and the number of iterations, in either of SciPy's two forms."""
    if callback is None:
        return None
    if not callable(callback):
        raise TypeError(f"minimize: callback is a {type(callback).__name__}, expected a function")
    try:
        named = "intermediate_result" in inspect.signature(callback).parameters
    except ValueError:  # a builtin without a signature
        named = False

    def observe(point: Point, nit: int) -> None:
        x = point.x.astype(dtype).reshape(shape)
        if named:
            callback(intermediate_result=OptimizeResult(x=x, fun=point.f, nit=nit))
        else:
            callback(x)

    return observe


def descend(
    method: Method,
    x0: Array,
    stopping: Stopping,
    observe: Observer | None = None,
    accept: Callable[[Point], None] | None = None,
) -> OptimizeResult:
    """Iterate until a rule of `stopping` holds; `accept` is told every point that is taken, before `observe`."""
    counts = method.evaluations
    counts.limit = math.inf if stopping.maxfun is None else stopping.maxfun
    maxiter = stopping.maxiter if stopping.maxiter is not None else min(max(200 * x0.size, 1000), 15000)
    point = method.start(x0)
    if not point.finite:
        what = f"f(x0) is {point.f}" if not math.isfinite(point.f) else "the gradient at x0 is not finite"
        raise ValueError(f"minimize: {what}, expected finite numbers")
    trace, nit, step = Trace(), 0, 0.0
    message: str | None = None
    previous: Point | None = None
    while True:
        largest = float(np.abs(point.g).max())
        trace.append(point.f, largest, step, counts.nfev)
        if accept is not None:
            accept(point)
        status = _status(stopping, previous, point, largest, step, noise(counts, point.f))
        if observe is not None and nit:
            try:
                observe(point, nit)
            except StopIteration:
                status = 99 if status is None else status
        if status is None and nit >= maxiter:
            status = 1
        if status is not None:
            break
        try:
            after = method.step(point)
        except Stalled as reason:
            status, message = STALLED, str(reason)
            break
        except Exhausted:
            status = 3
            break
        previous, point = point, after
        step = float(np.linalg.norm(point.x - previous.x))
        nit += 1
    return OptimizeResult(
        x=point.x.copy(),
        fun=point.f,
        jac=point.g.copy(),
        nit=nit,
        nfev=counts.nfev,
        njev=counts.njev,
        nhev=counts.nhev,
        status=status,
        success=status in SUCCESSES,
        message=message or MESSAGES[status],
        trace=trace.arrays(),
    )


def _status(
    stopping: Stopping, previous: Point | None, point: Point, largest: float, step: float, rounding: float
) -> int | None:
    if largest <= stopping.gtol:
        return 0
    if previous is not None:
        if stopping.ftol > 0 and _is_flat(stopping.ftol, previous, point, rounding):
            return 4
        if stopping.xtol > 0 and step <= stopping.xtol * float(np.linalg.norm(point.x)):
            return 5
    return None


def _is_flat(ftol: float, previous: Point, point: Point, rounding: float) -> bool:
    """Whether f fell by no more than ftol, and its slope along the step says so too.

    A step with a fixed lr may climb, or land as high on the other side of a valley: f stays, but the slope does not.
    """
    allowed = ftol * max(abs(previous.f), abs(point.f))
    if not -rounding <= previous.f - point.f <= allowed:
        return False
    return abs(float(point.g @ (point.x - previous.x))) <= max(allowed, rounding)
