"""Learning from cases with missing values: the gradient of log p(observed values), by enumeration."""

import numpy as np
import pytest
from dlcore.models import RBM
from dlcore.models.rbm.cases import Cases, Completions
from dlcore.models.rbm.contrastive import Steps
from dlcore.train import Checkpoint
from machines import SIGMAS, Exact, bars, small

NAN = np.nan
DATA = np.array([[1, NAN, 0, 1], [0, 0, NAN, NAN], [1, 1, 1, 1], [NAN, 1, 0, NAN]])


def log_likelihood(rbm, row):
    """log p(numbers of the row), all else summed out."""
    exact = Exact(rbm)
    return np.log(exact.p_v[(exact.v[:, ~np.isnan(row)] == row[~np.isnan(row)]).all(1)].sum())


def exact_gradient(rbm, weight=None):
    """−∇ mean log p(observed), by central differences of the enumerated likelihood."""
    share = np.full(len(DATA), 1 / len(DATA)) if weight is None else np.asarray(weight) / np.sum(weight)
    other = RBM(4, 3, dtype="float64")
    theta = rbm.parameters.storage.numpy()
    found = np.empty(len(theta))

    def loss(at):
        w, b, c = at[:12].reshape(4, 3), at[12:16], at[16:]
        other.parameters.assign({"weight": w, "visible_bias": b, "hidden_bias": c})
        return -sum(s * log_likelihood(other, row) for s, row in zip(share, DATA, strict=True))

    for i in range(len(theta)):
        step = np.zeros(len(theta))
        step[i] = 1e-5
        found[i] = (loss(theta + step) - loss(theta - step)) / 2e-5
    return found


@pytest.mark.parametrize("weight", [None, [1.0, 3.0, 0.5, 2.0]], ids=["alike", "weighed"])
@pytest.mark.parametrize(
    "options", [{"persistent": True}, {"tempering": 3}, {"k": 30}], ids=["PCD", "tempered", "CD-30"]
)
def test_gradient_is_that_of_the_observed_values(options, weight):
    """Each estimate is a mean of 200 copies of the data whose missing values are sampled after 40 steps or more."""
    rbm = small(**{"n_chains": 400} | options)
    x, copies = np.tile(DATA, (200, 1)), 100
    cases = rbm.fit_cases(x, "fit", None if weight is None else np.tile(weight, 200), "nan")
    assert cases.holes
    steps = steps_of(rbm, cases)
    apart = 1 if "k" in options else 8  # after which chains of 4 × 3 units remember nothing
    for _ in range(40 // apart):
        estimate(steps, apart)
    found = np.stack([estimate(steps, apart) for _ in range(copies)])
    error = found.std(0, ddof=1) / np.sqrt(copies)
    expected = exact_gradient(rbm, weight)
    assert (np.abs(found.mean(0) - expected) < SIGMAS * error).all()
    assert error.max() < 0.0035
    assert np.abs(expected).max() > 0.15  # which leaving the missing values at their first guess does not give


def steps_of(rbm, cases):
    """The steps of a fit of one batch, with parameters that stay."""
    from dlcore.optim import SGD
    from dlcore.train import Run

    optimizer = SGD(rbm.parameters, lr=0.0)
    run = Run(rbm, 1, optimizer, rbm.generators, None, 1, {})
    steps = rbm.steps_of(run, cases, cases.count, None, 0.0, False, False)
    assert isinstance(steps, Steps)
    steps.completions.begin(rbm.machine)
    return steps


def estimate(steps, times):
    """The last of so many gradients."""
    return [gradient_of(steps) for _ in range(times)][-1]


def gradient_of(steps):
    _, gradient = steps.gradient(*steps.cases.batch(steps.cases.columns(numbered=True)))
    steps.completions.keep()
    return gradient.numpy()


def test_completions_go_on_from_epoch_to_epoch():
    """What was noted for each case, in the order of the batches, is its state after the epoch."""
    from dlcore.tensor import tensor

    given = tensor(np.full((5, 2), NAN))
    kept = Completions(given, tensor(np.zeros((5, 2))))
    for index in ([3, 0], [4, 1], [2]):
        kept.note(tensor(index, "int32"), tensor(np.array([[i, 10.0 + i] for i in index])))
        kept.keep()
    assert np.array_equal(kept.state.numpy(), [[i, 10.0 + i] for i in range(5)])
    assert np.array_equal(kept.take(tensor([2, 2], "int32")).numpy(), [[2, 12], [2, 12]])


def holey(n=80, share=0.3):
    x = bars(n)
    x[np.random.default_rng(5).random(x.shape) < share] = NAN
    return x


@pytest.mark.parametrize("options", [{}, {"persistent": True, "n_chains": 10}], ids=["CD", "PCD"])
def test_fit_goes_on_to_the_bit(options, tmp_path):
    x = holey()

    def fit(epochs, **arguments):
        rbm = RBM(16, 5, seed=2, **options)
        rbm.fit(x, missing="nan", batch_size=30, epochs=epochs, validation_data=holey(20), **arguments)
        return rbm

    whole = fit(4, watch="pseudo_log_likelihood")
    fit(2, callbacks=[Checkpoint(tmp_path / "half")])
    resumed = fit(4, resume=tmp_path / "half")
    assert np.array_equal(whole.parameters.storage.numpy(), resumed.parameters.storage.numpy())
    for record in whole.history.records:
        assert all(np.isfinite(list(record.values())))


def test_learning_restores_what_is_missing():
    """Rows of the bars whose pixels are half missing are filled as the others of the row say."""
    full = bars(500, flip=0.02)
    x = full.copy()
    x[np.random.default_rng(1).random(x.shape) < 0.4] = NAN
    rbm = RBM(16, 12, seed=1)
    history = rbm.fit(x, missing="nan", epochs=60, batch_size=25, lr=0.2)
    filled = rbm.impute(x, steps=30, draws=30)
    wrong = np.abs(filled - full)[np.isnan(x)].mean()
    assert wrong < 0.15  # 0.5 without learning
    assert history.records[-1]["reconstruction_error"] < 0.3 < 2.0 < history.records[0]["reconstruction_error"]


def test_biases_begin_at_the_means_of_what_is_there():
    rbm = RBM(4, 3, dtype="float64")
    rbm.fit(DATA, missing="nan", epochs=1, lr=0.0)
    known = ~np.isnan(DATA)
    p = (np.nansum(DATA, 0) + 1) / (known.sum(0) + 2)
    assert np.allclose(rbm.parameters["visible_bias"].numpy(), np.log(p / (1 - p)), rtol=1e-12)


def test_complete_cases_learn_as_ever():
    a, b = (RBM(16, 5, seed=2) for _ in range(2))
    a.fit(bars(50), epochs=2)
    b.fit(bars(50), epochs=2, missing="nan")
    assert np.array_equal(a.parameters.storage.numpy(), b.parameters.storage.numpy())
    assert Cases(a.as_cases(bars(3), "")).is_plain


def test_without_the_option_nan_stays_an_error():
    rbm = RBM(4, 3)
    for call, who in [(rbm.fit, "fit"), (rbm.partial_fit, "partial_fit"), (rbm.cd_gradient, "cd_gradient")]:
        with pytest.raises(ValueError, match=rf"^{who}: x has nan in row 0, expected values in \[0, 1\]$"):
            call(DATA)
    with pytest.raises(ValueError, match=r"^fit: missing is None, expected 'error' or 'nan'$"):
        rbm.fit(DATA, missing=None)
    with pytest.raises(ValueError, match=r"^fit: x has inf in row 0, expected values in \[0, 1\]$"):
        rbm.fit(np.where(np.isnan(DATA), NAN, np.inf), missing="nan")
