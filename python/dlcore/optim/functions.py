"""From what a user gives `minimize` to `Evaluations`: functions of Tensors or of NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import calculus
from ..autodiff import value_and_grad
from ..tensor import Tensor, tensor
from .evaluations import Array, Evaluations, Product, Residuals, Vector

Call = Callable[..., Any]


def as_vector(values: Any, size: int, what: str) -> Array:
    """`values` as float64 (size,), a copy where needed."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"minimize: {what} has dtype {array.dtype}, expected real numbers")
    if array.size != size:
        raise ValueError(f"minimize: {what} has shape {array.shape}, expected {size} elements, as many as x0")
    vector: Array = np.asarray(array, np.float64).reshape(-1)
    return vector


def as_scalar(value: Any) -> float:
    """The value of a function that must have one element."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"minimize: f returned {_described(value)}, expected a real number")
    if array.size != 1:
        raise ValueError(
            f"minimize: f returned shape {array.shape}, expected one element; "
            "a vector of residuals is given as residual"
        )
    return float(array.reshape(()))


def as_matrix(values: Any, rows: int, columns: int, what: str, shape: tuple[int, ...] | None = None) -> Array:
    """`values` of shape (rows, columns), or of `shape` with as many elements, as float64 (rows, columns)."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"minimize: {what} has dtype {array.dtype}, expected real numbers")
    if array.shape not in ((rows, columns), shape):
        other = f" or {shape}" if shape is not None and shape != (rows, columns) else ""
        raise ValueError(f"minimize: {what} has shape {array.shape}, expected ({rows}, {columns}){other}")
    matrix: Array = np.asarray(array, np.float64).reshape(rows, columns)
    return matrix


def _described(value: Any) -> str:
    return f"dtype {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__


class Given:
    """The arguments of `minimize` that define the function, and the shape of x.

    With no `jac`, f (or residual) is a function of Tensors and the tape differentiates it; with `jac` all functions are
    of NumPy arrays.
    """

    def __init__(
        self,
        f: Call | None,
        residual: Call | None,
        x0: Any,
        args: tuple[Any, ...],
        jac: Call | bool | None,
        hess: Call | None,
        hessp: Call | None,
    ) -> None:
        if f is None and residual is None:
            raise TypeError("minimize: neither f nor residual is given")
        if f is not None and residual is not None:
            raise TypeError("minimize: f and residual are both given, expected one: residual defines f = ½‖r‖²")
        for name, function in (("f", f), ("residual", residual), ("hess", hess), ("hessp", hessp)):
            if function is not None and not callable(function):
                raise TypeError(f"minimize: {name} is a {type(function).__name__}, expected a function")
        if jac is not None and jac is not True and not callable(jac):
            raise TypeError(f"minimize: jac is {jac!r}, expected a function, True or None (automatic differentiation)")
        self.f, self.residual, self.jac, self.hess, self.hessp = f, residual, jac, hess, hessp
        self.args = args if isinstance(args, tuple) else (args,)
        start = np.asarray(x0)
        if start.dtype.kind not in "fiub":
            raise TypeError(f"minimize: x0 has dtype {start.dtype}, expected real numbers")
        if start.size == 0:
            raise ValueError(f"minimize: x0 has shape {start.shape}, expected at least one element")
        if not np.isfinite(start).all():
            bad = int(np.flatnonzero(~np.isfinite(start.reshape(-1)))[0])
            raise ValueError(f"minimize: x0 is {start.reshape(-1)[bad]} at index {bad}, expected finite numbers")
        self.shape = start.shape if start.ndim else (1,)
        self.x0 = start.astype(np.float64).reshape(-1)
        single = isinstance(x0, (np.ndarray, np.generic, Tensor)) and start.dtype == np.float32
        self.dtype: np.dtype[Any] = np.dtype(np.float32 if single else np.float64)

    def evaluations(self) -> Evaluations:
        """The function by its parts."""
        n = self.x0.size
        epsilon = float(np.finfo(self.dtype).eps) / 2
        hessian = product = residuals = value = None
        if self.residual is not None:
            residuals = self._tensor_residuals() if self.jac is None else self._array_residuals(self.jac)
            if self.jac is None:
                r = self.residual
                hessian, product = self._tensor_curvature(lambda x, *a: 0.5 * (_flat(r(x, *a)) ** 2).sum())
        elif self.jac is None:
            value = self._tensor_value()
            assert self.f is not None
            hessian, product = self._tensor_curvature(self.f)
        else:
            value = self._array_value(self.jac)
        if self.hess is not None:
            given = self.hess
            hessian = lambda x: as_matrix(  # noqa: E731
                given(self._array(x), *self.args), n, n, "hess", self.shape * 2
            )
            product = None
        if self.hessp is not None:
            times = self.hessp
            product = lambda x, v: as_vector(  # noqa: E731
                times(self._array(x), self._array(v), *self.args), n, "hessp"
            )
        return Evaluations(value, hessian, product, residuals, epsilon)

    def _array(self, x: Array) -> Array:
        """A copy that the user's function may keep or change."""
        return x.astype(self.dtype).reshape(self.shape)

    def _tensor(self, x: Array) -> Tensor:
        return tensor(x.reshape(self.shape), self.dtype)

    def _tensor_value(self) -> Callable[[Array], tuple[float, Array]]:
        assert self.f is not None
        both, n = value_and_grad(self.f), self.x0.size

        def value(x: Array) -> tuple[float, Array]:
            y, g = both(self._tensor(x), *self.args)
            return y.item(), as_vector(g.numpy(), n, "the gradient")

        return value

    def _tensor_curvature(self, f: Call) -> tuple[Vector, Product]:
        h, hv, n = calculus.hessian(f), calculus.hvp(f), self.x0.size

        def hessian(x: Array) -> Array:
            return as_matrix(h(self._tensor(x), *self.args).numpy(), n, n, "the Hessian", self.shape * 2)

        def product(x: Array, v: Array) -> Array:
            return as_vector(hv(self._tensor(v), self._tensor(x), *self.args).numpy(), n, "the product")

        return hessian, product

    def _tensor_residuals(self) -> Residuals:
        assert self.residual is not None
        r, n = self.residual, self.x0.size
        pull, push, rows = calculus.vjp(_checked(r)), calculus.jvp(_checked(r)), calculus.jacobian(_checked(r))

        def value(x: Array) -> Array:
            return np.asarray(_checked(r)(self._tensor(x), *self.args).numpy(), np.float64)

        def jacobian(x: Array) -> Array:
            j = rows(self._tensor(x), *self.args)
            return as_matrix(j.numpy(), j.shape[0], n, "the Jacobian", (j.shape[0], *self.shape))

        def linearize(x: Array) -> tuple[Vector, Vector]:
            at = self._tensor(x)

            def multiply(v: Array) -> Array:
                return np.asarray(push(self._tensor(v), at, *self.args).numpy(), np.float64)

            def transposed(u: Array) -> Array:
                return as_vector(pull(tensor(u, self.dtype), at, *self.args).numpy(), n, "the product")

            return multiply, transposed

        return Residuals(value, jacobian, linearize)

    def _array_value(self, jac: Call | bool) -> Callable[[Array], tuple[float, Array]]:
        assert self.f is not None
        f, n = self.f, self.x0.size

        def value(x: Array) -> tuple[float, Array]:
            if callable(jac):
                y = as_scalar(f(self._array(x), *self.args))
                g = jac(self._array(x), *self.args) if np.isfinite(y) else np.full(n, np.nan)
            else:
                y, g = _pair(f(self._array(x), *self.args), "f")
                y = as_scalar(y)
            return y, as_vector(g, n, "jac").copy()

        return value

    def _array_residuals(self, jac: Call | bool) -> Residuals:
        """J is kept for the last x: its products and its rows are asked for one after the other."""
        assert self.residual is not None
        r, n = self.residual, self.x0.size
        last: list[tuple[Array, Any]] = []

        def value(x: Array) -> Array:
            found = r(self._array(x), *self.args)
            if not callable(jac):
                found, j = _pair(found, "residual")
                last[:] = [(x, j)]
            values = np.asarray(found)
            if values.dtype.kind not in "fiub":
                raise TypeError(f"minimize: residual returned {_described(found)}, expected real numbers")
            return np.asarray(values, np.float64).reshape(-1)

        def known(x: Array) -> Any:
            if not last or last[0][0] is not x:
                if callable(jac):
                    last[:] = [(x, jac(self._array(x), *self.args))]
                else:
                    value(x)
            j = last[0][1]
            shape = getattr(j, "shape", None)
            if shape is None or len(shape) != 2 or shape[1] != n:
                raise ValueError(f"minimize: jac returned shape {np.shape(j)}, expected (residuals, {n})")
            return j

        def jacobian(x: Array) -> Array:
            j = known(x)
            return as_matrix(j.toarray() if hasattr(j, "toarray") else j, j.shape[0], n, "jac")

        def linearize(x: Array) -> tuple[Vector, Vector]:
            j = known(x)
            return lambda v: np.asarray(j @ v), lambda u: np.asarray(j.T @ u)

        return Residuals(value, jacobian, linearize)


def _pair(found: Any, name: str) -> tuple[Any, Any]:
    if not isinstance(found, tuple) or len(found) != 2:
        raise TypeError(
            f"minimize: jac is True, but {name} returned a {type(found).__name__}, expected a pair (value, derivative)"
        )
    return found


def _flat(r: Any) -> Tensor:
    if not isinstance(r, Tensor):
        raise TypeError(
            f"minimize: residual returned {type(r).__name__}, expected a Tensor (or give jac for NumPy functions)"
        )
    return r.reshape(r.size)


def _checked(residual: Call) -> Call:
    """The residuals as a flat Tensor."""
    return lambda *args: _flat(residual(*args))
