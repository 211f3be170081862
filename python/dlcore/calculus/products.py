"""Products with the Jacobian, the Hessian and the Gauss–Newton matrix, none of which is formed.

Forward mode is had by walking backward twice: the map u → uᵀJ is linear in u and is recorded while it is computed, so
the gradient of <uᵀJ, v> by u is J v. The function is evaluated once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from .. import ops
from ..autodiff import no_grad, ones_like, require_float, require_scalar
from ..level import Level, SecondOrderLevel
from ..tape import Function
from ..tensor import Tensor, as_tensor
from .variables import Leaves, Variable, require_variable


def vjp(f: Function, wrt: Variable = 0) -> Callable[..., Tensor]:
    """The function ``(dy, *args) -> dyᵀ J``: the gradient of sum(dy · f(x)), of x's shape (flat for Parameters).

    Costs one evaluation and one backward walk.

    Raises
    ------
    ValueError
        If dy has not the shape of what f returned.
    """
    require_variable(wrt, "vjp")

    def function(dy: Any, *args: Any, **options: Any) -> Tensor:
        with Level() as level:
            leaves = Leaves.of(level, wrt, args, "vjp")
            y = require_float(f(*leaves.args, **options), "vjp")
            weights = as_tensor(dy, y, "vjp")
            if weights.shape != y.shape:
                raise ValueError(f"vjp: dy is {weights.shape}, the function returned {y.shape}")
            if weights.dtype != y.dtype:
                raise TypeError(f"vjp: dy has dtype {weights.dtype}, the function returned {y.dtype}")
            return leaves.gradient(level.seeds([(y, weights)]), y)

    return function


def pullback(level: Level, leaves: Leaves, y: Tensor) -> tuple[Tensor, list[Tensor | None]]:
    """A new leaf u, and the recorded parts of uᵀ J, one a leaf."""
    u = level.leaf(ones_like(y))
    return u, level.walk(level.seeds([(y, u)]), leaves.indices, None, level.path(leaves.indices), record=True)


def _push(level: Level, leaves: Leaves, y: Tensor, parts: list[Tensor]) -> Tensor:
    """J v, v as one tensor a leaf."""
    u, pulled = pullback(level, leaves, y)
    (found,) = level.walk(level.seeds(zip(pulled, parts, strict=True)), [u._index], None, level.path([u._index]))
    return ops.zeros(y.shape, y.dtype, y.device) if found is None else found


def _jvp(who: str, name: str, f: Function, wrt: Variable) -> Callable[..., Tensor]:
    require_variable(wrt, who)

    def function(dx: Any, *args: Any, **options: Any) -> Tensor:
        with Level() as level:
            leaves = Leaves.of(level, wrt, args, who)
            y = require_float(f(*leaves.args, **options), who)
            parts = leaves.split(dx, name, y)
            if y.size != 1:
                return _push(level, leaves, y, parts)
            total = ops.zeros((), y.dtype, y.device)  # one row: its product with v is cheaper than a second walk
            for gradient, part in zip(level.backward(y, ones_like(y), leaves.indices), parts, strict=True):
                if gradient is not None:
                    total = total + ops.dot(gradient, part)
            return ops.reshape(total, y.shape)

    return function


def jvp(f: Function, wrt: Variable = 0) -> Callable[..., Tensor]:
    """The function ``(dx, *args) -> J dx``: the rate of change of f as x moves along dx (x's shape), of f's shape.

    Costs one evaluation and two backward walks; one walk for a scalar f.

    References
    ----------
    Griewank, Walther (2008), Evaluating Derivatives, section 3.1.
    """
    return _jvp("jvp", "dx", f, wrt)


def directional_derivative(f: Function, wrt: Variable = 0) -> Callable[..., Tensor]:
    """The function ``(v, *args) -> d/dt f(x + t v)`` at t = 0, of f's shape: ∇f · v for a scalar f, J v otherwise.

    v is taken as it is; give it length 1 for the slope along a direction.
    """
    return _jvp("directional_derivative", "v", f, wrt)


def hvp(f: Function, wrt: Variable = 0) -> Callable[..., Tensor]:
    """The function ``(v, *args) -> H v`` of a scalar function: the gradient of ∇f · v, without forming H.

    Costs about three gradients. Exactly at a kink that v crosses it is a ValueError; see `dlcore.kinks`.

    References
    ----------
    Pearlmutter (1994), Fast exact multiplication by the Hessian.
    """
    require_variable(wrt, "hvp")

    def function(v: Any, *args: Any, **options: Any) -> Tensor:
        with SecondOrderLevel() as level:
            leaves = Leaves.of(level, wrt, args, "hvp")
            y = require_scalar(f(*leaves.args, **options), "hvp")
            parts = leaves.split(v, "v", y)
            slope = level.walk(level.seeds([(y, ones_like(y))]), leaves.indices, record=True)
            return leaves.gradient(level.seeds(zip(slope, parts, strict=True)), y)

    return function


def gnvp(f: Function, loss: Function | None = None, wrt: Variable = 0) -> Callable[..., Tensor]:
    """The function ``(v, *args) -> Jᵀ H J v`` with J the Jacobian of f and H the Hessian of the loss at f(x).

    The Gauss–Newton matrix of x → loss(f(x)): positive semi-definite for a convex loss. It asks for no second
    derivative of f, so kinks of f do not matter.

    Parameters
    ----------
    f : callable returning a Tensor of any shape: predictions, or residuals
    loss : scalar function of what f returns; by default ½ Σ r², for which H is the identity
    wrt : int or Parameters, which argument of f to differentiate by

    References
    ----------
    Schraudolph (2002), Fast curvature matrix-vector products for second-order gradient descent.
    """
    require_variable(wrt, "gnvp")

    def function(v: Any, *args: Any, **options: Any) -> Tensor:
        with Level() as level:
            leaves = Leaves.of(level, wrt, args, "gnvp")
            y = require_float(f(*leaves.args, **options), "gnvp")
            pushed = _push(level, leaves, y, leaves.split(v, "v", y))
            if loss is not None:
                with no_grad() if level.outermost else contextlib.nullcontext():
                    pushed = hvp(loss)(pushed, y)
            return leaves.gradient(level.seeds([(y, pushed)]), y, level.path(leaves.indices))

    return function
