"""Batch normalization."""

from __future__ import annotations

import math

from .. import ops
from ..autodiff import no_grad
from ..ops.creation import is_number
from ..tensor import Tensor
from .checks import require_positive
from .initializers import constant, zeros
from .module import Module


class _BatchNorm(Module):
    """Normalization over all axes but the channels'."""

    weight: Tensor
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    dimensions: tuple[int, ...]
    expected: str

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        require_positive(owner, num_features=num_features)
        if not is_number(eps) or not 0 < eps < math.inf:
            raise ValueError(f"{owner}: eps is {eps!r}, expected a finite number > 0")
        if momentum is not None and (not is_number(momentum) or not 0 <= momentum <= 1):
            raise ValueError(f"{owner}: momentum is {momentum!r}, expected a number in [0, 1] or None")
        self.num_features, self.eps = num_features, float(eps)
        self.momentum = None if momentum is None else float(momentum)
        self.affine, self.track_running_stats = bool(affine), bool(track_running_stats)
        if affine:
            self.declare("weight", (num_features,), constant(1.0))
            self.declare("bias", (num_features,), zeros)
        if track_running_stats:
            self.declare_buffer("running_mean", (num_features,), 0.0)
            self.declare_buffer("running_var", (num_features,), 1.0)
            self.declare_buffer("num_batches_tracked", (), 0.0)

    def forward(self, x: Tensor) -> Tensor:
        owner = type(self).__name__
        if x.ndim not in self.dimensions or x.shape[1] != self.num_features:
            raise ValueError(f"{owner}: x has shape {x.shape}, expected {self.expected.format(self.num_features)}")
        over = (1, self.num_features, *(1,) * (x.ndim - 2))
        if self.training or not self.track_running_stats:
            axes = (0, *range(2, x.ndim))
            count = x.size // self.num_features
            if self.training and count == 1:
                raise ValueError(f"{owner}: one value a channel has no variance, expected a batch of at least 2 cases")
            mean = ops.mean(x, axes, keepdims=True)
            centred = x - mean
            variance = ops.mean(ops.square(centred), axes, keepdims=True)
            if self.training and self.track_running_stats:
                self._track(mean, variance, count)
        else:
            centred = x - ops.reshape(self.running_mean, over)
            variance = ops.reshape(self.running_var, over)
        scale = ops.reciprocal(ops.sqrt(ops.affine(variance, 1.0, self.eps)))
        if not self.affine:
            return centred * scale
        return centred * (scale * ops.reshape(self.weight, over)) + ops.reshape(self.bias, over)

    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """running ← (1 − momentum) running + momentum · batch, in place; the variance without its bias."""
        with no_grad():
            number = ops.affine(self.num_batches_tracked, 1.0, 1.0)
            share = 1.0 / number.item() if self.momentum is None else self.momentum
            unbiased = ops.affine(variance, count / (count - 1), 0.0)
            for running, batch in ((self.running_mean, mean), (self.running_var, unbiased)):
                moved = ops.affine(running, 1.0 - share, 0.0) + ops.affine(
                    ops.reshape(batch, running.shape), share, 0.0
                )
                running.array.assign(moved.array)
            self.num_batches_tracked.array.assign(number.array)

    def describe(self) -> str:
        return f"{type(self).__name__}({self.num_features})"


class BatchNorm1d(_BatchNorm):
    """y = weight · (x − μ) / √(σ² + eps) + bias for each channel, x (n, channels) or (n, channels, length).

    While training μ and σ² are the batch's mean and (biased) variance; its mean and unbiased variance also go into
    ``running_mean`` and ``running_var``, which stand in their place in prediction. Each evaluation in training mode
    counts as a batch, those of a line search too. Names and conventions are PyTorch's.

    Parameters
    ----------
    num_features : int, channels
    eps : number > 0 added to the variance
    momentum : share in [0, 1] of the newest batch in the running statistics; None averages over all batches
    affine : whether weight and bias are learned
    track_running_stats : without it the batch's statistics serve in prediction too

    Raises
    ------
    ValueError
        For another shape, and in training for a batch of one value a channel.

    References
    ----------
    Ioffe, Szegedy (2015), Batch normalization: accelerating deep network training by reducing internal covariate shift,
    algorithms 1 and 2.
    """

    dimensions, expected = (2, 3), "(n, {0}) or (n, {0}, length)"


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for images x (n, channels, height, width)."""

    dimensions, expected = (4,), "(n, {0}, height, width)"
