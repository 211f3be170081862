"""The Gaussian losses: the kernel, which is largest at a perfect fit, and what to minimise instead.

k = exp(−½ (y − f)² / σ²) is a similarity: minimising it drives predictions away from the targets. Minimise
`correntropy`, 1 − k, to resist outliers, or `gaussian_nll`, −log k and a constant, to estimate a mean (and a variance).
"""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..tensor import Operand, Tensor, as_tensor
from .base import Loss, Pointwise, number, pair, reduce, require_range

_PEAK_SLOPE = math.exp(-0.5)  # of exp(−½ z²), at |z| = 1
_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


class GaussianKernel(Pointwise):
    """exp(−½ (y − f)² / σ²), to be maximised; see `gaussian_kernel`."""

    name = "gaussian_kernel"
    kind = "gaussian_kernel"
    convex = False

    def __init__(self, sigma: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.sigma = number(self.name, sigma, "sigma", closed=False)

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        return _PEAK_SLOPE / self.sigma

    def parameter(self) -> float:
        return self.sigma


class Correntropy(GaussianKernel):
    """1 − exp(−½ (y − f)² / σ²); see `correntropy`."""

    name = "correntropy"
    kind = "correntropy"


class GaussianNLL(Loss):
    """½ [(y − f)² / v + log v].

    Parameters
    ----------
    variance : v > 0: the prediction is the mean f, one loss an element. None: the variance is predicted too, the
        prediction is (n, 2, ...) with f in [:, 0] and log v in [:, 1], the target (n, ...), one loss a row and Hessians
        of 2 × 2.
    full : add ½ log 2π
    """

    name = "gaussian_nll"

    def __init__(self, variance: float | None = None, full: bool = False, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.variance = None if variance is None else number(self.name, variance, "variance", closed=False)
        self.full = bool(full)
        self.rows = self.variance is None
        self.convex = self.variance is not None

    def losses(self, prediction: Operand, target: Any) -> tuple[Tensor, Tensor | None]:
        constant = _HALF_LOG_TWO_PI if self.full else 0.0
        if self.variance is not None:
            f, y = pair(prediction, target, self.name)
            return ops.affine(
                ops.pointwise_loss(f, y, "squared", 0.5 / self.variance), 1.0, 0.5 * math.log(self.variance) + constant
            ), None
        both = as_tensor(prediction, name=self.name)
        if both.ndim < 2 or both.shape[1] != 2:
            raise ValueError(f"gaussian_nll: prediction is {both.shape}, expected (n, 2, ...): mean and log variance")
        f, y = pair(both[:, 0], target, self.name)
        log_variance = both[:, 1]
        z = (f - y) * ops.exp(ops.affine(log_variance, -0.5, 0.0))
        return ops.affine(ops.square(z) + log_variance, 0.5, constant), None


class SigmaAnnealing:
    """σ(step) = start (end / start)^(step / steps), then `end`.

    A wide kernel sees every residual and its loss is nearly quadratic, so that any start finds the bulk of the data; as
    σ shrinks, what lies several σ away stops to count.

    Parameters
    ----------
    start, end : > 0
    steps : int >= 1
    """

    def __init__(self, start: float, end: float, steps: int) -> None:
        self.start = number("SigmaAnnealing", start, "start", closed=False)
        self.end = number("SigmaAnnealing", end, "end", closed=False)
        self.steps = number("SigmaAnnealing", steps, "steps", 1.0)

    def __call__(self, step: int) -> float:
        done = min(max(step / self.steps, 0.0), 1.0)
        return float(self.start * (self.end / self.start) ** done)


def gaussian_kernel(
    prediction: Operand,
    target: Operand,
    sigma: float = 1.0,
    reduction: str = "mean",
    sample_weight: Operand | None = None,
) -> Tensor:
    """exp(−½ (y − f)² / σ²), element by element: 1 at a perfect fit, 0 far away. To be maximised; or see `correntropy`.

    Lipschitz with constant e^(−½) / σ, neither convex nor concave.

    Parameters
    ----------
    sigma : σ > 0, in units of the target
    """
    return GaussianKernel(sigma, reduction)(prediction, target, sample_weight)


def correntropy(
    prediction: Operand,
    target: Operand,
    sigma: float = 1.0,
    reduction: str = "mean",
    sample_weight: Operand | None = None,
) -> Tensor:
    """1 − exp(−½ (y − f)² / σ²), element by element: about ½ r²/σ² near 0, and at most 1, so that outliers do not pull.

    Also known as Welsch's loss. Lipschitz with constant e^(−½) / σ, convex for |r| ≤ σ only: anneal σ from the spread
    of the first residuals down with `SigmaAnnealing`.

    Parameters
    ----------
    sigma : σ > 0, in units of the target: the size of an ordinary error

    References
    ----------
    Dennis, Welsch (1978), Techniques for nonlinear least squares and robust regression. Liu, Pokharel, Principe (2007),
    Correntropy, IEEE Transactions on Signal Processing 55.
    """
    return Correntropy(sigma, reduction)(prediction, target, sample_weight)


def gaussian_nll(
    prediction: Operand,
    target: Operand,
    variance: Operand = 1.0,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
    sample_weight: Operand | None = None,
) -> Tensor:
    """½ [(y − f)² / v + log v], v = max(variance, eps), element by element: −log of the Gaussian density of y.

    Convex in f with Hessian 1/v, not Lipschitz: an outlier pulls with its whole distance.

    Parameters
    ----------
    variance : number, or of the prediction's shape (given or predicted), >= 0; the loss is differentiable in it too
    full : add ½ log 2π
    eps : > 0, the smallest variance

    References
    ----------
    Nix, Weigend (1994), Estimating the mean and variance of the target probability distribution.
    """
    loss = GaussianNLL(1.0, full, reduction)
    eps = number(loss.name, eps, "eps", closed=False)
    f, y = pair(prediction, target, loss.name)
    v = as_tensor(variance, f, loss.name)
    if v.shape not in ((), f.shape):
        raise ValueError(f"gaussian_nll: variance is {v.shape}, expected a number or {f.shape}")
    if v.dtype != f.dtype:
        raise TypeError(f"gaussian_nll: dtypes differ: prediction is {f.dtype}, variance is {v.dtype}")
    require_range(loss.name, "variance", v, 0, math.inf)
    v = ops.clamp(v, eps, math.inf)
    losses = ops.affine(
        ops.pointwise_loss(f, y, "squared", 1.0) / v + ops.log(v), 0.5, _HALF_LOG_TWO_PI if full else 0.0
    )
    return reduce(losses, reduction, sample_weight, loss.name)
