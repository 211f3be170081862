"""DBN: the up-down algorithm: each phase's gradient against enumeration, training, files, resumed fits."""

import pickle

import dlcore
import numpy as np
import pytest
from beliefs import QUICK, SIZES, labelled, machines, theta
from dlcore import Generator
from dlcore.models import DBN
from dlcore.models.dbn.up_down import UpDownGradient
from dlcore.train import Checkpoint, EarlyStopping
from machines import SIGMAS, sigmoid, states
from resuming import End, figures, state
from test_dbn_labels import three_classes

BATCHES, CASES = 200, 250


def untied(widths, classes=0, seed=5):
    """A network whose recognition and generative weights have nothing in common."""
    dbn = DBN(widths, classes or None, label_units=bool(classes), dtype="float64", seed=seed)
    rng = np.random.default_rng(seed)
    dbn.parameters.assign({name: 0.9 * rng.standard_normal(x.shape) for name, x in dbn.parameters.items()})
    return dbn


class Phases:
    """The same network in float64 NumPy: distributions of all states, and the expected gradients of a case."""

    def __init__(self, dbn):
        parts = {name: value.numpy() for name, value in dbn.parameters.items()}
        count = len(dbn.belief.inference)
        self.G = [(parts[f"machines.{i}.weight"], parts[f"machines.{i}.visible_bias"]) for i in range(count)]
        self.R = [(parts[f"inference.{i}.weight"], parts[f"inference.{i}.bias"]) for i in range(count)]
        self.W, self.b, self.c = (parts[f"machines.{count}.{n}"] for n in ("weight", "visible_bias", "hidden_bias"))
        self.width = dbn.belief.widths[-2]
        classes = len(self.b) - self.width
        f = states(self.width)
        self.seen = f if not classes else np.array([[*row, *label] for row in f for label in np.eye(classes)])
        self.h = states(len(self.c))
        up = sigmoid(self.seen @ self.W + self.c)
        self.up = bernoulli(up, self.h)
        field = self.b + self.h @ self.W.T
        on = sigmoid(field[:, : self.width])
        self.down = bernoulli(on, self.seen[:, : self.width])
        if classes:
            share = np.exp(field[:, self.width :])
            share /= share.sum(1, keepdims=True)
            self.down *= share @ self.seen[:, self.width :].T

    def wake(self, v):
        """Expected gradients of the generative layers, and p(s) of the highest inferred layer's states."""
        low, p, found = v[None, :], np.ones(1), []
        for (W, b), (R, r) in zip(self.G, self.R, strict=True):
            high = states(len(r))
            joint = p[:, None] * bernoulli(sigmoid(low @ R + r), high)  # (low states, high states)
            error = sigmoid(high @ W.T + b)[None] - low[:, None]
            found.append((np.einsum("lh,lhv,hj->vj", joint, error, high), np.einsum("lh,lhv->v", joint, error)))
            low, p = high, joint.sum(0)
        return found, p

    def top(self, p, label, k):
        """The expected CD-k gradient [W, b, c] from features of distribution p, and p(h) of the chains' ends."""
        start = p if label is None else (p[:, None] * label[None]).reshape(-1)
        h = start @ self.up
        for _ in range(k):
            end = h @ self.down
            h = end @ self.up
        means = sigmoid(self.seen @ self.W + self.c)
        difference = end - start
        parts = (np.einsum("s,si,sj->ij", difference, self.seen, means), difference @ self.seen, difference @ means)
        return np.concatenate([part.ravel() for part in parts]), h

    def sleep(self, h):
        """Expected gradients of the recognition layers, from the states of the top layer."""
        marginal = h @ self.down
        high = states(self.width)
        share = np.array([marginal[(self.seen[:, : self.width] == row).all(1)].sum() for row in high])
        found = []
        for i in reversed(range(len(self.G))):
            (W, b), (R, r) = self.G[i], self.R[i]
            on = sigmoid(high @ W.T + b)
            if i == 0:  # the visible states are probabilities
                error = sigmoid(on @ R + r) - high
                found.append((np.einsum("h,hv,hj->vj", share, on, error), share @ error))
                break
            low = states(len(b))
            joint = share[:, None] * bernoulli(on, low)  # (high states, low states)
            error = sigmoid(low @ R + r)[None] - high[:, None]
            found.append((np.einsum("hl,lv,hlj->vj", joint, low, error), np.einsum("hl,hlj->j", joint, error)))
            high, share = low, joint.sum(0)
        return found[::-1]


def bernoulli(p, x):
    """Probability of each state in the rows of x under each row of means p."""
    return np.prod(np.where(x[None] == 1, p[:, None], 1 - p[:, None]), -1)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("widths, classes", [((3, 3, 2), 0), ((3, 3, 2), 2), ((3, 2, 3, 2), 3)])
def test_each_phase_has_the_enumerated_gradient(widths, classes, k):
    dbn = untied(widths, classes)
    v, label = np.array([1.0, 0.3, 0.0]), np.eye(classes)[1] if classes else None
    exact = Phases(dbn)
    wake, p = exact.wake(v)
    top, h = exact.top(p, label, k)
    sleep = exact.sleep(h)
    expected = {name: np.zeros(x.shape) for name, x in dbn.parameters.items()}
    for i, ((W, b), (R, r)) in enumerate(zip(wake, sleep, strict=True)):
        expected[f"machines.{i}.weight"], expected[f"machines.{i}.visible_bias"] = W, b
        expected[f"inference.{i}.weight"], expected[f"inference.{i}.bias"] = R, r

    cases = dlcore.tensor(np.tile(v, (CASES, 1)), "float64")
    labels = None if label is None else dlcore.tensor(np.tile(label, (CASES, 1)), "float64")
    gradient = UpDownGradient(dbn.belief)
    generator = Generator(7)
    drawn = np.stack([gradient(cases, labels, k, generator)[0].numpy() for _ in range(BATCHES)])
    mean, error = drawn.mean(0), drawn.std(0, ddof=1) / np.sqrt(BATCHES) + 1e-12
    offset = 0
    for name, x in dbn.parameters.items():
        if name.startswith(f"machines.{len(widths) - 2}."):
            part = {"weight": top[: x.size], "visible_bias": top[-x.size - len(exact.c) : -len(exact.c)]}
            wanted = part.get(name.split(".")[-1], top[-x.size :])
        else:
            wanted = expected[name].ravel()
        found = slice(offset, offset + x.size)
        assert (np.abs(mean[found] - wanted.ravel()) <= SIGMAS * error[found]).all(), name
        offset += x.size


def test_a_gradient_is_of_as_many_chains_as_there_are():
    """Persistent chains: as many as given, moved on in place, by k steps from call to call."""
    dbn = untied((3, 3, 2), 2)
    exact = Phases(dbn)
    v, label = np.array([1.0, 0.0, 1.0]), np.array([0.0, 1.0])
    chains = dlcore.tensor(np.ones((50_000, 2)), "float64")
    gradient = UpDownGradient(dbn.belief)
    found, _ = gradient(
        dlcore.tensor(v[None], "float64"), dlcore.tensor(label[None], "float64"), 2, Generator(1), chains
    )
    h = np.array([0.0, 0.0, 0.0, 1.0])
    for _ in range(2):
        h = h @ exact.down @ exact.up
    share = np.array([(chains.numpy() == row).all(1).mean() for row in exact.h])
    assert (np.abs(share - h) <= SIGMAS * np.sqrt(h * (1 - h) / 50_000)).all()
    ((W, b),) = exact.sleep(h)
    parts = dbn.parameters.split(found)
    np.testing.assert_allclose(parts["inference.0.weight"].numpy(), W, atol=SIGMAS / np.sqrt(50_000))
    np.testing.assert_allclose(parts["inference.0.bias"].numpy(), b, atol=SIGMAS / np.sqrt(50_000))


def test_an_epoch_is_the_steps_of_its_gradients():
    """Momentum, decay of the weights that learn, and what stays: hidden biases below the top, the network's scores."""
    x, y = three_classes(60)
    one = DBN(SIZES, 3, label_units=True, seed=1, dtype="float64")
    one.pretrain(x, y, **QUICK)
    two = one.clone()
    one.fit_up_down(x, y, epochs=1, batch_size=20, lr=0.05, momentum=0.5, weight_decay=0.1, k=2, shuffle=False)
    gradient = UpDownGradient(two.belief)
    names = [name for name in two.parameters if not name.startswith("recognition")]
    velocity = dict.fromkeys(names, 0.0)
    for first in range(0, 60, 20):
        batch = dlcore.tensor(x[first : first + 20], "float64")
        labels = dlcore.tensor(np.eye(3)[y[first : first + 20]], "float64")
        parts = two.parameters.split(gradient(batch, labels, 2, two.fit_generator)[0])
        new = {name: value.numpy() for name, value in two.parameters.items()}
        for name in names:
            decay = 0.1 * new[name] if name.endswith(".weight") else 0.0
            velocity[name] = 0.5 * velocity[name] + parts[name].numpy() + decay
            new[name] = new[name] - 0.05 * velocity[name]
        two.parameters.assign(new)
    for name in names:
        np.testing.assert_allclose(one.parameters[name].numpy(), two.parameters[name].numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(one.parameters["recognition.layers.0.weight"].numpy(),
                                  one.parameters["inference.0.weight"].numpy())  # fmt: skip
    top = machines(one)[-1]
    np.testing.assert_array_equal(one.parameters["recognition.layers.1.label_weight"].numpy(), top["weight"][10:])


# --- learning ---


def test_the_label_error_falls_and_both_directions_are_kept(tmp_path):
    x, y = three_classes(400)
    held, truth = three_classes(300, seed=1)
    dbn = DBN([16, 20, 12], 3, label_units=True, seed=1)
    dbn.pretrain(x, y, epochs=6, batch_size=20)
    before = 1 - dbn.score(held, truth)
    history = dbn.fit_up_down(
        x, y, epochs=40, batch_size=20, lr=0.05, momentum=0.5, k=(1, 2), validation_data=(held, truth)
    )
    assert history.names == [
        "reconstruction_error", "validation_reconstruction_error", "validation_loss", "validation_accuracy", "seconds",
    ]  # fmt: skip
    error = 1 - dbn.score(held, truth)
    assert history.last["validation_accuracy"] == pytest.approx(1 - error) and error < 0.5 * before, (before, error)
    low, inference = dbn.belief.machines[0], dbn.belief.inference[0]
    assert np.abs(low.weight.numpy() - inference.weight.numpy()).max() > 0.01
    dbn.save(tmp_path / "dbn")
    for other in (dlcore.load(tmp_path / "dbn"), pickle.loads(pickle.dumps(dbn)), dbn.clone()):
        np.testing.assert_array_equal(theta(other), theta(dbn))
        np.testing.assert_array_equal(other.sample(3, y=1, steps=2), dbn.clone().sample(3, y=1, steps=2))


def test_without_labels_the_bound_rises():
    x, _ = labelled(400)
    dbn = DBN([16, 12, 8], dtype="float64", seed=1)
    dbn.pretrain(x, epochs=5, batch_size=20)
    before = dbn.log_likelihood_bound(x, samples=10).value
    history = dbn.fit_up_down(
        x, epochs=40, batch_size=20, lr=0.05, persistent=True, n_chains=50, validation_data=x[:50]
    )
    assert history.names == ["reconstruction_error", "validation_reconstruction_error", "seconds"]
    after = dbn.log_likelihood_bound(x, samples=10)
    assert after.value > before + 0.3, (before, after.value)


@pytest.mark.parametrize("persistent", [False, True])
def test_resumed_bits_equal_undisturbed_bits(tmp_path, persistent):
    x, y = three_classes(200)
    given = {"epochs": 6, "batch_size": 30, "momentum": 0.9, "k": [1, 2], "persistent": persistent, "n_chains": 9}

    def ready():
        dbn = DBN([*SIZES, 5], 3, label_units=True, seed=3)
        dbn.pretrain(x, y, **QUICK)
        return dbn

    whole, broken, resumed = ready(), ready(), ready()
    expected = whole.fit_up_down(x, y, **given)
    with pytest.raises(KeyboardInterrupt):
        broken.fit_up_down(x, y, callbacks=[Checkpoint(tmp_path / "c"), End(31)], **given)
    found = resumed.fit_up_down(x, y, resume=tmp_path / "c", **given)
    assert figures(found) == figures(expected) and state(resumed) == state(whole)
    for dbn in (whole, resumed):
        dbn.fit(x, y, epochs=1)
    assert state(resumed) == state(whole)
    with pytest.raises(ValueError, match=r"its k was \[1, 2\], this fit's is \[1\]"):
        resumed.fit_up_down(x, y, resume=tmp_path / "c", **(given | {"k": 1}))
    with pytest.raises(ValueError, match="cannot resume"):
        resumed.fit(x, y, epochs=6, resume=tmp_path / "c")


def test_same_bits_for_any_number_of_threads(device):
    x, y = three_classes(200)
    found = []
    for threads in (1, 2):
        device.set_num_threads(threads)
        dbn = DBN([16, 40, 60], 3, label_units=True, seed=3)
        dbn.pretrain(x, y, epochs=1, batch_size=100)
        dbn.fit_up_down(x, y, epochs=2, batch_size=100)
        found.append(theta(dbn).tobytes())
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"x": np.full((60, 16), 2.0)}, "fit_up_down: x has 2.0 in row 0"),
        ({"y": None}, "fit_up_down: y is None, expected labels for the label units"),
        ({"k": 0}, "fit_up_down: k is 0, expected an integer from 1"),
        ({"k": []}, r"fit_up_down: k is \[\], expected an integer from 1"),
        ({"epochs": -1}, "fit: epochs is -1, expected an integer >= 0"),
        ({"lr": -1.0}, "SGD: lr is -1.0, expected"),
        ({"momentum": 1.0}, "SGD: momentum is 1.0, expected"),
        ({"weight_decay": -1}, "fit_up_down: weight_decay is -1, expected a finite number >= 0"),
        ({"persistent": 1}, "fit_up_down: persistent is 1, expected True or False"),
        ({"persistent": True, "n_chains": 0}, "fit_up_down: n_chains is 0, expected an integer from 1"),
        ({"groups": []}, "fit_up_down: groups are the method's own"),
        ({"optimizer": "cg"}, "fit: optimizer is 'cg', expected one of sgd"),
        ({"batch_size": 0}, "fit: batch_size is 0, expected a positive integer"),
        ({"validation_data": np.zeros((3, 16))}, r"fit_up_down: validation_data is not a pair \(x, y\)"),
        ({"validation_data": (np.zeros((0, 16)), [])}, "fit_up_down: validation_data has no cases"),
        ({"callbacks": [EarlyStopping("loss")]}, "EarlyStopping: monitor is 'loss', the history has reconstruction_er"),
    ],
)
def test_refusals(arguments, message):
    x, y = three_classes(60)
    dbn = DBN(SIZES, 3, label_units=True, seed=1)
    before = state(dbn)
    with pytest.raises(ValueError, match=message):
        dbn.fit_up_down(**({"x": x, "y": y, "epochs": 1} | arguments))
    assert state(dbn) == before


def test_steps_that_are_too_large_are_reported():
    x, y = three_classes(60)
    dbn = DBN(SIZES, 3, label_units=True, seed=1)
    with pytest.raises(FloatingPointError, match="the parameters are again those before the fit"):
        dbn.fit_up_down(x, y, epochs=3, lr=1e38, weight_decay=1e10)
    assert np.isfinite(theta(dbn)).all()


def test_gaussian_visible_units_are_refused():
    with pytest.raises(ValueError, match="fit_up_down: the visible units are 'gaussian', expected 'bernoulli'"):
        DBN([4, 3, 2], visible="gaussian").fit_up_down(np.zeros((3, 4)))
