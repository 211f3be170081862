"""Softmax cross-entropy, fused and stable, one loss a row; native in ``csrc/loss.cpp``."""

from __future__ import annotations

from ..autodiff import differentiable
from ..tensor import Tensor, int32
from .activation import log_softmax, softmax
from .broadcast import Result
from .elementwise import affine, log, negative
from .loss_pointwise import pointwise_loss
from .movement import one_hot, reshape
from .reduce import logsumexp, sum


@differentiable(2)
def softmax_cross_entropy(logits: Tensor, targets: Tensor) -> Result:
    """−Σ t log softmax(logits) of each row.

    Parameters
    ----------
    logits : (n, classes)
    targets : int32 class indices (n,), or probabilities (n, classes) of the logits' dtype

    Returns
    -------
    (n,)

    Raises
    ------
    ValueError
        For a class index outside [0, classes), naming the first.
    """
    losses = Tensor(logits.array.device.softmax_cross_entropy(logits.array, targets.array))
    return (
        losses,
        lambda dy: softmax_cross_entropy_grad(dy, logits, targets),
        lambda dy: _soft_targets_grad(dy, logits),
    )


@differentiable(2)
def softmax_divergence(logits: Tensor, targets: Tensor) -> Result:
    """Σ t log(t / softmax(logits)) of each row: the gradients of the cross-entropy, which do not cancel.

    Parameters
    ----------
    logits, targets : (n, classes)
    """
    value = Tensor(sum(pointwise_loss(log_softmax(Tensor(logits.array)), Tensor(targets.array), "kl_log"), 1).array)

    def by_targets(dy: Tensor) -> Tensor:
        return reshape(dy, (dy.shape[0], 1)) * affine(log(targets) - log_softmax(logits), 1.0, 1.0)

    return value, lambda dy: softmax_cross_entropy_grad(dy, logits, targets), by_targets


def _soft_targets_grad(dy: Tensor, logits: Tensor) -> Tensor:
    from_logits = logits - reshape(logsumexp(logits), (logits.shape[0], 1))
    return negative(reshape(dy, (dy.shape[0], 1)) * from_logits)


@differentiable(3)
def softmax_cross_entropy_grad(dlosses: Tensor, logits: Tensor, targets: Tensor) -> Result:
    """dloss (softmax(logits) Σt − t) of each row."""
    device = logits.array.device
    dlogits = Tensor(device.softmax_cross_entropy_grad(dlosses.array, logits.array, targets.array))

    def dense_targets() -> Tensor:
        return one_hot(targets, logits.shape[1], logits.dtype) if targets.dtype == int32 else targets

    def ddlosses(g: Tensor) -> Tensor:
        t = dense_targets()
        return sum(g * (softmax(logits) * sum(t, 1, keepdims=True) - t), 1)

    def ddlogits(g: Tensor) -> Tensor:
        y = softmax(logits)
        weight = reshape(dlosses, (dlosses.shape[0], 1)) * sum(dense_targets(), 1, keepdims=True)
        return weight * (y * (g - sum(y * g, 1, keepdims=True)))

    def dtargets(g: Tensor) -> Tensor:
        inner = sum(g * softmax(logits), 1, keepdims=True)
        return reshape(dlosses, (dlosses.shape[0], 1)) * (inner - g)

    return dlogits, ddlosses, ddlogits, dtargets
