"""Fits whose steps are replayed end in the bits of those whose steps run one by one; others say why they are not."""

import os
import signal
import threading

import numpy as np
import pytest
from dlcore import Tensor, device, nn, ops, tensor
from dlcore.models import (
    CNN,
    MLP,
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    LinearSVM,
    SoftmaxRegression,
    SparseAutoencoder,
)
from dlcore.optim import SGD, Adam, ProximalL1
from dlcore.optim.schedules import Cosine
from dlcore.train import AverageWeights, Callback, Checkpoint, ReduceLROnPlateau, replay
from resuming import Kill, figures, state

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 1, (47, 6)).astype(np.float32)
Y = RNG.integers(0, 3, 47)
IMAGES = RNG.uniform(0, 1, (41, 1, 8, 8)).astype(np.float32)
WEIGHTS = RNG.uniform(0.5, 2, 47)
CNN_LAYERS = [CNN.conv(3, 3, activation="identity"), CNN.batch_norm(), CNN.pool(2), CNN.dropout(0.2)]


class Watch(Callback):
    """What stands against replays, and the optimizer."""

    __module__ = "dlcore.tests"  # counted as dlcore's own

    def on_train_end(self, run):
        self.traced, self.optimizer = run.traced, run.optimizer


def mlp(**options):
    return lambda: MLP([6, 8, 3], **options)


def trained(make, data, replayed, callbacks=(), monkeypatch=None, **options):
    """The model after a fit, its history and what watched it."""
    monkeypatch.setattr(replay, "enabled", replayed)
    model, watch = make(), Watch()
    arguments = {"epochs": 3, "batch_size": 8} | options
    model.fit(*data, **arguments, progress=False, callbacks=[*callbacks, watch])
    return model, watch


def everything(model, watch):
    saved = watch.optimizer.state_dict()
    return (
        state(model),
        figures(model.history),
        {name: value.tobytes() for name, value in saved.pop("state").items()},
        saved,
        {name: value.numpy().tobytes() for name, value in model.buffers.items()},
    )


FITS = {
    "adam": (mlp(), (X, Y), {}),
    "dropout": (mlp(dropout=0.3), (X, Y), {}),
    "float64": (mlp(dtype="float64", dropout=0.1), (X, Y), {}),
    "as they stand": (mlp(), (X, Y), {"shuffle": False}),
    "penalties": (mlp(l1=0.01, weight_decay=0.1), (X, Y), {}),
    "sgd": (mlp(), (X, Y), {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "rmsprop": (mlp(), (X, Y), {"optimizer": "rmsprop", "momentum": 0.5, "centered": True}),
    "adagrad": (mlp(), (X, Y), {"optimizer": "adagrad", "lr_decay": 0.1}),
    "adadelta": (mlp(), (X, Y), {"optimizer": "adadelta"}),
    "adamw": (mlp(), (X, Y), {"optimizer": "adamw", "amsgrad": True}),
    "nadam": (mlp(), (X, Y), {"optimizer": "nadam"}),
    "rprop": (mlp(), (X, Y), {"optimizer": "rprop"}),
    "lion": (mlp(), (X, Y), {"optimizer": "lion"}),
    "cosine": (mlp(), (X, Y), {"schedule": "cosine"}),
    "own schedule": (mlp(), (X, Y), {"lr": lambda step: 0.01 / (1 + step)}),
    "values": (mlp(), (X, Y), {"max_grad_value": 0.01}),
    "norm": (mlp(), (X, Y), {"max_grad_norm": 0.1}),
    "norm of groups, up": (
        mlp(),
        (X, Y),
        {"max_grad_norm": 0.1, "maximize": True, "groups": [{"params": "*.bias", "lr": 0.1}, {"params": "*.weight"}]},
    ),
    "groups": (
        mlp(),
        (X, Y),
        {"groups": [{"params": "*.bias", "lr": 0.1}, {"params": "layers.0.weight", "frozen": True}]},
    ),
    "weights": (mlp(), (X, Y), {"sample_weight": WEIGHTS}),
    "validation": (mlp(dropout=0.2), (X, Y), {"validation_fraction": 0.2, "early_stopping": 1}),
    "softmax": (lambda: SoftmaxRegression(6, 3), (X, Y), {}),
    "sigmoid": (lambda: MLP([6, 5, 1], output="sigmoid"), (X, Y % 2), {}),
    "values of a function": (lambda: MLP([6, 5, 1], output="identity"), (X, X[:, 0]), {}),
    "cnn": (lambda: CNN((1, 8, 8), 3, CNN_LAYERS), (IMAGES, Y[:41]), {"batch_size": 5}),
    "autoencoder": (lambda: Autoencoder([6, 4, 2], tied=True), (X,), {}),
    "denoising": (lambda: DenoisingAutoencoder([6, 4], corruption="salt-and-pepper"), (X,), {}),
    "sparse": (lambda: SparseAutoencoder([6, 4], penalty="l1"), (X,), {}),
    "contractive": (lambda: ContractiveAutoencoder([6, 4]), (X,), {}),
}


@pytest.mark.parametrize("name", FITS)
def test_a_replayed_fit_has_the_bits_of_an_eager_one(name, monkeypatch):
    make, data, options = FITS[name]
    eager = trained(make, data, False, monkeypatch=monkeypatch, **options)
    replayed = trained(make, data, True, monkeypatch=monkeypatch, **options)
    assert eager[1].traced == "replay is switched off"
    assert replayed[1].traced is None
    assert everything(*replayed) == everything(*eager)


@pytest.mark.parametrize("threads", [2, 4])
def test_on_several_threads(threads, monkeypatch):
    data = np.tile(X, (20, 40)), np.tile(Y, 20)
    options = {"epochs": 2, "batch_size": 128}
    make = lambda: MLP([240, 300, 3], dropout=0.2)  # noqa: E731
    eager = trained(make, data, False, monkeypatch=monkeypatch, **options)
    before = device.get_num_threads()
    device.set_num_threads(threads)
    try:
        replayed = trained(make, data, True, monkeypatch=monkeypatch, **options)
    finally:
        device.set_num_threads(before)
    assert replayed[1].traced is None
    assert everything(*replayed) == everything(*eager)


def test_callbacks_of_dlcore(tmp_path, monkeypatch):
    def callbacks():
        plateau = ReduceLROnPlateau("loss", patience=0, factor=0.5, threshold=10.0)
        return [AverageWeights(0.9), plateau, Checkpoint(tmp_path / "file", every=2)]

    eager = trained(mlp(), (X, Y), False, callbacks(), monkeypatch)
    replayed = trained(mlp(), (X, Y), True, callbacks(), monkeypatch)
    assert replayed[1].traced is None
    assert everything(*replayed) == everything(*eager)


def test_resumed_fits(tmp_path, monkeypatch):
    whole = trained(mlp(dropout=0.3), (X, Y), False, monkeypatch=monkeypatch, epochs=5)
    monkeypatch.setattr(replay, "enabled", True)
    killed = mlp(dropout=0.3)()
    with pytest.raises(KeyboardInterrupt):
        killed.fit(X, Y, epochs=5, batch_size=8, progress=False, callbacks=[Checkpoint(tmp_path / "file"), Kill(3)])
    resumed = trained(mlp(dropout=0.3), (X, Y), True, monkeypatch=monkeypatch, epochs=5, resume=tmp_path / "file")
    assert everything(*resumed) == everything(*whole)


class Between(Callback):
    """Changes what a step does, after an epoch."""

    def on_epoch_end(self, run):
        _, dropout = list(run.model.network.modules())[2]
        dropout.p = 0.6
        run.optimizer.groups[0].frozen = run.epoch == 1
        run.optimizer.max_grad_value = 0.01


def test_what_a_callback_changes_between_epochs(monkeypatch):
    options = {"groups": [{"params": "layers.0.weight"}], "epochs": 4}
    eager = trained(mlp(dropout=0.3), (X, Y), False, [Between()], monkeypatch, **options)
    replayed = trained(mlp(dropout=0.3), (X, Y), True, [Between()], monkeypatch, **options)
    assert replayed[1].traced is None
    assert everything(*replayed) == everything(*eager)


class Batches(Callback):
    def on_batch_end(self, run):
        run.optimizer.lr = 0.01 / (1 + run.batch)


class Doubled(nn.Module):
    """x times a number that Python draws anew."""

    def forward(self, x):
        return x * float(np.random.default_rng().uniform())


def proximal(parameters):
    return ProximalL1(SGD(parameters, 0.1), 0.1)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"optimizer": "l-bfgs"}, "a line search asks for values"),
        ({"optimizer": proximal}, "ProximalL1 thresholds by a number that Python computes"),
        ({"callbacks": [Batches()]}, "Batches.on_batch_end may change what a step does"),
        ({"batch_size": 20}, "an epoch has fewer than 4 full batches"),
        ({"betas": (Cosine(0.9, 10), 0.99)}, "a schedule of betas"),
    ],
)
def test_fits_that_stay_eager_say_why(options, reason, monkeypatch):
    eager = trained(mlp(), (X, Y), False, monkeypatch=monkeypatch, **options)
    replayed = trained(mlp(), (X, Y), True, monkeypatch=monkeypatch, **options)
    assert replayed[1].traced == reason
    assert everything(*replayed) == everything(*eager)


def test_foreign_modules_and_objectives_stay_eager(monkeypatch):
    model = MLP([6, 8, 3])
    model.network.layers = (*model.network.layers, Doubled())
    watch = Watch()
    model.fit(X, Y, epochs=1, batch_size=8, progress=False, callbacks=[watch])
    assert watch.traced == "Sequential has Doubled, which is not dlcore's own"
    model = MLP([6, 8, 3])
    own = model.objective
    model.objective = lambda x, y: own(x, y)
    model.fit(X, Y, epochs=1, batch_size=8, progress=False, callbacks=[watch])
    assert "lambda" in watch.traced


@pytest.mark.parametrize(
    ("make", "data", "reason"),
    [
        (
            lambda: CNN((1, 8, 8), 3, [CNN_LAYERS[0], CNN.batch_norm(momentum=None), *CNN_LAYERS[2:]]),
            (IMAGES, Y[:41]),
            "item() reads a value",
        ),
        (lambda: SparseAutoencoder([6, 4], activation="sigmoid", penalty="kl"), (X,), "item() reads a value"),
        (lambda: LinearSVM(6, 3), (X, Y), "numpy() reads values"),
    ],
)
def test_a_step_that_reads_values_stays_eager(make, data, reason, monkeypatch):
    options = {"batch_size": 5}
    eager = trained(make, data, False, monkeypatch=monkeypatch, **options)
    replayed = trained(make, data, True, monkeypatch=monkeypatch, **options)
    assert replayed[1].traced == reason
    assert everything(*replayed) == everything(*eager)


@pytest.mark.parametrize("bad", [0, 1, 3])
def test_a_loss_that_is_not_finite(bad, monkeypatch):
    """At the eager, the recorded and a replayed step."""
    errors = []
    for replayed in (False, True):
        monkeypatch.setattr(replay, "enabled", replayed)
        model = MLP([6, 3], output="identity", seed=2)
        y = np.zeros((47, 3), np.float32)
        y[8 * bad] = 3e38  # its square is infinite
        with pytest.raises(FloatingPointError) as caught:
            model.fit(X, y, epochs=2, batch_size=8, shuffle=False, progress=False)
        errors.append((str(caught.value), state(model)))
    assert errors[0] == errors[1]
    assert f"at batch {bad + 1} in epoch 1" in errors[0][0]


def test_ctrl_c_is_answered_after_a_step():
    make = lambda: MLP([6, 64, 64, 3], dropout=0.1)  # noqa: E731
    x, y = np.tile(X, (20_000, 1)), np.tile(Y, 20_000)
    timer = threading.Timer(0.15, signal.raise_signal, (signal.SIGINT,))
    seen = []

    class Started(Watch):
        def on_train_begin(self, run):
            seen.append(run)
            timer.start()

    model = make()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=1, batch_size=8, progress=False, callbacks=[Started()])
    timer.join()
    (run,) = seen
    assert 10 < run.optimizer.steps == run.optimizer.groups[0].steps == run.batch < run.batches
    assert run.traced is None

    class Stop(Watch):
        def on_batch_end(self, other):
            if other.batch == run.batch:
                raise KeyboardInterrupt

    again = make()
    with pytest.raises(KeyboardInterrupt):
        again.fit(x, y, epochs=1, batch_size=8, progress=False, callbacks=[Stop()])
    assert state(again) == state(model)


# --- plans ---


@pytest.fixture
def plan():
    return device.cpu.Plan()


def test_a_plan_repeats_its_calls(plan):
    data = tensor(np.arange(12, dtype=np.float32).reshape(6, 2))
    total = ops.zeros((2, 2))
    (batch,) = plan.stage([data.array], 2)
    plan.bring(0)
    plan.begin()
    try:
        x = Tensor(batch)
        kept = ops.exp(x * 0.0) + ops.square(x)  # 1 + x²
        total.array.assign((total + kept).array)
        loss = ops.sum(kept)
        assert plan.watch(loss.array) == 4 + 0 + 1 + 4 + 9
    finally:
        plan.end()
    del kept, loss
    assert plan.reason == "" and plan.arrays_alive == 0 and plan.figures == 1
    plan.run(2, 2)
    assert plan.done == 2
    assert plan.found == [4 + 16 + 25 + 36 + 49, 4 + 64 + 81 + 100 + 121]
    squares = 1 + np.arange(12.0).reshape(3, 2, 2) ** 2
    np.testing.assert_array_equal(total.numpy(), squares.sum(0))
    plan.run(1, 1, tensor(np.array([1, 5, 0]), "int32").array)
    assert plan.found == [4 + 100 + 121 + 0 + 1]


def test_memory_is_reused_within_a_recording_and_belongs_to_the_plan(plan):
    x = ops.ones((1000,))
    plan.begin()
    y = x
    for _ in range(10):
        y = y + x
    plan.end()
    assert plan.nbytes <= 3 * 5120
    before = device.memory_stats()["in_use"]
    others = [ops.zeros((1000,)) for _ in range(10)]  # none of them in the plan's blocks
    plan.run(1)
    assert all(not other.numpy().any() for other in others)
    np.testing.assert_array_equal(y.numpy(), np.full(1000, 11, np.float32))
    del others
    assert device.memory_stats()["in_use"] == before


def test_arrays_outlive_their_plan():
    plan = device.cpu.Plan()
    plan.begin()
    y = ops.full((100,), 3.0) + ops.full((100,), 4.0)
    plan.end()
    assert plan.arrays_alive == 1
    plan.run(1)
    in_use = device.memory_stats()["in_use"]
    del plan
    assert device.memory_stats()["in_use"] < in_use
    others = [ops.zeros((100,)) for _ in range(8)]
    np.testing.assert_array_equal(y.numpy(), np.full(100, 7, np.float32))
    assert not any(other.numpy().any() for other in others)


def test_many_replays_take_no_memory(plan):
    parameters = ops.full((64, 32), 0.5)
    plan.begin()
    y = ops.softmax(ops.matmul(ops.ones((16, 64)), parameters))
    parameters.array.assign((parameters * 0.9).array)
    del y
    plan.end()
    plan.run(10)
    before = device.memory_stats()
    plan.run(10_000)
    assert device.memory_stats() == before


def test_what_is_made_before_is_kept_alive(plan):
    plan.begin()
    y = ops.full((4,), 1.0)
    plan.end()
    del y
    other = device.cpu.Plan()
    x, total = ops.full((1000,), 2.0), ops.zeros((1000,))
    other.begin()
    total.array.assign((total + x).array)
    other.end()
    del x
    junk = [ops.full((1000,), 9.0) for _ in range(8)]
    other.run(1)
    np.testing.assert_array_equal(total.numpy(), np.full(1000, 4, np.float32))
    del junk


def test_constants_from_the_host_are_kept(plan):
    total = ops.zeros((3,))
    plan.begin()
    total.array.assign((total + tensor(np.float32([1, 2, 3]))).array)
    plan.end()
    junk = [tensor(np.float32([9, 9, 9])) for _ in range(8)]
    plan.run(2)
    np.testing.assert_array_equal(total.numpy(), np.float32([3, 6, 9]))
    del junk


@pytest.mark.parametrize(
    ("read", "reason"),
    [
        (lambda x: x.numpy(), "numpy() reads values"),
        (lambda x: ops.sum(x).item(), "item() reads a value"),
        (ops.all_finite, "all_finite looks at values"),
        (lambda x: x.array.device.norm(x.array), "norm reads a value"),
        (lambda x: x.array.device.dot(x.array, x.array), "dot reads a value"),
        (np.from_dlpack, "an array is shared through DLPack"),
        (lambda x: ops.cast(x, "int32"), "cast to int32 looks at values"),
    ],
)
def test_values_that_reach_python_are_noticed(read, reason, plan):
    x = ops.ones((4,))
    plan.begin()
    try:
        read(x + x)
    finally:
        plan.end()
    assert plan.reason == reason
    with pytest.raises(ValueError, match=r"Plan.run: the step cannot be replayed: "):
        plan.run(1)


def test_a_check_of_values_is_made_in_replays_too(plan):
    p = ops.full((3,), 0.5)
    plan.begin()
    device.cpu.bernoulli(1, 2, p.array)
    p.array.assign((p * 3.0).array)
    plan.end()
    with pytest.raises(ValueError, match=r"bernoulli: probabilities is 1.5 at \(0,\), expected numbers in \[0, 1\]"):
        plan.run(1)
    assert plan.done == 0


def test_draws_follow_their_generator(plan):
    generator, drawn = ops.Generator(5), ops.zeros((8,))
    plan.begin()
    drawn.array.assign(ops.uniform(generator, (8,)).array)
    plan.end()
    assert plan.draws == [(5, 0)]
    plan.run(3, shifts=[(5, 7, 2)])
    np.testing.assert_array_equal(drawn.numpy(), ops.uniform(ops.Generator(5, 11), (8,)).numpy())


def test_a_forked_child_replays(plan):
    x = ops.ones((4,))
    plan.begin()
    x.array.assign((x * 2.0).array)
    plan.end()
    child = os.fork()
    if child == 0:
        plan.run(3)
        os._exit(int(x.numpy()[0]))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 16
    plan.run(1)
    assert x.numpy()[0] == 4


def test_recordings_do_not_nest_and_belong_to_a_thread(plan):
    other = device.cpu.Plan()
    plan.begin()
    try:
        with pytest.raises(RuntimeError, match=r"Plan.begin: this thread records another plan"):
            other.begin()
        with pytest.raises(RuntimeError, match=r"Plan.begin: the plan is being recorded"):
            plan.begin()
        thread = threading.Thread(target=lambda: ops.ones((3,)) + 1.0)
        thread.start()
        thread.join()
        assert plan.launches == 0
    finally:
        plan.end()
    with pytest.raises(RuntimeError, match=r"Plan.end: this thread does not record the plan"):
        plan.end()
    with pytest.raises(ValueError, match=r"Plan.run: nothing was recorded"):
        plan.run(1)


def test_refused_arguments(plan):
    data, order = ops.ones((6, 2)), tensor(np.arange(6), "int32")
    with pytest.raises(ValueError, match=r"Plan.stage: data is \(6, 2\), expected at least 7 rows, and rows >= 1"):
        plan.stage([data.array], 7)
    (batch,) = plan.stage([data.array], 2)
    with pytest.raises(ValueError, match=r"Plan.stage: numbers of rows differ: \(6, 2\), \(4, 2\)"):
        plan.stage([ops.ones((4, 2)).array], 2)
    theta, g = ops.ones((3,)), ops.ones((3,))
    plan.begin()
    Tensor(batch) + 1.0
    device.cpu.sgd(theta.array, g.array, None, 0.1, 0.0, 0.0, False, 0.0)
    plan.end()
    assert plan.numbers == 7
    for arguments, message in [
        ((-1, 0, None, [], [0.0] * 7), "Plan.run: steps is -1, expected at least 0"),
        ((1, 5, None, [], [0.0] * 7), "Plan.run: 1 steps of 2 rows from 5 do not lie within 6"),
        ((4, 0, order.array, [], [0.0] * 7), "Plan.run: 4 steps of 2 rows from 0 do not lie within 6"),
        ((2, 0, None, [], [0.0]), "Plan.run: 1 numbers, expected 7 or as many for each of 2 steps"),
    ]:
        with pytest.raises(ValueError) as caught:
            plan.run(*arguments)
        assert str(caught.value) == message
    with pytest.raises(TypeError):
        plan.run(1, 0, data.array, [], [0.0] * 7)


def test_a_fit_that_fails_while_it_is_recorded_leaves_no_recording(monkeypatch):
    monkeypatch.setattr(Adam, "_update", lambda *_: (_ for _ in ()).throw(KeyError("update")))
    model = MLP([6, 8, 3])
    with pytest.raises(KeyError):
        model.fit(X, Y, epochs=1, batch_size=8, progress=False)
    plan = device.cpu.Plan()
    plan.begin()
    plan.end()
