"""A run's folder: a killed run goes on to the bits of an undisturbed one, and refuses what does not fit."""

import json

import dlcore
import numpy as np
import pytest
from dlcore.models import RBM
from dlcore.reproduce import Session, reproduce
from dlcore.train import Checkpoint

SMALL = {
    "splits": 1,
    "rbm": {"n_hidden": 8},
    "pretrain": {"epochs": 4, "batch_size": 500},
    "features": {"line_searches": 3},
    "pixels": {"line_searches": 3},
}


def run(folder, **arguments):
    return reproduce("digits-rbm", folder, **({"progress": False, "changes": SMALL} | arguments))


def figures(result):
    return {figure["name"]: figure["value"] for figure in result["figures"]}


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    whole = run(tmp_path / "whole")
    save, calls = Checkpoint.on_epoch_end, []

    def killed(self, state):
        save(self, state)
        calls.append(state.epoch)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "on_epoch_end", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed")
    assert not (tmp_path / "killed" / "result.json").exists()
    resumed = run(tmp_path / "killed", resume=True)
    assert calls == [1, 2, 3, 4, 1, 1]  # the RBM's epochs, one of each regression
    assert figures(resumed) == figures(whole)
    assert resumed["epochs"] == whole["epochs"] == {"rbm 1": [4], "features 1": [1], "pixels 1": [1]}
    for name in ("rbm 1", "features 1", "pixels 1"):
        models = [dlcore.load(tmp_path / folder / f"{name}.checkpoint") for folder in ("whole", "killed")]
        first, second = (model.parameters.storage.numpy().tobytes() for model in models)
        assert first == second
    again = run(tmp_path / "killed", resume=True)  # a finished run only prints
    assert figures(again) == figures(whole) and len(calls) == 6
    assert again["seconds"] == resumed["seconds"] and again["processor_seconds"] == resumed["processor_seconds"]


def test_measurements_are_made_once(tmp_path):
    calls = []
    for _ in range(2):
        session = Session(tmp_path, {"data": "digits"}, 1, resume=True, progress=False)
        assert session.measure("figure", lambda: calls.append(1) or {"value": 0.1}) == {"value": 0.1}
        assert session.seconds["figure"] >= 0
    assert calls == [1]


def test_seconds_and_epochs_of_a_fit_are_added_up_over_its_processes(tmp_path):
    x = np.eye(6)
    for epochs in (2, 5):
        session = Session(tmp_path, {}, 1, resume=True, progress=False)
        rbm = RBM(6, 3)
        session.fit("rbm", rbm.fit, x, epochs=epochs)
        assert session.epochs == {"rbm": [epochs]}
        assert session.seconds["rbm"] == rbm.history.seconds and len(rbm.history) == epochs
        assert session.processor_seconds["rbm"] > 0


def test_a_run_is_not_overwritten(tmp_path):
    run(tmp_path / "run")
    with pytest.raises(FileExistsError, match="has a run; --resume goes on with it, --out names another folder"):
        run(tmp_path / "run")


@pytest.mark.parametrize("name, arguments", [("settings", {"quick": True}), ("seed", {"seed": 2})])
def test_another_run_cannot_be_gone_on_with(tmp_path, name, arguments):
    run(tmp_path)
    before = (tmp_path / "state.json").read_text()
    with pytest.raises(ValueError, match=f"has other {name}, it cannot go on"):
        run(tmp_path, resume=True, **({"changes": None} | arguments if name == "settings" else arguments))
    assert (tmp_path / "state.json").read_text() == before


def test_data_are_named_and_cut(tmp_path):
    session = Session(tmp_path / "a", {"data": "digits", "limit": [50, 9999]}, 1)
    train, test = session.load_data()
    assert (len(train), len(test)) == (50, 359)
    with pytest.raises(ValueError, match="reproduce: data is 'x', expected 'mnist' or 'digits'"):
        Session(tmp_path / "b", {"data": "x"}, 1).load_data()


def test_the_result_is_json_with_what_it_was_made_of(tmp_path):
    result = run(tmp_path)
    assert json.loads((tmp_path / "result.json").read_text()) == json.loads(json.dumps(result))
    assert result["settings"]["rbm"]["n_hidden"] == 8 and result["seed"] == 1
    assert result["machine"]["threads"] == dlcore.get_num_threads() and result["machine"]["processor"]
    assert result["version"] == dlcore.__version__
