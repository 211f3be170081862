"""`traced`: the steps of one's own training loop, replayed natively.

What a fit does with its steps (`dlcore.train.replay`), for any function that computes with tensors: one call with
given shapes is recorded, later ones are replays of its plan with their own arguments and results.
`dlcore.train.captured` says what the function may reach besides its arguments, and watches it.
"""

from __future__ import annotations

import functools
import os
import threading
import types
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import device as _device
from .. import placement
from ..ops.creation import is_integer
from ..tape import state as _state
from ..tensor import Tensor, tensor
from . import replay as _replay
from .captured import Captured, UntraceableError, followed
from .recording import OVERLAP, Recording

_KEPT = {np.dtype(np.float32): "float32", np.dtype(np.float64): "float64", np.dtype(np.int32): "int32"}
_STATIC = (bool, int, str, bytes, type(None))
_cpu = _device.cpu
_all: weakref.WeakSet[Traced] = weakref.WeakSet()


def traced(step: Callable[..., Any], signatures: int = 8) -> Traced:
    """The same function with its kernels replayed natively: ``traced(step)(x, y)`` = ``step(x, y)``, in the same bits.

    The first call with given shapes and dtypes runs as it is, the second is recorded while it runs, and later ones
    repeat its kernels, with new arguments, without Python. Also a decorator, of functions and of methods.

    Tensors and NumPy arrays among the arguments are what changes from call to call (arrays become tensors in every
    call: float32 and float64 keep their dtype, integers become int32). Python numbers, strings and None are part of the
    signature, with shapes, dtypes and names: other values are recorded anew. What is returned is a tensor, None, a
    number, or tuples, lists and dicts of these; tensors are new ones in each call.

    Besides its arguments a step may use models, parameters, optimizers with their schedules, generators, and whatever
    Python values it reaches: globals, closures, attributes of objects. In-place changes of parameters and tensors, a
    new learning rate and the states of optimizers and generators are followed. Of the other values the recording holds
    what they were: each is compared before a replay, and where one has changed the step is recorded anew.

    A step runs on the device of the tensors that it is given, else of those that it captures; arrays go there. What
    computes on two devices is not replayed.

    A step that cannot be replayed runs as it is each time, and ``traced`` says why: one that reads values of tensors (a
    branch, ``float(loss)``), that has effects or asks for what may differ (``print``, a file, the time, NumPy), that
    changes what it captures, or whose arguments are of other types. Within a derivative, and within another recording,
    the function runs as it is.

    Parameters
    ----------
    step : function
    signatures : int >= 1, how many recordings are kept; the one that was not used for longest goes first

    Returns
    -------
    Traced

    Raises
    ------
    TypeError, ValueError
        If step cannot be called, or signatures is no positive integer. A call raises what the step raises, at the same
        place: kernels check their values in replays too.
    """
    if not callable(step):
        raise TypeError(f"traced: step is a {type(step).__name__}, expected a function")
    if not is_integer(signatures) or signatures < 1:
        raise ValueError(f"traced: signatures is {signatures!r}, expected an integer >= 1")
    return Traced(step._step if isinstance(step, Traced) else step, int(signatures))


class Traced:
    """What `traced` returns.

    Attributes
    ----------
    traced : why the newest call was not replayed; None where it was, or where later ones with its shapes may be
    replays : calls that were replayed
    recordings : calls that were recorded
    """

    def __init__(self, step: Callable[..., Any], signatures: int) -> None:
        functools.update_wrapper(self, step, updated=())
        self._step, self._signatures = step, signatures
        self._known: OrderedDict[Any, _Known] = OrderedDict()
        self._lock = threading.RLock()
        self.traced: str | None = None
        self.replays = self.recordings = 0
        self._followed: Captured | None = None  # what the step captures, on whose device it computes
        _all.add(self)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if _state.tape is not None or _is_planned():
            return self._step(*arguments, **named)
        with self._lock:
            return self._call(arguments, named)

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        """The step of one object, where this is a method: kept with the object."""
        if owner is None:
            return self
        bound = Traced(types.MethodType(self._step, owner), self._signatures)
        owner.__dict__[self.__name__] = bound  # type: ignore[attr-defined]
        return bound

    def __reduce__(self) -> tuple[Any, ...]:
        return traced, (self._step, self._signatures)

    def __repr__(self) -> str:
        return f"traced({self._step!r})"

    def clear(self) -> None:
        """Forget the recordings, and why there are none."""
        with self._lock:
            self._known.clear()
            self._followed = None
            self.traced = None

    def _home(self, values: Iterable[Any]) -> Any:
        """Where the step computes: its tensors' device, else that of what it captures, else the current one."""
        for value in values:
            if isinstance(value, Tensor):
                return value.array.device
        if self._followed is None or self._followed.change() is not None:
            self._followed = followed(self._step)
        placed = self._followed.placed
        return placement.placed(placed[0].device if placed else None)

    def _call(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        device = _cpu if len(placement.loaded) == 1 else self._home((*arguments, *named.values()))
        signature: list[Any] = [device, _state.kinks, _device.get_matmul_precision()]
        given: list[Any] = []
        reason = None
        for value in arguments:
            reason = _sign(value, signature, given, device) or reason
        for name, value in named.items():
            signature.append(name)
            reason = _sign(value, signature, given, device) or reason
        if reason:
            self.traced = reason
            return self._eager(arguments, named, given, device)
        key = tuple(signature)
        known = self._known.get(key)
        if known is None:
            self.traced = None
            if len(self._known) >= self._signatures:
                _, oldest = self._known.popitem(last=False)
                if oldest.recording is None:
                    self.traced = f"more than {self._signatures} signatures come and go"
            self._known[key] = _Known()
            return self._eager(arguments, named, given, device)
        self._known.move_to_end(key)
        changed = None
        if known.recording is not None and known.reason is None:
            changed = known.recording.captured.change()
            if changed is None:
                return self._replayed(known, known.recording, arguments, named, given, device)
            known.recording = None
            if known.recordings > 4 + known.replays // 4:
                known.reason = f"{changed}, which it captures, changes again and again"
        if known.reason is None and not _replay.enabled:
            known.reason = "replay is switched off"
        if known.reason is None:
            try:
                captured = Captured(self._step)
            except UntraceableError as objection:
                known.reason = str(objection)
        if changed and known.reason is None and any(x.device != device.Array.device_name for x in captured.placed):
            self.traced = None
            return self._eager(arguments, named, given, device)  # an optimizer's state follows its parameters
        if known.reason is None:
            return self._record(known, captured, arguments, named, given, device)
        self.traced = known.reason
        return self._eager(arguments, named, given, device)

    def _replayed(
        self,
        known: _Known,
        recording: Recording,
        arguments: tuple[Any, ...],
        named: dict[str, Any],
        given: list[Any],
        device: Any,
    ) -> Any:
        found = recording.replay(given)
        if isinstance(found, list):
            known.replays += 1
            self.replays += 1
            self.traced = None
            return recording.result(found)
        self.traced = OVERLAP if found is False else "values are outside their range"
        return self._eager(arguments, named, given, device)

    def _eager(self, arguments: tuple[Any, ...], named: dict[str, Any], given: Sequence[Any], device: Any) -> Any:
        return self._with(arguments, named, iter([Tensor(_array(value, device)) for value in given]))

    def _with(self, arguments: tuple[Any, ...], named: dict[str, Any], tensors: Iterator[Tensor]) -> Any:
        """Call the step with tensors in the places of arrays; those that were given stay the objects that they are."""

        def place(value: Any) -> Any:
            if not isinstance(value, (Tensor, np.ndarray)):
                return value
            new = next(tensors)
            return value if isinstance(value, Tensor) and new.array is value.array else new

        return self._step(*map(place, arguments), **{name: place(value) for name, value in named.items()})

    def _record(
        self,
        known: _Known,
        captured: Captured,
        arguments: tuple[Any, ...],
        named: dict[str, Any],
        given: Sequence[Any],
        device: Any,
    ) -> Any:
        self.recordings += 1
        known.recordings += 1
        recording = Recording(captured, device)
        arrays = [_array(value, device) for value in given]
        result = recording.record(lambda tensors: self._with(arguments, named, iter(tensors)), arrays)
        self.traced = known.reason = recording.reason
        known.recording = recording if recording.reason is None else None
        return result


def _is_planned() -> bool:
    """Whether this thread records a step, on whichever device."""
    return any(module.is_plan_recorded() for module in placement.loaded)


def _sign(value: Any, signature: list[Any], given: list[Any], device: Any) -> str | None:
    """Add an argument to a call's signature, and its array to what is given; or say why it cannot be."""
    kind = type(value)
    if kind is Tensor:
        array = value.array
        given.append(array)
        signature.append((array.shape, array.dtype))
        return None if array.device is device else "arguments are on several devices"
    if isinstance(value, np.ndarray):
        dtype = _KEPT.get(value.dtype)
        if kind is not np.ndarray or dtype is None or not (value.flags.c_contiguous and value.dtype.isnative):
            array = tensor(value, "int32" if value.dtype.kind in "iu" else None, device=device.Array.device_name).array
            given.append(array)
            signature.append((array.shape, array.dtype))
        else:
            given.append(value)
            signature.append((value.shape, dtype))
    elif kind in _STATIC:
        signature.append((kind, value))
    elif kind is float:
        signature.append((kind, value.hex()))  # 0.0 is not -0.0, and NaN is NaN
    else:
        return f"an argument is a {kind.__name__}, expected tensors, arrays, numbers, strings or None"
    return None


def _array(given: Any, device: Any) -> Any:
    return device.from_numpy(given) if isinstance(given, np.ndarray) else given


class _Known:
    """What is known of the calls of one signature: one was made."""

    __slots__ = ("reason", "recording", "recordings", "replays")

    def __init__(self) -> None:
        self.recording: Recording | None = None
        self.reason: str | None = None
        self.recordings = self.replays = 0


def _new_locks() -> None:
    for one in _all:  # a thread that does not exist in this process may hold the old one
        one._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_locks)
