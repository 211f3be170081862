"""A resumed fit ends in the bits of an undisturbed one; what does not fit is refused and changes nothing."""

import json

import dlcore
import numpy as np
import pytest
from dlcore.models import MLP, Autoencoder
from dlcore.train import Callback, Checkpoint, EarlyStopping, Run, load_file, run_epochs, save_file
from dlcore.train.resume import restore_run

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 1, (40, 6)).astype(np.float32)
Y = RNG.integers(0, 3, 40)


def make(seed=1):
    return MLP([6, 8, 3], dropout=0.3, seed=seed)


class Kill(Callback):
    """Ends a fit as a kill would, after the epoch's checkpoint was not yet written."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, run):
        if run.epoch == self.epoch:
            raise KeyboardInterrupt


def state(model):
    """Everything that a further fit depends on."""
    return model.parameters.storage.numpy().tobytes(), {n: (g.key, g.step) for n, g in model.generators.items()}


def figures(history):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in history.records]


OPTIMIZERS = [
    {"optimizer": "adam"},
    {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True},
    {"optimizer": "rmsprop", "momentum": 0.5, "centered": True},
    {"optimizer": "adagrad", "lr": 0.05},
    {"optimizer": "adamw", "lr": 0.01, "schedule": "cosine"},
]


@pytest.mark.parametrize("options", OPTIMIZERS, ids=lambda o: o["optimizer"])
def test_resumed_bits_equal_undisturbed_bits(tmp_path, options):
    arguments = {"epochs": 7, "batch_size": 7, "validation_fraction": 0.2, **options}
    whole = make()
    expected = whole.fit(X, Y, **arguments)

    path = tmp_path / "c"
    broken = make()
    with pytest.raises(KeyboardInterrupt):
        broken.fit(X, Y, **arguments, callbacks=[Checkpoint(path, every=2), Kill(5)])
    resumed = make()
    history = resumed.fit(X, Y, **arguments, resume=path)
    assert len(history) == 7
    assert figures(history) == figures(expected)
    assert resumed.history is history
    assert state(resumed) == state(whole)


def test_early_stopping_goes_on_counting(tmp_path):
    def arguments():
        return {"epochs": 60, "lr": 0.03, "validation_fraction": 0.3, "early_stopping": EarlyStopping(patience=4)}

    whole = make()
    expected = whole.fit(X, Y, **arguments())
    assert 4 < len(expected) < 60, "the test needs a fit that stops"
    best = expected.best("validation_loss")
    for at in (best + 1, best + 2, len(expected) - 1):  # before it improves, with θ of the best epoch to keep
        path = tmp_path / f"c{at}"
        with pytest.raises(KeyboardInterrupt):
            make().fit(X, Y, **arguments(), callbacks=[Checkpoint(path), Kill(at + 1)])
        resumed = make()
        assert figures(resumed.fit(X, Y, **arguments(), resume=path)) == figures(expected)
        assert state(resumed) == state(whole)


def test_a_finished_fit_resumes_to_itself_and_can_be_prolonged(tmp_path):
    path = tmp_path / "c"
    whole, part = make(), make()
    whole.fit(X, Y, epochs=6)
    part.fit(X, Y, epochs=3, callbacks=[Checkpoint(path)])
    again = make()
    assert len(again.fit(X, Y, epochs=3, resume=path)) == 3
    assert state(again) == state(part)
    again.fit(X, Y, epochs=6, resume=path)
    assert state(again) == state(whole)


def test_a_stopped_fit_stays_stopped(tmp_path):
    path = tmp_path / "c"
    m = make()
    m.fit(X, Y, epochs=60, lr=0.03, validation_fraction=0.3, early_stopping=3, callbacks=[Checkpoint(path)])
    again = make()
    again.fit(X, Y, epochs=60, lr=0.03, validation_fraction=0.3, early_stopping=3, resume=path)
    assert figures(again.history) == figures(m.history)
    assert state(again) == state(m)


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


def test_a_checkpoint_is_a_model_file(tmp_path):
    path = tmp_path / "c"
    m = make()
    m.fit(X, Y, epochs=2, callbacks=[Checkpoint(path)])
    loaded = dlcore.load(path)
    assert np.array_equal(loaded.predict_proba(X), m.predict_proba(X))
    assert loaded.history == m.history
    loaded.fit(X, Y, epochs=4, resume=path)  # also with a model that is not new
    whole = make()
    whole.fit(X, Y, epochs=4)
    assert state(loaded) == state(whole)


def test_other_state_of_a_run_is_kept_in_place(tmp_path):
    """Chains of a sampler, say: a tensor that the epochs change."""
    m = MLP([2, 2])

    def run_to(epochs, **arguments):
        chains = dlcore.tensor(np.zeros((3, 2), np.float32))
        run = Run(m, epochs, state={"chains": chains})

        def epoch(run):
            chains.array.assign(dlcore.tensor(chains.numpy() * 2 + 1).array)
            return {"loss": 0.0}

        run_epochs(run, epoch, progress=False, **arguments)
        return chains.numpy()

    run_to(2, callbacks=[Checkpoint(tmp_path / "c")])
    assert (run_to(5, resume=tmp_path / "c") == 31).all()


def refused(path, model, reason, **arguments):
    before = state(model)
    with pytest.raises(ValueError, match=reason):
        model.fit(X, Y, **({"epochs": 5} | arguments), resume=path)
    assert state(model) == before
    assert len(model.history) == 0


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    path = tmp_path / "c"
    stopping = EarlyStopping("loss")
    make().fit(X, Y, epochs=3, callbacks=[Checkpoint(path), stopping])
    refused(path, make(seed=2), "its config is not this MLP's")
    refused(path, make(), "it has 3 epochs, the fit is to end with 2", epochs=2)
    refused(path, make(), "its optimizer is Adam, this fit's is SGD", optimizer="sgd")
    refused(path, make(), 'it has the state of a "EarlyStopping", which this fit lacks')
    refused(path, make(), "its batch_size was 40, this fit's is 20", batch_size=20, callbacks=[EarlyStopping("loss")])
    refused(path, make(), "its lr was null, this fit's is 0.1", lr=0.1, callbacks=[EarlyStopping("loss")])
    refused(path, make(), "its shuffle was true, this fit's is false", shuffle=False, callbacks=[EarlyStopping("loss")])
    refused(path, make(), 'its schedule was "constant"', schedule="cosine", callbacks=[EarlyStopping("loss")])
    refused(
        path, make(), r'its options was {}, this fit\'s is {"eps": 0.1}', eps=0.1, callbacks=[EarlyStopping("loss")]
    )
    refused(path, make(), "its cases was 40, this fit's is 32", validation_fraction=0.2, callbacks=[stopping])
    other = Autoencoder([6, 3])
    with pytest.raises(ValueError, match=r"its model is \"MLP\", expected Autoencoder"):
        other.fit(X, epochs=5, resume=path)
    make().save(path)
    refused(path, make(), "it is a model without the state of a fit")
    path.write_bytes(b"")
    refused(path, make(), "is refused: the file has 0 bytes")
    with pytest.raises(FileNotFoundError):
        make().fit(X, Y, resume=tmp_path / "none")


SHORT = {"history/loss": np.ones(1), "history/seconds": np.ones(1)}
DAMAGE = {
    "epoch missing": (lambda t, m: m["training"].pop("epoch"), "epoch is missing or malformed"),
    "epoch negative": (lambda t, m: m["training"].update(epoch=-1), "epoch is -1"),
    "epoch true": (lambda t, m: m["training"].update(epoch=True), "epoch is missing or malformed"),
    "optimizer steps": (lambda t, m: m["training"].update(optimizer=["Adam", -1]), "optimizer is malformed"),
    "optimizer gone": (lambda t, m: m["training"].update(optimizer=None), "its optimizer is None"),
    "moment gone": (lambda t, m: t.pop("training/optimizer/first_moment"), "its optimizer state is"),
    "moment short": (lambda t, m: t.update({"training/optimizer/first_moment": np.zeros(3)}), "its optimizer state is"),
    "state unknown": (lambda t, m: t.update({"training/state/chains": np.zeros(3)}), "its state is"),
    "generator gone": (lambda t, m: m["training"].update(generators={}), "generators are"),
    "generator huge": (lambda t, m: m["training"]["generators"].update(fit=[2**64, 0]), "expected 0 <= seed"),
    "generator text": (lambda t, m: m["training"]["generators"].update(fit=["a", 0]), "expected an integer"),
    "history short": (lambda t, m: t.update(SHORT), "its history has 1 epochs, expected 2"),
    "history gone": (lambda t, m: [t.pop(name) for name in SHORT], "its history has 0 epochs, expected 2"),
    "callbacks": (lambda t, m: m["training"].update(callbacks=[3]), "callbacks are malformed"),
    "parameter gone": (lambda t, m: t.pop("layers.0.weight"), "'layers.0.weight' has shape None"),
    "parameter wide": (lambda t, m: t.update({"layers.0.bias": np.zeros(8)}), "'layers.0.bias' has dtype float64"),
    "settings gone": (lambda t, m: m["training"].pop("settings"), "settings is missing or malformed"),
    "steps huge": (lambda t, m: m["training"]["optimizer"].__setitem__(1, 2**53), "optimizer is malformed"),
    "last short": (lambda t, m: t.update({"training/theta": np.zeros(3, "f4")}), "its last parameters are not"),
    "last nan": (lambda t, m: t.update({"training/theta": np.full(83, np.nan, "f4")}), "its last parameters are not"),
    "parameter unknown": (lambda t, m: t.update({"more": np.zeros(8, "f4")}), "'more' has shape"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_hostile_training_state_is_refused(tmp_path, name):
    path = tmp_path / "c"
    make().fit(X, Y, epochs=2, callbacks=[Checkpoint(path)])
    tensors, metadata = load_file(path)
    change, reason = DAMAGE[name]
    change(tensors, metadata)
    save_file(path, tensors, metadata)
    refused(path, make(), reason)


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
    stopping = EarlyStopping("loss")
    refused(tmp_path / "c", make(), "not today", callbacks=[stopping, Stubborn()])
    make().fit(X, Y, epochs=1, callbacks=[stopping])
    assert stopping.best_epoch == 0


def test_metadata_is_plain_json(tmp_path):
    make().fit(X, Y, epochs=2, callbacks=[Checkpoint(tmp_path / "c")])
    _, metadata = load_file(tmp_path / "c")
    assert json.loads(json.dumps(metadata)) == metadata
    assert metadata["dlcore_version"] == dlcore.__version__


def test_restore_outside_a_fit(tmp_path):
    m = make()
    m.fit(X, Y, epochs=2, callbacks=[Checkpoint(tmp_path / "c")])
    run = Run(make(), 5)
    with pytest.raises(ValueError, match=r"cannot resume from .*: its optimizer is Adam, this fit's is None"):
        restore_run(tmp_path / "c", run)
