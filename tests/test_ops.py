"""The derivatives of every op, first and second order, against central differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import dlcore.ops as ops
import numpy as np
import pytest
from derivatives import Derivative, check_first, check_jacobian, check_second
from dlcore import Generator, Tensor, grad, tensor

Rng = np.random.Generator

NOT_DIFFERENTIABLE = {
    "ACTIVATIONS": "a tuple of names",
    "Generator": "the state of a random stream",
    "accuracy": "counts",
    "all_finite": "a test",
    "argmax": "an index",
    "bernoulli": "a sample; a constant by definition",
    "equal": "a comparison",
    "full": "makes a constant",
    "greater": "a comparison",
    "greater_equal": "a comparison",
    "normal": "a sample of a constant distribution",
    "one_hot": "its input is integers",
    "ones": "makes a constant",
    "permutation": "integers",
    "uniform": "a sample of a constant distribution",
    "within": "a test",
    "zeros": "makes a constant",
    "zeros_like": "makes a constant",
}


def normal(*shapes: tuple[int, ...]) -> Callable[[Rng], list[np.ndarray]]:
    return lambda rng: [rng.standard_normal(shape) for shape in shapes]


def between(low: float, high: float, *shapes: tuple[int, ...]) -> Callable[[Rng], list[np.ndarray]]:
    return lambda rng: [rng.uniform(low, high, shape) for shape in shapes]


def away_from(*kinks: float, shapes: Sequence[tuple[int, ...]] = ((3, 4),)) -> Callable[[Rng], list[np.ndarray]]:
    """Normal numbers, none within 0.05 of a kink."""

    def make(rng: Rng) -> list[np.ndarray]:
        arrays = [rng.standard_normal(shape) for shape in shapes]
        for x in arrays:
            for kink in kinks:
                near = abs(x - kink) < 0.05
                x[near] = kink + np.where(x[near] < kink, -0.05, 0.05)
        return arrays

    return make


def distinct(*shapes: tuple[int, ...]) -> Callable[[Rng], list[np.ndarray]]:
    """Numbers at least 0.1 apart within an array and between arrays: no ties, no near ties."""

    def make(rng: Rng) -> list[np.ndarray]:
        sizes = [int(np.prod(shape)) for shape in shapes]
        values = np.split(0.1 * (rng.permutation(sum(sizes)) - sum(sizes) / 2.0), np.cumsum(sizes)[:-1])
        return [v.reshape(shape) for v, shape in zip(values, shapes, strict=True)]

    return make


CASES: list[Derivative] = []


def add(names: str, f: Callable[..., Tensor], inputs: Callable[[Rng], Any], label: str = "", **options: Any) -> None:
    CASES.append(Derivative(tuple(names.split()), f, inputs, label=label, **options))


# --- elementwise ---
for name in ["negative", "square", "exp", "expm1", "sin", "cos"]:
    add(name, getattr(ops, name), normal((3, 4)))
for name in ["sqrt", "log", "log1p", "reciprocal"]:
    add(name, getattr(ops, name), between(0.4, 3.0, (3, 4)))
for name in ["abs", "sign"]:
    add(name, getattr(ops, name), away_from(0.0))
SHAPES = [((3, 4), (3, 4)), ((3, 4), (4,)), ((3, 1), (1, 4)), ((), (2, 3)), ((2, 1, 3), (4, 1)), ((1,), (1, 1))]
for name in ["add", "subtract", "multiply", "divide", "power"]:
    for pair in SHAPES:
        add(name, getattr(ops, name), between(0.5, 2.0, *pair), f"{pair[0]} {pair[1]}")
for name in ["maximum", "minimum"]:
    for pair in SHAPES[:5]:
        add(name, getattr(ops, name), distinct(*pair), f"{pair[0]} {pair[1]}")
add("affine", lambda x: ops.affine(x, -1.5, 0.25), normal((5,)))
add("power", lambda x: ops.power(x, 3), normal((4,)), "cube")
add("power", lambda x: ops.power(x, -0.5), between(0.5, 2.0, (4,)), "inverse root")
add("power", lambda x: ops.power(2.0, x), normal((4,)), "number to a tensor")
add("power", lambda x: ops.power(x, 0) + ops.power(x, 1) + ops.power(x, 2), normal((4,)), "exponents 0, 1, 2")
add("divide", lambda x: x / 3.0 + 3.0 / x, between(0.5, 2.0, (4,)), "by and of a number")
add("add subtract multiply", lambda x: (2.0 + x) * (3.0 - x) - x * 4.0 + (x - 1.0), normal((4,)), "with numbers")
add("clamp", lambda x: ops.clamp(x, -0.6, 0.8), away_from(-0.6, 0.8, shapes=[(4, 5)]))
MASK = np.array([[1, 0, 1], [0, 0, 1]], np.float64)
add("where", lambda a, b: ops.where(tensor(MASK), a, b), normal((2, 3), (2, 3)))
add("where", lambda a, b: ops.where(tensor(MASK), a, b), normal((3,), (2, 1)), "broadcast")
add("where", lambda a: ops.where(tensor(MASK), a, 2.0), normal((2, 3)), "a number")
# Linear, and exact in float32 for multiples of 1/64: the step can be large.
add(
    "cast",
    lambda x: ops.cast(ops.cast(x, "float32"), "float64"),
    lambda rng: [rng.integers(-64, 64, (3, 2)) / 64.0],
    step=1.0,
    tolerance=1e-6,
)

# --- movement and reductions ---
add("broadcast_to", lambda x: ops.broadcast_to(x, (2, 3, 4)), normal((3, 1)))
add("sum_to", lambda x: ops.sum_to(x, (3, 1)), normal((2, 3, 4)))
add("reshape", lambda x: ops.reshape(x, (2, -1)), normal((3, 4)))
add("transpose", ops.transpose, normal((2, 3)))
add("transpose", lambda x: ops.transpose(x, (2, 0, 1)), normal((2, 3, 2)), "rotated")
add("narrow", lambda x: ops.narrow(x, 1, 1, 2), normal((2, 4, 2)))
add("narrow", lambda x: ops.narrow(x, -1, 0, 1), normal((2, 3)), "last axis")
add("embed", lambda x: ops.embed(x, 0, 1, 5), normal((2, 3)))
add("concatenate", lambda a, b, c: ops.concatenate([a, b, c], 1), normal((2, 1), (2, 3), (2, 2)))
add("concatenate", lambda a: ops.concatenate([a, a], -1), normal((2, 2)), "the same twice")
add("stack", lambda a, b: ops.stack([a, b]), normal((3,), (3,)))
add("gather", lambda x: ops.gather(x, [2, 0, 2, 2]), normal((3, 2)))
add("scatter_add", lambda x: ops.scatter_add(x, [2, 0, 2], 4), normal((3, 2)))
MAPS = np.array([[[0.9, -0.3, 0.7], [0.2, 1.1, -0.4]], [[1.0, 0.0, 1.3], [0.1, 0.8, 0.2]]])
FIELD = 0.7 * np.sin(np.arange(48.0)).reshape(2, 2, 3, 4)
add("warp2d", lambda x: ops.warp2d(x, tensor(MAPS)), normal((2, 1, 3, 4)))
add("warp2d", lambda x: ops.warp2d(x, tensor(MAPS), tensor(FIELD), 0.5), normal((2, 2, 3, 4)), "a field")
for label, index in {
    "an integer": 1,
    "from the end": (-1, -2),
    "a slice": (slice(1, 3), slice(None, 2)),
    "a step": (slice(None), slice(None, None, 2)),
    "backwards": slice(None, None, -1),
    "an ellipsis": (..., 1),
    "a new axis": (None, 0),
    "a vector": [2, 0, 0],
    "a vector in a later axis": (slice(None), [1, -1]),
    "nothing": (),
    "an empty slice": slice(2, 2),
}.items():
    add("getitem", lambda x, index=index: ops.getitem(x, index), normal((3, 4)), label)
for axis in (None, 0, -1, (0, 2), ()):
    add("sum", lambda x, axis=axis: ops.sum(x, axis), normal((2, 3, 2)), f"axis {axis}")
    add("mean", lambda x, axis=axis: ops.mean(x, axis, keepdims=True), normal((2, 3, 2)), f"axis {axis}")
for axis in (None, 0, 1, -1):
    add("max", lambda x, axis=axis: ops.max(x, axis), distinct((2, 3, 2)), f"axis {axis}")
    add("min", lambda x, axis=axis: ops.min(x, axis, keepdims=True), distinct((2, 3, 2)), f"axis {axis}")
add("logsumexp", ops.logsumexp, normal((3, 4)))
add("dot", ops.dot, normal((2, 3), (2, 3)))

# --- activations ---
KINKED = ("relu", "leaky_relu", "elu")
for name in ["sigmoid", "tanh", "lecun_tanh", "relu", "leaky_relu", "elu", "softplus", "silu"]:
    add(name, getattr(ops, name), away_from(0.0) if name in KINKED else normal((3, 4)))
for kind in ops.ACTIVATIONS:
    add("activation", lambda x, kind=kind: ops.activation(x, kind), away_from(0.0), kind)
    # y is an input of its own here; it lies where the activation's values can lie.
    images = {"relu": (0.1, 2.0), "softplus": (0.1, 2.0), "sigmoid": (0.1, 0.9)}
    low, high = images.get(kind, (-0.9, 0.9))

    def dy_and_y(rng: Rng, low: float = low, high: float = high) -> list[np.ndarray]:
        y = rng.uniform(low, high, (3, 4))
        return [rng.standard_normal((3, 4)), np.where(abs(y) < 0.05, 0.1, y)]

    add("activation_grad", lambda dy, y, kind=kind: ops.activation_grad(dy, y, kind), dy_and_y, kind)
add(
    "activation",
    lambda x: ops.activation(x, "elu", 0.7) + ops.activation(x, "leaky_relu", 0.3),
    away_from(0.0),
    "given",
)
for name in ["softmax", "log_softmax"]:
    add(name, getattr(ops, name), normal((3, 4)))
    add(name + "_grad", getattr(ops, name + "_grad"), normal((3, 4), (3, 4)))

# --- products ---
for ta in (False, True):
    for tb in (False, True):
        shapes = ((4, 2) if ta else (2, 4), (3, 4) if tb else (4, 3))
        add("matmul", lambda a, b, ta=ta, tb=tb: ops.matmul(a, b, ta, tb), normal(*shapes), f"{ta} {tb}")
add("matmul", ops.matmul, normal((3,), (3, 2)), "a row")
add("matmul", ops.matmul, normal((2, 3), (3,)), "a column")
add("matmul", ops.matmul, normal((3,), (3,)), "vectors")
add("matmul", lambda a: ops.matmul(a, a, True), normal((3, 2)), "with itself")
for kind in ops.ACTIVATIONS:
    f = lambda x, w, b, kind=kind: ops.linear(x, w, b, kind)  # noqa: E731 - one of many
    # Inputs with which no pre-activation comes near the kink at 0.
    add("linear", f, between(0.2, 1.0, (3, 2), (2, 4), (4,)), kind)
add("linear", lambda x, w: ops.linear(x, w), normal((3, 2), (2, 4)), "no bias")
add("linear", lambda x, w, b: ops.linear(x, bias=b, weight=w), normal((3, 2), (2, 4), (4,)), "by name")

# --- convolution and pooling ---
for label, shapes, geometry in [
    ("plain", ((2, 2, 4, 5), (3, 2, 2, 3), (3,)), {}),
    ("strided", ((1, 2, 5, 6), (2, 2, 3, 2), (2,)), {"stride": (2, 3), "padding": (1, 2)}),
    ("dilated", ((1, 1, 5, 5), (2, 1, 2, 2), (2,)), {"dilation": (2, 3), "padding": 1}),
    ("grouped", ((1, 4, 3, 3), (4, 2, 2, 2), (4,)), {"groups": 2}),
    ("depthwise", ((2, 3, 3, 3), (3, 1, 2, 2), (3,)), {"groups": 3, "padding": 1, "stride": 2}),
]:
    add("conv2d", lambda x, w, b, geometry=geometry: ops.conv2d(x, w, b, **geometry), normal(*shapes), label)
add("conv2d", lambda x, w: ops.conv2d(x, w), normal((1, 1, 3, 3), (1, 1, 2, 2)), "no bias")
for kind in ("tanh", "relu", "elu"):
    f = lambda x, w, b, kind=kind: ops.conv2d(x, w, b, activation=kind)  # noqa: E731 - one of many
    add("conv2d", f, between(0.2, 1.0, (1, 2, 3, 3), (2, 2, 2, 2), (2,)), kind)
for geometry in ({}, {"stride": 2, "padding": 1, "dilation": 2}, {"groups": 2}):
    shapes = ((2, 2, 6), (2, 2 // geometry.get("groups", 1), 3), (2,))
    add("conv1d", lambda x, w, b, g=geometry: ops.conv1d(x, w, b, **g), normal(*shapes), str(geometry))
for label, shapes, geometry in [
    ("plain", ((2, 2, 3, 4), (2, 3, 3, 2), (3,)), {}),
    ("strided", ((2, 2, 3, 2), (2, 3, 3, 2), (3,)), {"stride": (2, 3), "padding": 1, "output_padding": (1, 2)}),
    ("dilated", ((1, 2, 3, 3), (2, 1, 2, 2), (1,)), {"dilation": 3, "padding": (1, 0), "output_padding": 2}),
    ("grouped", ((1, 4, 3, 3), (4, 2, 2, 2), (4,)), {"groups": 2, "stride": 2, "activation": "tanh"}),
]:
    add("conv_transpose2d", lambda x, w, b, g=geometry: ops.conv_transpose2d(x, w, b, **g), normal(*shapes), label)
add("upsample_nearest2d", lambda x: ops.upsample_nearest2d(x, (2, 3)), normal((2, 2, 3, 2)))
for kernel, stride, padding in [(2, None, 0), ((3, 2), (2, 1), (1, 1)), (3, 1, 1)]:
    options = (kernel, stride, padding)
    add("max_pool2d", lambda x, o=options: ops.max_pool2d(x, *o), distinct((1, 2, 5, 4)), str(options))
    add("avg_pool2d", lambda x, o=options: ops.avg_pool2d(x, *o), normal((1, 2, 5, 4)), str(options))
add("max_pool1d", lambda x: ops.max_pool1d(x, 3, 2, 1), distinct((2, 2, 7)))
add("avg_pool1d", lambda x: ops.avg_pool1d(x, 3, 2, 1), normal((2, 2, 7)))

# --- losses ---
LABELS = [2, 0, 3]
soft = lambda rng: [rng.standard_normal((3, 4)), rng.dirichlet(np.ones(4), 3)]  # noqa: E731
labelled = lambda x: ops.softmax_cross_entropy(x, tensor(LABELS, "int32"))  # noqa: E731
add("softmax_cross_entropy", labelled, normal((3, 4)), "labels")
add("softmax_cross_entropy", ops.softmax_cross_entropy, soft, "soft targets")
labelled_grad = lambda dy, x: ops.softmax_cross_entropy_grad(dy, x, tensor(LABELS, "int32"))  # noqa: E731
add("softmax_cross_entropy_grad", labelled_grad, normal((3,), (3, 4)), "labels")
add(
    "softmax_cross_entropy_grad",
    ops.softmax_cross_entropy_grad,
    lambda rng: [rng.standard_normal(3), *soft(rng)],
    "soft",
)
add("softmax_divergence", ops.softmax_divergence, soft)
for exponent in (0, 1, 2):
    power_of = lambda dy, r, s, k=exponent: ops.over_variance(dy, r, s, k)  # noqa: E731
    add("over_variance", power_of, normal((3, 4), (3, 4), (3, 4)), str(exponent))
add("sigmoid_cross_entropy", ops.sigmoid_cross_entropy, normal((3, 4), (3, 4)))
add("squared_error", ops.squared_error, normal((3, 4), (3, 4)))
# Predictions (and targets, where a derivative by them is defined) of each kind, away from kinks.
POINTWISE = {
    "squared": (0.5, normal((3, 4), (3, 4))),
    "absolute": (0.0, between(0.2, 1.0, (3, 4), (3, 4))),
    "epsilon_insensitive": (0.01, between(0.2, 1.0, (3, 4), (3, 4))),
    "huber": (0.7, between(0.2, 1.0, (3, 4), (3, 4))),
    "log_cosh": (0.0, normal((3, 4), (3, 4))),
    "logistic": (0.0, normal((3, 4), (3, 4))),
    "log_loss": (0.0, between(0.2, 0.8, (3, 4), (3, 4))),
    "kl": (0.0, between(0.2, 0.8, (3, 4), (3, 4))),
    "kl_log": (0.0, between(0.2, 0.8, (3, 4), (3, 4))),
    "poisson": (0.1, between(0.5, 2.0, (3, 4), (3, 4))),
    "poisson_log": (0.0, normal((3, 4), (3, 4))),
    "gaussian_kernel": (0.8, normal((3, 4), (3, 4))),
    "correntropy": (0.8, normal((3, 4), (3, 4))),
    "hinge": (1.0, normal((3, 4))),
    "squared_hinge": (1.0, normal((3, 4))),
    "focal": (1.7, normal((3, 4))),
}
SIGNS = np.where(np.arange(12).reshape(3, 4) % 3, 1.0, -1.0)  # no tensor yet: a test may run on another device
for kind, (parameter, inputs) in POINTWISE.items():
    fixed = () if len(inputs(np.random.default_rng(0))) == 2 else (SIGNS,)
    for op in (ops.pointwise_loss, ops.pointwise_loss_grad, ops.pointwise_loss_hessian):
        f = lambda *xs, op=op, rest=(*fixed, kind, parameter): op(*xs, *rest)  # noqa: E731
        weighted = op is not ops.pointwise_loss
        made = lambda rng, i=inputs, w=weighted: [*([rng.standard_normal((3, 4))] if w else []), *i(rng)]  # noqa: E731
        add(op.__name__, f, made, kind)
add("margin_of_loss", ops.margin_of_loss, between(0.1, 2.0, (5,)))
# The mask is a function of the generator's step: the same in every evaluation.
add("dropout", lambda x: ops.dropout(x, 0.4, Generator(3)), normal((4, 5)))

PARAMETERS = [pytest.param(case, id=" ".join([*case.names, case.label]).strip()) for case in CASES]


@pytest.mark.parametrize("case", PARAMETERS)
def test_gradient(case: Derivative, rng: Rng) -> None:
    check_first(case, rng)


@pytest.mark.parametrize("case", PARAMETERS)
def test_jacobian(case: Derivative, rng: Rng) -> None:
    check_jacobian(case, rng)


@pytest.mark.parametrize("case", PARAMETERS)
def test_second_derivative(case: Derivative, rng: Rng) -> None:
    check_second(case, rng)


def test_every_op_has_a_derivative_case() -> None:
    covered = {name for case in CASES for name in case.names}
    assert sorted(set(ops.__all__) - covered - set(NOT_DIFFERENTIABLE)) == []
    assert sorted((covered | set(NOT_DIFFERENTIABLE)) - set(ops.__all__)) == []
    assert covered.isdisjoint(NOT_DIFFERENTIABLE)


VARYING = [p for p in PARAMETERS if "pointwise_loss_hessian" not in p.values[0].names]  # some of those are 0 everywhere


@pytest.mark.parametrize("case", VARYING[:: len(VARYING) // 12])
def test_a_wrong_derivative_is_noticed(case: Derivative, rng: Rng) -> None:
    """The checks themselves: a function whose gradient is off by a thousandth fails them."""

    def scaled(*xs: Tensor) -> Tensor:
        with_gradient = case.f(*xs)
        without = case.f(*(Tensor(x.array) for x in xs))
        return with_gradient * 1.001 - without * 0.001

    wrong = Derivative(case.names, scaled, case.inputs, case.step, case.tolerance)
    with pytest.raises(AssertionError, match="expected"):
        check_first(wrong, rng)


def test_constants_have_no_gradient() -> None:
    x = tensor([[0.5, -1.0], [2.0, 0.25]], "float64")
    for constant in (
        lambda x: ops.greater(x, 0.0),
        lambda x: ops.greater_equal(x, 0.0),
        lambda x: ops.equal(x, 0.5),
        lambda x: ops.zeros_like(x) + 1.0,
        lambda x: ops.cast(ops.cast(x, "int32"), "float64"),
        lambda x: ops.bernoulli(Generator(1), ops.sigmoid(x)),
        lambda x: ops.one_hot(ops.argmax(x, 1), 2, "float64"),
    ):
        g = grad(lambda x, c=constant: ops.sum(x * c(x)))(x)
        assert g.numpy().tolist() == constant(x).numpy().tolist()


def test_gradients_at_kinks() -> None:
    def at(f: Callable[[Tensor], Tensor], *values: float) -> list[float]:
        return grad(lambda x: ops.sum(f(x)))(tensor(values)).numpy().tolist()

    assert at(ops.abs, -0.0, 0.0) == [0, 0]
    assert at(ops.relu, 0.0) == [0]
    assert at(lambda x: ops.clamp(x, -1.0, 1.0), -1.0, 1.0, 1.5) == [1, 1, 0]
    assert at(lambda x: ops.maximum(x, 2.0), 2.0, 3.0) == [0.5, 1]
    assert at(lambda x: ops.minimum(2.0, x), 2.0, 3.0) == [0.5, 0]
    assert at(ops.max, 1.0, 3.0, 3.0) == [0, 1, 0]
    assert at(ops.min, 3.0, 1.0, 1.0) == [0, 1, 0]
    assert at(lambda x: ops.power(x, tensor([0.0, 2.0])), 0.0, 0.0) == [0, 0]
    assert at(lambda x: ops.power(tensor([0.0, 0.0]), x), 0.0, 2.0) == [0, 0]
