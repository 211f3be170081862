"""RBM: learning, files and refusals."""

import pickle

import dlcore
import numpy as np
import pytest
from dlcore.models import RBM
from dlcore.train import Callback, Checkpoint
from machines import bars, log_likelihood_of_bars, small

# --- learning ---


@pytest.mark.parametrize("options", [{}, {"persistent": True}, {"k": 3}])
def test_learns_the_distribution(options):
    """Held-out likelihood within 0.3 nats of the truth's, −7.8; a model without W reaches −16 log 2 = −11.1."""
    rbm = RBM(16, 8, seed=1, **options)
    rbm.fit(bars(1000), epochs=50, batch_size=20, lr=0.05, schedule="linear", weight_decay=0.0)
    held = bars(1000, seed=1)
    assert rbm.log_likelihood(held) > log_likelihood_of_bars(held) - 0.3


def test_one_step_is_the_gradient_with_decayed_weights():
    x = bars(20)
    rbm = small(n_visible=16, n_hidden=5)
    twin = rbm.clone()
    theta, weight = rbm.parameters.storage.numpy(), rbm.parameters["weight"].numpy()
    rbm.fit(x, epochs=1, batch_size=20, lr=0.3, momentum=0.0, weight_decay=0.01, shuffle=False)
    expected = theta - 0.3 * twin.cd_gradient(x).numpy()
    expected[: weight.size] -= 0.3 * 0.01 * weight.reshape(-1)
    np.testing.assert_allclose(rbm.parameters.storage.numpy(), expected, rtol=1e-10)


def test_visible_biases_begin_at_the_mean():
    x = np.random.default_rng(0).random((50, 6)) * [1, 0.5, 0, 1, 1, 0]
    rbm = RBM(6, 2, dtype="float64")
    rbm.fit(x, epochs=1, lr=0.0)
    mean = (x.sum(0) + 1) / 52
    np.testing.assert_allclose(rbm.parameters["visible_bias"].numpy(), np.log(mean / (1 - mean)), rtol=1e-12)
    rbm.fit(1 - x, epochs=1, lr=0.0)  # biases that are not 0 stay
    np.testing.assert_allclose(rbm.parameters["visible_bias"].numpy(), np.log(mean / (1 - mean)), rtol=1e-12)
    other = RBM(6, 2)
    other.fit(x, epochs=1, lr=0.0, init_visible_bias=False)
    assert not other.parameters["visible_bias"].numpy().any()


class Momenta(Callback):
    def __init__(self):
        self.seen = []

    def on_batch_end(self, run):
        self.seen.append(run.optimizer.momentum)


@pytest.mark.parametrize(
    "momentum, seen", [(None, [0.5] * 5 + [0.9] * 2), (0.3, [0.3] * 7), ((0.0, 0.8), [0.0] * 5 + [0.8] * 2)]
)
def test_momentum_rises_after_five_epochs(momentum, seen):
    callback = Momenta()
    RBM(16, 4).fit(bars(10), epochs=7, batch_size=10, momentum=momentum, callbacks=[callback])
    assert callback.seen == seen


def test_history_has_errors_and_the_free_energy_gap():
    x, held = bars(100), bars(30, seed=1)
    rbm = RBM(16, 6, seed=2)
    history = rbm.fit(x, epochs=3, validation_data=held)
    assert len(history) == 3 and history is rbm.history
    assert set(history.names) == {
        "reconstruction_error",
        "validation_reconstruction_error",
        "free_energy_gap",
        "free_energy_gap_error",
        "seconds",
    }
    gap = rbm.free_energy(held).mean(dtype=np.float64) - rbm.free_energy(x[:30]).mean(dtype=np.float64)
    assert history.last["free_energy_gap"] == pytest.approx(gap, rel=1e-4)


def test_reconstruction_error_is_the_mean_square_after_half_a_step():
    rbm = RBM(6, 4, weight_std=0.0, dtype="float64")
    x = np.random.default_rng(1).random((30, 6))
    history = rbm.fit(x, epochs=1, batch_size=7, lr=0.0, init_visible_bias=False)
    assert history["reconstruction_error"][0] == pytest.approx(np.square(x - 0.5).sum(1).mean(), rel=1e-12)
    persistent = RBM(6, 4, weight_std=0.0, dtype="float64", persistent=True, n_chains=5)
    history = persistent.fit(x, epochs=1, batch_size=7, lr=0.0, init_visible_bias=False)
    assert history["reconstruction_error"][0] == pytest.approx(np.square(x - 0.5).sum(1).mean(), rel=1e-12)


@pytest.mark.parametrize(
    "optimizer, lr", [("adam", 0.02), ("rmsprop", 0.02), (lambda p: dlcore.optim.SGD(p, 0.1, momentum=0.9), None)]
)
def test_any_optimizer_trains(optimizer, lr):
    rbm = RBM(16, 8, seed=1)
    history = rbm.fit(bars(), epochs=20, batch_size=20, optimizer=optimizer, lr=lr)
    assert history["reconstruction_error"][-1] < 0.8 * history["reconstruction_error"][0]


def test_same_seed_same_bits_for_any_number_of_threads(device):
    found = []
    for threads in (1, 2, 4):
        device.set_num_threads(threads)
        rbm = RBM(64, 48, seed=7, k=2)
        rbm.fit(np.random.default_rng(0).random((300, 64)), epochs=2, batch_size=64)
        found.append(rbm.parameters.storage.numpy().tobytes() + rbm.sample(9, steps=5).tobytes())
    assert found[0] == found[1] == found[2]
    other = RBM(64, 48, seed=8, k=2)
    assert other.parameters.storage.numpy().tobytes() != RBM(64, 48, seed=7, k=2).parameters.storage.numpy().tobytes()


# --- files ---


@pytest.mark.parametrize("persistent", [False, True])
def test_a_resumed_fit_ends_in_the_same_bits(tmp_path, persistent):
    x, held = bars(60), bars(20, seed=2)

    def fresh():
        return RBM(16, 6, seed=3, persistent=persistent, n_chains=8)

    whole = fresh()
    arguments = {"batch_size": 7, "validation_data": held}
    whole.fit(x, epochs=8, **arguments)
    half = fresh()
    half.fit(x, epochs=6, callbacks=[Checkpoint(tmp_path / "half")], **arguments)
    resumed = fresh()
    history = resumed.fit(x, epochs=8, resume=tmp_path / "half", **arguments)
    np.testing.assert_array_equal(resumed.parameters.storage.numpy(), whole.parameters.storage.numpy())
    assert history["reconstruction_error"] == whole.history["reconstruction_error"]
    if persistent:
        np.testing.assert_array_equal(resumed.chains.numpy(), whole.chains.numpy())


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("copy", ["file", "pickle", "clone"])
def test_copies_go_on_like_the_original(tmp_path, copy, persistent):
    x = bars(50)
    rbm = RBM(16, 6, seed=3, weight_std=1.0, persistent=persistent, n_chains=7)
    rbm.fit(x, epochs=2)
    rbm.sample(2, steps=3)
    if copy == "file":
        rbm.save(tmp_path / "rbm")
        other = dlcore.load(tmp_path / "rbm")
    else:
        other = pickle.loads(pickle.dumps(rbm)) if copy == "pickle" else rbm.clone()
    assert other.config == rbm.config and other.history == rbm.history
    np.testing.assert_array_equal(other.transform(x), rbm.transform(x))
    np.testing.assert_array_equal(other.sample(4, steps=3), rbm.sample(4, steps=3))
    if persistent and copy == "file":
        assert other.chains is None
        return
    for model in (rbm, other):
        model.fit(x, epochs=1)
    np.testing.assert_array_equal(other.parameters.storage.numpy(), rbm.parameters.storage.numpy())


def test_summary_counts_parameters():
    assert RBM(64, 100).summary().splitlines() == [
        "RBM: 6,564 parameters, float32",
        "layer          output shape  parameters",
        "───────────────────────────────────────",
        "input          (n, 64)",
        "RBM(64 ↔ 100)  (n, 100)           6,564",
    ]


# --- refusals ---

GOOD = np.full((3, 4), 0.5)


def with_value(value):
    x = GOOD.copy()
    x[1, 2] = value
    return x


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.0000001, 255.0])
@pytest.mark.parametrize("method", ["fit", "transform", "free_energy", "cd_gradient", "gibbs", "reconstruct"])
def test_data_outside_the_unit_interval(method, value):
    rbm = small()
    before = rbm.parameters.storage.numpy()
    with pytest.raises(ValueError, match=rf"{method}: x has \S+ in row 1, expected values in \[0, 1\]"):
        getattr(rbm, method)(with_value(value))
    np.testing.assert_array_equal(rbm.parameters.storage.numpy(), before)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"x": np.zeros((3, 5))}, r"fit: x has shape \(3, 5\), expected \(n, 4\)"),
        ({"x": np.zeros((0, 4))}, "fit: there are no cases to learn from"),
        ({"batch_size": 0}, "fit: batch_size is 0, expected a positive integer"),
        ({"epochs": -1}, "fit: epochs is -1, expected an integer >= 0"),
        ({"epochs": 1.5}, "fit: epochs is 1.5, expected an integer >= 0"),
        ({"lr": -0.1}, "SGD: lr is -0.1, expected a finite number >= 0"),
        ({"lr": np.nan}, "SGD: lr is nan, expected"),
        ({"momentum": 1.0}, r"fit: momentum is 1.0, expected one or two numbers in \[0, 1\)"),
        ({"momentum": (0.5, 0.9, 0.9)}, "fit: momentum is .*, expected one or two numbers"),
        ({"momentum": "high"}, "fit: momentum is 'high', expected one or two numbers"),
        ({"momentum": 0.5, "optimizer": "adam"}, "fit: momentum is for the optimizer 'sgd'"),
        ({"weight_decay": -1.0}, "fit: weight_decay is -1.0, expected a finite number >= 0"),
        ({"optimizer": "newton"}, "fit: optimizer is 'newton', expected one of"),
        ({"nesterow": True}, "fit: 'nesterow' is not an option of sgd"),
        ({"schedule": "square"}, "fit: schedule is 'square', expected one of"),
        ({"validation_data": np.zeros((2, 3))}, r"fit: validation_data: x has shape \(2, 3\), expected \(n, 4\)"),
        ({"validation_data": np.zeros((0, 4))}, "fit: validation_data has no cases"),
        ({"validation_data": np.full((2, 4), 2.0)}, "fit: validation_data: x has 2.0 in row 0, expected values in"),
    ],
)
def test_fit_refuses_before_it_changes_anything(arguments, message):
    rbm = small(persistent=True)
    before = rbm.parameters.storage.numpy()
    generators = {name: (g.key, g.step) for name, g in rbm.generators.items()}
    with pytest.raises(ValueError, match=message):
        rbm.fit(**({"x": GOOD, "epochs": 1} | arguments))
    np.testing.assert_array_equal(rbm.parameters.storage.numpy(), before)
    assert {name: (g.key, g.step) for name, g in rbm.generators.items()} == generators
    assert len(rbm.history) == 0


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda rbm: rbm.inverse_transform(np.zeros((2, 4))),
            r"inverse_transform: h has shape \(2, 4\), expected \(n, 3",
        ),
        (lambda rbm: rbm.inverse_transform([[2.0, 0, 0]]), "inverse_transform: h has 2.0 in row 0, expected values in"),
        (lambda rbm: rbm.energy(np.zeros((2, 4)), np.zeros((3, 3))), "energy: v has 2 rows, h has 3"),
        (lambda rbm: rbm.gibbs(GOOD, 0), "gibbs: k is 0, expected an integer from 1"),
        (lambda rbm: rbm.gibbs(GOOD, 1.5), "gibbs: k is 1.5, expected an integer from 1"),
        (lambda rbm: rbm.sample(2, steps=0), "sample: steps is 0, expected an integer from 1"),
        (lambda rbm: rbm.sample(0), "sample: n is .*, expected at least 1 positive integers"),
        (lambda rbm: rbm.sample(2, start=GOOD), "sample: start has 3 cases, expected 2"),
        (lambda rbm: rbm.cd_gradient(np.zeros((0, 4))), "cd_gradient: there are no cases"),
        (lambda rbm: rbm.log_likelihood(np.zeros((0, 4))), "log_likelihood: there are no cases"),
    ],
)
def test_methods_refuse(call, message):
    with pytest.raises(ValueError, match=message):
        call(small())


@pytest.mark.parametrize(
    "options",
    [
        {"n_visible": 0},
        {"n_hidden": 2.5},
        {"k": 0},
        {"k": 1.5},
        {"k": 10**18},
        {"n_chains": 2**31},
        {"n_chains": 0},
        {"persistent": "no"},
        {"weight_std": -1.0},
        {"weight_std": np.inf},
        {"dtype": "float16"},
    ],
)
def test_constructor_refuses(options):
    with pytest.raises(ValueError, match=f"RBM: .*{next(iter(options))}.* is "):
        RBM(**({"n_visible": 4, "n_hidden": 3} | options))


def test_a_diverging_fit_says_so_and_gives_back_finite_parameters():
    rbm = RBM(16, 4, seed=1)
    with pytest.raises(FloatingPointError, match=r"fit: .*(is not finite|error is nan)"):
        rbm.fit(bars(40), epochs=3, lr=3e38)
    assert np.isfinite(rbm.parameters.storage.numpy()).all()


def test_empty_inputs_have_empty_outputs():
    rbm = small()
    assert rbm.transform(np.zeros((0, 4))).shape == (0, 3)
    assert rbm.free_energy(np.zeros((0, 4))).shape == (0,)
    assert rbm.gibbs(np.zeros((0, 4))).shape == (0, 4)


def test_views_of_any_layout():
    rbm = small()
    x = np.random.default_rng(2).random((4, 6))
    expected = rbm.transform(np.ascontiguousarray(x.T[::-1]))
    np.testing.assert_array_equal(rbm.transform(x.T[::-1]), expected)
    np.testing.assert_array_equal(rbm.transform(x.T[::-1].tolist()), expected)
