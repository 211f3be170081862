"""Callbacks in resumed fits: what they must remember, and states that are refused."""

import dlcore
import numpy as np
import pytest
from dlcore.train import (
    AverageWeights,
    Callback,
    Checkpoint,
    EarlyStopping,
    ReduceLROnPlateau,
    load_file,
    save_file,
)
from resuming import X, Y, figures, make, refused, state


def test_a_fit_whose_best_parameters_were_restored_can_be_prolonged(tmp_path):
    """The file's model is the best; more epochs go on from the last parameters."""

    def arguments():
        return {"lr": 0.03, "validation_fraction": 0.3, "early_stopping": EarlyStopping(patience=99)}

    path = tmp_path / "c"
    whole, part = make(), make()
    expected = whole.fit(X, Y, epochs=25, **arguments())
    part.fit(X, Y, epochs=20, callbacks=[Checkpoint(path)], **arguments())
    assert part.history.best("validation_loss") < 19, "the test needs a last epoch that is not the best"
    loaded = dlcore.load(path)
    assert np.array_equal(loaded.parameters.storage.numpy(), part.parameters.storage.numpy())
    again = make()
    assert figures(again.fit(X, Y, epochs=25, resume=path, **arguments())) == figures(expected)
    assert state(again) == state(whole)


def test_a_stopping_that_was_used_before_starts_afresh_where_the_file_has_none(tmp_path):
    stopping = EarlyStopping("loss", patience=1)
    make().fit(X, Y, epochs=3, callbacks=[stopping])
    stopping.best_value = -1.0
    make().fit(X, Y, epochs=1, callbacks=[Checkpoint(tmp_path / "c")])
    assert len(make().fit(X, Y, epochs=3, callbacks=[stopping], resume=tmp_path / "c")) == 3


STOPPING = {
    "epoch true": ({"best_epoch": True}, {}, "lacks its best epoch and value"),
    "epoch late": ({"best_epoch": 2}, {}, "the best epoch is 2 of 2"),
    "epoch early": ({"best_epoch": -2}, {}, "the best epoch is -2 of 2"),
    "value text": ({"best_value": "0"}, {}, "lacks its best epoch and value"),
    "best gone": ({}, None, "lacks the best parameters"),
    "best short": ({}, np.zeros(3, "f4"), "another shape or dtype"),
    "best wide": ({}, np.zeros(83), "another shape or dtype"),
    "best nan": ({}, np.full(83, np.nan, "f4"), "not finite"),
}


@pytest.mark.parametrize("name", STOPPING)
def test_a_hostile_state_of_a_callback_is_refused(tmp_path, name):
    """And the callback begins its next fit afresh."""
    path = tmp_path / "c"
    make().fit(X, Y, epochs=2, callbacks=[Checkpoint(path), EarlyStopping("loss")])
    tensors, metadata = load_file(path)
    values, best, reason = STOPPING[name]
    metadata["training"]["callbacks"][0]["state"].update(values)
    if not values:
        tensors.pop("training/callback/0/best")
        tensors |= {} if best is None else {"training/callback/0/best": best}
    save_file(path, tensors, metadata)
    stopping = EarlyStopping("loss")
    refused(path, make(), reason, callbacks=[stopping])
    history = make().fit(X, Y, epochs=1, callbacks=[stopping])
    assert (stopping.best_epoch, stopping.best_value) == (0, history.last["loss"])


class Stubborn(Callback):
    def state_dict(self):
        return {"a": 1}

    def load_state_dict(self, saved):
        raise ValueError("not today")


def test_a_callback_that_refuses_its_state_changes_nothing(tmp_path):
    make().fit(X, Y, epochs=2, callbacks=[Checkpoint(tmp_path / "c"), EarlyStopping("loss"), Stubborn()])
    tensors, metadata = load_file(tmp_path / "c")
    metadata["training"]["callbacks"][0]["state"].update(best_value=-1.0, best_epoch=1)
    save_file(tmp_path / "c", tensors, metadata)
    stopping = EarlyStopping("loss")
    refused(tmp_path / "c", make(), "not today", callbacks=[stopping, Stubborn()])
    make().fit(X, Y, epochs=1, callbacks=[stopping])
    assert stopping.best_epoch == 0


OTHERS = {
    "plateau": (lambda: ReduceLROnPlateau("loss"), {"factor_now": -1.0}, "Plateau: factor_now is -1.0"),
    "average": (AverageWeights, {"updates": -1}, "updates is -1"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_hostile_state_of_another_callback_is_refused(tmp_path, name):
    path = tmp_path / "c"
    make_callback, values, reason = OTHERS[name]
    make().fit(X, Y, epochs=2, callbacks=[Checkpoint(path), make_callback()])
    tensors, metadata = load_file(path)
    metadata["training"]["callbacks"][0]["state"].update(values)
    save_file(path, tensors, metadata)
    refused(path, make(), reason, callbacks=[make_callback()])


def test_a_fit_that_ends_with_the_average_can_be_prolonged(tmp_path):
    path = tmp_path / "c"
    whole, part, again = make(), make(), make()
    whole.fit(X, Y, epochs=6, callbacks=[AverageWeights(0.5)])
    part.fit(X, Y, epochs=4, callbacks=[AverageWeights(0.5), Checkpoint(path)])
    loaded = dlcore.load(path)
    assert np.array_equal(loaded.parameters.storage.numpy(), part.parameters.storage.numpy())
    again.fit(X, Y, epochs=6, callbacks=[AverageWeights(0.5)], resume=path)
    assert state(again) == state(whole)
