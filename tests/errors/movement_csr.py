"""What gather_csr refuses, and in which words."""

from __future__ import annotations

from typing import Any

from case import ErrorCase

GOOD = {
    "data": ([1.0, 2.0, 3.0], "float32"),
    "indices": ([0, 2, 1], "int32"),
    "indptr": ([0, 2, 3], "int32"),
    "columns": 3,
    "rows": ([1, 0], "int32"),
}


def raises(message: str, error: type[Exception] = ValueError, **changed: Any) -> ErrorCase:
    def call(device: Any, array: Any) -> Any:
        given = GOOD | changed
        return device.gather_csr(**{k: array(*x) if isinstance(x, tuple) else x for k, x in given.items()})

    message = f"gather_csr: {message}"
    return ErrorCase(name=message, functions=("gather_csr",), call=call, error=error, message=f"^{message}$")


ERRORS = [
    raises("data has dtype int32, expected float32 or float64", TypeError, data=([1, 2, 3], "int32")),
    raises(r"data has shape \(1, 3\), expected 1 dimension", data=([[1.0, 2.0, 3.0]],)),
    raises("indices has dtype float32, expected int32", TypeError, indices=([0.0, 2.0, 1.0],)),
    raises(r"indices has shape \(2,\), expected \(3,\)", indices=([0, 2], "int32")),
    raises("indptr has dtype float32, expected int32", TypeError, indptr=([0.0, 2.0, 3.0],)),
    raises(r"indptr has shape \(1, 3\), expected 1 dimension", indptr=([[0, 2, 3]], "int32")),
    raises(r"indptr has shape \(0,\), expected \(n \+ 1,\)", indptr=([], "int32")),
    raises("columns is -1, expected at least 0", columns=-1),
    raises("rows has dtype float32, expected int32", TypeError, rows=([1.0],)),
    raises(r"rows has shape \(1, 1\), expected 1 dimension", rows=([[1]], "int32")),
    raises(r"rows\[1\] is 2, expected 0 <= index < 2", rows=([1, 2], "int32")),
    raises("row 0 is from -1 to 2 of 3 entries", indptr=([-1, 2, 3], "int32")),
    raises("row 1 is from 2 to 1 of 3 entries", indptr=([0, 2, 1], "int32")),
    raises("row 1 is from 2 to 4 of 3 entries", indptr=([0, 2, 4], "int32")),
    raises(r"indices\[1\] is 3, expected 0 <= index < 3", indices=([0, 3, 1], "int32")),
    raises(r"indices\[2\] is -1, expected 0 <= index < 3", indices=([0, 2, -1], "int32")),
]
