"""What is known of Python's own: values that do not change, functions without effects, the code of functions."""

from __future__ import annotations

import dis
import functools
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np

ATOMS = (
    *(int, float, complex, str, bytes, bool, range, slice, type(None), type(...), type(NotImplemented)),
    *(np.dtype, np.generic),
)
PURE: set[Any] = {
    *(abs, all, any, bool, bytes, callable, complex, dict, divmod, enumerate, filter, float, frozenset, int),
    *(isinstance, issubclass, len, list, map, max, min, object, pow, range, repr, reversed, round, set, slice),
    *(sorted, str, sum, super, tuple, type, zip),
}
UNSAFE = {
    "STORE_GLOBAL": "it sets the global {}",
    "DELETE_GLOBAL": "it deletes the global {}",
    "STORE_ATTR": "it sets the attribute {}",
    "DELETE_ATTR": "it deletes the attribute {}",
    "IMPORT_NAME": "it imports {}",
}
ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")
MAKING = {"__new__", "__init__", "__post_init__"}
# Methods that no operator, call or statement of a step leads to.
NOT_CALLED = {
    *MAKING,
    *("__init_subclass__", "__class_getitem__", "__set_name__", "__del__", "__repr__", "__str__", "__format__"),
    *("__hash__", "__dir__", "__sizeof__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__"),
    *("__getnewargs__", "__copy__", "__deepcopy__", "__replace__", "__setattr__", "__delattr__", "__subclasshook__"),
    "__annotate__",
}


def is_attribute(instruction: dis.Instruction) -> bool:
    return instruction.opname in ATTRIBUTES


def is_method(instruction: dis.Instruction) -> bool:
    """Whether an attribute is taken to be called at once."""
    with_self = sys.version_info >= (3, 12) and instruction.arg is not None and instruction.arg & 1 == 1
    return instruction.opname == "LOAD_METHOD" or with_self


def functions(value: Any) -> Iterator[Any]:
    """The functions that an attribute of a class stands for."""
    if isinstance(value, property):
        yield from (part for part in (value.fget, value.fset) if part is not None)
    elif isinstance(value, (staticmethod, classmethod)):
        yield value.__func__
    elif isinstance(value, functools.cached_property):
        yield value.func
    elif not isinstance(value, (*ATOMS, types.MemberDescriptorType, types.GetSetDescriptorType)):
        yield value


def codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """A function's code and that of the functions within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes(constant)


def slots(kind: type) -> Iterator[str]:
    for base in kind.__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__weakref__", "__dict__"):
                yield name
