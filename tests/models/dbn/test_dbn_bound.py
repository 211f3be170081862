"""DBN: the lower bound of the log-likelihood, against enumeration of the bound and of log p itself."""

import math

import numpy as np
import pytest
from beliefs import SIZES, labelled
from dlcore.models import DBN
from dlcore.models.rbm.annealing import AISResult
from machines import SIGMAS, sigmoid, states
from resuming import state
from test_dbn_labels import with_labels
from test_dbn_up_down import Phases, bernoulli, untied


def exact_bound(dbn, v, label=None):
    """(bound, log p) of binary cases by enumeration of all hidden states; of log p(v, y) where a label is given."""
    net = Phases(dbn)
    joint = np.exp((net.seen @ net.b)[:, None] + net.h @ net.c + net.seen @ net.W @ net.h.T).sum(1)
    log_z = math.log(joint.sum())
    if label is not None:
        joint = joint * (net.seen[:, net.width :] @ label)
    top = np.array([joint[(net.seen[:, : net.width] == row).all(1)].sum() for row in states(net.width)])
    low, last = v[None], np.zeros(1, int)  # of each path through the layers' states: its newest state
    log_p, log_q = np.zeros(1), np.zeros(1)
    for (W, b), (R, r) in zip(net.G, net.R, strict=True):
        high = states(len(r))
        up, down = np.log(bernoulli(sigmoid(low @ R + r), high)), np.log(bernoulli(sigmoid(high @ W.T + b), low)).T
        log_q = (log_q[:, None] + up[last]).ravel()
        log_p = (log_p[:, None] + down[last]).ravel()
        low, last = high, np.tile(np.arange(len(high)), len(last))
    joint = log_p + np.log(top[last]) - log_z
    return np.exp(log_q) @ (joint - log_q), np.log(np.exp(joint).sum())


CASES = np.array([[1.0, 0, 1, 1], [0, 0, 0, 1], [1, 1, 0, 0]])


@pytest.mark.parametrize("widths, classes", [((4, 3, 2), 0), ((4, 3, 3, 2), 0), ((4, 3, 2), 3)])
def test_the_bound_has_its_enumerated_value_and_is_below_log_p(widths, classes):
    dbn = untied(widths, classes)
    result = dbn.log_likelihood_bound(np.repeat(CASES, 4_000, 0), samples=2)
    found, error = result.cases.reshape(3, -1).mean(1), result.cases.reshape(3, -1).std(1) / math.sqrt(4_000)
    exact = np.array([exact_bound(dbn, v) for v in CASES])
    assert (np.abs(found - exact[:, 0]) <= SIGMAS * error).all()
    assert (exact[:, 0] < exact[:, 1] - 0.01).all(), "the test needs an inference that is not exact"
    assert (found < exact[:, 1] + SIGMAS * error).all()
    assert result.value == pytest.approx(result.cases.mean()) and result.log_z_error == 0
    assert abs(result.value - exact[:, 0].mean()) <= SIGMAS * result.standard_error
    assert result.standard_error == pytest.approx(result.cases.std() / math.sqrt(12_000), rel=1.0)
    if classes:
        y = np.repeat([0, 1, 2], 4_000)
        found = dbn.log_likelihood_bound(np.repeat(CASES, 4_000, 0), y, samples=2).cases.reshape(3, -1)
        exact = [exact_bound(dbn, v, label)[0] for v, label in zip(CASES, np.eye(3), strict=True)]
        assert (np.abs(found.mean(1) - exact) <= SIGMAS * found.std(1) / math.sqrt(4_000)).all()


def test_the_standard_error_is_that_of_the_samples():
    dbn = untied((4, 3, 2))
    runs = [dbn.log_likelihood_bound(CASES, samples=8) for _ in range(120)]
    spread = np.std([run.value for run in runs])
    assert np.mean([run.standard_error for run in runs]) == pytest.approx(spread, rel=0.25)


def test_the_bound_is_tight_where_inference_is_exact():
    """A second RBM that is the first one upside down leaves p(v, h) as it was, whose p(h | v) is factorial."""
    dbn = DBN([4, 3, 4], dtype="float64", seed=2)
    rng = np.random.default_rng(2)
    W, b, c = 1.5 * rng.standard_normal((4, 3)), rng.standard_normal(4), rng.standard_normal(3)
    for rbm, weight, low, high in zip(dbn.rbms, (W, W.T), (b, c), (c, b), strict=True):
        rbm.parameters.assign({"weight": weight, "visible_bias": low, "hidden_bias": high})
    dbn.belief.tie()
    result = dbn.log_likelihood_bound(CASES, samples=3)
    expected = [dbn.rbms[0].log_likelihood(v[None]) for v in CASES]
    np.testing.assert_allclose(result.cases, expected, rtol=1e-12)  # of each sample, not on average only
    assert result.standard_error < 1e-12


def test_one_layer_has_the_exact_likelihood():
    dbn = untied((4, 3))
    result = dbn.log_likelihood_bound(CASES)
    assert result.value == pytest.approx(dbn.rbms[0].log_likelihood(CASES), rel=1e-12)
    assert result.standard_error == 0
    labels = with_labels((4, 3))
    found = labels.log_likelihood_bound(CASES).cases
    joint = [labels.log_likelihood_bound(CASES, [y] * 3).cases for y in range(3)]
    np.testing.assert_allclose(found, np.log(np.exp(joint).sum(0)), rtol=1e-12)


@pytest.mark.parametrize("classes", [0, 3])
def test_annealing_agrees_with_the_exact_partition_function(classes):
    dbn = untied((4, 5, 6), classes)
    exact, none = dbn.top_log_partition()
    assert none == 0
    net = Phases(dbn)
    energies = (net.seen @ net.b)[:, None] + net.h @ net.c + net.seen @ net.W @ net.h.T
    assert exact == pytest.approx(math.log(np.exp(energies).sum()), rel=1e-12)
    found, error = dbn.top_log_partition(chains=200, betas=300, seed=1)
    assert abs(found - exact) <= 3 * error < 0.3
    result = dbn.log_likelihood_bound(CASES, samples=2, ais={"chains": 200, "betas": 300, "seed": 1})
    assert (result.log_z, result.log_z_error) == (found, error) and result.standard_error > error


def test_one_sample_has_no_standard_error():
    assert math.isnan(untied((4, 3, 2)).log_likelihood_bound(CASES, samples=1).standard_error)
    assert untied((4, 3)).log_likelihood_bound(CASES, samples=1).standard_error == 0, "nothing was drawn"


def test_the_classes_errors_of_annealing_are_independent():
    """Classes of equal weights have equal errors only if they share their random numbers."""
    dbn = untied((3, 4, 3), 3)
    weight = dbn.belief.machines[-1].weight.numpy()
    weight[4:] = 0
    dbn.belief.machines[-1].weight = 3 * weight
    runs = np.array([dbn.top_log_partition(chains=20, betas=10, seed=seed) for seed in range(80)])
    assert runs[:, 1].mean() == pytest.approx(runs[:, 0].std(), rel=0.25)  # 0.58 of it if they did


def test_log_z_may_be_given():
    dbn = untied((4, 3, 2))
    one, two = dbn.clone(), dbn.clone()
    low = one.log_likelihood_bound(CASES, log_z=2.0)
    np.testing.assert_allclose(two.log_likelihood_bound(CASES, log_z=3.5).cases, low.cases - 1.5)
    ais = dbn.rbms[-1].ais(chains=50, betas=50, seed=3)
    assert isinstance(ais, AISResult)
    found = dbn.log_likelihood_bound(CASES, log_z=ais)
    assert (found.log_z, found.log_z_error) == (ais.log_z, ais.standard_error)


def test_batches_change_nothing_but_the_draws():
    dbn = untied((4, 3, 2))
    x = np.repeat(CASES, 700, 0)
    whole, parts = dbn.log_likelihood_bound(x, samples=5), dbn.log_likelihood_bound(x, samples=5, batch_size=300)
    assert len(parts.cases) == 2100
    assert abs(whole.value - parts.value) <= SIGMAS * math.hypot(whole.standard_error, parts.standard_error)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"x": np.full((3, 16), 2.0)}, "log_likelihood_bound: x has 2.0 in row 0"),
        ({"x": np.zeros((0, 16))}, "log_likelihood_bound: there are no cases"),
        ({"y": [0, 1]}, "log_likelihood_bound: y is given, but the model has no label units"),
        ({"samples": 0}, "log_likelihood_bound: samples is 0, expected an integer from 1"),
        ({"log_z": math.nan}, "log_likelihood_bound: log_z is nan, expected a finite number or an AISResult"),
        ({"log_z": True}, "log_likelihood_bound: log_z is True, expected"),
        ({"ais": {"chains": 1}}, "ais: chains is 1, expected an integer from 2"),
        ({"batch_size": 0}, "log_likelihood_bound: batch_size is 0, expected a positive integer"),
    ],
)
def test_refusals(arguments, message):
    dbn = DBN(SIZES, seed=1)
    before = state(dbn)
    with pytest.raises(ValueError, match=message):
        dbn.log_likelihood_bound(**({"x": labelled(5)[0]} | arguments))
    assert state(dbn) == before


def test_gaussian_visible_units_are_refused():
    with pytest.raises(
        ValueError, match="log_likelihood_bound: the visible units are 'gaussian', expected 'bernoulli'"
    ):
        DBN([4, 3, 2], visible="gaussian").log_likelihood_bound(np.zeros((3, 4)))
