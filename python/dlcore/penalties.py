"""Terms added to a loss: objective = loss + λ · penalty."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from . import ops
from .calculus import vjp
from .losses.base import number
from .tensor import Tensor

Penalty = Callable[..., Tensor]
# Of a layer h = s(x W + b), the slope s'(a) as a function of h.
_SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda h: ops.affine(ops.zeros_like(h), 1.0, 1.0),
    "sigmoid": lambda h: h * ops.affine(h, -1.0, 1.0),
    "tanh": lambda h: ops.affine(ops.square(h), -1.0, 1.0),
}


def _total(terms: Iterable[Tensor], name: str) -> Tensor:
    total: Tensor | None = None
    for term in terms:
        total = term if total is None else total + term
    if total is None:
        raise ValueError(f"{name}: no tensors are given")
    return total


def _cases(x: Tensor, name: str, what: str = "code") -> int:
    if x.ndim == 0 or x.shape[0] == 0:
        raise ValueError(f"{name}: the {what} has shape {x.shape}, expected at least one case")
    return x.shape[0]


def l1(*tensors: Tensor) -> Tensor:
    """Σ |w| over all elements of the tensors; the derivative at 0 is 0.

    Gradient steps only come near 0: for exact zeros see `dlcore.optim.ProximalL1`.

    References
    ----------
    Tibshirani (1996), Regression shrinkage and selection via the lasso.
    """
    return _total((ops.sum(ops.abs(w)) for w in tensors), "l1")


def l2(*tensors: Tensor) -> Tensor:
    """½ Σ w² over all elements of the tensors, so that λ is the weight decay."""
    return ops.affine(_total((ops.sum(ops.square(w)) for w in tensors), "l2"), 0.5, 0.0)


def elastic_net(*tensors: Tensor, l1_ratio: float = 0.5) -> Tensor:
    """l1_ratio Σ |w| + (1 − l1_ratio) ½ Σ w² over all elements of the tensors.

    Parameters
    ----------
    l1_ratio : in [0, 1]

    References
    ----------
    Zou, Hastie (2005), Regularization and variable selection via the elastic net.
    """
    ratio = number("elastic_net", l1_ratio, "l1_ratio", 0.0, math.nextafter(1.0, 2.0))
    if not tensors:
        raise ValueError("elastic_net: no tensors are given")
    return ops.affine(l1(*tensors), ratio, 0.0) + ops.affine(l2(*tensors), 1 - ratio, 0.0)


def activity_l1(code: Tensor) -> Tensor:
    """Mean over the cases (rows) of Σ |h|: the sparsity penalty on a hidden code.

    References
    ----------
    Olshausen, Field (1996), Emergence of simple-cell receptive field properties.
    """
    return ops.affine(ops.sum(ops.abs(code)), 1.0 / _cases(code, "activity_l1"), 0.0)


def kl_sparsity(code: Tensor, rho: float = 0.05) -> Tensor:
    """Σ over units of ρ log(ρ / ρ̂) + (1 − ρ) log((1 − ρ) / (1 − ρ̂)), ρ̂ the unit's mean activity over the cases.

    Zero where every unit is active with probability ρ, infinite where one is always 0 or always 1.

    Parameters
    ----------
    code : (n, ...) activities in [0, 1], of sigmoid units
    rho : in (0, 1), the activity wanted

    References
    ----------
    Lee, Ekanadham, Ng (2008), Sparse deep belief net model for visual area V2. Ng (2011), Sparse autoencoder.
    """
    target = number("kl_sparsity", rho, "rho", 0.0, 1.0, closed=False)
    n = _cases(code, "kl_sparsity")
    if code.size and not (ops.min(code).item() >= 0 and ops.max(code).item() <= 1):
        low, high = ops.min(code).item(), ops.max(code).item()
        raise ValueError(f"kl_sparsity: the code has values from {low:g} to {high:g}, expected activities in [0, 1]")
    mean = ops.affine(ops.sum(code, 0), 1.0 / n, 0.0)
    wanted = ops.full(mean.shape, target, mean.dtype)
    on = ops.pointwise_loss(mean, wanted, "kl")
    off = ops.pointwise_loss(ops.affine(mean, -1.0, 1.0), ops.affine(wanted, -1.0, 1.0), "kl")
    return ops.sum(on + off)


def contractive(code: Tensor, weight: Tensor, activation: str = "sigmoid") -> Tensor:
    """Mean over the cases of ‖∂h/∂x‖² = Σ_j s′(a_j)² Σ_i W_ij² for a code h = s(x W + b): exact, and no more than two
    products. For other codes see `jacobian_norm`.

    Parameters
    ----------
    code : h (n, units), the layer's output
    weight : W (inputs, units)
    activation : "sigmoid", "tanh" or "identity"

    References
    ----------
    Rifai, Vincent, Muller, Glorot, Bengio (2011), Contractive auto-encoders, equations 3 and 5.
    """
    if activation not in _SLOPES:
        raise ValueError(f"contractive: activation is {activation!r}, expected one of {', '.join(_SLOPES)}")
    if code.ndim != 2 or weight.ndim != 2 or code.shape[1] != weight.shape[1]:
        raise ValueError(
            f"contractive: code is {code.shape}, weight is {weight.shape}, expected (n, units) and (inputs, units)"
        )
    n = _cases(code, "contractive")
    slopes = ops.sum(ops.square(_SLOPES[activation](code)), 0)
    return ops.affine(ops.sum(slopes * ops.sum(ops.square(weight), 0)), 1.0 / n, 0.0)


def jacobian_norm(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Mean over the cases of ‖∂f(x)/∂x‖², the squared Frobenius norm of each case's Jacobian.

    One backward walk a component of f for the whole batch, so f must treat the cases apart (no batch statistics).

    Parameters
    ----------
    f : (n, ...) -> (n, units)
    x : (n, ...)
    """
    n = _cases(x, "jacobian_norm", "input")
    y = f(x)
    if y.ndim != 2 or y.shape[0] != n:
        raise ValueError(f"jacobian_norm: the function returned {y.shape}, expected ({n}, units)")
    pulled = vjp(f)
    total = ops.zeros((), x.dtype)
    for unit in range(y.shape[1]):
        column = ops.one_hot([unit] * n, y.shape[1], y.dtype)
        total = total + ops.sum(ops.square(pulled(column, x)))
    return ops.affine(total, 1.0 / n, 0.0)


def proximal_l1(x: Tensor, threshold: float) -> Tensor:
    """sign(x) max(0, |x| − threshold), exactly 0 within: argmin over z of ½ ‖z − x‖² + threshold ‖z‖₁.

    References
    ----------
    Donoho (1995), De-noising by soft-thresholding; Parikh, Boyd (2014), Proximal algorithms, section 6.5.2.
    """
    limit = number("proximal_l1", threshold, "threshold")
    return x - ops.clamp(x, -limit, limit)


def of(penalty: Penalty, *tensors: Tensor, **options: Any) -> Penalty:
    """The penalty of these tensors, whatever the batch: a term for an `Objective`."""

    def term(*batch: Any, **unused: Any) -> Tensor:
        return penalty(*tensors, **options)

    return term


class Objective:
    """loss + Σ λ · penalty, a function like its loss.

    Parameters
    ----------
    loss : (*batch) -> Tensor of one element
    penalties : name=(λ, penalty) with λ >= 0 and penalty : (*batch) -> Tensor of one element; `of` makes one of tensors

    Examples
    --------
    >>> objective = Objective(
    ...     lambda x, y: losses.cross_entropy(net(x), y),
    ...     decay=(1e-4, penalties.of(penalties.l2, net.parameters["layers.0.weight"])),
    ...     sparsity=(0.1, lambda x, y: penalties.kl_sparsity(net.encode(x))),
    ... )
    >>> loss, gradient = value_and_grad(objective, net.parameters)(x, y)
    """

    def __init__(self, loss: Penalty, **penalties: tuple[float, Penalty]) -> None:
        if not callable(loss):
            raise TypeError(f"Objective: loss is a {type(loss).__name__}, expected a function")
        self.loss = loss
        self.penalties: dict[str, tuple[float, Penalty]] = {}
        for name, term in penalties.items():
            if not isinstance(term, tuple) or len(term) != 2 or not callable(term[1]):
                raise TypeError(f"Objective: {name} is {term!r}, expected (weight, function)")
            self.penalties[name] = number("Objective", term[0], f"the weight of {name}"), term[1]

    def __call__(self, *batch: Any, **options: Any) -> Tensor:
        total = self.loss(*batch, **options)
        for weight, penalty in self.penalties.values():
            if weight:
                total = total + ops.affine(penalty(*batch, **options), weight, 0.0)
        return total

    def terms(self, *batch: Any, **options: Any) -> dict[str, float]:
        """The values of "loss" and of each penalty, without its λ; what a progress line shows."""
        found = {"loss": self.loss(*batch, **options).item()}
        for name, (_, penalty) in self.penalties.items():
            found[name] = penalty(*batch, **options).item()
        return found
