"""Gaussian visible units learn, and do not blow up, with the defaults."""

import warnings

import numpy as np
import pytest
from dlcore.models import RBM


def standardised(kind, n, units, seed):
    rng = np.random.default_rng(seed)
    if kind == "independent":
        x = rng.standard_normal((n, units))
    elif kind == "few factors":
        x = rng.standard_normal((n, 2)) @ rng.standard_normal((2, units)) + 0.1 * rng.standard_normal((n, units))
    elif kind == "equal columns":
        x = np.repeat(rng.standard_normal((n, 1)), units, 1)
    elif kind == "clusters":
        x = 3 * rng.standard_normal((4, units))[rng.integers(0, 4, n)] + 0.3 * rng.standard_normal((n, units))
    elif kind == "constant columns":
        x = rng.standard_normal((n, units)) * (np.arange(units) % 2)
    else:
        x = rng.standard_t(3, (n, units))
    spread = x.std(0)
    return (x - x.mean(0)) / np.where(spread > 0, spread, 1)


KINDS = ("independent", "few factors", "equal columns", "clusters", "constant columns", "heavy tails")


@pytest.mark.parametrize("options", [{}, {"persistent": True}, {"centered": True}, {"sigma": 1.0}])
@pytest.mark.parametrize("kind", KINDS)
def test_the_defaults_do_not_blow_up(kind, options):
    for seed, (units, hidden) in enumerate([(2, 40), (12, 6), (60, 150)]):
        x = standardised(kind, 400, units, seed)
        rbm = RBM(units, hidden, visible="gaussian", seed=seed, **options)
        errors = np.array(rbm.fit(x, epochs=15, batch_size=20)["reconstruction_error"]) / units
        assert errors[-1] < 1.25, (units, hidden, errors)
        sigma = np.exp(rbm.parameters["log_variance"].numpy() / 2)
        assert sigma.min() >= 0.0999 and sigma.max() < 1.6, (units, hidden, sigma.max())


def test_a_mixture_is_learned():
    """Held-out likelihood within 0.4 nats of the truth's; one Gaussian for each unit has 5.7 nats less."""
    rng = np.random.default_rng(0)
    means, n, units, noise = 2.0 * rng.choice([-1.0, 1.0], (2, 4)), 3000, 4, 0.4
    spread = np.sqrt(4 * (means[0] != means[1]) + noise**2)

    def draw():
        x = means[rng.integers(0, 2, n)] + noise * rng.standard_normal((n, units))
        return (x - means.mean(0)) / spread

    train, held = draw(), draw()
    rbm = RBM(units, 2, visible="gaussian", seed=1, dtype="float64")
    rbm.fit(train, epochs=60, batch_size=50, lr=0.02, schedule="linear", weight_decay=0.0)
    centres, s = (means - means.mean(0)) / spread, noise / spread
    parts = -0.5 * (((held[:, None] - centres) / s) ** 2).sum(2) - np.log(s * np.sqrt(2 * np.pi)).sum()
    truth = (np.logaddexp.reduce(parts, axis=1) - np.log(2)).mean()
    assert rbm.log_likelihood(held) > truth - 0.4
    np.testing.assert_allclose(np.exp(rbm.parameters["log_variance"].numpy() / 2), s, rtol=0.2)


def test_visible_biases_begin_at_the_means():
    rbm = RBM(7, 2, visible=[("gaussian", 2), ("softmax", 3), ("bernoulli", 2)], dtype="float64")
    rng = np.random.default_rng(0)
    x = np.hstack([rng.standard_normal((20, 2)) + 3, np.eye(3)[rng.integers(0, 3, 20)], rng.random((20, 2))])
    rbm.fit(x, epochs=1, lr=0.0)
    total = x.sum(0)
    p = (total[5:] + 1) / 22
    expected = np.concatenate([total[:2] / 20, np.log((total[2:5] + 1) / 23), np.log(p / (1 - p))])
    np.testing.assert_allclose(rbm.parameters["visible_bias"].numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("sigma", [0.5, 0.03])  # the latter below the least that is learned
def test_a_fixed_sigma_stays(sigma, optimizer):
    rbm = RBM(3, 2, visible="gaussian", sigma=sigma, dtype="float64")
    rbm.fit(np.random.default_rng(0).standard_normal((50, 3)), epochs=3, optimizer=optimizer, lr=1e-4)
    np.testing.assert_allclose(rbm.parameters["log_variance"].numpy(), 2 * np.log(sigma), rtol=1e-15)


def test_data_that_are_not_standardised_are_warned_of():
    x = np.random.default_rng(0).standard_normal((50, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RBM(3, 2, visible="gaussian").fit(x, epochs=1)
        RBM(3, 2, visible="gaussian").fit(x * [1, 0, 1], epochs=1)
        for scale in (255.0, 1e-3):
            with pytest.raises(UserWarning, match=r"fit: the data of the gaussian unit 1 have the standard deviation"):
                RBM(3, 2, visible="gaussian").fit(x * [1, scale, 1], epochs=1)


def test_gaussian_codes_are_learned():
    """30 linear units reconstruct better than biases alone, with the defaults."""
    rng = np.random.default_rng(1)
    x = (
        rng.random((500, 40)) < 1 / (1 + np.exp(-3 * rng.standard_normal((500, 3)) @ rng.standard_normal((3, 40))))
    ) * 1.0
    rbm = RBM(40, 30, hidden="gaussian", seed=2)
    errors = rbm.fit(x, epochs=40, batch_size=20)["reconstruction_error"]
    assert errors[-1] < 0.8 * errors[0]
    assert rbm.transform(x).std() > 0.3


BAD = [
    ({"visible": "binary"}, "RBM: visible is 'binary', expected 'bernoulli', 'gaussian', 'softmax' or"),
    ({"visible": "softmax:4"}, "RBM: visible is 'softmax:4', expected"),
    ({"visible": "softmax:"}, "RBM: visible is 'softmax:', expected"),
    ({"visible": "softmax:²"}, "RBM: visible is 'softmax:²', expected"),
    ({"visible": "gaussian:2"}, "RBM: visible is 'gaussian:2', expected"),
    ({"visible": [("bernoulli", 5)]}, "RBM: visible has 5 units, expected n_visible = 6"),
    ({"visible": [("bernoulli", 5), ("softmax", 0)]}, "RBM: visible is"),
    ({"visible": 3}, "RBM: visible is 3, expected"),
    ({"hidden": "softmax"}, "RBM: hidden is 'softmax', expected 'bernoulli' or 'gaussian'"),
    ({"hidden": "gaussian", "visible": "gaussian"}, "RBM: gaussian units in both layers need not have a distribution"),
    ({"sigma": 0.0}, "RBM: sigma is 0.0, expected 'learned' or a finite number above 0"),
    ({"sigma": "fixed"}, "RBM: sigma is 'fixed', expected 'learned' or a finite number above 0"),
    ({"centered": 1}, "RBM: centered is 1, expected True or False"),
    ({"offset_rate": 1.5}, r"RBM: offset_rate is 1.5, expected a number in \[0, 1\]"),
    ({"sparsity_target": -0.1}, r"RBM: sparsity_target is -0.1, expected a number in \[0, 1\]"),
    ({"sparsity_cost": -1}, "RBM: sparsity_cost is -1, expected a finite number >= 0"),
    ({"sparsity_decay": 2}, r"RBM: sparsity_decay is 2, expected a number in \[0, 1\]"),
    ({"sparsity_target": 0.1, "hidden": "gaussian"}, "RBM: sparsity_target is given for gaussian hidden units"),
]


@pytest.mark.parametrize("options, message", BAD)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        RBM(6, 2, **options)


@pytest.mark.parametrize(
    "row, message",
    [
        ([2.0, 0, 1, 0.5], r"transform: x has 2.0 in row 1, expected values in \[0, 1\]"),
        ([0.5, 0.5, 0.2, 0.5], r"transform: the softmax group 1 to 2 of x adds to 0.7 in row 1, expected 1"),
        ([0.5, 0.5, 0.5, np.nan], "transform: x has nan in row 1, expected a finite number for the gaussian unit 3"),
        ([0.5, np.nan, 0.5, 0.0], r"transform: x has nan in row 1, expected values in \[0, 1\]"),
    ],
)
def test_values_that_units_cannot_have(row, message):
    rbm = RBM(4, 2, visible=[("bernoulli", 1), ("softmax", 2), ("gaussian", 1)])
    with pytest.raises(ValueError, match=message):
        rbm.transform([[0.5, 0.5, 0.5, -3.0], row])


def test_likelihoods_that_are_for_bernoulli_units():
    rbm = RBM(4, 2, visible=[("bernoulli", 2), ("softmax", 2)])
    x = [[0, 1, 0, 1]]
    for name, call in {
        "pseudo_log_likelihood": lambda: rbm.pseudo_log_likelihood(x),
        "ais": lambda: rbm.ais(2, 2),
        "reverse_ais": lambda: rbm.reverse_ais(2, 2),
    }.items():
        message = f"{name}: visible units are bernoulli, softmax, hidden ones bernoulli; it is for bernoulli units"
        with pytest.raises(ValueError, match=message):
            call()
    large = RBM(60, 30, visible="softmax:2", hidden="gaussian")
    with pytest.raises(ValueError, match=r"log_partition: both layers have more than 2\*\*28 states"):
        large.log_partition()


def test_binary_machines_have_the_parameters_they_had():
    """And what was written before there were kinds of units is still read."""
    names = ("n_visible", "n_hidden", "k", "persistent", "n_chains", "weight_std", "seed", "dtype")
    plain, mixed = RBM(4, 2), RBM(4, 2, visible=[("bernoulli", 3), ("gaussian", 1)])
    assert list(plain.parameters) == ["weight", "visible_bias", "hidden_bias"]
    assert list(mixed.parameters) == ["weight", "visible_bias", "hidden_bias", "log_variance"]
    state = plain.__getstate__()
    old = {name: state[name] for name in state if name not in ("offsets", "activity")}
    other = RBM.__new__(RBM)
    other.__setstate__(old | {"config": {name: state["config"][name] for name in names}})
    assert other.config == plain.config
    np.testing.assert_array_equal(other.parameters.storage.numpy(), plain.parameters.storage.numpy())


@pytest.mark.parametrize("copy", ["file", "clone"])
def test_files_and_copies_keep_the_units(tmp_path, copy):
    import dlcore

    rbm = RBM(6, 3, visible=[("softmax:2", 4), ("gaussian", 2)], seed=4, weight_std=1.0)
    if copy == "file":
        rbm.save(tmp_path / "rbm")
        other = dlcore.load(tmp_path / "rbm")
    else:
        other = rbm.clone()
    x = [[1, 0, 0, 1, 0.3, -2]]
    np.testing.assert_array_equal(other.free_energy(x), rbm.free_energy(x))
    np.testing.assert_array_equal(other.sample(3, steps=2), rbm.sample(3, steps=2))
    assert [tuple(s) for s in other.machine.units] == [("softmax", 0, 4, 2), ("gaussian", 4, 6, 1)]
