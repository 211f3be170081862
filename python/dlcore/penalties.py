"""Terms added to a loss: objective = loss + λ · penalty."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from . import ops
from .calculus import vjp
from .losses.base import number
from .tensor import Tensor

Penalty = Callable[..., Tensor]


def _total(terms: Iterable[Tensor], name: str) -> Tensor:
    total: Tensor | None = None
    for term in terms:
        total = term if total is None else total + term
    if total is None:
        raise ValueError(f"{name}: no tensors are given")
    return total


def _cases(x: Tensor, name: str, what: str = "code") -> int:
    if x.ndim == 0 or x.shape[0] == 0:
        raise ValueError(f"{name}: the {what} has shape {x.shape}, expected at least one case")
    return x.shape[0]


def _mean(terms: Tensor, sample_weight: Tensor | None) -> Tensor:
    """Mean of (n,) terms, each times its case's weight."""
    total = ops.sum(terms if sample_weight is None else terms * sample_weight)
    return ops.affine(total, 1.0 / terms.shape[0], 0.0)


def l1(*tensors: Tensor) -> Tensor:
    """Σ |w| over all elements of the tensors; the derivative at 0 is 0.

    Gradient steps only come near 0: for exact zeros see `dlcore.optim.ProximalL1`.

    References
    ----------
    Tibshirani (1996), Regression shrinkage and selection via the lasso.
    """
    return _total((ops.sum(ops.abs(w)) for w in tensors), "l1")


def l2(*tensors: Tensor) -> Tensor:
    """½ Σ w² over all elements of the tensors, so that λ is the weight decay."""
    return ops.affine(_total((ops.sum(ops.square(w)) for w in tensors), "l2"), 0.5, 0.0)


def elastic_net(*tensors: Tensor, l1_ratio: float = 0.5) -> Tensor:
    """l1_ratio Σ |w| + (1 − l1_ratio) ½ Σ w² over all elements of the tensors.

    Parameters
    ----------
    l1_ratio : in [0, 1]

    References
    ----------
    Zou, Hastie (2005), Regularization and variable selection via the elastic net.
    """
    ratio = number("elastic_net", l1_ratio, "l1_ratio", 0.0, math.nextafter(1.0, 2.0))
    if not tensors:
        raise ValueError("elastic_net: no tensors are given")
    return ops.affine(l1(*tensors), ratio, 0.0) + ops.affine(l2(*tensors), 1 - ratio, 0.0)


def activity_l1(code: Tensor, sample_weight: Tensor | None = None) -> Tensor:
    """Mean over the cases (rows) of Σ |h|: the sparsity penalty on a hidden code.

    Parameters
    ----------
    code : (n, ...)
    sample_weight : (n,), optional: what each case's term is multiplied by

    References
    ----------
    Olshausen, Field (1996), Emergence of simple-cell receptive field properties.
    """
    n = _cases(code, "activity_l1")
    if sample_weight is None:
        return ops.affine(ops.sum(ops.abs(code)), 1.0 / n, 0.0)
    return _mean(ops.sum(ops.abs(ops.reshape(code, (n, code.size // n))), 1), sample_weight)


def kl_sparsity(code: Tensor, rho: float = 0.05, sample_weight: Tensor | None = None) -> Tensor:
    """Σ over units of ρ log(ρ / ρ̂) + (1 − ρ) log((1 − ρ) / (1 − ρ̂)), ρ̂ the unit's mean activity over the cases.

    Zero where every unit is active with probability ρ, infinite where one is always 0 or always 1.

    Parameters
    ----------
    code : (n, ...) activities in [0, 1], of sigmoid units
    rho : in (0, 1), the activity wanted
    sample_weight : (n,) numbers >= 0, optional: ρ̂ = Σ w h / Σ w; without a weight above 0 the penalty is 0

    References
    ----------
    Lee, Ekanadham, Ng (2008), Sparse deep belief net model for visual area V2. Ng (2011), Sparse autoencoder.
    """
    target = number("kl_sparsity", rho, "rho", 0.0, 1.0, closed=False)
    n = _cases(code, "kl_sparsity")
    if not ops.within(code, 0, 1):
        low, high = ops.min(code).item(), ops.max(code).item()
        raise ValueError(f"kl_sparsity: the code has values from {low:g} to {high:g}, expected activities in [0, 1]")
    total: float = n
    if sample_weight is not None:
        total = ops.sum(sample_weight).item()
        if total == 0:
            return ops.zeros((), code.dtype, code.device)
        code = code * ops.reshape(sample_weight, (n, *(1,) * (code.ndim - 1)))
    mean = ops.affine(ops.sum(code, 0), 1.0 / total, 0.0)
    wanted = ops.full(mean.shape, target, mean.dtype, mean.device)
    on = ops.pointwise_loss(mean, wanted, "kl")
    off = ops.pointwise_loss(ops.affine(mean, -1.0, 1.0), ops.affine(wanted, -1.0, 1.0), "kl")
    return ops.sum(on + off)


def contractive(
    code: Tensor, weight: Tensor, activation: str = "sigmoid", sample_weight: Tensor | None = None
) -> Tensor:
    """Mean over the cases of ‖∂h/∂x‖² = Σ_j s′(a_j)² Σ_i W_ij² for a code h = s(x W + b): exact, and cheaper than the
    layer. For more layers see `contractive_deep`, for other codes `jacobian_norm`.

    Parameters
    ----------
    code : h (n, units), the layer's output
    weight : W (inputs, units)
    activation : one of `dlcore.ops.ACTIVATIONS`
    sample_weight : (n,), optional: what each case's term is multiplied by

    References
    ----------
    Rifai, Vincent, Muller, Glorot, Bengio (2011), Contractive auto-encoders, equations 3 and 5.
    """
    _check_layer(code, weight, activation, "contractive", "code")
    slopes = ops.square(_slope(code, activation))
    return _mean(ops.sum(slopes * ops.sum(ops.square(weight), 0), 1), sample_weight)


def contractive_deep(
    outputs: Sequence[Tensor],
    weights: Sequence[Tensor],
    activations: Sequence[str],
    sample_weight: Tensor | None = None,
) -> Tensor:
    """Mean over the cases of ‖∂h_L/∂x‖² for h_l = s_l(h_(l−1) W_l + b_l), h_0 = x: exact.

    J = W_1 D_1 ⋯ W_L D_L, D_l the slopes of a case, is multiplied out from the code's side for all cases at once, and
    ‖W_1 Q‖² is Σ Q ∘ (W_1ᵀ W_1) Q where the first layer has fewer units than inputs. The cost is
    n · code units · Σ_(l ≥ 2) inputs_l · units_l multiplications and, for the first layer, n · code units · units_1 ·
    min(inputs, units_1): about as much as code-unit many passes of the batch through the encoder.

    Parameters
    ----------
    outputs : h_1 … h_L, each (n, units_l)
    weights : W_1 … W_L, each (inputs_l, units_l)
    activations : names of s_1 … s_L, of `dlcore.ops.ACTIVATIONS`
    sample_weight : (n,), optional: what each case's term is multiplied by

    References
    ----------
    Rifai et al. (2011), Contractive auto-encoders, section 3; the chain rule.
    """
    layers = len(outputs)
    if not layers or len(weights) != layers or len(activations) != layers:
        raise ValueError(
            f"contractive_deep: {layers} outputs, {len(weights)} weights, {len(activations)} activations, "
            "expected one of each for each layer"
        )
    for i, (output, weight, activation) in enumerate(zip(outputs, weights, activations, strict=True)):
        _check_layer(output, weight, activation, "contractive_deep", f"output {i}")
        if i and (weight.shape[0] != outputs[i - 1].shape[1] or output.shape[0] != outputs[0].shape[0]):
            raise ValueError(f"contractive_deep: layer {i} does not fit on output {i - 1}, {outputs[i - 1].shape}")
    if layers == 1:
        return contractive(outputs[0], weights[0], activations[0], sample_weight)
    n, units = outputs[-1].shape
    slopes = ops.reshape(_slope(outputs[-1], activations[-1]), (n, units, 1))
    rows = slopes * ops.transpose(weights[-1])  # (n, code units, units below): a row of each case's Jacobian
    for i in range(layers - 2, -1, -1):
        width = outputs[i].shape[1]
        rows = rows * ops.reshape(_slope(outputs[i], activations[i]), (n, 1, width))
        rows = ops.reshape(rows, (n * units, width))
        if i:
            rows = ops.reshape(ops.matmul(rows, weights[i], transpose_b=True), (n, units, weights[i].shape[0]))
    first = weights[0]
    if first.shape[1] < first.shape[0]:
        squares = rows * ops.matmul(rows, ops.matmul(first, first, transpose_a=True))
    else:
        squares = ops.square(ops.matmul(rows, first, transpose_b=True))
    return _mean(ops.sum(ops.reshape(squares, (n, squares.size // n)), 1), sample_weight)


def _slope(output: Tensor, activation: str) -> Tensor:
    """s′(a) of a layer, from its output s(a)."""
    return ops.activation_grad(ops.ones(output.shape, output.dtype, output.device), output, activation)


def _check_layer(output: Tensor, weight: Tensor, activation: str, name: str, what: str) -> None:
    if activation not in ops.ACTIVATIONS:
        raise ValueError(f"{name}: activation is {activation!r}, expected one of {', '.join(ops.ACTIVATIONS)}")
    if output.ndim != 2 or weight.ndim != 2 or output.shape[1] != weight.shape[1]:
        raise ValueError(
            f"{name}: {what} is {output.shape}, weight is {weight.shape}, expected (n, units) and (inputs, units)"
        )
    _cases(output, name, what)


def jacobian_norm(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Mean over the cases of ‖∂f(x)/∂x‖², the squared Frobenius norm of each case's Jacobian.

    One backward walk a component of f for the whole batch, so f must treat the cases apart (no batch statistics).

    Parameters
    ----------
    f : (n, ...) -> (n, units)
    x : (n, ...)
    """
    n = _cases(x, "jacobian_norm", "input")
    y = f(x)
    if y.ndim != 2 or y.shape[0] != n:
        raise ValueError(f"jacobian_norm: the function returned {y.shape}, expected ({n}, units)")
    pulled = vjp(f)
    total = ops.zeros((), x.dtype, x.device)
    for unit in range(y.shape[1]):
        column = ops.one_hot([unit] * n, y.shape[1], y.dtype, y.device)
        total = total + ops.sum(ops.square(pulled(column, x)))
    return ops.affine(total, 1.0 / n, 0.0)


def proximal_l1(x: Tensor, threshold: float) -> Tensor:
    """sign(x) max(0, |x| − threshold), exactly 0 within: argmin over z of ½ ‖z − x‖² + threshold ‖z‖₁.

    References
    ----------
    Donoho (1995), De-noising by soft-thresholding; Parikh, Boyd (2014), Proximal algorithms, section 6.5.2.
    """
    limit = number("proximal_l1", threshold, "threshold")
    return x - ops.clamp(x, -limit, limit)


def of(penalty: Penalty, *tensors: Tensor, **options: Any) -> Penalty:
    """The penalty of these tensors, whatever the batch: a term for an `Objective`."""

    def term(*batch: Any, **unused: Any) -> Tensor:
        return penalty(*tensors, **options)

    return term


class Objective:
    """loss + Σ λ · penalty, a function like its loss.

    Parameters
    ----------
    loss : (*batch) -> Tensor of one element
    penalties : name=(λ, penalty) with λ >= 0 and penalty : (*batch) -> Tensor of one element; `of` makes one of tensors

    Examples
    --------
    >>> objective = Objective(
    ...     lambda x, y: losses.cross_entropy(net(x), y),
    ...     decay=(1e-4, penalties.of(penalties.l2, net.parameters["layers.0.weight"])),
    ...     sparsity=(0.1, lambda x, y: penalties.kl_sparsity(net.encode(x))),
    ... )
    >>> loss, gradient = value_and_grad(objective, net.parameters)(x, y)
    """

    def __init__(self, loss: Penalty, **penalties: tuple[float, Penalty]) -> None:
        if not callable(loss):
            raise TypeError(f"Objective: loss is a {type(loss).__name__}, expected a function")
        self.loss = loss
        self.penalties: dict[str, tuple[float, Penalty]] = {}
        for name, term in penalties.items():
            if not isinstance(term, tuple) or len(term) != 2 or not callable(term[1]):
                raise TypeError(f"Objective: {name} is {term!r}, expected (weight, function)")
            self.penalties[name] = number("Objective", term[0], f"the weight of {name}"), term[1]

    def __call__(self, *batch: Any, **options: Any) -> Tensor:
        total = self.loss(*batch, **options)
        for weight, penalty in self.penalties.values():
            if weight:
                total = total + ops.affine(penalty(*batch, **options), weight, 0.0)
        return total

    def terms(self, *batch: Any, **options: Any) -> dict[str, float]:
        """The values of "loss" and of each penalty, without its λ; what a progress line shows."""
        found = {"loss": self.loss(*batch, **options).item()}
        for name, (_, penalty) in self.penalties.items():
            found[name] = penalty(*batch, **options).item()
        return found
