"""Cases that a fit reads where they lie: no copy, no change, and nothing of them is kept."""

from __future__ import annotations

import gc
import sys
from typing import Any

import dlcore
import numpy as np
import pytest
from dlcore import ops
from dlcore.models import CNN, MLP, Autoencoder
from dlcore.train import Callback, Run
from dlcore.train.batches import rows

RNG = np.random.default_rng(3)
X = RNG.random((24, 8), dtype=np.float32)
Y = RNG.integers(0, 3, 24).astype(np.int32)


def fit(model: Any, x: Any, **options: Any) -> bytes:
    given = (x,) if isinstance(model, Autoencoder) else (x, Y)
    model.fit(*given, epochs=2, batch_size=5, progress=False, **options)
    found: bytes = model.parameters.storage.numpy().tobytes()
    return found


def models(dtype: str = "float32") -> list[Any]:
    return [MLP([8, 6, 3], seed=1, dtype=dtype), Autoencoder([8, 4], seed=1, dtype=dtype)]


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS = {
    "as it is": lambda x: x,
    "read-only": read_only,
    "every second column": lambda x: np.repeat(x, 2, 1)[:, ::2],
    "columns first": np.asfortranarray,
    "turned bytes": lambda x: x.astype(x.dtype.newbyteorder()),
    "odd address": lambda x: np.frombuffer(b"." + x.tobytes(), x.dtype, x.size, 1).reshape(x.shape),
    "matrix": lambda x: x.view(np.matrix),
    "list": lambda x: x.tolist(),
    "other precision": lambda x: x.astype(np.float64),
    "tensor": dlcore.tensor,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_fit_from_any_layout(layout: str) -> None:
    for model, other in zip(models(), models(), strict=True):
        x = LAYOUTS[layout](X)
        before = np.array(x, copy=True)
        assert fit(model, x) == fit(other, X.copy())
        np.testing.assert_array_equal(x, before)


def test_of_the_model_s_dtype() -> None:
    for model, other in zip(models("float64"), models("float64"), strict=True):
        assert fit(model, X) == fit(other, X.astype(np.float64))


def test_images_and_their_rows() -> None:
    layers = [CNN.conv(2, 2), CNN.pool(2)]
    of_images, of_rows = CNN((1, 2, 4), 3, layers[:1], seed=2), CNN((1, 2, 4), 3, layers[:1], seed=2)
    assert fit(of_images, X.reshape(24, 1, 2, 4)) == fit(of_rows, X)


@pytest.mark.parametrize("options", [{}, {"shuffle": False}, {"validation_fraction": 0.3}], ids=str)
def test_no_copy_and_nothing_kept(options: dict[str, Any]) -> None:
    x = RNG.random((2048, 512), dtype=np.float32)  # 4 MiB
    y = np.arange(2048) % 3
    model = MLP([512, 3])
    peaks: list[int] = []

    class Look(Callback):
        def on_epoch_end(self, run: Run) -> None:
            peaks.append(dlcore.memory_stats()["in_use"])

    gc.collect()
    gc.disable()
    try:
        references, before = sys.getrefcount(x), dlcore.memory_stats()["in_use"]
        model.fit(x, y, epochs=1, batch_size=64, progress=False, callbacks=[Look()], **options)
        assert sys.getrefcount(x) == references
    finally:
        gc.enable()
    if model.parameters.storage.device == "cpu" and "validation_fraction" not in options:
        assert peaks[0] - before < x.nbytes / 2


def test_a_refused_fit_keeps_nothing() -> None:
    x = X.copy()
    x[3, 2] = np.nan
    references = sys.getrefcount(x)
    for model in models():
        with pytest.raises(ValueError, match="fit: x is not finite at row 3"):
            fit(model, x)
    assert sys.getrefcount(x) == references


@pytest.mark.parametrize("learn", ["fit", "partial_fit"])
@pytest.mark.parametrize("kind", ["array", "tensor", "target"])
def test_what_shares_memory_with_the_parameters_is_read_as_it_was(kind: str, learn: str) -> None:
    found = []
    for copied in (False, True):
        model = MLP([8, 6, 8], output="identity", seed=1)
        theta = ops.reshape(rows(model.parameters.storage, 0, 96), (12, 8))
        shared = theta if kind != "array" else np.from_dlpack(theta)
        given: Any = np.array(shared) if copied else shared
        data = (X[:12], given) if kind == "target" else (given, X[:12])
        options = {"epochs": 3, "shuffle": False, "progress": False} if learn == "fit" else {}
        getattr(model, learn)(*data, batch_size=3, optimizer="sgd", lr=0.1, **options)
        found.append(model.parameters.storage.numpy().tobytes())
    assert found[0] == found[1]
