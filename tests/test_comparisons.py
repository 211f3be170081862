"""Tensor's comparisons are elementwise, as NumPy's; as a key a tensor is itself."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dlcore import Tensor, grad, ops, tensor

OPERATORS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
A = np.array([[1.0, 2.0, np.nan], [-0.0, np.inf, -3.0]])
B = np.array([[1.0, 3.0, np.nan], [0.0, -np.inf, -3.0]])


@pytest.mark.parametrize("compare", OPERATORS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_like_numpy(compare: Callable[[Any, Any], Any], dtype: str) -> None:
    a, b = (np.nan_to_num(x, nan=7, posinf=9, neginf=-9).astype(dtype) if dtype == "int32" else x.astype(dtype)
            for x in (A, B))  # fmt: skip
    for other in (b, b[0], b[:, :1], 2, -3.0, np.int64(2), [2, 1, 0], (2.0, 1.0, 0.0)):
        expected = compare(a, np.asarray(other))
        found = compare(tensor(a, dtype), other)
        assert isinstance(found, Tensor) and found.dtype == dtype
        np.testing.assert_array_equal(found.numpy(), expected.astype(dtype))
        reflected = compare(other, tensor(a, dtype))
        np.testing.assert_array_equal(reflected.numpy(), compare(np.asarray(other), a).astype(dtype))
    np.testing.assert_array_equal(compare(tensor(a, dtype), tensor(b, dtype)).numpy(), compare(a, b).astype(dtype))


def test_what_is_no_array_is_not_equal() -> None:
    x = tensor([1.0, 2.0])
    for other in (None, "12", object(), {1.0: 2.0}):
        assert (x == other) is False and (x != other) is True
        with pytest.raises(TypeError, match="not supported between instances"):
            x < other  # type: ignore[operator] # noqa: B015


def test_shapes_and_dtypes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"^equal: .*\(2,\).*\(3,\)"):
        _ = tensor([1.0, 2.0]) == tensor([1.0, 2.0, 3.0])
    with pytest.raises(TypeError, match=r"^greater: "):
        _ = tensor([1.0]) < tensor([1.0], "float64")
    with pytest.raises(TypeError, match=r"^equal: .*int32, expected float32 or float64"):
        _ = tensor([1], "int32") == tensor([1.0])


def test_integers_are_compared_exactly() -> None:
    x = tensor([2**31 - 1, 2**31 - 2], "int32")
    assert (x == 2**31 - 1).numpy().tolist() == [1, 0]
    assert (x > 2**31 - 1.5).numpy().tolist() == [1, 0]
    assert (tensor([1, 2], "int32") < 1.5).numpy().tolist() == [1, 0]


def test_several_elements_have_no_truth() -> None:
    x = tensor([1.0, 2.0])
    with pytest.raises(ValueError, match=r"^bool: the tensor has shape \(2,\), expected one element"):
        assert x == x
    assert tensor([3.0]) == 3
    assert tensor(3.0) != 2.0


def test_keys_are_identities() -> None:
    a, b = tensor([1.0, 2.0]), tensor([1.0, 2.0])
    assert {a: 1, b: 2}[a] == 1
    assert len({a, b, a}) == 2
    assert hash(a) != hash(b)


def test_comparisons_are_constants_to_derivatives() -> None:
    x = tensor([1.0, -2.0, 3.0])
    g = grad(lambda x: ops.sum(x * x * (x > 0)))(x)
    assert g.numpy().tolist() == [2.0, 0.0, 6.0]
