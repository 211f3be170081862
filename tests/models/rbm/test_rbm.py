"""RBM: every quantity against its definition, summed over all states in NumPy."""

import dlcore
import numpy as np
import pytest
from dlcore import placement
from dlcore.models import RBM
from machines import SIGMAS, Exact, bars, check_mean, sigmoid, small
from processes import python

DTYPES = ("float32", "float64")


# --- definitions ---


@pytest.mark.parametrize("dtype", DTYPES)
def test_energies_and_conditionals(dtype):
    rbm = small(dtype)
    exact = Exact(rbm)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    v, h = exact.v[[3, 9, 14]], exact.h[[1, 4, 6]]
    np.testing.assert_allclose(rbm.energy(v, h), [exact.energy[i, j] for i, j in ((3, 1), (9, 4), (14, 6))], tolerance)
    np.testing.assert_allclose(rbm.free_energy(exact.v), -np.log(np.exp(-exact.energy).sum(1)), tolerance)
    np.testing.assert_allclose(rbm.transform(v), sigmoid(exact.c + v @ exact.W), tolerance)
    np.testing.assert_allclose(rbm.inverse_transform(h), sigmoid(exact.b + h @ exact.W.T), tolerance)
    np.testing.assert_allclose(rbm.reconstruct(v), rbm.inverse_transform(rbm.transform(v)), tolerance)
    assert rbm.transform(v).dtype == dtype


def test_hidden_probabilities_have_derivatives():
    rbm = small()
    v = np.array([[1.0, 0.0, 0.3, 1.0]])
    gradient = dlcore.grad(lambda x: dlcore.ops.sum(rbm.machine(x)), 0)(dlcore.tensor(v)).numpy()
    p = rbm.transform(v)
    np.testing.assert_allclose(gradient, (p * (1 - p)) @ rbm.parameters["weight"].numpy().T, rtol=1e-12)


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (1, 1), (5, 5)])
def test_likelihood_is_exact(shape):
    rbm = small(n_visible=shape[0], n_hidden=shape[1])
    exact = Exact(rbm)
    assert rbm.log_partition() == pytest.approx(exact.log_z, rel=1e-12)
    assert rbm.log_likelihood(exact.v) == pytest.approx(np.log(exact.p_v).mean(), rel=1e-12)


def test_likelihood_over_several_blocks_of_states():
    """More units than one block of 2¹² states enumerates; with W = 0 the sum has a closed form."""
    rbm = RBM(14, 30, weight_std=0.0, dtype="float64")
    b, c = np.linspace(-1, 2, 14), np.linspace(-2, 1, 30)
    rbm.parameters.assign({"weight": np.zeros((14, 30)), "visible_bias": b, "hidden_bias": c})
    assert rbm.log_partition() == pytest.approx(np.logaddexp(0, b).sum() + np.logaddexp(0, c).sum(), rel=1e-12)


def test_likelihood_refuses_large_machines():
    with pytest.raises(ValueError, match="the smaller layer has 29 units, exact summation is for at most 28"):
        RBM(29, 500).log_partition()


# --- the gradient ---


@pytest.mark.parametrize("k", [1, 2, 7])
def test_cd_gradient_is_unbiased(k):
    """Against the expectation over the k-step Markov chain, summed over all of its states."""
    n = 40_000
    rbm = small(k=k)
    exact = Exact(rbm)
    start = 5
    step = exact.up @ exact.down  # v → v
    p_end = np.linalg.matrix_power(step, k)[start]
    statistics = exact.statistics(exact.v)
    mean = p_end @ statistics
    variance = p_end @ statistics**2 - mean**2
    found = rbm.cd_gradient(np.repeat(exact.v[[start]], n, 0)).numpy()
    check_mean(found, mean - statistics[start], variance, n)


@pytest.mark.parametrize("k", [1, 3])
def test_pcd_gradient_is_unbiased_and_moves_the_chains(k):
    n = 40_000
    rbm = small(k=k, persistent=True, n_chains=n)
    exact = Exact(rbm)
    statistics = exact.statistics(exact.v)
    data = exact.v[[2, 7, 11]]
    p_h = np.full(len(exact.h), 1 / len(exact.h))  # chains begin uniformly over hidden states
    for _ in range(2):
        for _ in range(k):
            p_v = p_h @ exact.down
            p_h = p_v @ exact.up
        mean = p_v @ statistics
        variance = p_v @ statistics**2 - mean**2
        found = rbm.cd_gradient(data).numpy()
        check_mean(found, mean - exact.statistics(data).mean(0), variance, n)
        share = p_h @ exact.h
        check_mean(rbm.chains.numpy().mean(0), share, share * (1 - share), n)


def test_cd_converges_to_the_likelihood_gradient():
    """With many steps the chain forgets its start: the gradient is that of −log p(v)."""
    rbm = small(k=60, seed=4)
    exact = Exact(rbm)
    data = exact.v[[1, 6]]
    found = rbm.cd_gradient(np.repeat(data, 20_000, 0)).numpy()
    eps = 1e-5
    theta = rbm.parameters.storage.numpy()
    for i in (0, 5, 11, 12, 15, 16, 18):  # weights, visible and hidden biases
        values = []
        for sign in (1, -1):
            moved = theta.copy()
            moved[i] += sign * eps
            rbm.parameters.storage.array.assign(dlcore.tensor(moved).array)
            values.append(-rbm.log_likelihood(data))
        assert found[i] == pytest.approx((values[0] - values[1]) / (2 * eps), abs=SIGMAS * 0.5 / np.sqrt(40_000))


def test_a_gradient_is_a_value_for_any_optimizer():
    rbm = small()
    before = rbm.parameters.storage.numpy()
    gradient = rbm.cd_gradient(np.eye(4))
    assert gradient.shape == before.shape
    np.testing.assert_array_equal(rbm.parameters.storage.numpy(), before)
    dlcore.optim.SGD(rbm.parameters, lr=0.5).step(gradient)
    np.testing.assert_allclose(rbm.parameters.storage.numpy(), before - 0.5 * gradient.numpy(), rtol=1e-12)
    pieces = rbm.parameters.split(gradient)
    assert {name: piece.shape for name, piece in pieces.items()} == {
        "weight": (4, 3),
        "visible_bias": (4,),
        "hidden_bias": (3,),
    }


# --- sampling ---


def test_samples_follow_the_distribution():
    n = 20_000
    rbm = small()
    exact = Exact(rbm)
    samples = rbm.sample(n, steps=60, binary=True)
    index = (samples @ (2 ** np.arange(3, -1, -1))).astype(int)
    found = np.bincount(index, minlength=16) / n
    check_mean(found, exact.p_v, exact.p_v * (1 - exact.p_v), n)


def test_gibbs_takes_k_steps():
    n = 40_000
    rbm = small()
    exact = Exact(rbm)
    found = rbm.gibbs(np.repeat(exact.v[[5]], n, 0), k=2)
    assert set(np.unique(found)) == {0.0, 1.0}
    p_end = np.linalg.matrix_power(exact.up @ exact.down, 2)[5]
    share = p_end @ exact.v
    check_mean(found.mean(0), share, share * (1 - share), n)


def test_many_steps_are_a_few_native_calls_with_the_same_bits(monkeypatch):
    """Ctrl-C is answered between them."""
    whole, cut = small(), small()
    monkeypatch.setattr("dlcore.models.rbm.machine.GIBBS_WORK", 10**9)
    expected = [whole.sample(5, steps=23), whole.sample(5, steps=np.int64(3), binary=True)]
    monkeypatch.setattr("dlcore.models.rbm.machine.GIBBS_WORK", 5 * (12 + 50 * 7) * 4 + 4 * 10**4)  # four steps
    calls = []
    device = placement.placed(None)
    gibbs = device.rbm_gibbs
    monkeypatch.setattr(device, "rbm_gibbs", lambda *a: calls.append(a[4]) or gibbs(*a))
    found = [cut.sample(5, steps=23), cut.sample(5, steps=np.int64(3), binary=True)]
    assert calls == [4, 4, 4, 4, 4, 3, 3]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert cut.sample_generator.step == whole.sample_generator.step == 2 + 2 * 26


@pytest.mark.parametrize("call", ["rbm.sample(64, steps=10**6)", "rbm.gibbs(np.zeros((64, 784)), 10**6)"])
def test_sampling_answers_ctrl_c(call):
    """Within half a second, plus what a busy machine may add."""
    took = python(f"""
        import signal, threading, time
        import numpy as np
        from dlcore.models import RBM
        signal.signal(signal.SIGINT, signal.default_int_handler)
        rbm = RBM(784, 500)
        rbm.sample(1, steps=1)
        step = rbm.sample_generator.step
        sent = []

        def interrupt():
            time.sleep(0.3)
            sent.append(time.perf_counter())
            signal.raise_signal(signal.SIGINT)

        threading.Thread(target=interrupt).start()
        try:
            {call}
        except KeyboardInterrupt:
            print(time.perf_counter() - sent[0], rbm.sample_generator.step - step)
    """).split()
    assert float(took[0]) < 2.0
    assert int(took[1]) <= 1  # a fantasy's start has been drawn


def test_samples_are_probabilities_unless_binary_and_start_where_told():
    rbm = small()
    rbm.parameters.assign(
        {"weight": np.zeros((4, 3)), "visible_bias": [2.0, -2.0, 0.0, 1.0], "hidden_bias": np.zeros(3)}
    )
    np.testing.assert_allclose(rbm.sample(3, steps=2), np.tile(sigmoid(np.array([2.0, -2.0, 0.0, 1.0])), (3, 1)))
    strong = RBM(4, 4, dtype="float64")
    strong.parameters.assign(
        {"weight": 40 * np.eye(4), "visible_bias": np.full(4, -20.0), "hidden_bias": np.full(4, -20.0)}
    )
    start = np.array([[1.0, 0, 1, 0], [0, 1, 1, 1]])
    np.testing.assert_array_equal(strong.sample(2, steps=3, start=start, binary=True), start)


def test_sampling_does_not_disturb_training():
    one, two = (RBM(16, 8, seed=5) for _ in range(2))
    two.sample(3, steps=4)
    assert two.sample(3, steps=4).tobytes() != two.sample(3, steps=4).tobytes()
    for rbm in (one, two):
        rbm.fit(bars(), epochs=2)
    np.testing.assert_array_equal(one.parameters.storage.numpy(), two.parameters.storage.numpy())
