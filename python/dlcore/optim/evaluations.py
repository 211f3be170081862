"""What `minimize` asks of a function: values, gradients, Hessians and products, as counted float64 NumPy vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Vector = Callable[[Array], Array]
Product = Callable[[Array, Array], Array]


class Stalled(Exception):  # noqa: N818 - no error: the end of a descent, with its reason
    """No step makes progress: raised by a method, turned into the result's message."""


class Exhausted(Exception):  # noqa: N818
    """The evaluations allowed are spent."""


@dataclass(frozen=True)
class Point:
    """x, f(x) and ∇f(x); the residuals r(x) too where f = ½‖r‖² is known by them."""

    x: Array
    f: float
    g: Array
    r: Array | None = None

    @property
    def finite(self) -> bool:
        """Whether f and all of ∇f are finite."""
        return bool(np.isfinite(self.f) and np.isfinite(self.g).all())


@dataclass(frozen=True)
class Residuals:
    """A vector-valued function r and its derivatives at a point.

    ``value(x)`` is r (m,); ``jacobian(x)`` is J (m, n) with J[i, j] = ∂r_i/∂x_j; ``linearize(x)`` gives the two
    products v -> J v and u -> Jᵀ u.
    """

    value: Vector
    jacobian: Vector
    linearize: Callable[[Array], tuple[Vector, Vector]]


class Evaluations:
    """A function to be minimised, by its parts; counts what is asked of it.

    Parameters
    ----------
    value_and_grad : x -> (f, ∇f)
    hessian : x -> H (n, n), where there is one
    product : (x, v) -> H v, where there is one
    residuals : r of f = ½‖r‖², where f has this form
    epsilon : unit roundoff of the arithmetic in which f is computed

    Attributes
    ----------
    nfev, njev, nhev : evaluations of f, of ∇f (or the Jacobian of r) and of H or a product with it
    limit : largest number of evaluations of f
    """

    def __init__(
        self,
        value_and_grad: Callable[[Array], tuple[float, Array]] | None,
        hessian: Vector | None = None,
        product: Product | None = None,
        residuals: Residuals | None = None,
        epsilon: float = 2.0**-53,
    ) -> None:
        self._value_and_grad, self._hessian, self._product = value_and_grad, hessian, product
        self._residuals = residuals
        self.epsilon = epsilon
        self.limit: float = np.inf
        self.nfev = self.njev = self.nhev = 0

    def _count(self) -> None:
        if self.nfev >= self.limit:
            raise Exhausted
        self.nfev += 1

    def point(self, x: Array) -> Point:
        """f and ∇f at x; infinite or NaN where the function is."""
        self._count()
        self.njev += 1
        if self._value_and_grad is None:
            assert self._residuals is not None
            r = self._residuals.value(x)
            return Point(x, half_square(r), self._residuals.linearize(x)[1](r), r)
        f, g = self._value_and_grad(x)
        return Point(x, f, g)

    def hessian(self, x: Array) -> Array:
        """H (n, n), symmetrised; raises `Stalled` where it is not finite."""
        if self._hessian is None:
            raise ValueError("minimize: this method needs the Hessian: give hess, or f as a function of Tensors")
        self.nhev += 1
        h = self._hessian(x)
        if not np.isfinite(h).all():
            raise Stalled("the Hessian is not finite")
        symmetric: Array = 0.5 * (h + h.T)
        return symmetric

    def product(self, x: Array) -> Vector:
        """The function v -> H v at x, which raises `Stalled` where H v is not finite.

        The Hessian is formed once where only that is known.
        """
        if self._product is not None:
            known = self._product

            def multiply(v: Array) -> Array:
                self.nhev += 1
                hv = known(x, v)
                if not np.isfinite(hv).all():
                    raise Stalled("a product with the Hessian is not finite")
                return hv

            return multiply
        if self._hessian is None:
            raise ValueError(
                "minimize: this method needs products with the Hessian: "
                "give hessp or hess, or f as a function of Tensors"
            )
        h = self.hessian(x)
        return lambda v: h @ v

    def residual(self, x: Array) -> Array:
        """r (m,)."""
        self._count()
        return self._known_residuals().value(x)

    def jacobian(self, x: Array) -> Array:
        """J (m, n)."""
        self.njev += 1
        return self._known_residuals().jacobian(x)

    def linearize(self, x: Array) -> tuple[Vector, Vector]:
        """The products v -> J v and u -> Jᵀ u."""
        self.njev += 1
        return self._known_residuals().linearize(x)

    def _known_residuals(self) -> Residuals:
        if self._residuals is None:
            raise ValueError(
                "minimize: this method needs the residual vector r of f = ½‖r‖²: give residual instead of f"
            )
        return self._residuals


def half_square(r: Array) -> float:
    """½‖r‖²."""
    with np.errstate(over="ignore", invalid="ignore"):
        return 0.5 * float(r @ r)


def noise(evaluations: Evaluations, f: float) -> float:
    """Differences of values near f that rounding may cause: a small multiple of one unit in the last place."""
    return 16.0 * evaluations.epsilon * abs(f)
