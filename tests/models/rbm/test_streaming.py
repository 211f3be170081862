"""partial_fit: passes over a stream with the optimizer, the chains and the generators carried on."""

import pickle

import numpy as np
import pytest
from dlcore import placement
from dlcore.models import RBM
from machines import bars

OPTIONS = [{}, {"persistent": True, "n_chains": 10}, {"tempering": 2, "n_chains": 10}, {"centered": True}]


def model(**options):
    return RBM(16, 6, seed=7, **options)


@pytest.mark.parametrize("options", OPTIONS)
def test_calls_are_epochs_of_one_fit(options):
    """Three passes over the same cases are three epochs with the same momentum, and no order drawn."""
    x, arguments = bars(60), {"batch_size": 20, "lr": 0.1}
    whole, parts = model(**options), model(**options)
    history = whole.fit(x, epochs=3, momentum=0.5, shuffle=False, **arguments)
    for record in history.records:
        assert parts.partial_fit(x, **arguments) is parts
        assert parts.stream.figures == {name: value for name, value in record.items() if name != "seconds"}
    assert np.array_equal(whole.parameters.storage.numpy(), parts.parameters.storage.numpy())


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_pickle_carries_the_stream_on(options, optimizer):
    a = model(**options)
    a.partial_fit(bars(40), optimizer=optimizer)
    b = pickle.loads(pickle.dumps(a))
    c = a.clone()
    for other in (a, b, c):
        other.partial_fit(bars(40, seed=1), optimizer=optimizer)
    for other in (b, c):
        assert np.array_equal(a.parameters.storage.numpy(), other.parameters.storage.numpy())


def test_a_stream_is_learned():
    rbm = model()
    errors = [
        rbm.partial_fit(bars(100, seed=s), lr=0.2, batch_size=5).stream.figures["reconstruction_error"]
        for s in range(60)
    ]
    assert errors[-1] < 0.65 * errors[0]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_call_may_give_another_rate_which_stays(optimizer):
    """A rate of 0 moves nothing, in later calls and copies too; the state of the optimizer goes on."""
    rbm = model()
    rbm.partial_fit(bars(40), optimizer=optimizer)
    velocity = {name: x.numpy() for name, x in rbm.stream.optimizer.state.items()}
    theta = rbm.parameters.storage.numpy()
    rbm.partial_fit(bars(40), optimizer=optimizer, lr=0.0)
    for other in (rbm, rbm.clone()):
        other.partial_fit(bars(40), optimizer=optimizer)
        assert np.array_equal(other.parameters.storage.numpy(), theta)
    assert any(not np.array_equal(x.numpy(), velocity[name]) for name, x in rbm.stream.optimizer.state.items())
    rbm.partial_fit(bars(40), optimizer=optimizer, lr=0.1)
    assert not np.array_equal(rbm.parameters.storage.numpy(), theta)


def test_fit_begins_another_stream():
    rbm = model()
    rbm.partial_fit(bars(40), lr=0.2)
    rbm.fit(bars(40), epochs=1)
    assert rbm.stream is None
    rbm.partial_fit(bars(40), lr=0.1)


def test_memory_does_not_grow():
    rbm = model(persistent=True, n_chains=10)
    for _ in range(20):
        rbm.partial_fit(bars(40))
    before = placement.placed(None).memory_stats()["in_use"]
    for _ in range(100):
        rbm.partial_fit(bars(40))
    assert placement.placed(None).memory_stats()["in_use"] <= before
    assert len(rbm.history) == 0


def test_failures_leave_the_parameters():
    rbm = model()
    rbm.partial_fit(bars(40), lr=1e30)
    before = rbm.parameters.storage.numpy()
    with pytest.raises(FloatingPointError, match=r"^partial_fit: .*; the parameters are again those before the call\."):
        for _ in range(9):
            before = rbm.parameters.storage.numpy()
            rbm.partial_fit(bars(40), lr=1e30)
    assert np.array_equal(rbm.parameters.storage.numpy(), before)


@pytest.mark.parametrize("options", [*OPTIONS, {"visible": "gaussian", "centered": True, "persistent": True}])
def test_a_call_that_fails_leaves_all_that_is_carried_on(options):
    """The next, at a smaller rate, has the bits of one without the failure, with a fresh optimizer."""
    rbm = model(**options)
    rbm.partial_fit(bars(40))
    twin = rbm.clone()
    twin.stream = None
    rbm.stream.optimizer.lr = 1e38
    with pytest.raises(FloatingPointError, match=r"^partial_fit: "):
        rbm.partial_fit(bars(40), batch_size=5)
    for other in (rbm, twin):
        other.partial_fit(bars(40, seed=1), lr=1e-3)
    assert np.array_equal(rbm.parameters.storage.numpy(), twin.parameters.storage.numpy())
    assert rbm.fit_generator.step == twin.fit_generator.step


def test_missing_values_of_each_call_begin_at_their_means(monkeypatch):
    """With weights of 0 and biases that decide, units that were left at 0 would show."""
    from dlcore.models.rbm.cases import Completions

    begun = []
    take = Completions.take
    monkeypatch.setattr(Completions, "take", lambda self, index: begun.append(take(self, index)) or begun[-1])
    x = np.array([[1.0, np.nan, 1.0], [np.nan, 1.0, 1.0]] * 5)
    rbm = RBM(3, 2, weight_std=0.0, dtype="float64")
    for _ in range(3):
        rbm.partial_fit(x, missing="nan", lr=0.0)
    assert len(begun) == 3
    mean = (5 + 1) / (5 + 2)  # where the biases began
    for state in begun:
        np.testing.assert_allclose(state.numpy(), np.where(np.isnan(x), mean, x), rtol=1e-12)


def test_refused():
    rbm = model()
    rbm.partial_fit(bars(40))

    def message(**arguments):
        with pytest.raises(ValueError) as raised:
            rbm.partial_fit(bars(40), **arguments)
        return str(raised.value)

    assert message(lr=-0.1) == "SGD: lr is -0.1, expected a finite number >= 0"
    assert message(momentum=0.9) == "partial_fit: momentum is [0.9, 0.9], the first call's was [0.5, 0.5]"
    assert message(optimizer="adam").startswith("partial_fit: ")
    assert (
        message(lr=lambda step: 0.1)
        == "partial_fit: lr is a function, expected a number, which is saved with the model"
    )
    assert (
        message(optimizer=lambda p: None)
        == "partial_fit: optimizer is no name; what goes on between calls is saved with the model"
    )
