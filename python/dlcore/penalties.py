"""Terms added to a loss: objective = loss + λ · penalty."""

from __future__ import annotations

from collections.abc import Iterable

from . import ops
from .tensor import Tensor


def _total(terms: Iterable[Tensor], name: str) -> Tensor:
    total: Tensor | None = None
    for term in terms:
        total = term if total is None else total + term
    if total is None:
        raise ValueError(f"{name}: no tensors are given")
    return total


def l1(*tensors: Tensor) -> Tensor:
    """Σ |w| over all elements of the tensors; the derivative at 0 is 0."""
    return _total((ops.sum(ops.abs(w)) for w in tensors), "l1")


def l2(*tensors: Tensor) -> Tensor:
    """½ Σ w² over all elements of the tensors, so that λ is the weight decay."""
    return ops.affine(_total((ops.sum(ops.square(w)) for w in tensors), "l2"), 0.5, 0.0)


def activity_l1(code: Tensor) -> Tensor:
    """Mean over the cases (rows) of Σ |h|: the sparsity penalty on a hidden code.

    References
    ----------
    Olshausen, Field (1996), Emergence of simple-cell receptive field properties.
    """
    if code.ndim == 0 or code.shape[0] == 0:
        raise ValueError(f"activity_l1: the code has shape {code.shape}, expected at least one case")
    return ops.affine(ops.sum(ops.abs(code)), 1.0 / code.shape[0], 0.0)
