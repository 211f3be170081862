"""DBN: what the up-down algorithm's steps leave alone, whatever makes them and however they end."""

import numpy as np
import pytest
from beliefs import SIZES, theta
from dlcore.models import DBN
from dlcore.optim import SGD, Adam
from resuming import End
from test_dbn_labels import three_classes


def test_an_optimizer_of_ones_own():
    """It makes the steps of the one by name, and leaves the layer of scores, whatever it decays."""
    x, _ = three_classes(60)
    named, own, decayed = (DBN(SIZES, 3, seed=1) for _ in range(3))
    named.fit_up_down(x, epochs=2, optimizer="adam", lr=0.01)
    own.fit_up_down(x, epochs=2, optimizer=lambda parameters: Adam(parameters, lr=0.01))
    assert theta(own).tobytes() == theta(named).tobytes()
    scores = decayed.parameters["recognition.layers.2.weight"].numpy()
    decayed.fit_up_down(x, epochs=1, optimizer=lambda parameters: SGD(parameters, lr=0.01, weight_decay=0.5))
    np.testing.assert_array_equal(decayed.parameters["recognition.layers.2.weight"].numpy(), scores)
    assert theta(decayed).tobytes() != theta(named).tobytes()


def test_a_stopped_epoch_leaves_the_network_with_the_newest_weights():
    x, y = three_classes(200)
    dbn = DBN(SIZES, 3, label_units=True, seed=3)
    with pytest.raises(KeyboardInterrupt):
        dbn.fit_up_down(x, y, batch_size=20, epochs=2, callbacks=[End(5)])
    found, expected = dbn.belief.recognition.layers[0].weight, dbn.belief.inference[0].weight
    np.testing.assert_array_equal(found.numpy(), expected.numpy())


@pytest.mark.parametrize("classes, figure", [(3, "validation_loss"), (None, "validation_reconstruction_error")])
def test_early_stopping(classes, figure):
    x, y = three_classes(60)
    labels, held = ([], x[:9]) if classes is None else ([y], (x[:9], y[:9]))
    dbn = DBN(SIZES, classes, label_units=classes is not None, seed=1)
    with pytest.raises(ValueError, match=f"fit_up_down: early stopping on '{figure}' needs validation_data"):
        dbn.fit_up_down(x, *labels, early_stopping=2)
    twin = dbn.clone()
    history = dbn.fit_up_down(x, *labels, epochs=300, lr=0.3, early_stopping=2, validation_data=held)
    assert len(history) < 300
    best = history.best(figure)
    assert best == len(history) - 3
    twin.fit_up_down(x, *labels, epochs=best + 1, lr=0.3, validation_data=held)
    assert theta(twin).tobytes() == theta(dbn).tobytes(), "the best epoch's parameters"
