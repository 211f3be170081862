"""Limits on a gradient's size."""

from __future__ import annotations

import math

from ..tensor import Tensor
from .ranges import ABOVE_ZERO, require


def grad_norm(gradient: Tensor) -> float:
    """‖g‖₂ of all elements, added in float64."""
    return float(gradient.array.device.norm(gradient.array))


def clip_grad_norm(gradient: Tensor, max_norm: float, error_if_nonfinite: bool = True) -> tuple[Tensor, float]:
    """g · min(1, max_norm / ‖g‖₂), and ‖g‖₂.

    Two native passes, or one where nothing is to be scaled: then g itself is returned. The optimizers'
    ``max_grad_norm`` does the same and saves the second, which joins the step.

    Parameters
    ----------
    gradient : Tensor of any shape
    max_norm : finite number > 0
    error_if_nonfinite : what a norm that is NaN or infinite does: raise, or leave the gradient as it is, so that the
        elements at fault stay to be seen and no other is harmed

    Raises
    ------
    ValueError
    FloatingPointError
        For a norm that is not finite, if asked.

    References
    ----------
    Pascanu, Mikolov, Bengio (2013), On the difficulty of training recurrent neural networks, algorithm 1.
    """
    require("clip_grad_norm", ABOVE_ZERO, max_norm=max_norm)
    norm = grad_norm(gradient)
    if not math.isfinite(norm):
        if error_if_nonfinite:
            raise FloatingPointError(f"clip_grad_norm: the norm of the gradient is {norm}")
        return gradient, norm
    if norm <= max_norm:
        return gradient, norm
    return Tensor(gradient.array.device.affine(gradient.array, max_norm / norm, 0.0)), norm


def clip_grad_value(gradient: Tensor, clip_value: float) -> Tensor:
    """max(−clip_value, min(g, clip_value)), element by element; NaN stays, ±∞ becomes ± clip_value.

    Raises
    ------
    ValueError
        Unless clip_value is a finite number > 0.
    """
    require("clip_grad_value", ABOVE_ZERO, clip_value=clip_value)
    return Tensor(gradient.array.device.clamp(gradient.array, -clip_value, clip_value))
