"""What a function captures: whether all it computes is a function of its arguments and of values that can be watched.

A recorded step (`dlcore.train.tracing`) does not run its Python code again. `Captured` follows that code to everything
it can reach besides its arguments: the globals it names, its closure, defaults and ``self``, the functions and methods
these lead to, and the attributes of objects. It notes each value, so that a change is seen before a replay, and refuses
what would do or find something else the next time: code that is neither dlcore's own nor Python that can be read,
functions with effects, arrays of others, iterators.
"""

from __future__ import annotations

import builtins
import contextlib
import dis
import functools
import itertools
import math
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import device as _device
from ..nn import Module, Parameters
from ..ops import Generator
from ..optim import Optimizer
from ..optim.groups import Group
from ..tensor import Tensor
from .code import (
    ATOMS,
    ATTRIBUTES,
    MAKING,
    NOT_CALLED,
    PURE,
    UNSAFE,
    codes,
    functions,
    is_attribute,
    is_method,
    slots,
)
from .replay import is_own, stranger

_ASKED = {"current_lr", "state_dict", "take"}  # methods of optimizers and generators
_MOST = 20_000  # values watched
ABSENT = NotImplemented  # stands for no value in a guard
# What a replay itself keeps up to date, or asks anew for each step; and what is never set again.
_UNWATCHED: dict[type, frozenset[str]] = {
    Optimizer: frozenset({"steps", "lr", "lr_factor"}),
    Group: frozenset({"steps", "memory", "cache", "names", "runs", "is_whole"}),
    Generator: frozenset({"step"}),
    Module: frozenset({"_format", "_declarations", "_buffers", "_noise_seeded"}),
    Parameters: frozenset({"_shapes", "_offsets", "_layout"}),
}


class UntraceableError(Exception):
    """Why a step cannot be replayed."""


class Captured:
    """Everything that a function reaches besides its arguments.

    Attributes
    ----------
    guards : (holder, key, value) of what must stay as it is; `dlcore.device.cpu.first_change` compares
    optimizers, generators : those among the values
    placed : tensors and parameters among them, the first that was met first

    Raises
    ------
    UntraceableError
        Where something would do or find something else in another call, or cannot be watched.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        names, read = {"forward"}, set[str]()
        while True:  # a name that some function reads may lead to a method of an object that was met before
            self._names, self._read = set(names), set(read)  # all attributes that are named; those that are not called
            self.guards: list[tuple[Any, Any, Any]] = []
            self.optimizers: list[Optimizer] = []
            self.generators: list[Generator] = []
            self.placed: list[Tensor | Parameters] = []
            self._where: list[str] = []
            self._seen: dict[int, Any] = {}  # kept, so that no identity comes again
            self._visit(function, getattr(function, "__name__", "the step"), False)
            if (self._names, self._read) == (names, read):
                break
            names, read = self._names, self._read
        asked = _ASKED & names
        if asked and (self.optimizers or self.generators):
            raise UntraceableError(f"it asks for {min(asked)}, which steps change")

    def change(self) -> str | None:
        """The name of a value that is not what it was, or None."""
        at = _device.cpu.first_change(self.guards)
        return None if at < 0 else self._where[at]

    def _watch(self, holder: Any, key: Any, value: Any, where: str) -> None:
        if len(self.guards) >= _MOST:
            raise UntraceableError(f"it captures more than {_MOST} values")
        self.guards.append((holder, key, value))
        self._where.append(where)

    def _visit(self, value: Any, where: str, trusted: bool) -> None:
        """Follow a value; what an object of dlcore holds is `trusted` to be used by dlcore's code alone."""
        if isinstance(value, ATOMS) or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, Tensor):
            self.placed.append(value)
            self._watch(value, "array", value.array, where)
        elif isinstance(value, types.MethodType):
            self._visit(value.__self__, where.rpartition(".")[0] or where, False)
            self._visit(value.__func__, where, False)
        elif isinstance(value, types.FunctionType):
            self._function(value, where)
        elif isinstance(value, functools.partial):
            for part in (value.func, value.args, value.keywords):
                self._visit(part, where, False)
        elif isinstance(value, (list, tuple, dict)):
            self._items(value, where, trusted)
            if type(value) not in (list, tuple, dict) and not is_own(value):
                self._class(type(value), set())
        elif isinstance(value, type):
            if not is_own(value) and value not in PURE and not issubclass(value, (BaseException, *ATOMS)):
                self._class(value, MAKING)
        elif isinstance(value, types.ModuleType):
            if not trusted:
                self._module(value, ())
        elif isinstance(value, (types.BuiltinFunctionType, np.ufunc)):
            pure = value in PURE or isinstance(value, np.ufunc) or value.__self__ is math
            if not pure and not is_own(value):
                raise UntraceableError(f"it calls {stranger(value)}")
        else:
            self._object(value, where, trusted)

    def _items(self, value: list[Any] | tuple[Any, ...] | dict[Any, Any], where: str, trusted: bool) -> None:
        if not isinstance(value, tuple):
            self._watch(value, None, len(value), where)
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            inside = f"{where}[{key!r}]"
            if not isinstance(value, tuple):
                self._watch(value, key, item, inside)
            self._visit(item, inside, trusted)

    def _object(self, value: Any, where: str, trusted: bool) -> None:
        kind = type(value)
        own = is_own(kind)
        if isinstance(value, Optimizer):
            if not own:
                raise UntraceableError(stranger(kind))
            self.optimizers.append(value)
        elif isinstance(value, Generator):
            self.generators.append(value)
        elif isinstance(value, Parameters) and not value.superseded:
            self.placed.append(value)
        if own and kind.__module__.startswith(f"{__package__}."):
            if hasattr(value, "__wrapped__"):  # a traced step
                self._visit(value.__wrapped__, where, False)
            if hasattr(value, "__wrapped__") or (trusted and where.rpartition(".")[2] not in self._names):
                return  # a model's history is no part of a step that does not name it
        has_own = any(is_own(base) for base in kind.__mro__[:-1])
        attributes = getattr(value, "__dict__", None)
        if attributes is None and not has_own and not any(slots(kind)):
            if trusted:
                return
            raise UntraceableError(f"it captures {where}, a {kind.__qualname__}, whose changes cannot be seen")
        called = next((vars(base)["__call__"] for base in kind.__mro__ if "__call__" in vars(base)), None)
        if not has_own and called is not None and not isinstance(called, types.FunctionType):
            raise UntraceableError(f"it calls {stranger(value)}")
        unwatched = next((names for base, names in _UNWATCHED.items() if isinstance(value, base)), frozenset[str]())
        unwatched -= self._read | (self._names - {"step"})  # what the step itself looks at must be the same
        if attributes is not None:
            self._watch(attributes, None, len(attributes), where)
        for name, attribute in [*(attributes or {}).items()]:
            if name not in unwatched and (has_own or name in self._names):
                inside = f"{where}.{name}"
                self._watch(attributes, name, attribute, inside)
                self._attribute(value, name, attribute, inside, has_own)
        for name in slots(kind):
            attribute = getattr(value, name, ABSENT)
            if name not in unwatched and (has_own or name in self._names):
                self._watch(value, name, attribute, f"{where}.{name}")
                self._attribute(value, name, attribute, f"{where}.{name}", has_own)
        if isinstance(value, Group):
            for name, given in value.options.items():
                if name != "lr" or "options" in self._names:
                    self._watch(value.options, name, given, f"{where}.{name}")
        if not own:
            self._class(kind, set(), attributes)

    def _attribute(self, owner: Any, name: str, value: Any, where: str, trusted: bool) -> None:
        schedules = owner._options if isinstance(owner, Optimizer) else ("options",) if isinstance(owner, Group) else ()
        if name not in schedules:  # those are asked at each step
            self._visit(value, where, trusted)

    def _class(self, kind: type, also: set[str], attributes: dict[str, Any] | None = None) -> None:
        """The methods and constants of a class that the code names, and those that operators and statements call."""
        for base in kind.__mro__:
            if is_own(base) or base.__module__ in ("builtins", "abc", "typing", "collections.abc", "enum"):
                continue
            for name, value in vars(base).items():
                if name in ("__getattr__", "__getattribute__"):
                    raise UntraceableError(f"{base.__qualname__} computes its attributes")
                special = name.startswith("__") and name not in NOT_CALLED and isinstance(value, types.FunctionType)
                if not (special or name in self._names or name in also):
                    continue
                inside = f"{kind.__qualname__}.{name}"
                for part in functions(value):
                    self._visit(part, inside, False)
                self._watch(vars(base), name, value, inside)
                if attributes is not None and name not in attributes:
                    self._watch(attributes, name, ABSENT, inside)

    def _function(self, function: types.FunctionType, where: str) -> None:
        code = function.__code__
        cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
        self._visit(function.__defaults__, where, False)
        self._visit(function.__kwdefaults__, where, False)
        own = is_own(function)
        if not own and function.__dict__:
            self._visit(function.__dict__, where, False)
        for name, cell in cells.items():
            try:
                content = cell.cell_contents
            except ValueError:
                content = ABSENT
            self._watch(cell, name, content, name)
            if name != "__class__" and not isinstance(content, (types.ModuleType, type(ABSENT))):
                self._visit(content, name, own)
        for one in () if own else codes(code):
            self._code(one, function.__globals__, cells)

    def _code(self, code: types.CodeType, scope: dict[str, Any], cells: dict[str, Any]) -> None:
        instructions = list(dis.get_instructions(code))
        for i, instruction in enumerate(instructions):
            kind, name = instruction.opname, instruction.argval
            if kind in UNSAFE and not (kind == "STORE_ATTR" and code.co_name in MAKING):
                raise UntraceableError(UNSAFE[kind].format(name))
            if kind in ("STORE_DEREF", "DELETE_DEREF") and name in cells:
                raise UntraceableError(f"it sets {name}, which it captures")
            if kind in (*ATTRIBUTES, "LOAD_SUPER_ATTR"):
                self._names.add(name)
                if not is_method(instruction):
                    self._read.add(name)
            chain = [after.argval for after in itertools.takewhile(is_attribute, instructions[i + 1 : i + 8])]
            if kind in ("LOAD_GLOBAL", "LOAD_NAME"):
                self._global(scope, name, chain)
            elif kind in ("LOAD_DEREF", "LOAD_CLASSDEREF") and name in cells:
                with contextlib.suppress(ValueError):  # a variable that was never set
                    if isinstance(cells[name].cell_contents, types.ModuleType):
                        self._module(cells[name].cell_contents, chain)

    def _global(self, scope: dict[str, Any], name: str, chain: Sequence[str]) -> None:
        if name not in scope:
            self._watch(scope, name, ABSENT, name)
            if hasattr(builtins, name):
                self._visit(getattr(builtins, name), name, False)
            return
        value = scope[name]
        self._watch(scope, name, value, name)
        if isinstance(value, types.ModuleType):
            self._module(value, chain)
        else:
            self._visit(value, name, False)

    def _module(self, module: types.ModuleType, chain: Sequence[str]) -> None:
        """What is taken from a module, by attribute after attribute."""
        if module is math or module.__name__.partition(".")[0] == __name__.partition(".")[0]:
            return
        if not chain or not hasattr(module, chain[0]):
            raise UntraceableError(f"it captures the module {module.__name__}")
        value, where = getattr(module, chain[0]), f"{module.__name__}.{chain[0]}"
        self._watch(vars(module), chain[0], vars(module).get(chain[0], ABSENT), where)
        if isinstance(value, types.ModuleType):
            self._module(value, chain[1:])
        else:
            self._visit(value, where, False)


def followed(function: Callable[..., Any]) -> Captured:
    """What a function captures, as far as it can be followed, also where it cannot be replayed."""
    captured = Captured.__new__(Captured)
    with contextlib.suppress(UntraceableError):
        captured.__init__(function)  # type: ignore[misc]
    return captured
