"""Activations and softmax; native in ``csrc/activation.cpp``.

The derivative of each activation is a function h of its output y, so y is all that a gradient keeps. ``_SLOPES`` gives
dh/dy in terms of ops, which makes derivatives of every order.
"""

from __future__ import annotations

from collections.abc import Callable

from ..autodiff import can_differentiate_twice, differentiable
from ..tape import state
from ..tensor import Tensor
from .broadcast import Result
from .comparison import greater, where
from .creation import zeros_like
from .elementwise import affine, exp, multiply, negative
from .kinks import crossing_at, equal_to
from .reduce import sum


def _zero(y: Tensor, parameter: float) -> Tensor:
    return zeros_like(y)


_SLOPES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "identity": _zero,
    "sigmoid": lambda y, _: affine(y, -2.0, 1.0),  # h = y (1 − y)
    "tanh": lambda y, _: affine(y, -2.0, 0.0),  # h = 1 − y²
    "lecun_tanh": lambda y, _: affine(y, -4.0 / (3.0 * 1.7159), 0.0),  # h = ⅔ (a − y²/a), a = 1.7159
    "relu": _zero,
    "leaky_relu": _zero,
    "elu": lambda y, _: where(greater(y, 0.0), zeros_like(y), affine(zeros_like(y), 1.0, 1.0)),  # h = y + alpha below 0
    "softplus": lambda y, _: exp(negative(y)),  # h = 1 − e⁻ʸ
}
ACTIVATIONS = tuple(_SLOPES)
KINKED = ("relu", "leaky_relu", "elu")
_SMOOTH = {"relu": "softplus or silu", "leaky_relu": "slope * x + (1 - slope) * softplus(x)", "elu": "alpha = 1"}
PARAMETERS = {"leaky_relu": 0.01, "elu": 1.0}  # the default slope and alpha


def parameter_of(kind: str, parameter: float | None, name: str) -> float:
    """The activation's parameter, checked: the derivative is found from the sign of the output."""
    if parameter is None:
        return PARAMETERS.get(kind, 0.0)
    if not parameter >= 0:
        raise ValueError(f"{name}: parameter is {parameter}, expected at least 0")
    return parameter


def scattered(dy: Tensor, y: Tensor) -> Tensor | None:
    """The numbers of which dy consists, and zeros, where it is a gradient by y = relu(x) as `max_pool2d` leaves it.

    A window's share goes to one place, and the pooled value tells whether the ReLU is flat there: a quarter of the
    numbers, for windows of 2 × 2. So the pooling passes its shares through the ReLU before it scatters them; what is
    summed of the ReLU's gradient, dy itself, may be summed of the shares.
    """
    found = getattr(dy, "_scattered", None)
    return found[1] if found is not None and found[0] is y else None


@differentiable(1)
def activation(x: Tensor, kind: str, parameter: float | None = None) -> Result:
    """f(x) for one of `ACTIVATIONS`; `parameter` is leaky_relu's slope (default 0.01) or elu's alpha (default 1)."""
    parameter = parameter_of(kind, parameter, "activation")
    y = Tensor(x.array.device.activation(x.array, kind, parameter))
    if kind in KINKED and can_differentiate_twice():
        jumps = kind == "relu" or parameter != 1  # elu with alpha 1 is smooth enough, leaky_relu with slope 1 is linear
        at = Tensor(x.array)  # kept, as relu's output does not tell a kink from a negative input; not differentiated
        return y, lambda dy: _grad_with_kink(dy, y, at, kind, parameter, jumps)
    y._is_rectified = kind == "relu"
    return y, lambda dy: activation_grad(dy, y, kind, parameter) if scattered(dy, y) is None else dy


@differentiable(2)
def _grad_with_kink(dy: Tensor, y: Tensor, x: Tensor, kind: str, parameter: float, jumps: bool) -> Result:
    """`activation_grad`, whose own gradient by y raises where it is asked for at a kink, x = 0."""
    crossing = crossing_at(kind, lambda: equal_to(x, 0.0), _SMOOTH[kind])

    def of_y(g: Tensor) -> Tensor | None:
        if jumps and state.kinks == "raise":
            crossing(g, dy)
        return g * dy * _SLOPES[kind](y, parameter) if kind == "elu" else None

    dx = Tensor(dy.array.device.activation_grad(dy.array, y.array, kind, parameter))
    return dx, lambda g: _grad_with_kink(g, y, x, kind, parameter, jumps), of_y


@differentiable(2)
def activation_grad(dy: Tensor, y: Tensor, kind: str, parameter: float | None = None) -> Result:
    """dy · f′(x), from y = f(x)."""
    parameter = parameter_of(kind, parameter, "activation_grad")
    dx = Tensor(dy.array.device.activation_grad(dy.array, y.array, kind, parameter))
    return (
        dx,
        lambda ddx: activation_grad(ddx, y, kind, parameter),
        lambda ddx: ddx * dy * _SLOPES[kind](y, parameter),
    )


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + e⁻ˣ)."""
    return activation(x, "sigmoid")


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return activation(x, "tanh")


def lecun_tanh(x: Tensor) -> Tensor:
    """1.7159 tanh(2x/3), which maps ±1 to ±1 (LeCun et al. 1998, Efficient BackProp, section 4.4)."""
    return activation(x, "lecun_tanh")


def relu(x: Tensor) -> Tensor:
    """max(0, x); the derivative at 0 is 0."""
    return activation(x, "relu")


def leaky_relu(x: Tensor, slope: float = 0.01) -> Tensor:
    """x above 0, slope · x below; slope > 0, since the derivative is found from the sign of the output."""
    if not slope > 0:
        raise ValueError(f"leaky_relu: slope is {slope}, expected more than 0")
    return activation(x, "leaky_relu", slope)


def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """x above 0, alpha (eˣ − 1) below (Clevert et al. 2016)."""
    if not alpha > 0:
        raise ValueError(f"elu: alpha is {alpha}, expected more than 0")
    return activation(x, "elu", alpha)


def softplus(x: Tensor) -> Tensor:
    """log(1 + eˣ), without overflow."""
    return activation(x, "softplus")


def silu(x: Tensor) -> Tensor:
    """x · sigmoid(x)."""
    return multiply(x, sigmoid(x))


@differentiable(1)
def softmax(x: Tensor) -> Result:
    """eˣ / Σ eˣ over the last axis, without overflow."""
    y = Tensor(x.array.device.softmax(x.array))
    return y, lambda dy: softmax_grad(dy, y)


@differentiable(2)
def softmax_grad(dy: Tensor, y: Tensor) -> Result:
    """y (dy − Σ y dy), over the last axis."""
    dx = Tensor(dy.array.device.softmax_grad(dy.array, y.array))

    def dy_of(ddx: Tensor) -> Tensor:  # the softmax Jacobian is symmetric
        return softmax_grad(ddx, y)

    def y_of(ddx: Tensor) -> Tensor:
        inner = sum(y * dy, -1, keepdims=True)
        outer = sum(y * ddx, -1, keepdims=True)
        return ddx * (dy - inner) - outer * dy

    return dx, dy_of, y_of


@differentiable(1)
def log_softmax(x: Tensor) -> Result:
    """x − log Σ eˣ over the last axis."""
    y = Tensor(x.array.device.log_softmax(x.array))
    return y, lambda dy: log_softmax_grad(dy, y)


@differentiable(2)
def log_softmax_grad(dy: Tensor, y: Tensor) -> Result:
    """dy − eʸ Σ dy, over the last axis."""
    dx = Tensor(dy.array.device.log_softmax_grad(dy.array, y.array))

    def dy_of(ddx: Tensor) -> Tensor:
        return ddx - sum(exp(y) * ddx, -1, keepdims=True)

    def y_of(ddx: Tensor) -> Tensor:
        return negative(ddx * exp(y) * sum(dy, -1, keepdims=True))

    return dx, dy_of, y_of
