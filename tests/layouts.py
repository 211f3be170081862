"""Arrays as users have them."""

from __future__ import annotations

import numpy as np


def unaligned(a: np.ndarray) -> np.ndarray:
    raw = np.zeros(a.nbytes + 1, np.uint8)[1:]
    view = raw.view(a.dtype).reshape(a.shape)
    view[...] = a
    assert a.itemsize == 1 or not view.flags.aligned
    return view
