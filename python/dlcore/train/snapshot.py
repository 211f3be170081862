"""All numbers of a model as one vector: the parameters θ, then the buffers in their order."""

from __future__ import annotations

from typing import Any


def snapshot(model: Any) -> Any:
    """A device copy of a model's parameters and buffers, one vector."""
    theta = model.parameters.storage.array
    buffers = [buffer.array.reshape((buffer.size,)) for buffer in model.buffers.values()]
    return theta.device.concatenate([theta, *buffers], 0) if buffers else theta.copy()


def snapshot_size(model: Any) -> int:
    """Elements of its snapshots."""
    return int(model.parameters.size + sum(buffer.size for buffer in model.buffers.values()))


def put_back(model: Any, values: Any) -> None:
    """Write a snapshot into the model's parameters and buffers."""
    theta = model.parameters.storage.array
    theta.assign(values.view(0, theta.shape))
    start = model.parameters.size
    for buffer in model.buffers.values():
        buffer.array.assign(values.view(start, buffer.shape))
        start += buffer.size
