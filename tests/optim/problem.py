"""Problem: residuals written once, evaluated by dlcore's tape and by NumPy on complex numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dlcore
import numpy as np
from dlcore import ops, tensor
from dlcore.autodiff import differentiable


class NumPy:
    """Elementary functions on complex arrays; each is analytic, which complex steps need."""

    exp, log, sin, cos, sqrt, arctan, sum = np.exp, np.log, np.sin, np.cos, np.sqrt, np.arctan, np.sum
    stack, concatenate = np.stack, np.concatenate

    @staticmethod
    def abs(x: Any) -> Any:
        return np.where(np.real(x) < 0, -x, x)

    @staticmethod
    def matvec(a: Any, x: Any) -> Any:
        return a @ x


class Tensors:
    """The same on dlcore tensors."""

    exp, log, sin, cos, sqrt, abs = ops.exp, ops.log, ops.sin, ops.cos, ops.sqrt, ops.abs
    sum, stack, concatenate = ops.sum, ops.stack, ops.concatenate

    @staticmethod
    @differentiable(1)
    def arctan(x: Any) -> Any:
        return tensor(np.arctan(x.numpy())), lambda dy: dy / (1.0 + x * x)

    @staticmethod
    def matvec(a: Any, x: Any) -> Any:
        return ops.reshape(ops.matmul(tensor(a), ops.reshape(x, (x.size, 1))), (len(a),))


@dataclass(frozen=True)
class Problem:
    """``residuals(x, namespace)``, the standard start, and f at the known (local) minima, infinite ones included."""

    name: str
    residuals: Callable[[Any, Any], Any]
    start: np.ndarray[Any, Any]
    minima: tuple[float, ...]

    def f(self, x: Any) -> Any:
        """f as a function of a dlcore tensor."""
        return ops.sum(ops.square(self.residuals(x, Tensors)))

    def residual(self, x: Any) -> Any:
        """The residuals as a function of a dlcore tensor."""
        return self.residuals(x, Tensors)

    def residual_array(self, x: Any) -> Any:
        """The residuals by NumPy."""
        with np.errstate(all="ignore"):
            return np.asarray(self.residuals(np.asarray(x), NumPy))

    def jacobian_array(self, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """∂r_i/∂x_j by complex steps: Squire, Trapp (1998)."""
        h = 1e-200
        return np.stack([self.residual_array(x + 1j * h * unit).imag / h for unit in np.eye(x.size)], 1)

    def f_array(self, x: Any) -> float:
        return float(np.sum(self.residual_array(x) ** 2))

    def gradient_array(self, x: Any) -> np.ndarray[Any, Any]:
        with np.errstate(all="ignore"):
            return 2 * self.jacobian_array(x).T @ self.residual_array(x)

    def hessian_array(self, x: Any) -> np.ndarray[Any, Any]:
        """By the tape: r'' has no complex step."""
        return dlcore.hessian(self.f)(tensor(np.asarray(x))).numpy()
