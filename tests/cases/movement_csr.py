"""Rows of sparse matrices, made dense."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import Case


def gather_case(name: str, rows: int, columns: int, density: float, taken: int, repeated: bool = False) -> Case:
    def inputs(rng: np.random.Generator) -> list[Any]:
        dense = rng.standard_normal((rows, columns)) * (rng.random((rows, columns)) < density)
        place = [np.flatnonzero(row) for row in dense]
        if repeated:  # entries of one place, in no order
            place = [rng.permutation(np.concatenate([p, p])) for p in place]
        indptr = np.concatenate([[0], np.cumsum([len(p) for p in place])]).astype(np.int32)
        data = np.concatenate([row[p] for row, p in zip(dense, place, strict=True)] or [np.empty(0)])
        indices = np.concatenate([*place, np.empty(0)]).astype(np.int32)
        return [data, indices, indptr, rng.integers(0, max(rows, 1), taken).astype(np.int32), columns]

    def reference(data: Any, indices: Any, indptr: Any, chosen: Any, width: int) -> Any:
        dense = np.zeros((len(indptr) - 1, width))
        np.add.at(dense, (np.repeat(np.arange(len(dense)), np.diff(indptr)), indices), data)
        return dense[chosen]

    return Case(
        name=f"gather_csr: {name}",
        functions=("gather_csr",),
        inputs=inputs,
        call=lambda device, data, indices, indptr, chosen, width: device.gather_csr(
            data, indices, indptr, width, chosen
        ),
        reference=reference,
        tolerance=0.0,
    )


CASES = [
    gather_case("some", 9, 13, 0.3, 20),
    gather_case("large", 200, 784, 0.2, 128),
    gather_case("empty rows", 40, 3, 0.1, 60),
    gather_case("repeated places", 12, 7, 0.4, 12, repeated=True),
    gather_case("no rows", 0, 5, 0.5, 0),
    gather_case("none taken", 4, 5, 0.5, 0),
    gather_case("no columns", 4, 0, 0.5, 3),
]
