"""RBM: what the options of fit must not change."""

import numpy as np
import pytest
from dlcore.models import RBM
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


def test_fit_transform_is_fit_then_transform():
    x = bars(40)
    one, two = RBM(16, 5, seed=1), RBM(16, 5, seed=1)
    two.fit(x, epochs=2)
    np.testing.assert_array_equal(one.fit_transform(x, epochs=2), two.transform(x))
