"""The methods of `minimize` on a model's parameters: on all data at once, or a few line searches a batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import calculus, ops
from ..autodiff import value_and_grad
from ..nn import Parameters
from ..ops import Generator
from ..ops.creation import is_integer
from ..tensor import Tensor, tensor
from .evaluations import Array, Evaluations, Point, Residuals, Stalled, Vector
from .functions import Call
from .minimize import METHODS, descend, find_method, observer, split_options
from .optimizer import Optimizer
from .result import OptimizeResult

BATCH_METHODS = tuple(name for name, kind in METHODS.items() if not kind.needs_residual)


class Theta:
    """The parameters as a float64 vector x: `write` rounds to θ's type, `read` is exact."""

    def __init__(self, parameters: Any, who: str) -> None:
        if not isinstance(parameters, Parameters):
            raise TypeError(
                f"{who}: parameters is a {type(parameters).__name__}, expected Parameters (model.parameters)"
            )
        parameters.require_current(who)
        if parameters.size == 0:
            raise ValueError(f"{who}: there are no parameters")
        self.parameters = parameters
        self._array = parameters.storage.array
        self.dtype = parameters.storage.dtype

    def read(self) -> Array:
        values: Array = self._array.numpy().astype(np.float64)
        return values

    def write(self, x: Array) -> None:
        with np.errstate(over="ignore"):
            self._array.assign(self._array.device.from_numpy(x.astype(self.dtype)))


def parameter_evaluations(
    theta: Theta,
    objective: Call | None,
    residual: Call | None,
    data: Sequence[Any],
    generators: Sequence[Generator] = (),
) -> Evaluations:
    """The objective as a function of θ. Each evaluation starts the generators anew: dropout keeps its mask."""
    steps = [generator.step for generator in generators]
    wrt = theta.parameters

    def at(x: Array) -> None:
        theta.write(x)
        for generator, step in zip(generators, steps, strict=True):
            generator.step = step

    def vector(values: Tensor) -> Array:
        found: Array = values.numpy().reshape(-1).astype(np.float64)
        return found

    def cast(v: Array) -> Tensor:
        return tensor(v, theta.dtype, wrt.storage.device)

    if residual is not None:
        known = residual

        def flat(*args: Any) -> Tensor:
            r = known(*args)
            if not isinstance(r, Tensor):
                raise TypeError(f"minimize_parameters: residual returned {type(r).__name__}, expected a Tensor")
            return ops.reshape(r, (r.size,))

        def half_square(*args: Any) -> Tensor:
            return 0.5 * ops.sum(ops.square(flat(*args)))

        objective = half_square
    assert objective is not None
    both = value_and_grad(objective, wrt)
    h, hv = calculus.hessian(objective, wrt), calculus.hvp(objective, wrt)

    def value(x: Array) -> tuple[float, Array]:
        at(x)
        y, g = both(*data)
        return y.item(), vector(g)

    def hessian(x: Array) -> Array:
        at(x)
        return vector(h(*data)).reshape(x.size, x.size)

    def product(x: Array, v: Array) -> Array:
        at(x)
        return vector(hv(cast(v), *data))

    epsilon = float(np.finfo(theta.dtype).eps) / 2
    if residual is None:
        return Evaluations(value, hessian, product, epsilon=epsilon)

    pull, push, rows = calculus.vjp(flat, wrt), calculus.jvp(flat, wrt), calculus.jacobian(flat, wrt)

    def residuals(x: Array) -> Array:
        at(x)
        return vector(flat(*data))

    def jacobian(x: Array) -> Array:
        at(x)
        j = rows(*data)
        return vector(j).reshape(j.shape[0], x.size)

    def linearize(x: Array) -> tuple[Vector, Vector]:
        def multiply(v: Array) -> Array:
            at(x)
            return vector(push(cast(v), *data))

        def transposed(u: Array) -> Array:
            at(x)
            return vector(pull(cast(u), *data))

        return multiply, transposed

    return Evaluations(None, hessian, product, Residuals(residuals, jacobian, linearize), epsilon)


def minimize_parameters(
    objective: Call | None,
    parameters: Parameters,
    *data: Any,
    method: str = "l-bfgs",
    residual: Call | None = None,
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> OptimizeResult:
    """A local minimum of ``objective(*data)`` over a model's θ, which is updated in place.

    Parameters
    ----------
    objective : function of `data` returning a Tensor of one element that depends on the parameters
    parameters : model.parameters
    method, tol, callback, options : see `minimize`; x is the flat θ
    residual : instead of objective (None then): r with the objective ½ Σ r_i²

    Returns
    -------
    OptimizeResult; ``x`` is θ in float64, rounded to θ's type where it is float32

    Raises
    ------
    TypeError, ValueError
        For arguments that do not fit, or an objective that is not finite at the start.

    Whatever is raised, by the objective or by Ctrl-C, θ is that of the last complete iteration.
    """
    who = "minimize_parameters"
    if (objective is None) == (residual is None):
        given = "neither is" if objective is None else "both are"
        raise TypeError(f"{who}: objective or residual is expected, {given} given")
    kind, stopping, own = split_options(method, options, tol)
    if kind.needs_residual and residual is None:
        raise ValueError(f"{who}: method {method!r} needs residual, the vector r of the objective ½ Σ r²")
    theta = Theta(parameters, who)
    taken = theta.read()
    if not np.isfinite(taken).all():
        raise ValueError(f"{who}: the parameters are not finite at index {int(np.argmin(np.isfinite(taken)))}")

    def accept(point: Point) -> None:
        nonlocal taken
        theta.write(point.x)
        taken = point.x

    evaluations = parameter_evaluations(theta, objective, residual, data)
    try:
        result = descend(kind(evaluations, **own), taken, stopping, observer(callback, taken.shape), accept)
    finally:
        theta.write(taken)
    result["x"] = theta.read()
    return result


class BatchMinimizer(Optimizer):
    """A few iterations of a method of `minimize` on each batch, the method starting anew with every batch.

    With "cg" and three line searches on batches of 1000 cases this is how Hinton and Salakhutdinov fine-tuned their
    deep autoencoders. Batches must be large enough that what a line search finds holds beyond its batch.

    Parameters
    ----------
    parameters : model.parameters
    method : one of "cg", "l-bfgs", "bfgs", "gradient-descent", "newton", "newton-cg", "trust-exact", "trust-ncg"
    line_searches : iterations on a batch
    options : the method's own (``formula``, ``line_search``, ``c2``, …)

    References
    ----------
    Hinton, Salakhutdinov (2006), Reducing the dimensionality of data with neural networks, supporting online material.
    """

    follows_lr = False

    def __init__(self, parameters: Parameters, method: str = "cg", line_searches: int = 3, **options: Any) -> None:
        super().__init__(parameters, 0.0)
        if not is_integer(line_searches) or line_searches < 1:
            raise ValueError(f"BatchMinimizer: line_searches is {line_searches!r}, expected a positive integer")
        if find_method(method).needs_residual:
            raise ValueError(f"BatchMinimizer: method is {method!r}, expected one of {', '.join(BATCH_METHODS)}")
        self._kind, _, self.options = split_options(method, options, None)
        if self.options != options:
            unknown = next(name for name in options if name not in self.options)
            raise ValueError(f"BatchMinimizer: {unknown!r} is a stopping rule; a batch ends after line_searches")
        self._kind(Evaluations(None), **self.options)  # checks the options' values
        self.method, self.line_searches = method.lower(), line_searches

    def step(self, gradient: Tensor) -> None:
        """Not possible: a line search needs the objective, not one gradient of it."""
        raise TypeError("BatchMinimizer: a line search needs the objective: call minimize_batch(objective, batch)")

    def minimize_batch(self, objective: Call, batch: Sequence[Any], generators: Iterable[Generator] = ()) -> float:
        """Do the line searches on ``objective(*batch)`` and update θ in place.

        Parameters
        ----------
        objective : function of the batch returning a Tensor of one element
        batch : its arguments
        generators : what the objective draws from (dropout): every evaluation on this batch sees the same draws

        Returns
        -------
        The objective before the first step. Where it is not finite θ is as it was.
        """
        theta = Theta(self.parameters, "BatchMinimizer")
        x = theta.read()
        evaluations = parameter_evaluations(theta, objective, None, batch, list(generators))
        method = self._kind(evaluations, **self.options)
        try:
            point = method.start(x)
            loss = point.f
            if math.isfinite(loss) and point.finite:
                for _ in range(self.line_searches):
                    if not point.g.any():
                        break
                    point = method.step(point)
                    x = point.x
        except Stalled:
            pass
        finally:
            theta.write(x)
        self.steps += 1
        return loss
