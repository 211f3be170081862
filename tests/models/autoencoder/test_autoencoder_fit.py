"""Fits of every variant: resumed after a kill to the same bits, weighted, in parts."""

import numpy as np
import pytest
from dlcore.models import (
    Autoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
)
from dlcore.models.composition import conv, dense, dropout
from dlcore.train import Checkpoint
from resuming import Kill, figures, state

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 1, (20, 6)).astype(np.float32)
VARIANTS = {
    "deep, linear code": lambda **o: Autoencoder([6, 5, 4, 2], "sigmoid", "identity", **o),
    "tied": lambda **o: Autoencoder([6, 5, 2], "tanh", tied=True, **o),
    "masking": lambda **o: DenoisingAutoencoder([6, 5], "sigmoid", **o),
    "salt-and-pepper": lambda **o: DenoisingAutoencoder([6, 5], corruption="salt-and-pepper", level=0.2, **o),
    "gaussian": lambda **o: DenoisingAutoencoder([6, 5], corruption="gaussian", loss="squared_error", **o),
    "l1": lambda **o: SparseAutoencoder([6, 9], **o),
    "kl": lambda **o: SparseAutoencoder([6, 9], penalty="kl", rho=0.2, **o),
    "contractive": lambda **o: ContractiveAutoencoder([6, 5], **o),
    "convolutional": lambda **o: ConvolutionalAutoencoder(
        (1, 2, 3), [conv(2, 2), dropout(0.2), dense(3)], "tanh", corruption="masking", **o
    ),
    "stacked": lambda **o: StackedAutoencoder([6, 5, 3], **o),
    "contractive, deep": lambda **o: ContractiveAutoencoder([6, 5, 3], **o),
}
NOISY = ("masking", "salt-and-pepper", "gaussian", "convolutional", "stacked")


@pytest.mark.parametrize("optimizer", ["adam", "cg"])
@pytest.mark.parametrize("name", VARIANTS)
def test_resumed_bits_equal_undisturbed_bits(name, optimizer, tmp_path):
    path = tmp_path / "c"
    arguments = {
        "epochs": 5, "batch_size": 7, "validation_fraction": 0.2, "optimizer": optimizer,
        "sample_weight": np.arange(20) % 3,
    }  # fmt: skip
    whole, broken, resumed = (VARIANTS[name](seed=3) for _ in range(3))
    expected = whole.fit(X, early_stopping=4, **arguments)
    with pytest.raises(KeyboardInterrupt):
        broken.fit(X, early_stopping=4, callbacks=[Checkpoint(path, every=2), Kill(4)], **arguments)
    history = resumed.fit(X, early_stopping=4, resume=path, **arguments)
    assert figures(history) == figures(expected)
    assert state(resumed) == state(whole)


@pytest.mark.parametrize("name", [name for name in VARIANTS if name not in NOISY])
def test_a_weight_of_two_is_a_case_twice(name):
    """Full batches: weights 1, 2, 0 against cases once, twice, never."""
    weight = np.arange(20) % 3
    one, two = (VARIANTS[name](seed=3, dtype="float64") for _ in range(2))
    arguments = {"epochs": 3, "batch_size": 99, "optimizer": "sgd", "lr": 0.01, "shuffle": False}
    one.fit(X, sample_weight=weight, **arguments)
    two.fit(np.repeat(X, weight, axis=0), **arguments)
    found, expected = one.parameters.storage.numpy(), two.parameters.storage.numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("kind", ["denoising", "contractive", "convolutional"])
def test_the_bits_do_not_depend_on_the_threads(kind, device):
    x = RNG.uniform(0, 1, (300, 196))
    found = []
    for threads in (1, 2, 4):
        device.set_num_threads(threads)
        model = {
            "denoising": lambda: DenoisingAutoencoder([196, 300], corruption="salt-and-pepper"),
            "contractive": lambda: ContractiveAutoencoder([196, 100, 8]),
            "convolutional": lambda: ConvolutionalAutoencoder((1, 14, 14), corruption="gaussian", loss="squared_error"),
        }[kind]()
        model.fit(x, epochs=1, batch_size=150)
        found.append(model.parameters.storage.numpy().tobytes())
    assert len(set(found)) == 1


@pytest.mark.parametrize("name", VARIANTS)
def test_partial_fits_take_the_steps_of_one_epoch(name):
    whole, parts = VARIANTS[name](seed=1), VARIANTS[name](seed=1)
    whole.fit(X, epochs=1, batch_size=5, optimizer="sgd", lr=0.05, momentum=0.9, shuffle=False)
    assert parts.partial_fit(X[:10], batch_size=5, optimizer="sgd", lr=0.05, momentum=0.9) is parts
    parts.partial_fit(X[10:], batch_size=5)  # the optimizer goes on
    assert parts.parameters.storage.numpy().tobytes() == whole.parameters.storage.numpy().tobytes()
    with pytest.raises(ValueError, match=r"^partial_fit: x has shape \(2, 9\), expected "):
        parts.partial_fit(np.ones((2, 9)))


def test_a_pretraining_ends_a_stream():
    stack = VARIANTS["stacked"](seed=1).partial_fit(X)
    stack.pretrain(X, epochs=1)
    assert stack.online is None


def test_validation_and_early_stopping():
    model = VARIANTS["l1"](seed=1)
    history = model.fit(X[:10], epochs=500, lr=0.05, validation_data=X[10:], early_stopping=5)
    assert len(history) < 500
    best = history["validation_loss"][history.best("validation_loss")]
    assert -model.score(X[10:]) == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        (np.ones(3), ValueError, r"fit: sample_weight has shape \(3,\), expected \(20,\)"),
        (-np.ones(20), ValueError, "fit: sample_weight is -1.0 at index 0, expected a finite number >= 0"),
        (np.zeros(20), ValueError, "fit: sample_weight is 0 for all cases"),
        (["a"] * 20, TypeError, "fit: sample_weight has dtype <U1"),
    ],
)
def test_weights_that_are_refused(weight, error, message):
    model = VARIANTS["l1"]()
    with pytest.raises(error, match=message):
        model.fit(X, sample_weight=weight)
    assert len(model.history) == 0
