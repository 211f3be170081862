"""RBM: what the options of fit must not change."""

import numpy as np
import pytest
from dlcore.models import DBN, RBM
from machines import bars


def test_adamw_leaves_the_decay_to_the_fit():
    x = bars(40)
    one, two = RBM(16, 5, seed=1), RBM(16, 5, seed=1)
    one.fit(x, epochs=4, optimizer="adamw", lr=0.01, weight_decay=0.0)
    two.fit(x, epochs=4, optimizer="adam", lr=0.01, weight_decay=0.0)
    np.testing.assert_allclose(
        one.parameters.storage.numpy(), two.parameters.storage.numpy(), rtol=2e-5, atol=1e-8
    )  # AdamW's own decay would make weights smaller by 4e-4


@pytest.mark.parametrize("persistent", [False, True])
def test_watching_changes_nothing(persistent):
    x = bars(40)
    one, two = (RBM(16, 5, seed=1, persistent=persistent, n_chains=10) for _ in range(2))
    one.fit(x, epochs=3)
    two.fit(x, epochs=3, validation_data=bars(1500, seed=2))
    np.testing.assert_array_equal(one.parameters.storage.numpy(), two.parameters.storage.numpy())
    assert one.fit_generator.step == two.fit_generator.step == 3 * (1 + 2 * 1)  # an order and a chain for each epoch


def test_numpy_numbers_are_numbers():
    x = bars(40)
    one, two = RBM(16, 5, seed=1), RBM(np.int64(16), np.int32(5), k=np.int64(1), seed=np.uint8(1))
    one.fit(x, epochs=6, batch_size=10, lr=0.25, momentum=(0.5, 0.75), weight_decay=0.125)
    two.fit(x, epochs=np.int64(6), batch_size=np.int64(10), lr=np.float32(0.25), momentum=np.array([0.5, 0.75]),
            weight_decay=np.float32(0.125))  # fmt: skip
    np.testing.assert_array_equal(one.parameters.storage.numpy(), two.parameters.storage.numpy())
    DBN([16, 4, 3], 2).pretrain(x, epochs=np.array([1, 2]), lr=np.array([0.1, 0.2]))


def test_fit_transform_is_fit_then_transform():
    x = bars(40)
    one, two = RBM(16, 5, seed=1), RBM(16, 5, seed=1)
    two.fit(x, epochs=2)
    np.testing.assert_array_equal(one.fit_transform(x, epochs=2), two.transform(x))
