"""Element-wise losses with native first and second derivatives (``csrc/loss_pointwise.h``); further ones from ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autodiff import differentiable
from ..tape import is_recorded, state
from ..tensor import Tensor
from .activation import sigmoid, softplus
from .broadcast import Result
from .comparison import equal, where
from .creation import zeros_like
from .elementwise import affine, exp, expm1, log, log1p, negative, power, square
from .kinks import crossing_at, equal_to

Third = Callable[[Tensor, Tensor, float], Tensor]
ByTarget = tuple[Third, Third, Third]


def _zero(f: Tensor, y: Tensor, p: float) -> Tensor:
    return zeros_like(f)


def _minus_one(f: Tensor, y: Tensor, p: float) -> Tensor:
    return affine(zeros_like(f), 1.0, -1.0)


def _weighted_power(weight: Tensor, x: Tensor, exponent: float) -> Tensor:
    """weight · x^exponent, 0 where the weight is, also at x = 0."""
    idle = equal(weight, 0.0)
    return where(idle, zeros_like(x), weight * power(where(idle, affine(zeros_like(x), 1.0, 1.0), x), exponent))


def _log_cosh_third(f: Tensor, y: Tensor, p: float) -> Tensor:
    ones = affine(zeros_like(f), 1.0, 1.0)
    slope, curvature = (op(ones, f, y, "log_cosh", p) for op in (pointwise_loss_grad, pointwise_loss_hessian))
    return affine(slope * curvature, -2.0, 0.0)


def _kernel_third(f: Tensor, y: Tensor, p: float) -> Tensor:
    z = affine(f - y, 1.0 / p, 0.0)
    return affine((affine(z, 3.0, 0.0) - power(z, 3)) * pointwise_loss(f, y, "gaussian_kernel", p), p**-3.0, 0.0)


def _logistic_third(f: Tensor, y: Tensor, p: float) -> Tensor:
    s = sigmoid(f)
    return s * sigmoid(negative(f)) * affine(s, -2.0, 1.0)


def _focal_third(f: Tensor, y: Tensor, p: float) -> Tensor:
    u = y * f
    damped, loss = exp(affine(softplus(u), -p, 0.0)), softplus(negative(u))
    s, q = sigmoid(u), sigmoid(negative(u))
    inner = affine(loss * (affine(s, p, 0.0) - q), p, 0.0) + affine(q, 2 * p + 1, 0.0)
    slope = affine(q * (q - affine(s, p, 0.0)), p, 0.0) + s * q * affine(loss, p * (p + 1), -(2 * p + 1))
    return y * damped * s * ((q - affine(s, p, 0.0)) * inner + slope)


# The third derivative by the prediction; the kinds left out are quadratic or linear between their kinks.
_THIRD: dict[str, Third] = {
    "log_cosh": _log_cosh_third,
    "logistic": _logistic_third,
    "log_loss": lambda f, y, p: affine(
        _weighted_power(affine(y, -1.0, 1.0), affine(f, -1.0, 1.0), -3) - _weighted_power(y, f, -3), 2.0, 0.0
    ),
    "kl": lambda f, y, p: affine(_weighted_power(y, f, -3), -2.0, 0.0),
    "poisson": lambda f, y, p: affine(_weighted_power(y, affine(f, 1.0, p), -3), -2.0, 0.0),
    "poisson_log": lambda f, y, p: exp(f),
    "gaussian_kernel": _kernel_third,
    "correntropy": lambda f, y, p: negative(_kernel_third(f, y, p)),
    "focal": _focal_third,
}

# Kinds of f − y: the derivative by y is minus the one by f.
_OF_THE_DIFFERENCE = frozenset(
    ("squared", "absolute", "epsilon_insensitive", "huber", "log_cosh", "gaussian_kernel", "correntropy")
)

# Of the other kinds, the derivative by the target of the loss, of its first and of its second derivative.
_BY_TARGET: dict[str, ByTarget] = {
    "logistic": (lambda f, y, p: negative(f), _minus_one, _zero),
    "log_loss": (
        lambda f, y, p: log1p(negative(f)) - log(f),
        lambda f, y, p: negative(1.0 / (f * affine(f, -1.0, 1.0))),
        lambda f, y, p: 1.0 / square(f) - 1.0 / square(affine(f, -1.0, 1.0)),
    ),
    "kl": (
        lambda f, y, p: affine(log(y) - log(f), 1.0, 1.0),
        lambda f, y, p: negative(1.0 / f),
        lambda f, y, p: 1.0 / square(f),
    ),
    "kl_log": (lambda f, y, p: affine(log(y) - f, 1.0, 1.0), _minus_one, _zero),
    "poisson": (
        lambda f, y, p: negative(log(affine(f, 1.0, p))),
        lambda f, y, p: negative(1.0 / affine(f, 1.0, p)),
        lambda f, y, p: 1.0 / square(affine(f, 1.0, p)),
    ),
    "poisson_log": (lambda f, y, p: negative(f), _minus_one, _zero),
}


# Kinds whose slope jumps, and what to use instead; huber's and squared_hinge's curvature jumps, which is no kink.
_KINKED = {
    "absolute": "the log_cosh or huber loss",
    "epsilon_insensitive": "the huber loss",
    "hinge": "the squared_hinge or log loss",
}


def _at_kink(f: Tensor, y: Tensor, kind: str, parameter: float) -> Any:
    """1 where the slope jumps, as an array of the device."""
    device = f.array.device
    if kind == "hinge":
        return equal_to(Tensor(device.multiply(y.array, f.array)), parameter)
    distance = Tensor(device.abs(device.subtract(f.array, y.array)))
    return equal_to(distance, parameter if kind == "epsilon_insensitive" else 0.0)


def _curvature(g: Tensor, dlosses: Tensor, f: Tensor, y: Tensor, kind: str, parameter: float) -> Tensor:
    """g dloss ∂²ℓ/∂f², an error where it is asked for at a kink (see `dlcore.ops.kinks`)."""
    if kind in _KINKED and state.kinks == "raise":
        crossing_at(f"loss {kind}", lambda: _at_kink(f, y, kind, parameter), _KINKED[kind])(g, dlosses)
    return pointwise_loss_hessian(g * dlosses, f, y, kind, parameter)


def _by_target(order: int, dy: Tensor, f: Tensor, y: Tensor, kind: str, parameter: float) -> Tensor:
    """dy times the derivative by y of the loss's derivative of that order by f."""
    if kind in _OF_THE_DIFFERENCE:
        if order == 0:
            return negative(pointwise_loss_grad(dy, f, y, kind, parameter))
        if order == 1:
            return negative(pointwise_loss_hessian(dy, f, y, kind, parameter))
        return negative(_times_third(dy, f, y, kind, parameter))
    if kind not in _BY_TARGET:
        raise ValueError(f"pointwise_loss: kind {kind!r} has no derivative by its target, which is -1 or +1")
    return dy * _BY_TARGET[kind][order](f, y, parameter)


def _times_third(dy: Tensor, f: Tensor, y: Tensor, kind: str, parameter: float) -> Tensor:
    return dy * _THIRD.get(kind, _zero)(f, y, parameter)


def pointwise_loss(prediction: Tensor, target: Tensor, kind: str, parameter: float = 0.0) -> Tensor:
    """ℓ(f, y), element by element; `dlcore.losses` has each kind's formula and checks.

    Parameters
    ----------
    prediction, target : f and y, of one shape and dtype
    kind : "squared" (p r², r = f − y), "absolute", "epsilon_insensitive" (width p), "huber" (delta p), "log_cosh",
        "hinge" and "squared_hinge" (margin p), "logistic" (log loss of sigmoid(f)), "log_loss", "kl", "kl_log",
        "poisson" (log(f + p)), "poisson_log", "gaussian_kernel" and "correntropy" (sigma p), "focal" (gamma p), and
        without derivatives "tolerance" (width p) and "zero_one"
    parameter : p
    """
    if kind in _KINKED and kind in _OF_THE_DIFFERENCE and isinstance(target, Tensor) and is_recorded(target):
        # A kink is crossed where f − y moves, which f and y by themselves do not tell.
        return _pointwise_loss(prediction - target, zeros_like(target), kind, parameter)
    return _pointwise_loss(prediction, target, kind, parameter)


@differentiable(2)
def _pointwise_loss(prediction: Tensor, target: Tensor, kind: str, parameter: float) -> Result:
    device = prediction.array.device
    y = Tensor(device.pointwise_loss(prediction.array, target.array, kind, parameter))
    return (
        y,
        lambda dy: pointwise_loss_grad(dy, prediction, target, kind, parameter),
        lambda dy: _by_target(0, dy, prediction, target, kind, parameter),
    )


@differentiable(3)
def pointwise_loss_grad(
    dlosses: Tensor, prediction: Tensor, target: Tensor, kind: str, parameter: float = 0.0
) -> Result:
    """dloss · ∂ℓ/∂f; at a kink the slope of the flat side, 0 for |r|."""
    device = prediction.array.device
    y = device.pointwise_loss_grad(dlosses.array, prediction.array, target.array, kind, parameter)
    return (
        Tensor(y),
        lambda g: pointwise_loss_grad(g, prediction, target, kind, parameter),
        lambda g: _curvature(g, dlosses, prediction, target, kind, parameter),
        lambda g: (
            negative(_curvature(g, dlosses, prediction, target, kind, parameter))
            if kind in _OF_THE_DIFFERENCE
            else _by_target(1, g * dlosses, prediction, target, kind, parameter)
        ),
    )


@differentiable(3)
def pointwise_loss_hessian(
    dlosses: Tensor, prediction: Tensor, target: Tensor, kind: str, parameter: float = 0.0
) -> Result:
    """dloss · ∂²ℓ/∂f², kinks left out."""
    device = prediction.array.device
    y = device.pointwise_loss_hessian(dlosses.array, prediction.array, target.array, kind, parameter)
    return (
        Tensor(y),
        lambda g: pointwise_loss_hessian(g, prediction, target, kind, parameter),
        lambda g: _times_third(g * dlosses, prediction, target, kind, parameter),
        lambda g: _by_target(2, g * dlosses, prediction, target, kind, parameter),
    )


def sigmoid_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """−t log sigmoid(x) − (1 − t) log(1 − sigmoid(x)), element by element, without overflow."""
    return pointwise_loss(logits, targets, "logistic")


def squared_error(a: Tensor, b: Tensor) -> Tensor:
    """(a − b)², element by element."""
    return pointwise_loss(a, b, "squared", 1.0)


@differentiable(3)
def over_variance(dy: Tensor, residual: Tensor, log_variance: Tensor, exponent: int) -> Result:
    """dy r^k / v for k = 0, 1 or 2 and log v: 0 where dy or r^k is, however small v, and finite where the result is."""
    device = dy.array.device
    r, s = residual.array, log_variance.array
    root = device.exp(device.affine(s, -0.25, 0.0))  # v^(−¼): v itself leaves the format much sooner
    half = device.multiply(device.multiply(r, root), root)
    if exponent == 2:
        size = device.multiply(half, half)
    elif exponent == 1:
        size = device.multiply(device.multiply(half, root), root)
    else:
        size = device.exp(device.negative(s))
    zero = zeros_like(dy).array
    if exponent:
        size = device.where(device.equal(r, zero), zero, size)
    y = device.where(device.equal(dy.array, zero), zero, device.multiply(dy.array, size))

    def by_residual(g: Tensor) -> Tensor:
        if exponent == 0:
            return zeros_like(g)
        return affine(over_variance(g * dy, residual, log_variance, exponent - 1), float(exponent), 0.0)

    return (
        Tensor(y),
        lambda g: over_variance(g, residual, log_variance, exponent),
        by_residual,
        lambda g: negative(over_variance(g * dy, residual, log_variance, exponent)),
    )


@differentiable(1)
def margin_of_loss(losses: Tensor) -> Result:
    """u = log p − log(1 − p) of the losses −log p: a class's score minus the logsumexp of the others'.

    Where 1 − p underflows u is infinite and its derivative is taken as 0, for functions of u that level off there.
    """
    device = losses.array.device
    q = device.negative(device.expm1(device.negative(losses.array)))
    u = Tensor(device.negative(device.add(losses.array, device.log(q))))

    def dlosses(dy: Tensor) -> Tensor:
        certain = equal(losses, 0.0)
        safe = where(certain, affine(zeros_like(losses), 1.0, 1.0), losses)
        return where(certain, zeros_like(dy), dy / expm1(negative(safe)))

    return u, dlosses
