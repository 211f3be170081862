"""An epoch of an RBM enters Python once, with the bits of its steps, whatever is learned, and leaves it whole."""

import dlcore
import numpy as np
import pytest
from dlcore.models import RBM
from dlcore.optim import SGD, Adam
from dlcore.train import Callback, Checkpoint, replay
from machines import bars
from processes import python
from resuming import Kill, figures
from scipy.sparse import csr_array


class Batches(Callback):
    """Wants every batch, so that the fit goes step by step."""

    def __init__(self):
        self.losses = []

    def on_batch_end(self, run):
        self.losses.append(run.batch_loss)


KINDS = {
    "bernoulli": {},
    "chains": {"persistent": True, "n_chains": 9, "k": 2},
    "centred and sparse": {"centered": True, "sparsity_target": 0.1, "sparsity_cost": 0.5},
    "mixed": {"visible": [("gaussian", 5), ("softmax", 4), ("bernoulli", 7)], "centered": True, "persistent": True},
    "fixed sigma": {"visible": "gaussian", "sigma": 0.5, "k": 3},
    "gaussian code": {"visible": "softmax:4", "hidden": "gaussian"},
}


def data(kind, n=53):
    x = bars(n).astype(np.float64)
    if kind == "mixed":
        x[:, 5:9] = np.eye(4)[np.arange(n) % 4]
    if kind == "gaussian code":
        x = np.eye(4)[np.random.default_rng(0).integers(0, 4, (n, 4))].reshape(n, 16)
    return x


def state_of(rbm):
    kept = {"chains": rbm.chains, "theta": rbm.parameters.storage} | rbm.terms.state
    return {name: x.numpy().tobytes() for name, x in kept.items() if x is not None} | {
        "generator": rbm.fit_generator.step
    }


def gappy(kind="bernoulli", n=53):
    x = data(kind, n)
    x[np.random.default_rng(1).random(x.shape) < 0.2] = np.nan
    return x


class Watch(Callback):
    """What stands against replays, and what the fit carries on."""

    __module__ = "dlcore.tests"  # counted as dlcore's own

    def on_train_end(self, run):
        self.run = run


@pytest.fixture
def calls(monkeypatch):
    """The native calls of replayed steps."""
    made = []
    steps = replay.Replay.steps
    monkeypatch.setattr(replay.Replay, "steps", lambda self, *given: made.append(1) or steps(self, *given))
    return made


def fitted(monkeypatch, replayed, x, model, **options):
    """The model after a fit, all that the fit carried on and its history, without the seconds."""
    monkeypatch.setattr(replay, "enabled", replayed)
    watch, rbm = Watch(), RBM(16, 6, seed=3, **model)
    history = rbm.fit(x, **({"epochs": 7, "batch_size": 10, "callbacks": [watch], "progress": False} | options))
    assert watch.run.traced == (None if replayed else "replay is switched off")
    optimizer = watch.run.optimizer.state_dict()
    return rbm, (
        state_of(rbm),
        {name: value.numpy().tobytes() for name, value in watch.run.state.items()},
        {name: value.tobytes() for name, value in optimizer.pop("state").items()},
        optimizer,
        figures(history),
        None if rbm.swap_rates is None else rbm.swap_rates.tobytes(),
    )


WEIGHTS = np.random.default_rng(2).uniform(0, 2, 53)
FITS = {
    **{name: (data(name), model, {}) for name, model in KINDS.items()},
    "float64": (bars(53), {"dtype": "float64", "k": 2}, {}),
    "tempered": (bars(53), {"tempering": 3, "n_chains": 5, "k": 2, "centered": True}, {}),
    "tempered mixed": (data("mixed"), KINDS["mixed"] | {"tempering": [1, 0.5], "n_chains": 4}, {}),
    "weights": (bars(53), {"k": 2, "centered": True}, {"sample_weight": WEIGHTS}),
    "weights, chains": (bars(53), {"persistent": True, "n_chains": 7}, {"sample_weight": WEIGHTS}),
    "weights, tempered": (bars(53), {"tempering": 2, "n_chains": 7}, {"sample_weight": WEIGHTS}),
    "missing": (gappy(), {"k": 2, "sparsity_target": 0.2, "sparsity_cost": 0.1}, {"missing": "nan"}),
    "missing, chains": (gappy(), {"persistent": True, "n_chains": 7}, {"missing": "nan", "sample_weight": WEIGHTS}),
    "missing, tempered": (gappy(), {"tempering": 2, "n_chains": 7}, {"missing": "nan"}),
    "missing, gaussian": (gappy("fixed sigma"), {"visible": "gaussian"}, {"missing": "nan"}),
    "rows": (csr_array(bars(53)), {}, {}),
    "rows, weights, chains": (csr_array(bars(53)), {"persistent": True}, {"sample_weight": WEIGHTS}),
    "as they stand": (bars(53), {}, {"shuffle": False, "weight_decay": 0.0}),
    "watched": (bars(53), {"persistent": True}, {"watch": "chains", "validation_data": bars(20)}),
    "linear": (bars(53), {}, {"lr": dlcore.optim.schedules.Linear(0.1, 0.0, 30), "momentum": 0.0}),
    "cosine": (bars(53), {}, {"schedule": "cosine", "momentum": (0.0, 0.7)}),
    "nesterov": (bars(53), {}, {"momentum": 0.8, "nesterov": True}),
    "dampening": (bars(53), {}, {"momentum": 0.8, "dampening": 0.5}),
    "own momentum": (bars(53), {}, {"optimizer": lambda p: SGD(p, 0.1, momentum=lambda step: min(0.05 * step, 0.9))}),
    "value": (bars(53), {}, {"optimizer": lambda p: SGD(p, 0.1, max_grad_value=0.1, weight_decay=0.1)}),
    "norm": (bars(53), {"tempering": 2}, {"optimizer": lambda p: Adam(p, 0.01, max_grad_norm=0.5)}),
    "groups": (
        bars(53),
        {"visible": "gaussian"},
        {"optimizer": lambda p: Adam(p, 0.01, groups=[{"params": "weight", "lr": 0.1}, {"params": "*_bias"}])},
    ),
    "maximize": (bars(53), {}, {"optimizer": lambda p: SGD(p, 1e-4, maximize=True)}),
    **{name: (bars(53), {"tempering": 2}, {"optimizer": name}) for name in ("adam", "rmsprop", "nadam", "lion")},
}


@pytest.mark.parametrize("name", FITS)
def test_an_epoch_is_one_call_and_has_the_bits_of_its_steps(name, monkeypatch, calls):
    x, model, options = FITS[name]
    stepped = fitted(monkeypatch, False, x, model, **options)[1]
    assert not calls
    whole, replayed = fitted(monkeypatch, True, x, model, **options)
    assert replayed == stepped
    # One for the full batches and one for the short, which is recorded in the first epoch, and again where the momentum
    # sets in. A schedule of one's own is asked before each step.
    assert len(calls) == {"own momentum": 6 * 7 - 3, "cosine": 2 * 7 - 2}.get(name, 2 * 7 - 1)
    assert np.isfinite(whole.history["reconstruction_error"]).all()


@pytest.mark.parametrize("name", ["chains", "tempered", "missing"])
def test_on_several_threads(name, monkeypatch):
    x, model, options = FITS[name]
    x, found = np.tile(x, (4, 10)), []
    for replayed, threads in ((False, 1), (True, 2)):
        monkeypatch.setattr(replay, "enabled", replayed)
        before = dlcore.get_num_threads()
        dlcore.set_num_threads(threads)
        try:
            rbm = RBM(160, 60, seed=3, **model | {"n_chains": 40})
            rbm.fit(x, epochs=1, batch_size=40, **options)
        finally:
            dlcore.set_num_threads(before)
        found.append(state_of(rbm))
    assert found[0] == found[1]


def test_callbacks_of_others_see_every_batch(monkeypatch, calls):
    found = []
    for replayed, callbacks in ((True, []), (True, [Batches()])):
        monkeypatch.setattr(replay, "enabled", replayed)
        rbm = RBM(16, 6, seed=3)
        rbm.fit(bars(53), epochs=3, batch_size=10, callbacks=callbacks)
        found.append(state_of(rbm))
    assert found[0] == found[1]
    assert len(calls) == 2 * 3 - 1
    assert len(callbacks[0].losses) == 18


@pytest.mark.parametrize(
    "name", ["centred and sparse", "mixed", "tempered", "missing", "rows, weights, chains", "adam"]
)
def test_a_resumed_fit_ends_in_the_same_bits(tmp_path, name, monkeypatch):
    x, model, options = FITS[name]
    half = RBM(16, 6, seed=3, **model)
    given = {"batch_size": 10, "progress": False} | options
    with pytest.raises(KeyboardInterrupt):
        half.fit(x, epochs=8, callbacks=[Checkpoint(tmp_path / "half"), Kill(6)], **given)
    whole = fitted(monkeypatch, False, x, model, epochs=8, **options)[1]
    assert fitted(monkeypatch, True, x, model, epochs=8, resume=tmp_path / "half", **options)[1] == whole
    copy = half.clone()
    for rbm in (half, copy):
        rbm.fit(x, epochs=1, **given)
    assert state_of(copy) == state_of(half)


def test_a_bar_is_told_of_all_batches():
    """Some at a time: calls are cut where a progress bar is shown; the bits stay."""
    from dlcore.train.progress import Bar

    class Counting(Bar):
        def on_batch_end(self, run):
            self.count = getattr(self, "count", 0) + 1

        def on_epoch_end(self, run):
            pass

        on_train_begin = on_train_end = on_epoch_end

    plain, shown = RBM(16, 6, seed=1), RBM(16, 6, seed=1)
    plain.fit(bars(53), epochs=2, batch_size=10)
    bar = Counting("RBM", None)
    shown.fit(bars(53), epochs=2, batch_size=10, callbacks=[bar])
    assert bar.count == 12
    assert state_of(plain) == state_of(shown)


def test_a_bad_step_names_the_batch_and_brings_back_the_epoch_before():
    rbm = RBM(16, 6)
    rbm.fit(bars(40), epochs=1, batch_size=10)
    theta = rbm.parameters.storage.numpy().copy()
    with pytest.raises(FloatingPointError, match=r"fit: the reconstruction error is nan at batch 3 in epoch 1"):
        rbm.fit(bars(40), epochs=1, batch_size=10, lr=1e38, momentum=0.0)
    np.testing.assert_array_equal(rbm.parameters.storage.numpy(), theta)


@pytest.mark.parametrize("model", [{}, {"persistent": True}, {"tempering": 2, "n_chains": 5}])
def test_a_bad_step_leaves_the_generators_of_a_fit_step_by_step(model, monkeypatch):
    found = []
    for replayed in (False, True):
        monkeypatch.setattr(replay, "enabled", replayed)
        rbm = RBM(16, 6, visible="gaussian", seed=2, **model)
        with pytest.raises(FloatingPointError):
            rbm.fit(np.random.default_rng(0).random((60, 16)), epochs=2, batch_size=6, lr=1e3)
        found.append(state_of(rbm))
    assert found[0] == found[1]


@pytest.mark.parametrize("callbacks", [[], [Batches()]], ids=["native", "step by step"])
@pytest.mark.parametrize("lr", [1e30, 1e38])
def test_a_fit_that_fails_can_be_gone_on_from(lr, callbacks):
    """Chains and offsets too are those after the last finite epoch."""
    rbm = RBM(16, 6, visible="gaussian", centered=True, persistent=True, n_chains=9)
    rbm.fit(bars(40), epochs=1)
    before = {name: x for name, x in state_of(rbm).items() if name != "generator"}
    with pytest.raises(FloatingPointError, match="in epoch 1"):
        rbm.fit(bars(40), epochs=1, batch_size=10, lr=lr, momentum=0.0, callbacks=callbacks)
    assert {name: x for name, x in state_of(rbm).items() if name != "generator"} == before
    rbm.fit(bars(40), epochs=1, lr=1e-3)


def test_a_refused_fit_begins_neither_chains_nor_offsets(tmp_path):
    rbm = RBM(16, 6, centered=True, sparsity_target=0.1, tempering=3)
    for arguments in ({"callbacks": [1]}, {"resume": tmp_path / "none"}):
        with pytest.raises((TypeError, OSError)):
            rbm.fit(bars(20), **arguments)
    assert rbm.chains is rbm.replicas is rbm.terms.offsets is rbm.terms.activity is None


def test_ctrl_c_leaves_the_model_whole():
    """θ, generator and optimizer are as after a number of whole steps; the answer comes within a second."""
    found = python("""
        import os, signal, threading, time
        import numpy as np
        from dlcore.models import RBM
        from dlcore.train import Callback
        signal.signal(signal.SIGINT, signal.default_int_handler)
        x = (np.random.default_rng(0).random((4000, 100)) < 0.3).astype(np.float32)
        rbm, sent = RBM(100, 60, k=2), []
        def interrupt():
            while rbm.fit_generator.step < 3200:  # in the second epoch: the first has one draw for the order, 4 a batch
                time.sleep(0.001)
            time.sleep(0.02)
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)
        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            rbm.fit(x, epochs=200, batch_size=5)
        except KeyboardInterrupt:
            took = time.perf_counter() - sent[0]
        steps = rbm.fit_generator.step
        twin = RBM(100, 60, k=2)
        class Stop(Exception): pass
        class Count(Callback):
            def on_batch_end(self, run):
                if twin.fit_generator.step >= steps - 1: raise Stop  # the next epoch's order may have been drawn
        try:
            twin.fit(x, epochs=200, batch_size=5, callbacks=[Count()])
        except Stop:
            same = twin.parameters.storage.numpy().tobytes() == rbm.parameters.storage.numpy().tobytes()
            print(took < 1.0, same)
    """)
    assert found.split() == ["True", "True"]


def test_a_steady_epoch_asks_nothing_of_the_system():
    rbm = RBM(16, 6, centered=True, sparsity_target=0.1)
    rbm.fit(bars(53), epochs=2, batch_size=10)
    before = dlcore.memory_stats()["system_allocations"]
    rbm.fit(bars(53), epochs=5, batch_size=10)
    assert dlcore.memory_stats()["system_allocations"] == before
