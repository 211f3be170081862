"""DBN: reconstructions and samples, against the RBMs' distributions by enumeration."""

import numpy as np
from beliefs import labelled, machines, theta, trained
from dlcore.models import DBN
from machines import check_mean, sigmoid, states


def test_reconstruction_goes_up_and_down_by_expectations():
    dbn = trained(dtype="float64")
    low, top = machines(dbn)
    x, _ = labelled(5)
    h1 = sigmoid(x @ low["weight"] + low["hidden_bias"])
    h2 = sigmoid(h1 @ top["weight"] + top["hidden_bias"])
    h1 = sigmoid(h2 @ top["weight"].T + top["visible_bias"])
    expected = sigmoid(h1 @ low["weight"].T + low["visible_bias"])
    np.testing.assert_allclose(dbn.reconstruct(x), expected, rtol=1e-12)


def exact_visible_mean(dbn):
    """E[v] of the model: the top RBM's distribution over its visible states, sent down."""
    low, top = machines(dbn)
    h1 = states(len(top["visible_bias"]))
    log_p = h1 @ top["visible_bias"] + np.logaddexp(0, h1 @ top["weight"] + top["hidden_bias"]).sum(1)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    v = sigmoid(h1 @ low["weight"].T + low["visible_bias"])
    mean = p @ v
    return mean, p @ v**2 - mean**2


def test_samples_follow_the_distribution():
    n = 20_000
    dbn = DBN([6, 5, 4], 2, dtype="float64", weight_std=0.7, seed=2)
    mean, variance = exact_visible_mean(dbn)
    check_mean(dbn.sample(n, steps=40).mean(0), mean, variance, n)


def test_samples_of_one_layer_are_the_rbms():
    dbn = DBN([6, 5], 2, dtype="float64", weight_std=0.7, seed=2)
    expected = dbn.clone().rbms[0].sample(9, steps=3)
    np.testing.assert_array_equal(dbn.sample(9, steps=3), expected)


def test_samples_start_where_told():
    dbn = DBN([4, 4, 4], 2, dtype="float64")
    copying = {"weight": 40 * np.eye(4), "visible_bias": np.full(4, -20.0), "hidden_bias": np.full(4, -20.0)}
    for rbm in dbn.rbms:
        rbm.parameters.assign(copying)
    dbn.belief.tie()
    start = np.array([[1.0, 0, 1, 0], [0, 1, 1, 1]])
    np.testing.assert_allclose(dbn.sample(2, steps=5, start=start), start, atol=1e-6)


def test_sampling_does_not_disturb_training():
    x, y = labelled()
    one, two = trained(), trained()
    two.sample(3, steps=2)
    for dbn in (one, two):
        dbn.fit(x, y, epochs=1)
    np.testing.assert_array_equal(theta(one), theta(two))
