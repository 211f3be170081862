"""The same methods on models: all data at once, and a few line searches a batch."""

import numpy as np
import pytest
from dlcore import Tensor, nn, ops, tensor
from dlcore.models import MLP
from dlcore.optim import BatchMinimizer, minimize_parameters

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 3)).astype(np.float64)
Y = X @ np.array([[1.0], [-2.0], [0.5]]) + 0.1 * RNG.standard_normal((40, 1))


def line():
    return nn.Sequential(nn.Linear(3, 1)).build(seed=0, dtype="float64")


def solution():
    return np.linalg.lstsq(np.hstack([X, np.ones((40, 1))]), Y, rcond=None)[0].reshape(-1)


def named(parameters):
    return np.concatenate([parameters["layers.0.weight"].numpy().reshape(-1), parameters["layers.0.bias"].numpy()])


@pytest.mark.parametrize(
    "method", ["gradient-descent", "cg", "bfgs", "l-bfgs", "newton", "newton-cg", "trust-exact", "trust-ncg"]
)
def test_linear_regression(method):
    net = line()
    f = lambda x, y: ops.mean(ops.square(net(x) - y))  # noqa: E731
    found = minimize_parameters(f, net.parameters, tensor(X), tensor(Y), method=method, tol=1e-9)
    assert found.success
    np.testing.assert_allclose(named(net.parameters), solution(), rtol=1e-6)
    np.testing.assert_array_equal(found.x, net.parameters.storage.numpy())


@pytest.mark.parametrize(
    ("method", "options"), [("gauss-newton", {}), ("lm", {}), ("lm", {"solver": "products"}), ("newton-cg", {})]
)
def test_residuals_of_a_model(method, options):
    net = line()
    found = minimize_parameters(
        None, net.parameters, tensor(X), tensor(Y), method=method, tol=1e-9, options=options,
        residual=lambda x, y: net(x) - y,
    )  # fmt: skip
    np.testing.assert_allclose(named(net.parameters), solution(), rtol=1e-6)
    assert found.fun == pytest.approx(0.5 * np.sum((net(tensor(X)).numpy() - Y) ** 2))


def test_a_float32_model_goes_as_far_as_its_type_allows():
    net = nn.Sequential(nn.Linear(3, 1)).build(seed=0)
    x, y = tensor(X, "float32"), tensor(Y, "float32")
    found = minimize_parameters(lambda: ops.mean(ops.square(net(x) - y)), net.parameters, tol=1e-6)
    np.testing.assert_allclose(named(net.parameters), solution(), rtol=1e-4)
    assert found.fun == pytest.approx(np.mean((net(x).numpy() - Y) ** 2), rel=1e-4)


@pytest.mark.parametrize("method", ["cg", "l-bfgs", "trust-ncg", "newton"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_theta_is_that_of_the_last_iteration_when_something_is_raised(method, error):
    net, accepted, calls = line(), [], 0
    accepted.append(net.parameters.storage.numpy())

    def f(x, y):
        nonlocal calls
        calls += 1
        if calls == 6:
            raise error("now")
        return ops.mean(ops.square(net(x) - y)) + ops.sum(net.parameters["layers.0.bias"] ** 4)

    with pytest.raises(error, match="now"):
        minimize_parameters(f, net.parameters, tensor(X), tensor(Y), method=method, callback=accepted.append, tol=0.0)
    np.testing.assert_array_equal(net.parameters.storage.numpy(), accepted[-1])


def test_the_model_holds_the_callbacks_point():
    net = line()

    def observe(x):
        np.testing.assert_array_equal(net.parameters.storage.numpy(), x)

    found = minimize_parameters(
        lambda: ops.mean(ops.square(net(tensor(X)) - tensor(Y))) + ops.sum(net.parameters["layers.0.weight"] ** 4),
        net.parameters, callback=observe, method="bfgs",
    )  # fmt: skip
    assert found.nit > 2


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"objective": None}, TypeError, "minimize_parameters: objective or residual is expected, neither is given"),
        ({"residual": lambda: 1}, TypeError, "objective or residual is expected, both are given"),
        ({"method": "lm"}, ValueError, "minimize_parameters: method 'lm' needs residual"),
        ({"method": "sgd"}, ValueError, "method is 'sgd', expected one of"),
        ({"parameters": [1.0]}, TypeError, r"parameters is a list, expected Parameters \(model.parameters\)"),
        ({"objective": lambda: tensor([1.0, 2.0])}, ValueError, r"the function returned shape \(2,\)"),
        ({"objective": lambda: tensor(np.nan)}, ValueError, r"f\(x0\) is nan"),
    ],
)
def test_what_is_refused(changes, error, message):
    net = line()
    before = net.parameters.storage.numpy()
    arguments = {"objective": lambda: ops.sum(net(tensor(X))), "parameters": net.parameters} | changes
    with pytest.raises(error, match=message):
        minimize_parameters(**arguments)
    np.testing.assert_array_equal(net.parameters.storage.numpy(), before)
    with pytest.raises(ValueError, match="the parameters are not finite at index 3"):
        net.parameters["layers.0.bias"].array.assign(tensor(np.array([np.inf])).array)
        minimize_parameters(lambda: ops.sum(net(tensor(X))), net.parameters)


def test_a_batch_gets_three_line_searches():
    """The θ after a batch is that of three iterations of minimize on the batch."""
    ours, reference = line(), line()
    f = lambda net: lambda x, y: ops.mean(ops.square(net(x) - y))  # noqa: E731
    optimizer = BatchMinimizer(ours.parameters)
    for rows in (slice(0, 20), slice(20, 40)):
        batch = [tensor(X[rows]), tensor(Y[rows])]
        before = f(ours)(*batch).item()
        assert optimizer.minimize_batch(f(ours), batch) == pytest.approx(before)
        minimize_parameters(
            f(reference), reference.parameters, *batch, method="cg", options={"maxiter": 3, "gtol": 0.0}
        )
        np.testing.assert_allclose(ours.parameters.storage.numpy(), reference.parameters.storage.numpy(), rtol=1e-12)
    assert optimizer.steps == 2


def test_dropout_keeps_its_mask_during_a_batch():
    net = nn.Sequential(nn.Linear(3, 8, "tanh"), nn.Linear(8, 1)).build(seed=0)
    generator, steps = ops.Generator(5), []
    x, y = tensor(X, "float32"), tensor(Y, "float32")

    def f(x, y):
        steps.append(generator.step)
        return ops.mean(ops.square(net(ops.dropout(x, 0.5, generator)) - y))

    optimizer = BatchMinimizer(net.parameters)
    optimizer.minimize_batch(f, [x, y], [generator])
    assert len(steps) > 3 and set(steps) == {0} and generator.step == 1
    optimizer.minimize_batch(f, [x, y], [generator])
    assert set(steps) == {0, 1}


def test_an_error_in_a_batch_leaves_theta_whole():
    net, calls = line(), 0
    before = net.parameters.storage.numpy()

    def f():
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return ops.sum(ops.square(net(tensor(X))))

    optimizer = BatchMinimizer(net.parameters)
    with pytest.raises(KeyboardInterrupt):
        optimizer.minimize_batch(f, [])
    np.testing.assert_array_equal(net.parameters.storage.numpy(), before)
    assert np.isnan(optimizer.minimize_batch(lambda: tensor(np.nan), []))
    np.testing.assert_array_equal(net.parameters.storage.numpy(), before)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"line_searches": 0}, ValueError, "BatchMinimizer: line_searches is 0, expected a positive integer"),
        ({"method": "lm"}, ValueError, "BatchMinimizer: method is 'lm', expected one of gradient-descent, cg"),
        ({"method": "what"}, ValueError, "method is 'what'"),
        ({"memory": 3}, ValueError, "'memory' is not an option of cg"),
        ({"formula": "no"}, ValueError, "formula is 'no'"),
        ({"maxiter": 3}, ValueError, "'maxiter' is a stopping rule; a batch ends after line_searches"),
    ],
)
def test_options_of_a_batch_minimizer(options, error, message):
    with pytest.raises(error, match=message):
        BatchMinimizer(line().parameters, **options)


def test_a_gradient_is_not_enough_for_a_line_search():
    net = line()
    with pytest.raises(TypeError, match="call minimize_batch"):
        BatchMinimizer(net.parameters).step(Tensor(net.parameters.storage.array))


# --- fit ---

CASES = RNG.standard_normal((60, 4)).astype(np.float32)
LABELS = (CASES[:, 0] + CASES[:, 1] ** 2 > 0.5).astype(np.int32)


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [("cg", {"line_searches": 3}), ("l-bfgs", {"line_searches": 5, "memory": 4}), ("newton-cg", {"line_searches": 2})],
)
def test_fit_by_line_searches(optimizer, options):
    model = MLP([4, 16, 2], seed=0)
    history = model.fit(CASES, LABELS, optimizer=optimizer, batch_size=30, epochs=15, progress=False, **options)
    assert history["loss"][-1] < 0.3 * history["loss"][0]
    assert model.score(CASES, LABELS) > 0.9


def test_fit_says_what_line_searches_do_not_take():
    model = MLP([4, 2], seed=0)
    with pytest.raises(ValueError, match="optimizer 'cg' finds its steps by line searches and takes no lr or schedule"):
        model.fit(CASES, LABELS, optimizer="cg", lr=0.1)
    with pytest.raises(ValueError, match="'momentum' is not an option of cg"):
        model.fit(CASES, LABELS, optimizer="cg", momentum=0.9)
    with pytest.raises(ValueError, match=r"optimizer is 'lm', expected one of sgd, .*, cg, bfgs"):
        model.fit(CASES, LABELS, optimizer="lm")


def test_a_resumed_fit_ends_in_the_bits_of_an_undisturbed_one(tmp_path):
    from dlcore.train import Checkpoint

    arguments = {"optimizer": "cg", "batch_size": 20, "line_searches": 2, "progress": False}
    whole = MLP([4, 8, 2], dropout=0.2, seed=3)
    whole.fit(CASES, LABELS, epochs=4, **arguments)
    MLP([4, 8, 2], dropout=0.2, seed=3).fit(
        CASES, LABELS, epochs=2, callbacks=[Checkpoint(tmp_path / "fit.dlcore")], **arguments
    )
    resumed = MLP([4, 8, 2], dropout=0.2, seed=3)
    resumed.fit(CASES, LABELS, epochs=4, resume=tmp_path / "fit.dlcore", **arguments)
    np.testing.assert_array_equal(resumed.parameters.storage.numpy(), whole.parameters.storage.numpy())
