"""Model: a network with its constructor's arguments, its state in files and pickles, and its summary."""

from __future__ import annotations

import copy
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .. import ops, placement, train
from ..nn import Module, Parameters, Sequential
from ..nn.checks import float_type
from ..ops import Generator
from ..ops.creation import is_integer, is_number
from ..tensor import Tensor, lent, moved, tensor_at
from .own_device import run_on_own_device
from .tables import format_table, shape_text

if TYPE_CHECKING:
    from .online import Online

Self = TypeVar("Self", bound="Model")
Array = np.ndarray[Any, Any]

STATE_VERSION = 2  # of pickles
_FIT_STREAM, _SPLIT_STREAM = 2**33, 2**33 + 1  # beyond the streams that Module.build takes


class Model:
    """Base of all models.

    A subclass passes the arguments that make it again and the network that holds its parameters. Nothing is allocated
    before :attr:`parameters` is first used, so that a file's shapes can be checked before memory is taken.

    Parameters
    ----------
    config : the constructor's arguments by name, in types that JSON holds; "seed" and "dtype" are among them
    network : modules that declare the parameters; not yet built
    input_shape : shape of one case

    Attributes
    ----------
    history : `dlcore.train.History` of the newest fit
    online : what the calls of ``partial_fit`` share, where the model has one: its optimizer and newest loss
    """

    def __init__(self, config: Mapping[str, Any], network: Module, input_shape: tuple[int, ...]) -> None:
        who = type(self).__name__
        dtype = float_type(config["dtype"])
        if dtype is None:
            raise ValueError(f"{who}: dtype is {config['dtype']!r}, expected 'float32' or 'float64'")
        self.config: dict[str, Any] = json.loads(json.dumps(dict(config) | {"dtype": dtype}, default=_plain))
        root = Generator(self.config["seed"])
        self._network = network.eval()
        network._device = network._device or placement.current()
        self._is_built = False
        self.input_shape = input_shape
        self.history = train.History()
        self.online: Online | None = None
        self.fit_generator = root.split(_FIT_STREAM)
        self.split_key = root.split(_SPLIT_STREAM).key  # a resumed fit must hold out the same cases

    @property
    def dtype(self) -> str:
        """The type the model computes in, "float32" or "float64"."""
        return str(self.config["dtype"])

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        run_on_own_device(cls)

    @property
    def device(self) -> str:
        """Where the parameters are, and where the methods compute: "cpu" or "cuda"."""
        return self._network.device

    def to(self: Self, device: str) -> Self:
        """Move the model to a device, "cpu" or "cuda": its parameters, buffers, chains and optimizers, in place.

        The methods then compute there, on data from anywhere: what they are given is copied to the device, and what
        they return are NumPy arrays as before. Generators are integers and draw the same numbers on every device; files
        and pickles hold no device.

        Raises
        ------
        ValueError, RuntimeError
            For an unknown device, and for one that cannot be used here.
        """
        self._network.to(device)
        for x in self.own_tensors():
            x.array = moved(x.array, device)
        return self

    def own_tensors(self) -> Iterator[Tensor]:
        """What the model keeps between calls beside parameters and buffers, such as chains."""
        return iter(())

    @property
    def network(self) -> Module:
        """The modules; their parameters are initialised from the seed at the first use."""
        if not self._is_built:
            self._network.build(self.config["seed"], self.dtype)
            self._is_built = True
        return self._network

    @property
    def parameters(self) -> Parameters:
        """All parameters as named views of one vector."""
        return self.network.parameters

    @property
    def trained_parameters(self) -> Parameters:
        """Those that the optimizer of a fit changes; a subclass may name a part of all."""
        return self.parameters

    def before_fit(self, data: Sequence[Tensor], progress: bool | None) -> None:
        """Called by a fit whose arguments have been checked, before its first epoch, unless it resumes another."""

    @contextmanager
    def predicting(self) -> Iterator[None]:
        """A block in which layers such as dropout are at rest, also where it stands in the middle of a fit."""
        network = self.network
        if not network.training:
            yield
            return
        modules = [module for _, module in network.modules() if module.training]
        network.eval()
        try:
            yield
        finally:
            for module in modules:
                module.training = True

    def map_batches(self, function: Callable[[Tensor], Tensor], x: Tensor, batch_size: int) -> Array:
        """`dlcore.train.map_batches` while predicting."""
        with self.predicting():
            return train.map_batches(function, x, batch_size)

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the parameters; takes no memory for them."""
        return self._network.shapes()

    @property
    def buffers(self) -> dict[str, Tensor]:
        """What layers keep beside their parameters (running statistics), by the layers' names."""
        return self.network.buffers

    def buffer_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the buffers; takes no memory for them."""
        return self._network.buffer_shapes()

    @property
    def generators(self) -> dict[str, Generator]:
        """The generators whose state belongs to the model: the fit's, and each dropout's."""
        found = {"fit": self.fit_generator}
        for path, module in self.network.modules():
            generator = getattr(module, "generator", None)
            if isinstance(generator, Generator):
                found[f"network.{path}"] = generator
        return found

    def as_cases(self, x: Any, who: str, to_read: bool = False) -> Tensor:
        """x as a tensor (n, *input_shape) of the model's dtype; rows of ∏ input_shape numbers are accepted too.

        What is only read, and not kept, need not be copied.

        Raises
        ------
        TypeError, ValueError
            For what is not an array of real numbers, or another shape.
        """
        storage = self.parameters.storage
        cases = lent(x, self.dtype, storage.device) if to_read else None
        if cases is None:
            cases = ops.cast(tensor_at(x, storage, f"{who}: x"), self.dtype)
        if cases.ndim >= 1 and cases.shape[1:] == self.input_shape:
            return cases
        features = math.prod(self.input_shape)
        if cases.ndim == 2 and cases.shape[1] == features:
            return ops.reshape(cases, (cases.shape[0], *self.input_shape))
        accepted = [f"(n, {', '.join(map(str, self.input_shape))})"]
        if len(self.input_shape) > 1:
            accepted.append(f"(n, {features})")
        raise ValueError(f"{who}: x has shape {cases.shape}, expected {' or '.join(accepted)}")

    # --- files and copies ---

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a file for `dlcore.load`; a kill or a full disk leaves the file that was there before.

        Raises
        ------
        OSError
            When the folder cannot be written or the disk is full.
        """
        train.save(path, self)

    def clone(self: Self) -> Self:
        """An independent copy with equal parameters and predictions."""
        return copy.deepcopy(self)

    def __deepcopy__(self: Self, memo: dict[int, Any]) -> Self:
        made = memo[id(self)] = type(self).__new__(type(self))
        with placement.on_device(self.device):
            made.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return made

    def __getstate__(self) -> dict[str, Any]:
        return {
            "version": STATE_VERSION,
            "config": self.config,
            "parameters": {name: value.numpy() for name, value in self.parameters.items()},
            "buffers": {name: value.numpy() for name, value in self.buffers.items()},
            "generators": {name: [g.key, g.step] for name, g in self.generators.items()},
            "history": self.history.records,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        version = state.get("version")
        if version != STATE_VERSION:
            raise ValueError(f"{type(self).__name__}: the pickle has version {version!r}, expected {STATE_VERSION}")
        type(self).__init__(self, **state["config"])
        self.parameters.assign(state["parameters"])
        train.assign_buffers(self, state["buffers"])
        train.restore_generators(state["generators"], self.generators)
        self.history = train.History(state["history"])

    # --- what it is ---

    def stages(self) -> list[Module]:
        """The modules that a case passes through, one row of the summary each."""
        network = self.network
        return list(network.layers) if isinstance(network, Sequential) else [network]

    def summary(self) -> str:
        """A table: each layer, the shape of its output, its number of parameters."""
        x = ops.zeros((1, *self.input_shape), self.dtype)
        rows = [("input", shape_text(self.input_shape), "")]
        for stage in self.stages():
            with self.predicting():
                x = stage(x)
            count = stage.parameters.size  # a shared layer's stand where it comes first
            rows.append((stage.describe(), shape_text(x.shape[1:]), f"{count:,}" if count else ""))
        return format_table(f"{type(self).__name__}: {self.parameters.size:,} parameters, {self.dtype}", rows)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.config.items())
        return f"{type(self).__name__}({arguments})"


run_on_own_device(Model)


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays as Python's, for JSON."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"{value!r} is not an argument that a file can hold")


def sizes(values: Any, who: str, name: str, least: int) -> list[int]:
    """`values` as a list of at least `least` positive integers.

    Raises
    ------
    ValueError
    """
    try:
        found = list(values)
    except TypeError:
        found = []
    good = all(is_integer(v) and v > 0 for v in found)
    if len(found) < least or not good:
        raise ValueError(f"{who}: {name} is {values!r}, expected at least {least} positive integers")
    return [int(v) for v in found]


def share(who: str, **values: Any) -> None:
    """Raise a ValueError unless each is a number in [0, 1)."""
    for name, value in values.items():
        if not is_number(value) or not 0 <= value < 1:
            raise ValueError(f"{who}: {name} is {value!r}, expected a number in [0, 1)")


def check_share(who: str, **values: Any) -> None:
    """Raise a ValueError unless each is a number in [0, 1]."""
    for name, value in values.items():
        if not is_number(value) or not 0 <= value <= 1:
            raise ValueError(f"{who}: {name} is {value!r}, expected a number in [0, 1]")


def flag(who: str, **values: Any) -> None:
    """Raise a ValueError unless each is True or False."""
    for name, value in values.items():
        if not isinstance(value, (bool, np.bool_)):
            raise ValueError(f"{who}: {name} is {value!r}, expected True or False")


def not_negative(who: str, **values: Any) -> None:
    """Raise a ValueError unless each is a finite number >= 0."""
    for name, value in values.items():
        if not is_number(value) or not 0 <= value < math.inf:
            raise ValueError(f"{who}: {name} is {value!r}, expected a finite number >= 0")
