"""The Gaussian losses: the kernel, which is largest at a perfect fit, and what to minimise instead.

k = exp(−½ (y − f)² / σ²) is a similarity: minimising it drives predictions away from the targets. Minimise
`correntropy`, 1 − k, to resist outliers, or `gaussian_nll`, −log k and a constant, to estimate a mean (and a variance).
"""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..ops.creation import is_number
from ..tensor import Operand, Tensor, as_tensor
from .base import Loss, Pointwise, number, pair, require_range

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
    """½ [(y − f)² / v + log v]; see `gaussian_nll`.

    Parameters
    ----------
    variance : v, a number or of the prediction's shape: the prediction is the mean f, one loss an element. None: the
        variance is predicted too, the prediction is (n, 2, ...) with f in [:, 0] and log v in [:, 1], the target
        (n, ...), one loss a row and Hessians of 2 × 2.
    full : add ½ log 2π
    eps : > 0, the smallest variance where it is given
    """

    name = "gaussian_nll"

    def __init__(
        self, variance: Operand | None = None, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self.variance = number(self.name, variance, "variance") if is_number(variance) else variance
        self.full = bool(full)
        self.eps = number(self.name, eps, "eps", closed=False)
        self.rows = variance is None
        self.convex = variance is not None

    def losses(self, prediction: Operand, target: Any) -> tuple[Tensor, Tensor | None]:
        constant = _HALF_LOG_TWO_PI if self.full else 0.0
        if isinstance(self.variance, float):
            f, y = pair(prediction, target, self.name)
            v = max(self.variance, self.eps)
            squares = ops.pointwise_loss(f, y, "squared", 0.5 / v)
            return ops.affine(squares, 1.0, 0.5 * math.log(v) + constant), None
        if self.variance is not None:
            f, y = pair(prediction, target, self.name)
            variances = ops.clamp(self._variances(f), self.eps, math.inf)
            squares = ops.pointwise_loss(f, y, "squared", 1.0)
            return ops.affine(squares / variances + ops.log(variances), 0.5, constant), None
        both = as_tensor(prediction, name=self.name)
        if both.ndim < 2 or both.shape[1] != 2:
            raise ValueError(f"gaussian_nll: prediction is {both.shape}, expected (n, 2, ...): mean and log variance")
        f, y = pair(both[:, 0], target, self.name)
        log_variance = both[:, 1]
        ones = ops.full(f.shape, 1.0, f.dtype, f.device)
        squares = ops.over_variance(ones, f - y, log_variance, 2)
        return ops.affine(squares + log_variance, 0.5, constant), None

    def _variances(self, f: Tensor) -> Tensor:
        v = as_tensor(self.variance, f, self.name)
        if v.shape not in ((), f.shape):
            raise ValueError(f"gaussian_nll: variance is {v.shape}, expected a number or {f.shape}")
        if v.dtype != f.dtype:
            raise TypeError(f"gaussian_nll: dtypes differ: prediction is {f.dtype}, variance is {v.dtype}")
        require_range(self.name, "variance", v, 0, math.inf)
        return v


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
    variance: Operand | None = 1.0,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
    sample_weight: Operand | None = None,
) -> Tensor:
    """½ [(y − f)² / v + log v], v = max(variance, eps), element by element: −log of the Gaussian density of y.

    Convex in f with Hessian 1/v, not Lipschitz: an outlier pulls with its whole distance.

    Parameters
    ----------
    variance : number, or of the prediction's shape (given or predicted), >= 0; the loss is differentiable in it too.
        None (what the class has by default): the prediction is (n, 2, ...), mean and log variance, with a loss a row.
    full : add ½ log 2π
    eps : > 0, the smallest variance where it is given

    References
    ----------
    Nix, Weigend (1994), Estimating the mean and variance of the target probability distribution.
    """
    return GaussianNLL(variance, full, eps, reduction)(prediction, target, sample_weight)
