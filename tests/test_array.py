"""The native array type itself: views, its attributes, and what it refuses."""

from __future__ import annotations

import re
import sys
from typing import Any

import dlcore
import numpy as np
import pytest

CPU = dlcore.device.cpu


def array(*shape: int) -> Any:
    return CPU.from_numpy(np.arange(np.prod(shape), dtype=np.float32).reshape(shape))


def test_views_share_the_memory() -> None:
    whole = array(12)
    parts = whole.views([(0, (2, 3)), (6, (4,)), (12, (0, 5))])
    assert [part.shape for part in parts] == [(2, 3), (4,), (0, 5)]
    parts[1].assign(CPU.full((4,), -1.0, "float32"))
    np.testing.assert_array_equal(whole.numpy(), [0, 1, 2, 3, 4, 5, -1, -1, -1, -1, 10, 11])
    assert whole.views([]) == []


def test_a_view_keeps_the_memory() -> None:
    (part,) = array(12).views([(3, (2,))])
    np.testing.assert_array_equal(part.numpy(), [3, 4])


@pytest.mark.parametrize(
    ("layout", "error", "message"),
    [
        ([(11, (2,))], ValueError, "view: (2,) at offset 11 does not lie within 12 elements"),
        ([(0, (2,)), (-1, (2,))], ValueError, "view: (2,) at offset -1 does not lie within 12 elements"),
        ([(0, (2,), 1)], TypeError, "views: layout has (0, (2,), 1), expected pairs (offset, shape)"),
        ([[0, (2,)]], TypeError, "views: layout has [0, (2,)], expected pairs (offset, shape)"),
        ([(2**70, (2,))], OverflowError, "int too big to convert"),
        ([("a", (2,))], TypeError, "views: layout has ('a', (2,)), expected pairs (offset, shape)"),
    ],
)
def test_views_outside_are_refused(layout: list[Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        array(12).views(layout)
    assert re.fullmatch(re.escape(message), str(raised.value))


def test_attributes() -> None:
    x = array(2, 3)
    assert (x.shape, x.ndim, x.size, x.nbytes, x.dtype) == ((2, 3), 2, 6, 24, "float32")
    assert CPU.from_numpy(np.array(1.5)).shape == ()
    with pytest.raises(AttributeError):
        x.shape = (3, 2)


def test_only_functions_make_arrays() -> None:
    with pytest.raises(TypeError, match=r"cannot create '.*Array' instances"):
        CPU.Array()


def test_an_argument_that_is_no_array_is_refused() -> None:
    for wrong in (None, 1.0, np.ones(3, np.float32), dlcore.tensor([1.0])):
        with pytest.raises(TypeError):
            CPU.negative(wrong)


def test_references_are_counted() -> None:
    x = array(3)
    kind, before = sys.getrefcount(CPU.Array), sys.getrefcount(x)
    for _ in range(100):
        assert CPU.axpy(1.0, x, x) is x
        x.view(0, (3,))
    after = sys.getrefcount(CPU.Array), sys.getrefcount(x)
    assert after == (kind, before)
