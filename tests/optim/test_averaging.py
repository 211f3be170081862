"""The exponential moving average of weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import trajectories
from dlcore import Tensor, ops, optim
from dlcore.nn import Linear

parameters = trajectories.parameters


@pytest.mark.parametrize("decay", [0.9, 0.0, 1.0, lambda t: min(0.99, (1 + t) / (10 + t))])
def test_the_average_follows_its_formula(decay: Any) -> None:
    p = parameters("float64")
    optimizer, ema = optim.SGD(p, 0.05), optim.EMA(p, decay)
    np.testing.assert_array_equal(ema.average.numpy(), p.storage.numpy())
    expected = None
    for step in range(50):
        trajectories.advance(optimizer, range(step, step + 1))
        ema.update()
        theta = p.storage.numpy()
        d = decay(step) if callable(decay) else decay
        expected = theta if expected is None else d * expected + (1 - d) * theta
        np.testing.assert_allclose(ema.average.numpy(), expected, rtol=1e-12)
    assert ema.updates == 50


def test_it_is_pytorch_s() -> None:
    torch = pytest.importorskip("torch")
    p = parameters("float64")
    optimizer, ema = optim.SGD(p, 0.05), optim.EMA(p, 0.95)
    module = torch.nn.Linear(37, 1, bias=False).double()
    theirs = torch.optim.swa_utils.AveragedModel(module, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.95))
    for step in range(200):
        trajectories.advance(optimizer, range(step, step + 1))
        ema.update()
        module.weight.data[0] = torch.tensor(p.storage.numpy())
        theirs.update_parameters(module)
    np.testing.assert_allclose(ema.average.numpy(), theirs.module.weight.detach().numpy()[0], rtol=1e-10)


def test_swapped_weights_are_in_the_model_and_come_back() -> None:
    model = Linear(2, 1).build(0)
    ema = optim.EMA(model.parameters, 0.5)
    x = Tensor(ops.ones((1, 2)).array)
    first, first_value = model.parameters.storage.numpy(), model(x).numpy()
    ema.update()
    model.parameters.storage.array.assign(ops.full((3,), 7.0).array)
    with ema.swapped():
        np.testing.assert_array_equal(model.parameters.storage.numpy(), first)
        np.testing.assert_array_equal(model(x).numpy(), first_value)
        for call in (ema.update, ema.copy_to, ema.state_dict, lambda: ema.swapped().__enter__()):
            with pytest.raises(RuntimeError, match=r"^EMA: .* inside swapped\(\), where the model holds the average"):
                call()
    assert model.parameters.storage.numpy().tolist() == [7, 7, 7]
    np.testing.assert_array_equal(ema.average.numpy(), first)
    with pytest.raises(KeyError), ema.swapped():
        raise KeyError
    assert model.parameters.storage.numpy().tolist() == [7, 7, 7]
    ema.copy_to()
    np.testing.assert_array_equal(model.parameters.storage.numpy(), first)


def test_a_restored_average_goes_on_bit_for_bit() -> None:
    def run(ema: optim.EMA, optimizer: optim.Optimizer, steps: range) -> None:
        for step in steps:
            trajectories.advance(optimizer, range(step, step + 1))
            ema.update()

    p = parameters("float32")
    optimizer = optim.SGD(p, 0.05)
    ema = optim.EMA(p, 0.9)
    run(ema, optimizer, range(10))
    q = parameters("float32")
    q.storage.array.assign(p.storage.array)
    other = optim.EMA(q, 0.9)
    other.load_state_dict(ema.state_dict())
    run(ema, optimizer, range(10, 20))
    run(other, optim.SGD(q, 0.05), range(10, 20))
    assert other.updates == ema.updates == 20
    assert other.average.numpy().tobytes() == ema.average.numpy().tobytes()


def test_messages() -> None:
    p = parameters("float32")
    for call, error, message in [
        (lambda: optim.EMA([1.0]), TypeError, r"^EMA: parameters is a list, expected Parameters"),
        (lambda: optim.EMA(p, 1.1), ValueError, r"^EMA: decay is 1.1, expected a number in \[0, 1\]"),
        (lambda: optim.EMA(p, math.nan), ValueError, "^EMA: decay is nan"),
    ]:
        with pytest.raises(error, match=message):
            call()
    ema = optim.EMA(p, lambda t: 2.0)
    ema.update()
    before = ema.average.numpy()
    with pytest.raises(ValueError, match=r"^EMA: decay is 2\.0"):
        ema.update()
    good = ema.state_dict()
    for change, message in [
        ({"updates": -1}, "^EMA: updates is -1, expected an integer >= 0"),
        ({"average": np.zeros(3)}, r"^EMA: average is \(3,\), expected \(37,\)"),
        ({"more": 1}, "^EMA: the saved state lacks its updates or its average"),
    ]:
        with pytest.raises(ValueError, match=message):
            ema.load_state_dict({**good, **change})
    assert ema.updates == 1
    np.testing.assert_array_equal(ema.average.numpy(), before)
