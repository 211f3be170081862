"""DBN: a pre-training that was killed in any layer goes on to the bits of an undisturbed one; so does what follows."""

import json
import signal
import subprocess
import sys

import dlcore
import numpy as np
import pytest
from beliefs import SIZES, labelled, theta
from dlcore.models import DBN, RBM
from dlcore.train import Checkpoint, EarlyStopping, load_file, save_file
from resuming import End, figures, state

LAYERS = [*SIZES, 5]
SETTINGS = [
    {"epochs": (3, 4, 2), "lr": (0.1, 0.05, 0.1), "batch_size": 20, "k": 2},
    {"epochs": 3, "batch_size": 20, "persistent": True, "n_chains": 7, "optimizer": "adam", "lr": 0.01},
    {"epochs": 3, "batch_size": 20, "centered": True, "offset_rate": 0.1, "sparsity_target": 0.2},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=["cd", "pcd", "centred and sparse"])
@pytest.mark.parametrize("batch", [15, 30, 31, 55, 75, 89])  # 10 an epoch
def test_resumed_bits_equal_undisturbed_bits(tmp_path, settings, batch):
    x, y = labelled()
    held, _ = labelled(30, seed=1)
    path = tmp_path / "c"
    whole = DBN(LAYERS, 2, seed=3)
    expected = whole.pretrain(x, validation_data=held, **settings)
    broken = DBN(LAYERS, 2, seed=3)
    with pytest.raises(KeyboardInterrupt):
        broken.pretrain(x, validation_data=held, callbacks=[Checkpoint(path), End(batch)], **settings)
    resumed = DBN(LAYERS, 2, seed=3)
    found = resumed.pretrain(x, validation_data=held, resume=path, **settings)
    assert [figures(history) for history in found] == [figures(history) for history in expected]
    assert state(resumed) == state(whole)
    for dbn in (whole, resumed):
        dbn.fit(x, y, epochs=2)
    assert state(resumed) == state(whole)


CHILD = """
import sys
sys.path[:0] = {paths!r}
from beliefs import labelled
from dlcore.models import DBN
from dlcore.train import Checkpoint
from resuming import End
from test_dbn_resume import LAYERS, SETTINGS
DBN(LAYERS, 2, seed=3).pretrain(labelled()[0], callbacks=[Checkpoint({file!r}), End({batch}, kill=True)], **SETTINGS[0])
"""


@pytest.mark.parametrize("batch", [25, 56])  # in the last epochs of the first two layers
def test_a_killed_process_loses_an_epoch_at_most(tmp_path, batch):
    x, _ = labelled()
    file = tmp_path / "c"
    code = CHILD.format(paths=[path for path in sys.path if "tests" in path], file=str(file), batch=batch)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    saved = load_file(file)[1]["training"]
    assert (saved["settings"]["layer"], saved["epoch"]) == divmod(batch // 10, 3)
    whole, resumed = DBN(LAYERS, 2, seed=3), DBN(LAYERS, 2, seed=3)
    whole.pretrain(x, **SETTINGS[0])
    resumed.pretrain(x, resume=file, **SETTINGS[0])
    assert state(resumed) == state(whole)


def test_a_fit_resumes_in_its_pretraining_and_after_it(tmp_path):
    x, y = labelled()
    path = tmp_path / "c"
    given = {"epochs": 4, "pretrain": SETTINGS[0], "batch_size": 20}
    whole = DBN(LAYERS, 2, seed=3)
    expected = whole.fit(x, y, **given)
    for batch in (45, 115):  # in the second layer; in the third epoch after the pre-training's 90 batches
        with pytest.raises(KeyboardInterrupt):
            end = End(batch)
            pretrain = SETTINGS[0] | {"callbacks": [Checkpoint(path), end]}
            DBN(LAYERS, 2, seed=3).fit(x, y, **(given | {"pretrain": pretrain}), callbacks=[Checkpoint(path), end])
        resumed = DBN(LAYERS, 2, seed=3)
        assert figures(resumed.fit(x, y, resume=path, **given)) == figures(expected)
        assert state(resumed) == state(whole)
    dbn = DBN(LAYERS, 2, seed=3)
    dbn.pretrain(x, callbacks=[Checkpoint(path)], **SETTINGS[0])
    with pytest.raises(ValueError, match="fit: resume is a checkpoint of the pre-training, but pretrain is False"):
        dbn.fit(x, y, pretrain=False, resume=path)


def test_the_checkpoints_of_a_fit_serve_its_pretraining(tmp_path):
    x, y = labelled()
    path = tmp_path / "c"
    dbn = DBN(LAYERS, 2, seed=3)
    dbn.fit(x, y, epochs=0, pretrain=SETTINGS[0], callbacks=[Checkpoint(path)])
    loaded = dlcore.load(path)
    assert isinstance(loaded, DBN) and not loaded.is_pretrained  # its network gets the weights at the end
    for found, expected in zip(loaded.rbms, dbn.rbms, strict=True):
        units = np.eye(found.n_visible)
        np.testing.assert_array_equal(found.transform(units), expected.transform(units))


def test_early_stopping_in_a_layer_goes_on(tmp_path):
    x, _ = labelled()
    held, _ = labelled(30, seed=1)
    path = tmp_path / "c"

    def arguments():
        stopping = EarlyStopping("validation_reconstruction_error", patience=2)
        return {"validation_data": held, "batch_size": 20, "epochs": 40, "callbacks": [stopping], "lr": 0.5}

    whole = DBN(SIZES, 2, seed=3)
    lengths = [len(history) for history in whole.pretrain(x, **arguments())]
    assert max(lengths) < 40, "the test needs fits that stop"
    for batch in (10 * lengths[0] - 5, 10 * lengths[0] + 15):
        given = arguments()
        given["callbacks"] += [Checkpoint(path), End(batch)]
        with pytest.raises(KeyboardInterrupt):
            DBN(SIZES, 2, seed=3).pretrain(x, **given)
        resumed = DBN(SIZES, 2, seed=3)
        assert [len(history) for history in resumed.pretrain(x, resume=path, **arguments())] == lengths
        assert state(resumed) == state(whole)


def checkpoint(path, batch=45):
    with pytest.raises(KeyboardInterrupt):
        DBN(LAYERS, 2, seed=3).pretrain(labelled()[0], callbacks=[Checkpoint(path), End(batch)], **SETTINGS[0])


def refused(path, reason, model=None, **changes):
    dbn = DBN(LAYERS, 2, seed=3) if model is None else model
    before = state(dbn)
    with pytest.raises(ValueError, match=reason):
        dbn.pretrain(labelled()[0], resume=path, **(SETTINGS[0] | changes))
    assert state(dbn) == before and dbn.pretrain_history == []


def test_a_checkpoint_of_another_pretraining_is_refused(tmp_path):
    path = tmp_path / "c"
    checkpoint(path)
    refused(path, "its config is not this DBN's", DBN(LAYERS, 3, seed=3))
    refused(path, "its batch_size was 20, this fit's is 10", batch_size=10)
    refused(path, r"its layers below was", lr=(0.2, 0.05, 0.1))
    refused(path, r"its layers below was", epochs=(4, 4, 2))
    refused(path, r"its lr was 0.05, this fit's is 0.2", lr=(0.1, 0.2, 0.1))
    refused(path, r"its optimizer is SGD, this fit's is Adam", optimizer="adam")
    refused(path, r'its RBM was {"n_visible": 10', k=3)
    refused(path, r"it has 1 epochs, the fit is to end with 0", epochs=(3, 0, 0))
    x, y = labelled()
    dbn = DBN(LAYERS, 2, seed=3)
    dbn.fit(x, y, epochs=1, pretrain=SETTINGS[0], callbacks=[Checkpoint(tmp_path / "fit")])
    refused(tmp_path / "fit", "it is not a checkpoint of a pre-training")
    dbn.save(tmp_path / "model")
    refused(tmp_path / "model", "it is not a checkpoint of a pre-training")
    with pytest.raises(ValueError, match='its model is "DBN", expected RBM'):
        RBM(16, 10).fit(x, resume=path)
    with pytest.raises(FileNotFoundError):
        dbn.fit(x, y, resume=tmp_path / "none")
    assert theta(dbn).any()


DAMAGE = {
    "layer": (lambda t, m: m["training"]["settings"].update(layer=3), "it is not a checkpoint of a pre-training"),
    "layer text": (lambda t, m: m["training"]["settings"].update(layer="1"), "it is not a checkpoint of a pre-train"),
    "layer other": (lambda t, m: m["training"]["settings"].update(layer=0), "its optimizer state is"),
    "settings": (lambda t, m: m["training"].update(settings=[1]), "it is not a checkpoint of a pre-training"),
    "finished": (
        lambda t, m: t.update({"training/finished/0/seconds": np.zeros(9)}),
        "'training/finished/0/.*' is float64",
    ),
    "no finished": (
        lambda t, m: [t.pop(name) for name in list(t) if name.startswith("training/finished/0/")],
        "pretrain: cannot resume from .*: layer 1 has 0 epochs, the fit has 3",
    ),
    "history": (lambda t, m: t.update({"training/history/more": np.zeros(9)}), "'training/history/.*' is float64"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_hostile_checkpoint_is_refused(tmp_path, name):
    path = tmp_path / "c"
    checkpoint(path)
    tensors, metadata = load_file(path)
    metadata = json.loads(json.dumps(metadata))
    change, reason = DAMAGE[name]
    change(tensors, metadata)
    save_file(path, tensors, metadata)
    refused(path, reason)
