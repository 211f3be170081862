"""Devices by name, and where tensors are made."""

from __future__ import annotations

import importlib.util
import threading

import dlcore
import numpy as np
import pytest
from dlcore import Generator, Tensor, grad, losses, ops, placement, tensor


def test_an_unknown_device_is_refused() -> None:
    for call in (dlcore.set_default_device, dlcore.on_device, tensor([1.0]).to, dlcore.models.MLP([2, 3]).to):
        with pytest.raises(ValueError, match=r"^device: 'gpu' is given, expected 'cpu' or 'cuda'$"):
            call("gpu")
    with pytest.raises(ValueError, match=r"^device: 3 is given, expected 'cpu' or 'cuda'$"):
        dlcore.on_device(3)  # type: ignore[arg-type]


@pytest.mark.skipif(importlib.util.find_spec("dlcore._cuda") is not None, reason="this build has the module _cuda")
def test_a_device_without_its_module_says_so() -> None:
    message = r"^device: 'cuda' cannot be used: this build has no module for it; DLCORE_CUDA=ON builds it$"
    with pytest.raises(RuntimeError, match=message):
        tensor([1.0], device="cuda")
    assert dlcore.devices()["cuda"] == "this build has no module for it; DLCORE_CUDA=ON builds it"
    assert dlcore.get_default_device() == "cpu"


def test_a_module_that_finds_no_device_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    class Module:
        @staticmethod
        def device_problem() -> str:
            return "no CUDA-capable device is detected (cudaErrorNoDevice)"

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(importlib, "import_module", lambda name: Module)
    message = r"^device: 'cuda' cannot be used: no CUDA-capable device is detected \(cudaErrorNoDevice\)$"
    monkeypatch.setattr(placement, "_modules", {"cpu": dlcore.device.cpu})
    with pytest.raises(RuntimeError, match=message):
        dlcore.set_default_device("cuda")
    assert dlcore.devices()["cuda"] == "no CUDA-capable device is detected (cudaErrorNoDevice)"


def test_tensors_are_made_on_the_current_device(other: str) -> None:
    made = {
        "tensor": lambda: tensor([1.0]),
        "full": lambda: ops.full((2,), 1.0),
        "uniform": lambda: ops.uniform(Generator(1), (3,)),
        "normal": lambda: ops.normal(Generator(1), (3,)),
        "permutation": lambda: ops.permutation(Generator(1), 3),
        "labels": lambda: losses.labels([0, 1], 2),
    }
    for name, make in made.items():
        assert make().device == "cpu", name
        with dlcore.on_device(other):
            assert make().device == other, name
            with dlcore.on_device("cpu"):
                assert make().device == "cpu", name
        assert make().device == "cpu", name
    dlcore.set_default_device(other)
    assert dlcore.get_default_device() == other
    assert ops.zeros((1,)).device == other
    found = []
    with dlcore.on_device("cpu"):  # of this thread alone
        thread = threading.Thread(target=lambda: found.append(ops.zeros((1,)).device))
        thread.start()
        thread.join()
    assert found == [other]
    assert ops.zeros((1,), device="cpu").device == "cpu"


def test_what_is_made_for_a_tensor_is_made_where_it_is(other: str, rng: np.random.Generator) -> None:
    a = rng.standard_normal((4, 3))
    x, y = tensor(a).to(other), rng.standard_normal((4, 3))
    assert x.device == other
    for value in (
        x + y,
        y * x,
        x / 2,
        x @ y.T,
        ops.where(y > 0, x, 0.0),
        x[1:],
        x[[0, 2]],
        x[::2],
        ops.cast(x, "float32"),
    ):
        assert value.device == other
    np.testing.assert_array_equal((x + y).numpy(), a + y)
    np.testing.assert_array_equal(x[[2, 0]].numpy(), a[[2, 0]])
    labels = [0, 2, 1, 1]
    loss = losses.CrossEntropy(class_weight=[1.0, 2.0, 0.5], label_smoothing=0.1)
    there, here = loss(x, labels), loss(tensor(a), labels)
    assert there.device == other
    np.testing.assert_allclose(there.numpy(), here.numpy(), rtol=1e-12)
    np.testing.assert_allclose(loss.hessian(x, labels).numpy(), loss.hessian(tensor(a), labels).numpy(), rtol=1e-10)


def test_operands_on_two_devices_are_refused(other: str) -> None:
    a, b = tensor([[1.0, 2.0]]), tensor([[3.0], [4.0]]).to(other)
    message = rf"^devices differ: an array is on {other}, the others are on cpu; to\(\"cpu\"\) copies a tensor there$"
    for call in (lambda: a @ b, lambda: a + b, lambda: ops.concatenate([a, b], 0)):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(ValueError, match=rf"^devices differ: an array is on cpu, the others are on {other}; "):
        b @ a
    assert (b.to("cpu") @ a).numpy().tolist() == [[3.0, 6.0], [4.0, 8.0]]


def test_to_copies_and_is_differentiable(other: str) -> None:
    x = tensor([1.0, 2.0, 3.0], "float64")
    assert x.to("cpu") is x
    there = x.to(other)
    assert (there.device, there.dtype, there.numpy().tolist()) == (other, np.float64, [1.0, 2.0, 3.0])
    assert there.to("cpu").device == "cpu"
    assert tensor(there).device == other
    assert tensor(there, "float32").device == other
    assert tensor(there, device="cpu").device == "cpu"
    for dtype, shape in (("float32", (0, 2)), ("int32", ()), ("float64", (2, 3, 1))):
        values = np.ones(shape, dtype)
        back = tensor(values, dtype).to(other).to("cpu")
        assert (back.shape, back.dtype, back.numpy().tolist()) == (shape, np.dtype(dtype), values.tolist())

    def f(x: Tensor) -> Tensor:
        return ops.sum(ops.square(x.to(other)).to("cpu") * x)

    assert grad(f)(x).numpy().tolist() == [3.0, 12.0, 27.0]
    assert dlcore.hessian(f)(x).numpy().tolist() == np.diag([6.0, 12.0, 18.0]).tolist()


def test_in_place_writes_are_noted_on_every_device(other: str) -> None:
    x = tensor([1.0, 2.0]).to(other)

    def f(x: Tensor) -> Tensor:
        saved = ops.exp(x)
        y = ops.sum(ops.square(saved))
        saved.array.assign(x.array)
        return y

    with pytest.raises(RuntimeError, match="was written in place"):
        grad(f)(x)


def test_draws_are_the_same_on_every_device(other: str) -> None:
    for dtype in ("float32", "float64"):
        here, there = (ops.uniform(Generator(3), (1001,), dtype=dtype, device=name) for name in ("cpu", other))
        assert there.numpy().tolist() == here.numpy().tolist()
        here, there = (ops.uniform(Generator(3), (99,), -1.0, 2.0, dtype, name) for name in ("cpu", other))
        np.testing.assert_allclose(there.numpy(), here.numpy(), rtol=0, atol=4 * np.finfo(dtype).eps)
    orders = [ops.permutation(Generator(3), 100, name).numpy().tolist() for name in ("cpu", other)]
    assert orders[0] == orders[1]
    here = ops.normal(Generator(3), (501,), dtype="float64")
    there = ops.normal(Generator(3), (501,), dtype="float64", device=other)
    np.testing.assert_allclose(there.numpy(), here.numpy(), rtol=1e-12, atol=1e-14)
    p = ops.uniform(Generator(4), (999,))
    coins = ops.bernoulli(Generator(9), p.to(other)).numpy()
    assert coins.tolist() == ops.bernoulli(Generator(9), p).numpy().tolist()
    x = ops.full((333,), 1.0)
    assert (
        ops.dropout(x.to(other), 0.3, Generator(2)).numpy().tolist()
        == ops.dropout(x, 0.3, Generator(2)).numpy().tolist()
    )
