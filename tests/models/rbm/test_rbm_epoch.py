"""The native epoch of an RBM has the bits of its steps, whatever is learned, and leaves the model whole."""

import dlcore
import numpy as np
import pytest
from dlcore.models import RBM
from dlcore.optim import SGD
from dlcore.train import Callback, Checkpoint
from machines import bars
from processes import python


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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_epoch_has_the_bits_of_its_steps(kind, dtype):
    found = []
    for callbacks in ([], [Batches()]):
        rbm = RBM(16, 6, seed=3, dtype=dtype, **KINDS[kind])
        history = rbm.fit(data(kind), epochs=7, batch_size=10, callbacks=callbacks)
        found.append((state_of(rbm), history["reconstruction_error"]))
        assert np.isfinite(history["reconstruction_error"]).all()
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "options",
    [
        {"lr": dlcore.optim.schedules.Linear(0.1, 0.0, 30), "momentum": 0.0},
        {"schedule": "cosine", "momentum": (0.0, 0.7)},
        {"momentum": 0.8, "nesterov": True, "shuffle": False, "weight_decay": 0.0},
        {"momentum": 0.8, "dampening": 0.5, "batch_size": 60},
        {"optimizer": lambda p: SGD(p, 0.1, momentum=lambda step: min(0.05 * step, 0.9))},
    ],
)
def test_schedules_momentum_and_order(options, monkeypatch):
    found = []
    calls = []
    device = dlcore.device.cpu
    epoch = device.rbm_epoch
    monkeypatch.setattr(device, "rbm_epoch", lambda *a, **b: calls.append(1) or epoch(*a, **b))
    for callbacks in ([], [Batches()]):
        rbm = RBM(16, 6, seed=3)
        rbm.fit(bars(53), **({"epochs": 7, "batch_size": 10, "callbacks": callbacks} | options))
        found.append(state_of(rbm))
    assert found[0] == found[1]
    assert len(calls) == 7  # one call an epoch of the first fit, none of the second


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "adam"},
        {"optimizer": lambda p: SGD(p, 0.1, max_grad_norm=1.0)},
        {"optimizer": lambda p: SGD(p, 0.1, groups=[{"params": "weight", "lr": 0.01}])},
        {"optimizer": lambda p: SGD(p, 0.1, weight_decay=0.1)},
        {"optimizer": lambda p: SGD(p, 0.1, max_grad_value=0.1)},
    ],
)
def test_other_steps_are_made_one_by_one(options, monkeypatch):
    def fails(*arguments, **options):
        raise AssertionError("a native epoch of what it cannot do")

    monkeypatch.setattr(dlcore.device.cpu, "rbm_epoch", fails)
    RBM(16, 6).fit(bars(20), epochs=1, batch_size=10, **options)


@pytest.mark.parametrize("kind", ["centred and sparse", "mixed"])
def test_a_resumed_fit_ends_in_the_same_bits(tmp_path, kind):
    def fresh():
        return RBM(16, 6, seed=3, **KINDS[kind])

    x, whole, half, resumed = data(kind), fresh(), fresh(), fresh()
    whole.fit(x, epochs=8, batch_size=10)
    half.fit(x, epochs=6, batch_size=10, callbacks=[Checkpoint(tmp_path / "half")])
    resumed.fit(x, epochs=8, batch_size=10, resume=tmp_path / "half")
    assert state_of(resumed) == state_of(whole)
    copy = half.clone()
    for rbm in (half, copy):
        rbm.fit(x, epochs=1, batch_size=10)
    assert state_of(copy) == state_of(half)


def test_a_bar_is_told_a_few_times_a_second(monkeypatch):
    """Calls are cut where a progress bar is shown; the bits stay."""
    from dlcore.train.progress import Bar

    class Counting(Bar):
        def on_batch_end(self, run):
            self.count = getattr(self, "count", 0) + 1

        def on_epoch_end(self, run):
            pass

        on_train_begin = on_train_end = on_epoch_end

    monkeypatch.setattr("dlcore.models.rbm.machine.GIBBS_WORK", 2 * (30 * (16 * 6 + 50 * 22) + 10**4))
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
