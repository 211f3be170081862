"""What a fit reports, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..ops.creation import is_number

Record = dict[str, float]


class History:
    """One record per epoch: the figures by name, and ``seconds``, the epoch's wall time.

    ``history["loss"]`` is the list of a figure over the epochs (NaN where an epoch lacks it), ``len(history)`` the
    number of epochs, ``history.last`` the newest record, ``history.records`` all of them.

    Parameters
    ----------
    records : records to begin with; copied
    """

    def __init__(self, records: Iterable[Mapping[str, float]] = ()) -> None:
        self.records: list[Record] = []
        for record in records:
            self.append(record)

    def append(self, record: Mapping[str, float]) -> None:
        """Add an epoch.

        Raises
        ------
        TypeError
            If a figure is not a number.
        """
        for name, value in record.items():
            if not is_number(value):
                raise TypeError(f"History: {name} is {value!r}, expected a number")
        self.records.append({str(name): float(value) for name, value in record.items()})

    @property
    def names(self) -> list[str]:
        """The figures that any epoch has, in the order of their first appearance."""
        return list(dict.fromkeys(name for record in self.records for name in record))

    @property
    def last(self) -> Record:
        """The newest record; empty before the first epoch."""
        return self.records[-1] if self.records else {}

    @property
    def seconds(self) -> float:
        """Wall time of all epochs together, in seconds."""
        return math.fsum(record.get("seconds", 0.0) for record in self.records)

    def best(self, name: str, mode: str = "min") -> int:
        """Index of the epoch with the best value of a figure, the first of equals; NaN is never the best.

        Parameters
        ----------
        mode : "min" or "max"

        Raises
        ------
        KeyError
            If no epoch has the figure.
        ValueError
            For another mode, or if every value is NaN.
        """
        if mode not in ("min", "max"):
            raise ValueError(f"History: mode is {mode!r}, expected 'min' or 'max'")
        sign = 1.0 if mode == "min" else -1.0
        candidates = [(sign * value, i) for i, value in enumerate(self[name]) if not math.isnan(value)]
        if not candidates:
            raise ValueError(f"History: every {name} is NaN")
        return min(candidates)[1]

    def to_dict(self) -> dict[str, list[float]]:
        """Figure -> list over the epochs, NaN where an epoch lacks it."""
        return {name: self[name] for name in self.names}

    def __getitem__(self, name: str) -> list[float]:
        if not any(name in record for record in self.records):
            raise KeyError(f"no {name!r} in the history, which has {', '.join(self.names) or 'no epochs'}")
        return [record.get(name, math.nan) for record in self.records]

    def __contains__(self, name: object) -> bool:
        return any(name in record for record in self.records)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        return f"History({len(self)} epochs{''.join(f', {text}' for text in format_record(self.last))})"

    def __eq__(self, other: object) -> bool:
        return self.records == other.records if isinstance(other, History) else NotImplemented

    __hash__ = None  # type: ignore[assignment] # it grows

    def __reduce__(self) -> tuple[Any, ...]:
        return (History, (self.records,))


def format_record(record: Mapping[str, float]) -> list[str]:
    """The figures of one epoch as short texts, "loss 0.1234", the time last and in seconds."""
    texts = [f"{name} {value:.4g}" for name, value in record.items() if name != "seconds"]
    if "seconds" in record:
        texts.append(f"{record['seconds']:.2f} s")
    return texts
