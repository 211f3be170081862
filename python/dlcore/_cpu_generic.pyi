"""A device module, as Python sees it: the functions that csrc/README.md describes. Every module has these."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

class Array:
    """A contiguous row-major array in the device's memory."""

    device: ClassVar[ModuleType]
    device_name: ClassVar[str]

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def ndim(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def dtype(self) -> str: ...
    def numpy(self) -> np.ndarray[Any, Any]: ...
    def item(self) -> float | int: ...
    def reshape(self, shape: Sequence[int]) -> Array: ...
    def view(self, offset: int, shape: Sequence[int]) -> Array: ...
    def views(self, layout: list[tuple[int, tuple[int, ...]]]) -> list[Array]: ...
    def copy(self) -> Array: ...
    def assign(self, source: Array) -> None: ...
    def dlpack(self) -> object: ...

# array
def from_numpy(source: np.ndarray[Any, Any]) -> Array: ...
def from_dlpack(capsule: object) -> Array: ...
def empty(shape: Sequence[int], dtype: str) -> Array: ...
def watch_writes(entries: list[Any]) -> None: ...
def unwatch_writes() -> None: ...
def noted_writes() -> int: ...
def is_overwritten(array: Array, entry: int) -> bool: ...

# runtime
def cpu_features() -> dict[str, bool]: ...
def num_threads() -> int: ...
def set_num_threads(n: int) -> None: ...
def teams_started() -> int: ...
def memory_stats() -> dict[str, int]: ...
def release_cached_memory() -> None: ...
def set_allocation_checks(on: bool) -> None: ...
def guard_violations() -> int: ...
def fail_allocation_after(n: int) -> None: ...

# elementwise
def negative(x: Array) -> Array: ...
def abs(x: Array) -> Array: ...
def sign(x: Array) -> Array: ...
def square(x: Array) -> Array: ...
def sqrt(x: Array) -> Array: ...
def reciprocal(x: Array) -> Array: ...
def exp(x: Array) -> Array: ...
def expm1(x: Array) -> Array: ...
def log(x: Array) -> Array: ...
def log1p(x: Array) -> Array: ...
def sin(x: Array) -> Array: ...
def cos(x: Array) -> Array: ...
def add(a: Array, b: Array) -> Array: ...
def subtract(a: Array, b: Array) -> Array: ...
def multiply(a: Array, b: Array) -> Array: ...
def divide(a: Array, b: Array) -> Array: ...
def power(a: Array, b: Array) -> Array: ...
def maximum(a: Array, b: Array) -> Array: ...
def minimum(a: Array, b: Array) -> Array: ...
def greater(a: Array, b: Array) -> Array: ...
def greater_equal(a: Array, b: Array) -> Array: ...
def equal(a: Array, b: Array) -> Array: ...
def affine(x: Array, scale: float, shift: float) -> Array: ...
def power_scalar(x: Array, exponent: float) -> Array: ...
def clamp(x: Array, low: float, high: float) -> Array: ...
def where(condition: Array, a: Array, b: Array) -> Array: ...
def axpy(alpha: float, x: Array, y: Array) -> Array: ...
def full(shape: Sequence[int], value: float, dtype: str) -> Array: ...
def cast(x: Array, dtype: str) -> Array: ...

# movement
def transpose(x: Array, axes: Sequence[int]) -> Array: ...
def broadcast_to(x: Array, shape: Sequence[int]) -> Array: ...
def concatenate(arrays: Sequence[Array], axis: int) -> Array: ...
def narrow(x: Array, axis: int, start: int, length: int) -> Array: ...
def embed(x: Array, axis: int, start: int, length: int) -> Array: ...
def gather(x: Array, indices: Array) -> Array: ...
def gather_csr(data: Array, indices: Array, indptr: Array, columns: int, rows: Array) -> Array: ...
def scatter_add(x: Array, indices: Array, rows: Array) -> Array: ...
def one_hot(labels: Array, classes: int, dtype: str) -> Array: ...
def warp2d(x: Array, maps: Array, field: Array | None = None, fill: float = 0.0) -> Array: ...
def warp2d_grad(dy: Array, maps: Array, field: Array | None = None) -> Array: ...

# reduce
def sum(x: Array, axes: Sequence[int] | None, keepdims: bool) -> Array: ...
def sum_to(x: Array, shape: Sequence[int]) -> Array: ...
def max(x: Array, axis: int | None, keepdims: bool) -> tuple[Array, Array]: ...
def min(x: Array, axis: int | None, keepdims: bool) -> tuple[Array, Array]: ...
def argmax(x: Array, axis: int | None) -> Array: ...
def logsumexp(x: Array) -> Array: ...
def dot(a: Array, b: Array) -> float: ...
def all_finite(x: Array) -> bool: ...

# activation
def activation(x: Array, kind: str, parameter: float) -> Array: ...
def activation_grad(dy: Array, y: Array, kind: str, parameter: float) -> Array: ...
def softmax(x: Array) -> Array: ...
def softmax_grad(dy: Array, y: Array) -> Array: ...
def log_softmax(x: Array) -> Array: ...
def log_softmax_grad(dy: Array, y: Array) -> Array: ...

# matmul
def matmul(
    a: Array,
    b: Array,
    transpose_a: bool = False,
    transpose_b: bool = False,
    alpha: float = 1.0,
    beta: float = 0.0,
    out: Array | None = None,
) -> Array: ...
def set_matmul_precision(mode: str) -> bool: ...
def linear(
    x: Array, weight: Array, bias: Array | None = None, activation: str = "identity", parameter: float = 0.0
) -> Array: ...

# conv
def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    activation: str = "identity",
    parameter: float = 0.0,
) -> Array: ...
def conv2d_input_grad(
    dy: Array,
    weight: Array,
    input_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Array: ...
def conv2d_weight_grad(
    x: Array,
    dy: Array,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    out: Array | None = None,
) -> Array: ...

# pool
def max_pool2d(
    x: Array, kernel_size: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> tuple[Array, Array]: ...
def max_pool2d_grad(dy: Array, indices: Array, input_size: Sequence[int]) -> Array: ...
def max_pool2d_gather(x: Array, indices: Array) -> Array: ...
def avg_pool2d(x: Array, kernel_size: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> Array: ...
def avg_pool2d_grad(
    dy: Array, kernel_size: Sequence[int], stride: Sequence[int], padding: Sequence[int], input_size: Sequence[int]
) -> Array: ...

# loss
def softmax_cross_entropy(logits: Array, targets: Array) -> Array: ...
def softmax_cross_entropy_grad(dlosses: Array, logits: Array, targets: Array) -> Array: ...
def pointwise_loss(prediction: Array, target: Array, kind: str, parameter: float) -> Array: ...
def pointwise_loss_grad(dlosses: Array, prediction: Array, target: Array, kind: str, parameter: float) -> Array: ...
def pointwise_loss_hessian(dlosses: Array, prediction: Array, target: Array, kind: str, parameter: float) -> Array: ...

# random
def random_words(key: int, step: int, first_block: int, blocks: int) -> Array: ...
def uniform(key: int, step: int, shape: Sequence[int], low: float, high: float, dtype: str) -> Array: ...
def normal(key: int, step: int, shape: Sequence[int], mean: float, std: float, dtype: str) -> Array: ...
def permutation(key: int, step: int, n: int) -> Array: ...
def bernoulli(key: int, step: int, probabilities: Array) -> Array: ...
def dropout(key: int, step: int, x: Array, p: float) -> Array: ...

# rbm
RbmUnits = tuple[Sequence[tuple[str, int, int]], Array | None, str] | None  # see csrc/bind/rbm.h, read_units

def rbm_hidden(v: Array, weight: Array, hidden_bias: Array, units: RbmUnits = None) -> Array: ...
def rbm_visible(h: Array, weight: Array, visible_bias: Array, units: RbmUnits = None) -> Array: ...
def rbm_sample_hidden(
    v: Array, weight: Array, hidden_bias: Array, key: int, step: int, units: RbmUnits = None
) -> tuple[Array, Array]: ...
def rbm_sample_visible(
    h: Array, weight: Array, visible_bias: Array, key: int, step: int, units: RbmUnits = None
) -> tuple[Array, Array]: ...
def rbm_gibbs(
    v: Array,
    weight: Array,
    visible_bias: Array,
    hidden_bias: Array,
    k: int,
    key: int,
    step: int,
    units: RbmUnits = None,
) -> tuple[Array, Array]: ...
def rbm_cd(
    v: Array,
    weight: Array,
    visible_bias: Array,
    hidden_bias: Array,
    k: int,
    key: int,
    step: int,
    chains: Array | None = None,
    out: Array | None = None,
    units: RbmUnits = None,
    centring: tuple[Array, float] | None = None,
    sparsity: tuple[Array, float, float, float] | None = None,
    weight_decay: float = 0.0,
    fixed_variance: bool = False,
    scaled_steps: bool = False,
) -> tuple[Array, float]: ...
def rbm_epoch(
    data: Array,
    order: Array | None,
    theta: Array,
    n_hidden: int,
    batch_size: int,
    k: int,
    key: int,
    step: int,
    lr: Array,
    momentum: Array,
    done: Array,
    errors: Array,
    velocity: Array | None = None,
    chains: Array | None = None,
    units: RbmUnits = None,
    centring: tuple[Array, float] | None = None,
    sparsity: tuple[Array, float, float, float] | None = None,
    weight_decay: float = 0.0,
    fixed_variance: bool = False,
    scaled_steps: bool = False,
    dampening: float = 0.0,
    nesterov: bool = False,
    first_step: bool = True,
) -> None: ...
def rbm_free_energy(
    v: Array, weight: Array, visible_bias: Array, hidden_bias: Array, units: RbmUnits = None
) -> Array: ...
def rbm_log_partition(
    weight: Array,
    visible_bias: Array,
    hidden_bias: Array,
    first: int = 0,
    count: int | None = None,
    units: RbmUnits = None,
) -> float: ...
def rbm_ais(
    v: Array,
    weight: Array,
    visible_bias: Array,
    hidden_bias: Array,
    base_bias: Array,
    betas: Array,
    key: int,
    step: int,
    log_weights: Array,
) -> None: ...
def rbm_pseudo_log_likelihood(v: Array, weight: Array, visible_bias: Array, hidden_bias: Array) -> Array: ...
def rbm_temper(
    replicas: Array,
    weight: Array,
    visible_bias: Array,
    hidden_bias: Array,
    base_bias: Array,
    betas: Array,
    k: int,
    key: int,
    step: int,
    accepted: Array,
    units: RbmUnits = None,
) -> Array: ...
def rbm_clamped_gibbs(
    given: Array,
    state: Array,
    weight: Array,
    visible_bias: Array,
    hidden_bias: Array,
    k: int,
    key: int,
    step: int,
    units: RbmUnits = None,
) -> tuple[Array, Array]: ...
def rbm_statistics(
    v: Array,
    row_weights: Array,
    weight: Array,
    visible_bias: Array,
    hidden_bias: Array,
    units: RbmUnits = None,
    data: int = 0,
    centring: tuple[Array, float] | None = None,
    sparsity: tuple[Array, float, float, float] | None = None,
    weight_decay: float = 0.0,
    fixed_variance: bool = False,
    scaled_steps: bool = False,
) -> Array: ...

# optimizer
def sgd(
    theta: Array,
    grad: Array,
    velocity: Array | None,
    lr: float,
    momentum: float,
    dampening: float,
    nesterov: bool,
    weight_decay: float,
    first_step: bool = False,
    grad_scale: float = 1.0,
    segments: Sequence[tuple[int, int]] | None = None,
) -> None: ...
def adagrad(
    theta: Array,
    grad: Array,
    sum_of_squares: Array,
    lr: float,
    eps: float,
    weight_decay: float,
    grad_scale: float = 1.0,
    segments: Sequence[tuple[int, int]] | None = None,
) -> None: ...
def rmsprop(
    theta: Array,
    grad: Array,
    square_average: Array,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum_buffer: Array | None = None,
    momentum: float = 0.0,
    gradient_average: Array | None = None,
    grad_scale: float = 1.0,
    segments: Sequence[tuple[int, int]] | None = None,
) -> None: ...
def adadelta(
    theta: Array,
    grad: Array,
    square_average: Array,
    delta_average: Array,
    lr: float,
    rho: float,
    eps: float,
    weight_decay: float,
    grad_scale: float = 1.0,
    segments: Sequence[tuple[int, int]] | None = None,
) -> None: ...
def adam(
    theta: Array,
    grad: Array,
    first_moment: Array,
    second_moment: Array,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    max_second_moment: Array | None = None,
    grad_scale: float = 1.0,
    segments: Sequence[tuple[int, int]] | None = None,
) -> None: ...
def adamw(
    theta: Array,
    grad: Array,
    first_moment: Array,
    second_moment: Array,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    max_second_moment: Array | None = None,
    grad_scale: float = 1.0,
    segments: Sequence[tuple[int, int]] | None = None,
) -> None: ...
def nadam(
    theta: Array,
    grad: Array,
    first_moment: Array,
    second_moment: Array,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    mu: float,
    mu_next: float,
    mu_product: float,
    decoupled: bool = False,
    grad_scale: float = 1.0,
    segments: Sequence[tuple[int, int]] | None = None,
) -> None: ...
def rprop(
    theta: Array,
    grad: Array,
    previous_gradient: Array,
    step_sizes: Array,
    eta_minus: float,
    eta_plus: float,
    step_min: float,
    step_max: float,
    grad_scale: float = 1.0,
    segments: Sequence[tuple[int, int]] | None = None,
) -> None: ...
def lion(
    theta: Array,
    grad: Array,
    first_moment: Array,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    grad_scale: float = 1.0,
    segments: Sequence[tuple[int, int]] | None = None,
) -> None: ...
def average_weights(average: Array, theta: Array, decay: float) -> None: ...
def norm(x: Array, segments: Sequence[tuple[int, int]] | None = None) -> float: ...
