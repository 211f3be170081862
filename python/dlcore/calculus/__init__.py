"""Derivatives beyond the gradient, as short functions over the same tape."""

from .check import GradcheckError, gradcheck, gradgradcheck
from .matrices import hessian, jacobian
from .products import directional_derivative, gnvp, hvp, jvp, vjp
from .quadratic import Quadratic

__all__ = [
    "GradcheckError",
    "Quadratic",
    "directional_derivative",
    "gnvp",
    "gradcheck",
    "gradgradcheck",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "vjp",
]
