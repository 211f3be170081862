"""Batch normalization against NumPy: training, prediction, running statistics, derivatives; PyTorch where it is."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import dlcore
import numpy as np
import pytest
from dlcore import tensor
from dlcore.nn import BatchNorm1d, BatchNorm2d, Conv2d, Sequential
from functional import built, check_derivatives

RNG = np.random.default_rng(0)
SHAPES = [(BatchNorm1d, (7, 3)), (BatchNorm1d, (4, 3, 5)), (BatchNorm2d, (4, 3, 2, 5))]


def statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    rows = np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])
    return rows.mean(0), rows.var(0), len(rows)


def normalized(x: np.ndarray, mean: Any, variance: Any, layer: Any) -> np.ndarray:
    over = (1, -1, *(1,) * (x.ndim - 2))
    y = (x - np.reshape(mean, over)) / np.sqrt(np.reshape(variance, over) + layer.eps)
    return y * layer.weight.numpy().reshape(over) + layer.bias.numpy().reshape(over) if layer.affine else y


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("momentum", [0.1, 0.7, None])
@pytest.mark.parametrize(("kind", "shape"), SHAPES)
def test_against_numpy(kind: Any, shape: tuple[int, ...], momentum: float | None, affine: bool) -> None:
    layer = built(kind(3, eps=1e-3, momentum=momentum, affine=affine))
    mean, variance = np.zeros(3), np.ones(3)
    for i in range(4):
        x = RNG.normal(3.0, 2.0, shape)
        m, v, n = statistics(x)
        assert layer(tensor(x)).numpy() == pytest.approx(normalized(x, m, v, layer), abs=1e-12)
        share = 1 / (i + 1) if momentum is None else momentum
        mean, variance = (1 - share) * mean + share * m, (1 - share) * variance + share * v * n / (n - 1)
    assert layer.running_mean.numpy() == pytest.approx(mean, rel=1e-13)
    assert layer.running_var.numpy() == pytest.approx(variance, rel=1e-13)
    assert layer.num_batches_tracked.item() == 4
    layer.eval()
    x = RNG.standard_normal((1, *shape[1:]))
    before = layer.running_mean.numpy()
    assert layer(tensor(x)).numpy() == pytest.approx(normalized(x, mean, variance, layer), abs=1e-12)
    assert np.array_equal(layer.running_mean.numpy(), before)


def test_without_running_statistics_the_batch_serves_in_prediction() -> None:
    layer = BatchNorm1d(2, track_running_stats=False).build(0, "float64").eval()
    x = RNG.standard_normal((6, 2))
    m, v, _ = statistics(x)
    assert layer.buffers == {}
    assert layer(tensor(x)).numpy() == pytest.approx((x - m) / np.sqrt(v + 1e-5), abs=1e-13)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("kind", "shape"), SHAPES)
def test_derivatives(kind: Any, shape: tuple[int, ...], training: bool) -> None:
    check_derivatives(built(kind(3, eps=0.1)).train(training), shape)


def test_a_shift_and_a_scale_of_the_input_change_nothing() -> None:
    layer = BatchNorm1d(3, eps=1e-12).build(0, "float64")
    x = RNG.standard_normal((50, 3))
    assert layer(tensor(1e6 + 10 * x)).numpy() == pytest.approx(layer(tensor(x)).numpy(), abs=1e-8)


def test_buffers_are_kept_by_copies_and_moved_by_layouts() -> None:
    net = Sequential(Conv2d(1, 3, 3), BatchNorm2d(3)).build(0, "float32")
    net(tensor(RNG.standard_normal((5, 1, 4, 4)), "float32"))
    assert list(net.buffers) == ["layers.1.running_mean", "layers.1.running_var", "layers.1.num_batches_tracked"]
    assert net.buffer_shapes() == {name: value.shape for name, value in net.buffers.items()}
    assert net.parameters.size == 3 * 9 + 3 + 6
    values = [value.numpy().tolist() for value in net.buffers.values()]
    assert values[0] != [0.0, 0.0, 0.0]
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), Sequential(*net.layers)):
        assert [value.numpy().tolist() for value in other.buffers.values()] == values
    net.build(0, "float64")
    assert {value.dtype.name for value in net.buffers.values()} == {"float64"}
    assert [value.numpy().tolist() for value in net.buffers.values()] == values
    storage = net.layers[1].running_mean
    net.layers[1].running_mean = [1.0, 2.0, 3.0]
    assert storage.numpy().tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match=re.escape("BatchNorm2d: running_mean has shape (2,), expected (3,)")):
        net.layers[1].running_mean = [1.0, 2.0]


def test_a_recorded_gradient_may_follow_the_update_of_the_statistics() -> None:
    layer = built(BatchNorm1d(2))
    x = tensor(RNG.standard_normal((5, 2)))
    dlcore.hessian(lambda x: dlcore.ops.sum(layer.forward(x) ** 3))(x)  # a write to what a gradient keeps would raise
    assert layer.num_batches_tracked.item() == 1


REFUSED: list[tuple[Any, str]] = [
    (lambda: BatchNorm1d(0), "BatchNorm1d: num_features is 0, expected a positive integer"),
    (lambda: BatchNorm2d(2, eps=0.0), "BatchNorm2d: eps is 0.0, expected a finite number > 0"),
    (lambda: BatchNorm2d(2, momentum=1.5), "BatchNorm2d: momentum is 1.5, expected a number in [0, 1] or None"),
    (
        lambda: BatchNorm1d(2)(tensor(np.ones((3, 3)))),
        "BatchNorm1d: x has shape (3, 3), expected (n, 2) or (n, 2, length)",
    ),
    (
        lambda: BatchNorm2d(2)(tensor(np.ones((3, 2)))),
        "BatchNorm2d: x has shape (3, 2), expected (n, 2, height, width)",
    ),
    (
        lambda: BatchNorm1d(2)(tensor(np.ones((1, 2)))),
        "BatchNorm1d: one value a channel has no variance, expected a batch of at least 2 cases",
    ),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize(("kind", "shape"), SHAPES)
def test_against_torch(kind: Any, shape: tuple[int, ...], momentum: float | None) -> None:
    torch = pytest.importorskip("torch")
    ours = built(kind(3, momentum=momentum))
    theirs = getattr(torch.nn, kind.__name__)(3, momentum=momentum).double()
    with torch.no_grad():
        theirs.weight.copy_(torch.from_numpy(ours.weight.numpy()))
        theirs.bias.copy_(torch.from_numpy(ours.bias.numpy()))
    for _ in range(3):
        x = RNG.normal(1.0, 3.0, shape)
        assert ours(tensor(x)).numpy() == pytest.approx(theirs(torch.from_numpy(x)).detach().numpy(), abs=1e-12)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert getattr(ours, name).numpy() == pytest.approx(getattr(theirs, name).numpy(), rel=1e-13)
    ours.eval(), theirs.eval()
    assert ours(tensor(x)).numpy() == pytest.approx(theirs(torch.from_numpy(x)).detach().numpy(), abs=1e-12)
