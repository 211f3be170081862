"""Modules on another device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from .. import placement
from ..tensor import Tensor, moved

Self = TypeVar("Self", bound="Movable")


class Movable:
    """What a `Module` has to do with devices."""

    _device: str | None = None  # that was asked for
    _home: Any
    if TYPE_CHECKING:
        _owners: Callable[[], list[tuple[str, Any, str]]]
        _buffer_owners: Callable[[], list[tuple[str, Any, str]]]

        @property
        def buffers(self) -> Mapping[str, Tensor]: ...

    @property
    def device(self) -> str:
        """Where the parameters and buffers are, or will be once they are laid out."""
        if self._home is None or self._home[0].superseded:
            return self._device or placement.current()
        return str(self._home[0].device)

    def to(self: Self, device: str) -> Self:
        """Move the parameters and buffers to a device, "cpu" or "cuda"; their tensors stay the same objects.

        An optimizer made for the parameters goes on with them: its state follows at its next step.

        Raises
        ------
        ValueError, RuntimeError
            For an unknown device, one that cannot be used here, and a part of a larger module, which does not move
            alone.
        """
        placement.find(device)
        if self._home is not None and self._home[1] and not self._home[0].superseded:
            who = type(self).__name__
            raise ValueError(f"{who}: to moves a whole network, this module is {self._home[1]!r} of one")
        self._device = device
        if self._home is None or self._home[0].superseded:
            tensors = [module.__dict__.get(name) for _, module, name in self._owners() + self._buffer_owners()]
            for x in tensors:
                if x is not None:
                    x.array = moved(x.array, device)
            return self
        self._home[0].to(device)
        for x in self.buffers.values():
            x.array = moved(x.array, device)
        return self
