"""Every case against its float64 reference, with poisoned, guarded memory; the same bits for 1, 2 and 4 threads."""

from __future__ import annotations

import re
from typing import Any

import driver
import numpy as np
import pytest

PARAMETERS = [
    pytest.param(case, dtype, id=f"{family}: {case.name} [{dtype}]")
    for family, case in driver.all_cases()
    for dtype in case.dtypes
]


@pytest.mark.parametrize(("case", "dtype"), PARAMETERS)
def test_agrees_with_the_reference_on_any_number_of_threads(case: Any, dtype: str, checked: Any) -> None:
    inputs = driver.arguments(case, dtype)
    expected = driver.expected(case, inputs)
    checked.set_num_threads(1)
    results = driver.run(case, checked, inputs)
    assert len(results) == len(expected)
    for result, (reference, scale) in zip(results, expected, strict=True):
        driver.assert_close(result, reference, scale, case.tolerance, np.finfo(dtype).eps)
    for threads in (2, 4):
        checked.set_num_threads(threads)
        again = driver.run(case, checked, inputs)
        assert [r.tobytes() for r in again] == [r.tobytes() for r in results], f"other bits with {threads} threads"


@pytest.mark.parametrize("case", [pytest.param(c, id=f"{family}: {c.name}") for family, c in driver.all_errors()])
def test_bad_input_names_what_was_given(case: Any, device: Any) -> None:
    def array(values: Any, dtype: str = "float32") -> Any:
        return device.from_numpy(np.asarray(values, dtype, order="C"))

    with pytest.raises(case.error) as caught:
        case.call(device, array)
    assert type(caught.value) is case.error
    assert re.fullmatch(case.message, str(caught.value)), f"{caught.value} does not match {case.message}"
