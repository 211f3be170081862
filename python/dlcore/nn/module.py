"""Module: a function with parameters, made of smaller ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np

from .. import ops, placement
from ..ops import Generator
from ..tensor import Tensor, as_tensor, moved, tensor, tensor_at
from .checks import float_type
from .initializers import Initializer
from .moving import Movable
from .parameters import Parameters

Self = TypeVar("Self", bound="Module")

FORMAT = 2  # of pickles


class Declaration(NamedTuple):
    """A parameter before it exists."""

    shape: tuple[int, ...]
    initializer: Initializer
    fan_in: int = 1
    fan_out: int = 1


class BufferDeclaration(NamedTuple):
    """A buffer before it exists: its shape, and its first values or the number that all of them are."""

    shape: tuple[int, ...]
    value: Any


class Module(Movable):
    """Base of layers and of their compositions.

    A subclass declares parameters in ``__init__`` with :meth:`declare` and computes in :meth:`forward`. The parameters
    of a whole tree of modules are laid out in one vector by :meth:`build`, which the first use of :attr:`parameters` or
    the first call does with seed 0; after that each declared name is an attribute holding a view.

    Numbers that belong to a module and are no parameters, such as running statistics, are buffers
    (:meth:`declare_buffer`): tensors of their own, which no optimizer sees and which files keep.

    A module begins in training mode, in which layers such as dropout are at work; :meth:`eval` leaves it.
    """

    training: bool = True

    def __init__(self) -> None:
        self._format = FORMAT
        self._declarations: dict[str, Declaration] = {}
        self._buffers: dict[str, BufferDeclaration] = {}
        self._parameters: Parameters | None = None
        self._home: tuple[Parameters, str] | None = None  # whose vector holds these parameters, and under which prefix
        self._noise_seeded = False

    def declare(
        self, name: str, shape: tuple[int, ...], initializer: Initializer, fan_in: int = 1, fan_out: int = 1
    ) -> None:
        """Announce a parameter of this module."""
        self._declarations[name] = Declaration(shape, initializer, fan_in, fan_out)

    def declare_buffer(self, name: str, shape: tuple[int, ...], value: Any = 0.0) -> None:
        """Announce a buffer of this module: an attribute once the module is built, of the parameters' dtype.

        `value` is a number or an array of the shape.
        """
        self._buffers[name] = BufferDeclaration(shape, value)

    def forward(self, x: Tensor) -> Tensor:
        """The module's value; subclasses define it."""
        raise TypeError(f"{type(self).__name__} defines no forward")

    def __call__(self, x: Tensor) -> Tensor:
        if self._home is None:
            self.build()
        return self.forward(x)

    def children(self) -> Iterator[tuple[str, Module]]:
        """Direct submodules with their names: attributes that are modules, and items of lists of modules."""
        for name, value in self.__dict__.items():
            if type(value) in _CHILDLESS:
                continue
            if isinstance(value, Module):
                yield name, value
            elif _holds_modules(value):
                for i, item in enumerate(value):
                    if isinstance(item, Module):
                        yield f"{name}.{i}", item

    def modules(self) -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, with dotted names, in the order of θ."""
        return self._walk("", set())

    def _walk(self, path: str, seen: set[int]) -> Iterator[tuple[str, Module]]:
        if id(self) in seen:
            return
        seen.add(id(self))
        yield path, self
        for name, child in self.children():
            yield from child._walk(f"{path}.{name}" if path else name, seen)

    def build(self: Self, seed: int = 0, dtype: Any = None) -> Self:
        """Lay out all parameters in one vector; those that have no value yet are initialised from `seed`.

        A module that is laid out already, in the asked dtype, stays as it is; where one is laid out again, with other
        modules, its values move and its former `Parameters` are refused by optimizers and gradients.

        Parameters
        ----------
        seed : int in [0, 2⁶⁴)
        dtype : float32 or float64, by name or as NumPy's types, optional
            By default that of the existing values, else float32.
        """
        owners = self._owners()
        existing = [module.__dict__[name] for _, module, name in owners if name in module.__dict__]
        default = existing[0].array.dtype if existing else "float32"
        kind = float_type(default if dtype is None else dtype)
        if kind is None:
            raise TypeError(f"build: dtype is {dtype!r}, expected 'float32' or 'float64'")
        if self._is_settled(owners, kind):
            return self
        device = placement.find(existing[0].device if existing else self._device or placement.current())
        shapes = {path: module._declarations[name].shape for path, module, name in owners}
        parameters = Parameters(shapes, kind, device.Array.device_name)
        values = {}
        root = Generator(seed)
        for i, (path, module, name) in enumerate(owners):
            if name in module.__dict__:
                values[path] = module.__dict__[name]
            else:
                declared = module._declarations[name]
                with placement.on_device("cpu"):  # the same bits on every device
                    values[path] = declared.initializer(
                        root.split(i), declared.shape, declared.fan_in, declared.fan_out, kind
                    )
        parameters.assign(values)
        for i, (_, module) in enumerate(self.modules()):
            module._lay_out_buffers(kind, parameters.device)
            if not module._noise_seeded:
                module.seed_noise(root.split(2**32 + i))
                module._noise_seeded = True
        self._settle(parameters)
        return self

    def _owners(self) -> list[tuple[str, Module, str]]:
        """Each parameter of the tree: its dotted name, its module, its name there."""
        return [
            (f"{path}.{name}" if path else name, module, name)
            for path, module in self.modules()
            for name in module._declarations
        ]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of all parameters, in the order of θ, known before they are laid out."""
        return {path: module._declarations[name].shape for path, module, name in self._owners()}

    def _lay_out_buffers(self, dtype: str, device: str) -> None:
        for name, declared in self._buffers.items():
            given = self.__dict__.get(name)
            if given is None:
                values = np.broadcast_to(np.asarray(declared.value, np.float64), declared.shape)
                self.__dict__[name] = tensor(values, dtype, device)
            elif given.array.dtype != dtype or given.device != device:
                self.__dict__[name] = Tensor(moved(ops.cast(given, dtype).array, device))

    @property
    def buffers(self) -> dict[str, Tensor]:
        """The buffers of this module and those below it by dotted names; written in place by who updates them."""
        if self._home is None or self._home[0].superseded:
            self.build()
        return {path: module.__dict__[name] for path, module, name in self._buffer_owners()}

    def buffer_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of all buffers, known before they exist."""
        return {path: module._buffers[name].shape for path, module, name in self._buffer_owners()}

    def _buffer_owners(self) -> list[tuple[str, Module, str]]:
        return [
            (f"{path}.{name}" if path else name, module, name)
            for path, module in self.modules()
            for name in module._buffers
        ]

    def _is_settled(self, owners: list[tuple[str, Module, str]], dtype: str) -> bool:
        """Whether all tensors of the tree are the views in its vector."""
        if self._home is None or self._home[0].superseded:
            return False
        parameters, prefix = self._home
        return parameters.storage.array.dtype == dtype and all(
            name in module.__dict__ and parameters.get(f"{prefix}.{path}" if prefix else path) is module.__dict__[name]
            for path, module, name in owners
        )

    def _settle(self, parameters: Parameters) -> None:
        """Make the views in `parameters` this tree's tensors."""
        for path, module, name in self._owners():
            module.__dict__[name] = parameters[path]
        for path, module in self.modules():
            if module._home is not None:
                module._home[0].superseded = True
            module._home, module._parameters = (parameters, path), None
        self._parameters = parameters

    def seed_noise(self, generator: Generator) -> None:
        """Give a module that draws random numbers its generator."""

    @property
    def parameters(self) -> Parameters:
        """All parameters of this module and those below it, as views of one vector."""
        if self._home is None or self._home[0].superseded:
            self.build()
        if self._parameters is None:
            assert self._home is not None
            self._parameters = self._home[0].below(self._home[1])
        return self._parameters

    def train(self: Self, mode: bool = True) -> Self:
        """Switch layers such as dropout to training (or, with False, to prediction)."""
        for _, module in self.modules():
            module.__dict__["training"] = mode  # past the look whether it is a parameter
        return self

    def eval(self: Self) -> Self:
        """Switch to prediction."""
        return self.train(False)

    def describe(self) -> str:
        """What this module is, in a summary's row."""
        return type(self).__name__

    def __repr__(self) -> str:
        return self.describe()

    def __getstate__(self) -> dict[str, Any]:
        # A whole model keeps its vector, so that an optimizer copied with it stays its optimizer. A part copied alone
        # gets a vector of its own at its first use.
        is_root = self._home is not None and self._home[1] == "" and not self._home[0].superseded
        return self.__dict__ | {"_home": None, "_parameters": self._parameters if is_root else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state.get("_format") != FORMAT:
            raise ValueError(
                f"{type(self).__name__}: the pickle has format {state.get('_format')}, this version reads {FORMAT}"
            )
        self.__dict__.update(state)
        if self._parameters is not None:
            self._settle(self._parameters)

    def __setattr__(self, name: str, value: Any) -> None:
        # A declared parameter is written into the vector, where the optimizer and all views see it; another submodule
        # needs another vector.
        declared = self.__dict__.get("_declarations", {}).get(name) or self.__dict__.get("_buffers", {}).get(name)
        if declared is not None:
            current = self.__dict__.get(name)
            given = as_tensor(value, current, type(self).__name__)
            if given.shape != declared.shape:
                raise ValueError(f"{type(self).__name__}: {name} has shape {given.shape}, expected {declared.shape}")
            if self._home is not None:
                current = self.__dict__[name]
                current.array.assign(ops.cast(tensor_at(given, current), current.dtype).array)
                return
            value = Tensor(given.array.copy()) if given is value else given
        elif _holds_modules(value) or _holds_modules(self.__dict__.get(name)):
            home = self.__dict__.get("_home")
            if home is not None:
                home[0].superseded = True
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        # Only for names that normal look-up lacks: a declared parameter or buffer before build.
        owned = {} if name.startswith("_") else self.__dict__
        if name in owned.get("_declarations", ()) or name in owned.get("_buffers", ()):
            self.build()
            return self.__dict__[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


# Of what most attributes are.
_CHILDLESS = frozenset({bool, int, float, str, dict, type(None), Tensor, Parameters, Generator})


def _holds_modules(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(isinstance(item, Module) for item in value)
    return isinstance(value, Module)
