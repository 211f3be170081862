"""Reverse-mode differentiation: one walk down the tape.

`dlcore.tape` says what is recorded. A transformation is a level of the thread's tape: its leaves are what it
differentiates by, and its walk ends at them, so that nested transformations do not see each other's variables.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .tape import Function, Gradient, Tape, differentiable, identity, is_recorded, is_recording, no_grad, stop_gradient
from .tape import state as _state
from .tensor import Tensor, as_tensor, int32

__all__ = [
    "Differentiable",
    "Function",
    "Level",
    "Tape",
    "differentiable",
    "grad",
    "is_recorded",
    "is_recording",
    "no_grad",
    "stop_gradient",
    "value_and_grad",
]


@differentiable(2)
def _accumulate(a: Tensor, b: Tensor) -> tuple[Any, ...]:
    return Tensor(a.array.device.add(a.array, b.array)), identity, identity


class Differentiable(Protocol):
    """What a set of parameters offers `value_and_grad`: see `dlcore.nn.Parameters`."""

    @property
    def tensors(self) -> Sequence[Tensor]: ...

    def new_gradient(self) -> tuple[Tensor, list[Any]]:
        """An uninitialised vector with θ's layout, and the views of it that belong to `tensors`."""

    def concatenate(self, gradients: Sequence[Tensor | None]) -> Tensor:
        """The same vector as a recorded op of its parts."""


class Level:
    """One transformation: its leaves on the thread's tape (a new one when it is the outermost)."""

    def __enter__(self) -> Level:
        tape = _state.tape
        self.outermost = tape is None
        self.tape = Tape() if tape is None else tape
        _state.tape = self.tape
        self.start = len(self.tape.entries)
        self._saved: list[tuple[int, int]] = []
        return self

    def __exit__(self, *exception: object) -> None:
        tape = self.tape
        if self.outermost:
            _state.tape = None
            tape.entries.clear()  # breaks the cycles tensor -> tape -> gradient function -> tensor
            tape.leaves.clear()
            return
        for key, index in reversed(self._saved):
            if index < 0:
                del tape.leaves[key]
            else:
                tape.leaves[key] = index
        _state.tape = tape

    def leaf(self, x: Tensor) -> Tensor:
        """A fresh alias of x to differentiate by."""
        alias = Tensor(x.array)
        alias._tape = self.tape
        alias._index = self.tape.add_leaf(self.tape.index_of(x))
        return alias

    def leaves_in_place(self, tensors: Sequence[Tensor]) -> Sequence[int]:
        """Differentiate by the tensors themselves, wherever the function finds them; their indices."""
        tape = self.tape
        if self.outermost and not tape.entries:  # the usual case, and the quickest
            tape.leaves = {id(x): i for i, x in enumerate(tensors)}
            tape.entries.extend([()] * len(tensors))
            return range(len(tensors))
        indices = []
        for x in tensors:
            self._saved.append((id(x), tape.leaves.get(id(x), -1)))
            indices.append(tape.add_leaf(tape.index_of(x)))
            tape.leaves[id(x)] = indices[-1]
        return indices

    def backward(
        self, y: Tensor, dy: Tensor, leaves: Sequence[int], destinations: dict[int, Any] | None = None
    ) -> list[Tensor | None]:
        """Gradients of sum(dy * y) with respect to `leaves`; None where y does not depend on one.

        `destinations` maps leaves to arrays that receive the gradient in place (outermost transformation only).
        """
        found: dict[int, Tensor] = {}
        owned: set[int] = set()  # gradients made here by addition, which nobody else holds
        wanted = set(leaves)
        results: dict[int, Tensor] = {}
        index = self.tape.index_of(y)
        if index >= self.start:
            found[index] = dy
            if destinations is not None and index in destinations:  # y is a parameter itself
                destinations[index].assign(dy.array)
        entries, start = self.tape.entries, self.start
        _state.tape = None if self.outermost else self.tape
        try:
            for i in range(index, start - 1, -1):
                gradient_of_i = found.pop(i, None)
                if gradient_of_i is None:
                    continue
                if i in wanted:
                    results[i] = gradient_of_i
                    continue
                for parent, gradient in entries[i]:
                    if parent < start:
                        continue  # a value of an enclosing transformation
                    if destinations is not None and parent in destinations:
                        self._write(found, parent, gradient, gradient_of_i, destinations[parent])
                        continue
                    previous = found.get(parent)
                    if previous is None:
                        found[parent] = gradient(gradient_of_i)
                    elif parent in owned:
                        previous.array.device.axpy(1.0, gradient(gradient_of_i).array, previous.array)
                    else:
                        found[parent] = _accumulate(previous, gradient(gradient_of_i))
                        if self.outermost:
                            owned.add(parent)
        finally:
            _state.tape = self.tape
        return [results.get(leaf) for leaf in leaves]

    @staticmethod
    def _write(found: dict[int, Tensor], parent: int, gradient: Gradient, dy: Tensor, destination: Any) -> None:
        if parent in found:
            destination.device.axpy(1.0, gradient(dy).array, destination)
        elif gradient.__defaults__:  # takes `out`
            gradient(dy, destination)
            found[parent] = Tensor(destination)
        else:
            destination.assign(gradient(dy).array)
            found[parent] = Tensor(destination)


def _zeros_like(x: Tensor) -> Tensor:
    return Tensor(x.array.device.full(x.shape, 0.0, x.array.dtype))


def ones_like(x: Tensor) -> Tensor:
    return Tensor(x.array.device.full(x.shape, 1.0, x.array.dtype))


def _require_scalar(y: Any, who: str) -> Tensor:
    require_float(y, who)
    if y.array.size != 1:
        raise ValueError(f"{who}: the function returned shape {y.shape}, expected one element; see jacobian")
    return y  # type: ignore[no-any-return]


def require_float(y: Any, who: str) -> Tensor:
    """y, a function's value, if it is a Tensor that can have a derivative."""
    if not isinstance(y, Tensor):
        raise TypeError(f"{who}: the function returned {type(y).__name__}, expected a Tensor")
    if y.array.dtype == "int32":
        raise TypeError(f"{who}: the function returned dtype int32, expected float32 or float64")
    return y


def argument_leaves(level: Level, wrt: tuple[int, ...], args: tuple[Any, ...], who: str) -> tuple[Any, ...]:
    """`args` as tensors where asked for, with fresh leaves in the places named by `wrt`."""
    replaced = list(args)
    for position in wrt:
        if not -len(args) <= position < len(args):
            raise ValueError(f"{who}: argument {position} is to be differentiated, {len(args)} are given")
        x = as_tensor(args[position], name=who)
        if x.dtype == int32:
            raise TypeError(f"{who}: argument {position} has dtype int32, expected float32 or float64")
        replaced[position] = level.leaf(x)
    return tuple(replaced)


def value_and_grad(f: Function, wrt: int | tuple[int, ...] | Differentiable = 0) -> Callable[..., tuple[Tensor, Any]]:
    """The function ``(*args) -> (f(*args), gradient)`` of a scalar function f.

    Parameters
    ----------
    f : callable returning a Tensor of one element
    wrt : int, tuple of ints, or Parameters
        Which arguments to differentiate by: the gradient is a Tensor of that argument's shape, or a tuple of them.
        For a model's parameters it is one vector with the layout of θ, zero where f does not depend on them.

    Raises
    ------
    TypeError
        If `wrt` is none of these, or f does not return a floating-point Tensor.
    ValueError
        If f does not return one element, or an argument named by `wrt` is not given.

    References
    ----------
    Griewank, Walther (2008), Evaluating Derivatives, chapter 3.
    """
    if isinstance(wrt, (int, tuple)):
        return functools.partial(_value_and_grad_arguments, f, wrt)
    require_differentiable(wrt, "grad")
    return functools.partial(_value_and_grad_parameters, f, wrt)


def require_differentiable(wrt: Any, who: str) -> None:
    """Raise a TypeError unless wrt offers what `Differentiable` lists."""
    if not hasattr(type(wrt), "new_gradient"):
        raise TypeError(f"{who}: wrt is a {type(wrt).__name__}, expected an argument's position or Parameters")


def _value_and_grad_arguments(
    f: Function, wrt: int | tuple[int, ...], *args: Any, **options: Any
) -> tuple[Tensor, Any]:
    positions = (wrt,) if isinstance(wrt, int) else wrt
    with Level() as level:
        args = argument_leaves(level, positions, args, "grad")
        y = _require_scalar(f(*args, **options), "grad")
        leaves = [args[position] for position in positions]
        found = level.backward(y, ones_like(y), [leaf._index for leaf in leaves])
        gradients = tuple(_zeros_like(x) if g is None else g for x, g in zip(leaves, found, strict=True))
    return y, gradients[0] if isinstance(wrt, int) else gradients


def _value_and_grad_parameters(f: Function, wrt: Differentiable, *args: Any, **options: Any) -> tuple[Tensor, Tensor]:
    with Level() as level:
        leaves = level.leaves_in_place(wrt.tensors)
        y = _require_scalar(f(*args, **options), "grad")
        if not level.outermost:
            return y, wrt.concatenate(level.backward(y, ones_like(y), leaves))
        flat, views = wrt.new_gradient()
        found = level.backward(y, ones_like(y), leaves, dict(zip(leaves, views, strict=True)))
        for view, gradient in zip(views, found, strict=True):
            if gradient is None:
                view.assign(view.device.full(view.shape, 0.0, view.dtype))
    return y, flat


def grad(f: Function, wrt: int | tuple[int, ...] | Differentiable = 0) -> Callable[..., Any]:
    """The gradient of a scalar function; arguments as in :func:`value_and_grad`."""
    both = value_and_grad(f, wrt)

    @functools.wraps(f)
    def gradient(*args: Any, **options: Any) -> Any:
        return both(*args, **options)[1]

    return gradient
