"""Derivatives by central differences, to check those of the tape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import ops
from ..autodiff import Differentiable, grad, is_recording, require_differentiable, require_float
from ..ops.creation import is_number
from ..tape import Function
from ..tensor import Tensor, float64, tensor
from .matrices import jacobian
from .products import vjp

Values = np.ndarray[Any, Any]


class GradcheckError(RuntimeError):
    """A derivative differs from central differences, or a function from itself."""


@dataclass(frozen=True)
class _Variable:
    """One argument, or one tensor of a model's parameters."""

    label: str
    position: int  # of the argument; -1 for a parameter
    value: Values
    home: Tensor | None = None  # of a parameter


@dataclass(frozen=True)
class _Problem:
    who: str
    f: Function
    args: tuple[Any, ...]
    variables: list[_Variable]
    parameters: Differentiable | None

    def at(self, moved: dict[int, Values]) -> Values:
        """f where the variables with these numbers have other values."""
        args = list(self.args)
        changed = [(self.variables[i], x) for i, x in moved.items()]
        try:
            for variable, x in changed:
                if variable.home is None:
                    args[variable.position] = _like(args[variable.position], x)
                else:
                    variable.home.array.assign(_like(variable.home, x).array)
            y = require_float(self.f(*args), self.who)
        finally:
            for variable, _ in changed:
                if variable.home is not None:
                    variable.home.array.assign(_like(variable.home, variable.value).array)
        if y.dtype != float64:
            raise TypeError(f"{self.who}: the function returned dtype {y.dtype}, expected float64")
        return y.numpy()

    def by_variable(self, derivative: Callable[[int | Differentiable], Tensor], rows: int) -> list[Values]:
        """A derivative by each variable, (rows, size of the variable), from one by an argument or by all of θ."""
        found: list[Values] = []
        for variable in self.variables:
            if variable.home is None:
                found.append(derivative(variable.position).numpy().reshape(rows, variable.value.size))
        if self.parameters is not None:
            flat, start = derivative(self.parameters).numpy().reshape(rows, -1), 0
            for variable in self.variables:
                if variable.home is not None:
                    found.append(flat[:, start : start + variable.value.size])
                    start += variable.value.size
        return found


def _like(given: Any, x: Values) -> Tensor:
    """x as a tensor, where `given` is."""
    return tensor(x, device=given.device if isinstance(given, Tensor) else None)


def _float64(x: Any, label: str, who: str) -> Values:
    dtype = x.dtype if isinstance(x, (Tensor, np.ndarray)) else None
    if dtype is not None and dtype != float64:
        raise TypeError(
            f"{who}: {label} has dtype {dtype}, expected float64: differences in {dtype} have no digits left"
        )
    return x.numpy() if isinstance(x, Tensor) else np.array(x, np.float64)


def _variables(who: str, args: Sequence[Any], wrt: Any) -> tuple[list[_Variable], Differentiable | None]:
    """The arguments to check, those of floating-point type where `wrt` is None; or a model's parameters."""
    if not (wrt is None or isinstance(wrt, (int, tuple))):
        require_differentiable(wrt, who)
        names = list(wrt) if hasattr(wrt, "keys") else [str(i) for i in range(len(wrt.tensors))]
        labels = [f"parameter {name!r}" for name in names]
        tensors = zip(labels, wrt.tensors, strict=True)
        return [_Variable(label, -1, _float64(x, label, who), x) for label, x in tensors], wrt
    if wrt is None:
        floats = (isinstance(x, (Tensor, np.ndarray)) and np.dtype(x.dtype).kind == "f" for x in args)
        wrt = tuple(i for i, is_float in enumerate(floats) if is_float)
        if not wrt:
            raise ValueError(f"{who}: none of the {len(args)} arguments is an array of floating-point numbers")
    positions = (wrt,) if isinstance(wrt, int) else wrt
    for position in positions:
        if not -len(args) <= position < len(args):
            raise ValueError(f"{who}: argument {position} is to be differentiated, {len(args)} are given")
    places = [position % len(args) for position in positions]
    return [_Variable(f"argument {i}", i, _float64(args[i], f"argument {i}", who)) for i in places], None


def _positive(who: str, **options: Any) -> None:
    for name, value in options.items():
        if not is_number(value) or not 0 < value < np.inf:
            raise ValueError(f"{who}: {name} is {value!r}, expected a finite number > 0")


def _index(i: int, shape: tuple[int, ...]) -> str:
    return str([int(k) for k in np.unravel_index(i, shape)]) if shape else ""


def _compare(found: Values, expected: Values, rtol: float, atol: float, name: Callable[[tuple[int, int]], str]) -> str:
    """What is wrong with the worst element, or nothing."""
    error = np.abs(found - expected)
    allowed = atol + rtol * np.abs(expected)
    excess = np.where(np.isfinite(error), error / allowed, np.inf)
    if not excess.size or excess.max() <= 1:
        return ""
    row, column = (int(k) for k in np.unravel_index(int(np.argmax(excess)), excess.shape))
    worst = row, column
    return (
        f"{name(worst)} is {found[worst]:.10g} by autodiff, {expected[worst]:.10g} by central differences: "
        f"error {error[worst]:.3g}, allowed {allowed[worst]:.3g}; {int((excess > 1).sum())} of {excess.size} differ"
    )


def _every_element(problem: _Problem, shape: tuple[int, ...], eps: float, rtol: float, atol: float) -> str:
    rows = int(np.prod(shape, dtype=np.int64))
    exact = problem.by_variable(lambda wrt: jacobian(problem.f, wrt, "reverse")(*problem.args), rows)
    for number, variable in enumerate(problem.variables):
        columns = np.empty((rows, variable.value.size))
        for j in range(variable.value.size):
            ahead, behind = variable.value.copy(), variable.value.copy()
            step = eps * max(1.0, abs(float(variable.value.reshape(-1)[j])))
            ahead.reshape(-1)[j] += step
            behind.reshape(-1)[j] -= step
            width = ahead.reshape(-1)[j] - behind.reshape(-1)[j]  # as rounded
            columns[:, j] = ((problem.at({number: ahead}) - problem.at({number: behind})) / width).reshape(-1)

        def name(worst: tuple[int, int], variable: _Variable = variable) -> str:
            i, j = _index(worst[0], shape), _index(worst[1], variable.value.shape)
            return f"the derivative of output{i} by element {j or '()'} of {variable.label}"

        if message := _compare(exact[number], columns, rtol, atol, name):
            return message
    return ""


def _along_directions(
    problem: _Problem, shape: tuple[int, ...], eps: float, rtol: float, atol: float, directions: int, seed: int
) -> str:
    rng = np.random.default_rng(seed)
    for number in range(directions):
        along = [np.asarray(rng.standard_normal(v.value.shape)) for v in problem.variables]
        length = np.sqrt(sum(float(np.sum(d**2)) for d in along)) or 1.0
        along = [d / length for d in along]
        weights = rng.standard_normal(shape)
        pulled = problem.by_variable(lambda wrt, u=weights: vjp(problem.f, wrt)(u, *problem.args), 1)  # type: ignore[misc]
        exact = sum(float(np.sum(g * d.reshape(1, -1))) for g, d in zip(pulled, along, strict=True))
        ahead = {i: v.value + eps * d for i, (v, d) in enumerate(zip(problem.variables, along, strict=True))}
        behind = {i: v.value - eps * d for i, (v, d) in enumerate(zip(problem.variables, along, strict=True))}
        rate = float(np.sum(weights * (problem.at(ahead) - problem.at(behind)))) / (2 * eps)
        label = f"the derivative of a weighted sum of the outputs along random direction {number}"
        if message := _compare(np.array([[exact]]), np.array([[rate]]), rtol, atol, lambda _, label=label: label):  # type: ignore[misc]
            return message
    return ""


def _check(
    problem: _Problem, eps: float, rtol: float, atol: float, directions: int | None, seed: int, raise_exception: bool
) -> bool:
    who = problem.who
    _positive(who, eps=eps, rtol=rtol, atol=atol)
    if directions is not None and (not isinstance(directions, int) or isinstance(directions, bool) or directions < 1):
        raise ValueError(f"{who}: directions is {directions!r}, expected an integer >= 1 or None")
    if is_recording():
        raise RuntimeError(f"{who}: called inside a transformation; differences cannot be differentiated")
    first = problem.at({})
    if not np.array_equal(first, problem.at({}), equal_nan=True):
        message = "the function returned other values for the same input; give it a fixed Generator"
    elif directions is None:
        message = _every_element(problem, first.shape, eps, rtol, atol)
    else:
        message = _along_directions(problem, first.shape, eps, rtol, atol, directions, seed)
    if message and raise_exception:
        raise GradcheckError(f"{who}: {message}")
    return not message


def gradcheck(
    f: Function,
    args: Sequence[Any],
    wrt: int | tuple[int, ...] | Differentiable | None = None,
    *,
    eps: float = 1e-5,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    directions: int | None = None,
    seed: int = 0,
    raise_exception: bool = True,
) -> bool:
    """Whether |∂f_i/∂x_j − d| ≤ atol + rtol |d| with d = (f_i(x + h e_j) − f_i(x − h e_j)) / 2h, h = eps max(1, |x_j|).

    Parameters
    ----------
    f : callable returning a float64 Tensor of any shape
    args : its arguments
    wrt : int, tuple of ints, Parameters, or None
        Which arguments to check; None means all that are float64 Tensors or arrays. Parameters are moved in place and
        put back.
    eps : relative step; the differences' error is about eps² f‴/6 + 1e-16 |f|/eps
    rtol, atol : tolerances
    directions : int, optional
        Check that many random directions, through a random weighting of the outputs, instead of every element: two
        evaluations a direction instead of two an element.
    seed : of the directions
    raise_exception : bool
        Whether to raise or to return False for derivatives that differ.

    Returns
    -------
    True, or False where a derivative differs and raise_exception is False

    Raises
    ------
    GradcheckError
        Naming the worst element, both values, the error and what was allowed; or that f is not deterministic.
    TypeError
        For variables or results that are not float64: differences in float32 have no digits left.
    """
    variables, parameters = _variables("gradcheck", args, wrt)
    problem = _Problem("gradcheck", f, tuple(args), variables, parameters)
    return _check(_with_tensors(problem), eps, rtol, atol, directions, seed, raise_exception)


def gradgradcheck(
    f: Function,
    args: Sequence[Any],
    wrt: int | tuple[int, ...] | Differentiable | None = None,
    *,
    eps: float = 1e-5,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    directions: int | None = None,
    seed: int = 0,
    raise_exception: bool = True,
) -> bool:
    """`gradcheck` of the gradient: of (u, x) → uᵀ J(x) by u and x, for a random u of f's shape.

    "Output" in its messages is an element of the gradients, of all checked variables one after another; argument 0 is
    u, and the arguments of f count from 1. Mixed second derivatives are checked too. Exactly at a kink it raises the
    ValueError of second derivatives; see `dlcore.kinks`.
    """
    variables, parameters = _variables("gradgradcheck", args, wrt)
    first = _with_tensors(_Problem("gradgradcheck", f, tuple(args), variables, parameters))
    u = np.asarray(np.random.default_rng(seed).standard_normal(first.at({}).shape))

    def gradient(u: Tensor, *inner: Any) -> Tensor:
        if parameters is not None:
            return vjp(f, parameters)(u, *inner)
        positions = tuple(v.position for v in variables)
        parts = grad(lambda *xs: ops.sum(u * f(*xs)), positions)(*inner)
        return ops.concatenate([ops.reshape(part, (part.size,)) for part in parts], 0)

    shifted = [_Variable("argument 0", 0, u)]
    shifted += [
        v if v.home is not None else _Variable(f"argument {v.position + 1}", v.position + 1, v.value) for v in variables
    ]
    like = next((x for x in (*first.args, *(v.home for v in variables)) if isinstance(x, Tensor)), None)
    problem = _Problem("gradgradcheck", gradient, (_like(like, u), *first.args), shifted, parameters)
    return _check(problem, eps, rtol, atol, directions, seed, raise_exception)


def _with_tensors(problem: _Problem) -> _Problem:
    """The same with the checked arguments as float64 tensors: lists and numbers would become float32."""
    args = list(problem.args)
    for variable in problem.variables:
        if variable.home is None:
            args[variable.position] = _like(args[variable.position], variable.value)
    return _Problem(problem.who, problem.f, tuple(args), problem.variables, problem.parameters)
