"""The record of a computation: what ops append to, and what a derivative walks down.

An op returns its output and one gradient function per input. While a tape records, each op appends one entry: the
indices of its inputs and their gradient functions. Gradient functions are written with ops, so while an outer
transformation records they are recorded in turn, which gives derivatives of any order.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

from .tensor import Tensor, as_tensor

Gradient = Callable[..., Any]  # a Tensor, or None where there is no share
Function = Callable[..., Tensor]


class Tape:
    """The record of one outermost transformation and of those nested in it.

    ``entries[i]`` lists (input index, gradient function) of the value with index i. Values made while the tape records
    carry their index; `leaves` holds those of parameters, by identity, so that threads can share a model. `nested`
    counts the open transformations inside the outermost, `twice` says that a walk may go down the record of another,
    and `has_inner_leaves` that a transformation made a leaf that is a constant to those around it.
    """

    __slots__ = ("entries", "has_inner_leaves", "leaves", "nested", "twice")

    def __init__(self) -> None:
        self.entries: list[Sequence[tuple[int, Gradient]]] = []
        self.leaves: dict[int, int] = {}
        self.nested = 0
        self.twice = False
        self.has_inner_leaves = False

    def index_of(self, x: Any) -> int:
        """Index of x on this tape, or -1 when it is a constant."""
        if not isinstance(x, Tensor):
            return -1
        return x._index if x._tape is self else self.leaves.get(id(x), -1)

    def record(self, result: tuple[Any, ...], inputs: Sequence[Any]) -> None:
        """Append the entry of ``(y, gradient, ...)``, unless all inputs of y are constants."""
        parents = []
        leaves = self.leaves
        for x, gradient in zip(inputs, result[1:], strict=False):  # inputs go on with arguments that are no tensors
            if x is None:
                continue
            index = x._index if x._tape is self else leaves.get(id(x), -1)
            if index >= 0:
                parents.append((index, gradient))
        if parents:
            y = result[0]
            y._tape = self
            y._index = len(self.entries)
            self.entries.append(parents)

    def add_leaf(self, previous: int) -> int:
        """A new leaf; `previous` is the index of the same value in an enclosing transformation, or -1."""
        if self.nested > (0 if previous < 0 else 1):
            self.has_inner_leaves = True
        self.entries.append([(previous, identity)] if previous >= 0 else [])
        return len(self.entries) - 1


class _State(threading.local):
    tape: Tape | None = None
    kinks: str = "raise"
    stepped: Callable[[Any], None] | None = None  # told of each step of an optimizer, while a step is recorded


state = _State()
# Ops whose gradient functions capture tensors for their shapes and dtypes alone: writing to those is harmless.
shape_readers: set[str] = set()


def identity(dy: Tensor) -> Tensor:
    """The gradient function of a sum, and of an alias."""
    return dy


def is_recording() -> bool:
    """Whether a transformation of this thread records ops."""
    return state.tape is not None


def is_recorded(x: Tensor) -> bool:
    """Whether x is a variable, not a constant, to the transformation that records in this thread."""
    tape = state.tape
    return tape is not None and tape.index_of(x) >= 0


def can_differentiate_twice() -> bool:
    """Whether a second transformation may walk down the gradient functions of what is recorded now."""
    tape = state.tape
    return tape is not None and tape.twice


class kinks:  # noqa: N801 - reads as a statement
    """Context that says what a second derivative is exactly at a kink, where it does not exist: "raise" is a ValueError
    that names the op (the default everywhere), "zero" takes the curvature of the smooth pieces around the kink.

    A kink counts only if it is crossed: where the argument moves along the direction asked for and the result depends
    on it. "zero" gives an element of the generalised Hessian, which is what Newton-CG and similar methods need on
    networks with ReLUs.

    References
    ----------
    Clarke (1983), Optimization and Nonsmooth Analysis, section 2.6. Hiriart-Urruty, Strodiot, Nguyen (1984),
    Generalized Hessian matrix and second-order optimality conditions.
    """

    def __init__(self, policy: str) -> None:
        if policy not in ("raise", "zero"):
            raise ValueError(f"kinks: policy is {policy!r}, expected 'raise' or 'zero'")
        self.policy = policy
        self._before: list[str] = []

    def __enter__(self) -> kinks:
        self._before.append(state.kinks)
        state.kinks = self.policy
        return self

    def __exit__(self, *exception: object) -> None:
        state.kinks = self._before.pop()


class no_grad:  # noqa: N801 - reads as a statement
    """Context in which ops are not recorded: their results are constants to every enclosing transformation."""

    def __enter__(self) -> None:
        self._tape = state.tape
        state.tape = None

    def __exit__(self, *exception: object) -> None:
        state.tape = self._tape


def stop_gradient(x: Tensor) -> Tensor:
    """The same value, as a constant."""
    return Tensor(x.array)


def differentiable(arity: int, saves: bool = True) -> Callable[[Callable[..., tuple[Any, ...]]], Function]:
    """Make an op of a function that returns ``(y, gradient, ...)``: one gradient function for each of its first `arity`
    arguments, which are tensors (arrays are converted, an optional one may be None).

    A gradient function takes dy (shape of y) and returns the input's share, of the input's shape, or None for zeros.
    One that has a default argument ``out`` can write a parameter's gradient in place. ``saves=False`` says that the
    gradient functions read shapes and dtypes of what they capture, never values.
    """

    def decorate(forward: Callable[..., tuple[Any, ...]]) -> Function:
        if not saves:
            shape_readers.add(f"{forward.__module__}.{forward.__qualname__}")
        names = forward.__code__.co_varnames[:arity]
        takes_none = any(
            "None" in str(forward.__annotations__.get(name)) for name in names if name in forward.__annotations__
        )

        @functools.wraps(forward)
        def op(*inputs: Any, **options: Any) -> Tensor:
            if options:
                inputs = _take_named(inputs, options, names)
            for x in inputs[:arity]:
                if type(x) is not Tensor and not (x is None and takes_none):
                    inputs = _convert(inputs, arity, forward.__name__, takes_none)
                    break
            result = forward(*inputs, **options)
            tape = state.tape
            if tape is not None:
                tape.record(result, inputs)
            return result[0]  # type: ignore[no-any-return]

        @functools.wraps(forward)
        def op_of_one(*inputs: Any, **options: Any) -> Tensor:
            """The same with less to do: most calls are of this kind."""
            if options:
                inputs = _take_named(inputs, options, names)
            if inputs and type(inputs[0]) is not Tensor:
                inputs = _convert(inputs, 1, forward.__name__, False)
            y, gradient = forward(*inputs, **options)
            tape = state.tape
            if tape is not None:
                x = inputs[0]
                index = x._index if x._tape is tape else tape.leaves.get(id(x), -1)
                if index >= 0:
                    entries = tape.entries
                    y._tape = tape
                    y._index = len(entries)
                    entries.append(((index, gradient),))
            return y  # type: ignore[no-any-return]

        return op_of_one if arity == 1 else op

    return decorate


def _take_named(inputs: tuple[Any, ...], options: dict[str, Any], names: tuple[str, ...]) -> tuple[Any, ...]:
    """The inputs with those tensors in their places that were given by name: only positions are recorded."""
    for name in names[len(inputs) :]:
        if name not in options:
            break
        inputs = (*inputs, options.pop(name))
    return inputs


def _convert(inputs: tuple[Any, ...], arity: int, name: str, takes_none: bool) -> tuple[Any, ...]:
    like = next((x for x in inputs[:arity] if isinstance(x, Tensor)), None)
    converted = tuple(x if x is None and takes_none else as_tensor(x, like, name.lstrip("_")) for x in inputs[:arity])
    return converted + inputs[arity:]
