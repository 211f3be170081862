"""DBN: fine-tuning on the digits with both heads by stochastic gradients and by line searches on large batches."""

import functools

import pytest
from dlcore.data import load_digits_split
from dlcore.models import DBN
from dlcore.train import Checkpoint
from resuming import state

METHODS = {
    "sgd": {"epochs": 30, "batch_size": 20, "lr": 0.1, "momentum": 0.9},
    "adam": {"epochs": 20, "batch_size": 20, "lr": 3e-3},
    "l-bfgs": {"epochs": 5, "batch_size": 600, "line_searches": 10},
    "cg": {"epochs": 20, "batch_size": 300, "line_searches": 3},  # Hinton and Salakhutdinov (2006)
}


@functools.cache
def digits():
    train, test = load_digits_split()
    return train.x[:600], train.y[:600], test.x, test.y


@functools.cache
def pretrained(output):
    dbn = DBN([64, 60, 40], 10, output=output, seed=1)
    dbn.pretrain(digits()[0], epochs=8, batch_size=20)
    return dbn


@pytest.mark.parametrize("output", ["softmax", "svm"])
@pytest.mark.parametrize("optimizer", METHODS)
def test_all_optimizers_fine_tune_both_heads(optimizer, output):
    x, y, held, truth = digits()
    dbn = pretrained(output).clone()
    loss = dbn.objective(*dbn._pair(x, y, "test")).item()
    history = dbn.fit(x, y, optimizer=optimizer, **({"schedule": "constant"} | METHODS[optimizer]))
    assert dbn.objective(*dbn._pair(x, y, "test")).item() < 0.25 * loss
    assert history["loss"][-1] < 0.4 * history["loss"][0]
    assert dbn.score(x, y) > 0.9 and dbn.score(held, truth) > 0.85


def test_line_searches_resume_bit_for_bit(tmp_path):
    x, y, _, _ = digits()
    given = {"optimizer": "cg", "schedule": "constant", "batch_size": 250, "line_searches": 2}
    whole, half, resumed = (pretrained("softmax").clone() for _ in range(3))
    whole.fit(x, y, epochs=4, **given)
    half.fit(x, y, epochs=2, callbacks=[Checkpoint(tmp_path / "c")], **given)
    resumed.fit(x, y, epochs=4, resume=tmp_path / "c", **given)
    assert state(resumed) == state(whole)
