"""The loop: averages, order of the cases, and a model that stays whole."""

import gc
import math
import os
import signal
import threading
import time

import dlcore
import numpy as np
import pytest
from dlcore import ops
from dlcore.models import CNN, MLP
from dlcore.optim import SGD
from dlcore.train import Callback, average, batches, map_batches

RNG = np.random.default_rng(0)
X = RNG.standard_normal((23, 5))
Y = RNG.integers(0, 3, 23)


def model(**arguments):
    return MLP([5, 4, 3], "tanh", dtype="float64", **arguments)


def cross_entropy(m, x, y):
    """Losses of the cases, in NumPy."""
    p = m.parameters
    h = np.tanh(x @ p["layers.0.weight"].numpy() + p["layers.0.bias"].numpy())
    s = h @ p["layers.1.weight"].numpy() + p["layers.1.bias"].numpy()
    s -= s.max(1, keepdims=True)
    return np.log(np.exp(s).sum(1)) - s[np.arange(len(y)), y]


@pytest.mark.parametrize("batch_size", [1, 7, 22, 23, 24, 10**6])
def test_the_epoch_loss_is_the_mean_over_cases(batch_size):
    """With lr 0 the parameters stay, so that any batching, short last batch included, has the loss of all cases."""
    m = model()
    history = m.fit(X, Y, epochs=1, batch_size=batch_size, optimizer="sgd", lr=0.0, validation_data=(X[:9], Y[:9]))
    assert history["loss"][0] == pytest.approx(cross_entropy(m, X, Y).mean(), rel=1e-12)
    assert history["validation_loss"][0] == pytest.approx(cross_entropy(m, X[:9], Y[:9]).mean(), rel=1e-12)
    accuracy = (m.predict(X[:9]) == Y[:9]).mean()
    assert history["validation_accuracy"][0] == pytest.approx(accuracy)


def test_an_epoch_is_the_steps_of_gradient_descent():
    """The same θ as a loop written out in NumPy, for the order that the generator gives."""
    m = model(seed=5)
    other = model(seed=5)
    order = ops.permutation(other.fit_generator, 23).numpy()
    step = dlcore.value_and_grad(other.objective, other.parameters)
    theta = other.parameters.storage
    for start in range(0, 23, 6):
        rows = order[start : start + 6]
        _, g = step(dlcore.tensor(X[rows]), dlcore.tensor(Y[rows], "int32"))
        theta.array.assign(dlcore.tensor(theta.numpy() - 0.3 * g.numpy()).array)
    m.fit(X, Y, epochs=1, batch_size=6, optimizer="sgd", lr=0.3)
    assert np.allclose(m.parameters.storage.numpy(), theta.numpy(), rtol=1e-13, atol=1e-15)


def test_batches_cover_the_cases_once_in_a_new_order_each_time():
    x, y = dlcore.tensor(np.arange(10.0)), dlcore.tensor(np.arange(10), "int32")
    generator = ops.Generator(3)
    seen = []
    for _ in range(2):
        found = list(batches([x, y], 4, generator))
        assert [count for count, _ in found] == [4, 4, 2]
        order = np.concatenate([rows[0].numpy() for _, rows in found])
        assert np.array_equal(order, np.concatenate([rows[1].numpy() for _, rows in found]))
        assert sorted(order) == list(range(10))
        seen.append(order.tolist())
    assert seen[0] != seen[1]
    plain = [rows[0].numpy().tolist() for _, rows in batches([x], 4)]
    assert plain == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_fits_repeat_bit_for_bit_and_seeds_differ():
    def theta(seed):
        m = MLP([5, 4, 3], dropout=0.5, seed=seed)
        m.fit(X, Y, epochs=3, batch_size=8)
        return m.parameters.storage.numpy()

    assert np.array_equal(theta(1), theta(1))
    assert not np.array_equal(theta(1), theta(2))


def test_without_shuffling_the_order_is_that_of_the_data():
    a, b = model(), model()
    a.fit(X, Y, epochs=1, batch_size=23, optimizer="sgd", lr=0.1, shuffle=False)
    b.fit(X[::-1], Y[::-1], epochs=1, batch_size=23, optimizer="sgd", lr=0.1, shuffle=False)
    assert np.allclose(a.parameters.storage.numpy(), b.parameters.storage.numpy(), atol=1e-12)
    assert a.fit_generator.step == 0


@pytest.mark.parametrize("batch_size", [0, -3, 2.0, None, True])
def test_batch_size_is_a_positive_integer(batch_size):
    with pytest.raises(ValueError, match=r"fit: batch_size is .*, expected a positive integer"):
        model().fit(X, Y, batch_size=batch_size)


def test_no_cases():
    with pytest.raises(ValueError, match="fit: there are no cases to learn from"):
        model().fit(X[:0], Y[:0])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_data_that_is_not_finite_is_refused_and_changes_nothing(bad):
    m = model()
    before = m.parameters.storage.numpy()
    x = X.copy()
    x[13, 2] = bad
    with pytest.raises(ValueError, match="fit: x is not finite at row 13"):
        m.fit(x, Y)
    with pytest.raises(ValueError, match="fit: validation_data: x is not finite at row 13"):
        m.fit(X, Y, validation_data=(x, Y))
    assert np.array_equal(m.parameters.storage.numpy(), before)
    assert len(m.history) == 0


def test_values_beyond_float32_are_refused_not_made_infinite():
    x = X.copy()
    x[4, 0] = 1e300
    with pytest.raises(ValueError, match="fit: x is not finite at row 4"):
        MLP([5, 4, 3]).fit(x, Y)


def test_a_diverging_fit_ends_at_the_last_finite_epoch():
    m = MLP([5, 4, 1], "identity", output="identity", dtype="float64")

    class Raise(Callback):
        """Makes the learning rate absurd in the third epoch."""

        def on_epoch_end(self, run):
            if run.epoch == 2:
                kept.append(run.model.parameters.storage.numpy())
                run.optimizer.lr = 1e200

    kept = []
    with pytest.raises(FloatingPointError, match=r"the loss is (nan|inf) at batch \d+ in epoch 3; the parameters are "
                                                 "again those after epoch 2") as caught:  # fmt: skip
        m.fit(X, X[:, 0], epochs=9, batch_size=4, optimizer="sgd", lr=0.01, callbacks=[Raise()])
    assert str(caught.value).startswith("fit: ")
    assert np.array_equal(m.parameters.storage.numpy(), kept[0])
    assert len(m.history) == 2
    assert math.isfinite(m.score(X, X[:, 0]))


def test_a_last_step_into_infinity_is_noticed():
    m = MLP([5, 1], output="identity")
    before = m.parameters.storage.numpy()
    with pytest.raises(FloatingPointError, match=r"a parameter is not finite in epoch 1; .* those before the fit"):
        m.fit(X * 1e15, X[:, 0] * 1e15, epochs=1, batch_size=23, optimizer="sgd", lr=1e30)
    assert np.array_equal(m.parameters.storage.numpy(), before)


def test_an_interrupt_leaves_the_model_whole():
    m = MLP([5, 300, 3], dropout=0.2)

    class Interrupt(Callback):
        def on_batch_end(self, run):
            if run.epoch == 1 and run.batch == 2:
                seen.append(run.model.parameters.storage.numpy())
                os.kill(os.getpid(), signal.SIGINT)

    seen = []
    with pytest.raises(KeyboardInterrupt):
        m.fit(X, Y, epochs=9, batch_size=4, callbacks=[Interrupt()])
    assert np.array_equal(m.parameters.storage.numpy(), seen[0])
    assert len(m.history) == 1
    assert np.array_equal(m.predict_proba(X), m.predict_proba(X))  # dropout is off again
    m.fit(X, Y, epochs=1)


def test_an_interrupt_from_outside_is_answered_within_half_a_second():
    m = MLP([64, 256, 10])
    x, y = RNG.standard_normal((2000, 64)), RNG.integers(0, 10, 2000)
    sent = []

    def send():
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Timer(0.2, send).start()
    with pytest.raises(KeyboardInterrupt):
        m.fit(x, y, epochs=200)
    assert time.perf_counter() - sent[0] < 0.5
    assert np.isfinite(m.parameters.storage.numpy()).all()


def test_whatever_a_callback_raises_leaves_finite_parameters():
    m = model()

    class Break(Callback):
        def on_epoch_end(self, run):
            theta = run.model.parameters.storage
            theta.array.assign(dlcore.tensor(np.full(theta.shape, np.nan)).array)
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        m.fit(X, Y, callbacks=[Break()])
    assert np.isfinite(m.parameters.storage.numpy()).all()


def test_steps_keep_memory_constant():
    m = MLP([5, 8, 3])
    m.fit(X, Y, epochs=20, batch_size=4)
    gc.collect()  # what other tests left
    before = dlcore.memory_stats()
    m.fit(X, Y, epochs=100, batch_size=4)
    gc.collect()
    after = dlcore.memory_stats()
    assert after["system_allocations"] == before["system_allocations"]
    assert after["in_use"] == before["in_use"]


def test_average_weighs_batches_by_their_cases():
    x = dlcore.tensor(np.arange(7.0))
    assert average(lambda part: {"mean": float(part.numpy().mean())}, [x], 3) == {"mean": pytest.approx(3.0)}
    with pytest.raises(ValueError, match="no cases"):
        average(lambda part: {}, [x[:0]])


def test_map_batches_is_the_function():
    x = dlcore.tensor(RNG.standard_normal((11, 3)))
    whole = ops.square(x).numpy()
    for size in (1, 4, 11, 100):
        assert np.array_equal(map_batches(ops.square, x, size), whole)
    assert map_batches(ops.square, x[:0], 4).shape == (0, 3)
    with pytest.raises(ValueError, match="batch_size is 0"):
        map_batches(ops.square, x, 0)


def test_an_optimizer_of_ones_own():
    m = model()
    made = []

    def optimizer(parameters):
        made.append(SGD(parameters, lr=0.1, momentum=0.5))
        return made[0]

    m.fit(X, Y, epochs=2, batch_size=23, optimizer=optimizer)
    assert made[0].steps == 2


@pytest.mark.parametrize(
    "make", [lambda: MLP([300, 200, 10], dropout=0.3), lambda: CNN((3, 10, 10), 10, weight_decay=1e-3)]
)
def test_threads_do_not_change_the_bits(device, make):
    x, y = RNG.standard_normal((150, 300)), RNG.integers(0, 10, 150)
    found = []
    for threads in (1, 2, 4):
        dlcore.set_num_threads(threads)
        model = make()
        model.fit(x, y, epochs=2, batch_size=100)
        found.append((model.parameters.storage.numpy().tobytes(), model.predict_proba(x).tobytes()))
    assert found[0] == found[1] == found[2]
