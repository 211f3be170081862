"""Averages of the weights along a training's path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..nn import Parameters
from ..tensor import Tensor, moved, tensor
from .optimizer import Value
from .ranges import UNIT, require


class EMA:
    """θ̄ ← decay · θ̄ + (1 − decay) θ, one native pass an update; the first update copies θ.

    Parameters
    ----------
    parameters : model.parameters
    decay : number in [0, 1], or a function of the number of updates made

    Attributes
    ----------
    average : Tensor, θ̄ with θ's layout
    updates : updates made

    Examples
    --------
    >>> ema = EMA(model.parameters, decay=0.999)
    >>> for batch in data:
    ...     optimizer.step(gradient(*batch))
    ...     ema.update()
    >>> with ema.swapped():  # the model has the averaged weights
    ...     evaluate(model)

    References
    ----------
    Polyak, Juditsky (1992), Acceleration of stochastic approximation by averaging; Tarvainen, Valpola (2017), Mean
    teachers are better role models, section 2, for the exponential weights.
    """

    def __init__(self, parameters: Parameters, decay: Value = 0.999) -> None:
        if not isinstance(parameters, Parameters):
            raise TypeError(f"EMA: parameters is a {type(parameters).__name__}, expected Parameters (model.parameters)")
        if not callable(decay):
            require("EMA", UNIT, decay=decay)
        self.parameters, self.decay = parameters, decay
        self.average = Tensor(parameters.storage.array.copy())
        self.updates = 0
        self._swapped = False

    def update(self) -> None:
        """Take the parameters as they are now into the average."""
        self._require_ready("update")
        theta = self.parameters.storage.array
        if self.updates == 0:
            self.average.array.assign(theta)
        else:
            decay = self.decay(self.updates) if callable(self.decay) else self.decay
            require("EMA", UNIT, decay=decay)
            theta.device.average_weights(self.average.array, theta, decay)
        self.updates += 1

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """While the block runs the model has the average, and `average` the model's parameters."""
        self._require_ready("swapped")
        self._swap()
        self._swapped = True
        try:
            yield
        finally:
            self._swap()
            self._swapped = False

    def copy_to(self) -> None:
        """Overwrite the model's parameters with the average, for good."""
        self._require_ready("copy_to")
        self.parameters.storage.array.assign(self.average.array)

    def _swap(self) -> None:
        theta, average = self.parameters.storage.array, self.average.array
        kept = theta.copy()
        theta.assign(average)
        average.assign(kept)

    def _require_ready(self, what: str) -> None:
        self._require_unswapped(what)
        self.parameters.require_current("EMA")
        self.average.array = moved(self.average.array, self.parameters.storage.device)  # where these moved

    def _require_unswapped(self, what: str) -> None:
        if self._swapped:
            raise RuntimeError(f"EMA: {what} inside swapped(), where the model holds the average")

    def state_dict(self) -> dict[str, Any]:
        """Updates made and a NumPy copy of the average."""
        self._require_unswapped("state_dict")
        return {"updates": self.updates, "average": self.average.numpy()}

    def check_state_dict(self, saved: Mapping[str, Any]) -> Tensor:
        """The saved average as a tensor; changes nothing.

        Raises
        ------
        TypeError, ValueError
            For what `state_dict` of an EMA of parameters like these did not give.
        """
        if not isinstance(saved, Mapping) or set(saved) != {"updates", "average"}:
            raise ValueError("EMA: the saved state lacks its updates or its average")
        updates = saved["updates"]
        if not isinstance(updates, (int, np.integer)) or isinstance(updates, bool) or updates < 0:
            raise ValueError(f"EMA: updates is {updates!r}, expected an integer >= 0")
        average = tensor(saved["average"], self.average.dtype, self.average.device)
        if average.shape != self.average.shape:
            raise ValueError(f"EMA: average is {average.shape}, expected {self.average.shape}")
        return average

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave.

        Raises
        ------
        TypeError, ValueError
            If it does not fit; nothing is changed then.
        """
        self._require_unswapped("load_state_dict")
        average = self.check_state_dict(saved)
        self.average.array.assign(average.array)
        self.updates = int(saved["updates"])
