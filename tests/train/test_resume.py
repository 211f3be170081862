"""A resumed fit ends in the bits of an undisturbed one; what does not fit is refused and changes nothing."""

import json

import dlcore
import numpy as np
import pytest
from dlcore.models import MLP, Autoencoder
from dlcore.optim.schedules import ByEpoch, Cosine, Step, Warmup
from dlcore.train import Checkpoint, EarlyStopping, Run, load_file, run_epochs, save_file
from dlcore.train.resume import restore_run
from resuming import Kill, X, Y, figures, make, refused, state

OPTIMIZERS = [
    {"optimizer": "adam"},
    {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True},
    {"optimizer": "rmsprop", "momentum": 0.5, "centered": True},
    {"optimizer": "adagrad", "lr": 0.05},
    {"optimizer": "adamw", "lr": 0.01, "schedule": "cosine"},
    {"optimizer": "adam", "amsgrad": True, "lr": ByEpoch(Step(0.01, 2))},
    {"optimizer": "nadam", "lr": Warmup(Cosine(0.01, 40), 10), "max_grad_norm": 0.5},
    {
        "optimizer": "adadelta",
        "groups": [{"params": "layers.0.weight", "frozen": True}, {"params": "*.bias", "lr": 0.1}],
    },
    {"optimizer": "rprop"},
    {"optimizer": "lion", "lr": 1e-3, "weight_decay": 0.1},
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
    "optimizer short": (lambda t, m: m["training"].update(optimizer=["Adam", {}]), "the saved state lacks"),
    "optimizer counts": (lambda t, m: m["training"]["optimizer"][1].update(steps=-1), "Adam: steps is -1"),
    "optimizer groups": (lambda t, m: m["training"]["optimizer"][1].update(groups=3), "the saved groups are 3"),
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
    "steps huge": (
        lambda t, m: m["training"]["optimizer"][1].update(steps=2**53),
        "its optimizer has made 9007199254740992",
    ),
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
