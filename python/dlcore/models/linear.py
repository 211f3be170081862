"""Linear models: scores = x W + b under the heads of `dlcore.models.heads`."""

from __future__ import annotations

from typing import Any

from ..nn import Linear, Sequential, initializers
from ..tensor import tensor
from ..train import register
from .base import sizes
from .least_squares import LeastSquaresResult, least_squares
from .supervised import Supervised


class _LinearModel(Supervised):
    """One affine map that starts at 0: the objectives are convex, so the start decides nothing."""

    def __init__(self, config: dict[str, Any], inputs: int, outputs: int, output: str) -> None:
        inputs, outputs = sizes([inputs, outputs], type(self).__name__, "(inputs, outputs)", 2)
        network = Sequential(Linear(inputs, outputs, initializer=initializers.zeros))
        super().__init__(config, network, (inputs,), outputs, output, config["weight_decay"], config["l1"])


@register
class SoftmaxRegression(_LinearModel):
    """p = softmax(x W + b); for two classes this is logistic regression.

    Parameters
    ----------
    inputs, classes : int
    weight_decay, l1 : λ >= 0 of the penalties ½ λ Σ W² and λ Σ |W|
    seed : int in [0, 2⁶⁴): decides the order of the cases
    dtype : "float32" or "float64"

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, section 4.3.4.
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        weight_decay: float = 0.0,
        l1: float = 0.0,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        config = {"inputs": inputs, "classes": classes, "weight_decay": weight_decay, "l1": l1}
        super().__init__(config | {"seed": seed, "dtype": dtype}, inputs, classes, "softmax")


@register
class LinearSVM(_LinearModel):
    """Label = argmax(x W + b), W from the squared one-vs-rest hinge plus ½ weight_decay Σ W².

    Parameters
    ----------
    inputs, classes : int
    weight_decay : λ > 0; 1 / (C n) for the usual C and n cases
    l1 : λ >= 0 of the penalty λ Σ |W|
    seed, dtype : as for `SoftmaxRegression`

    References
    ----------
    Cortes, Vapnik (1995), Support-vector networks; Tang (2013), equation 9.
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        weight_decay: float = 1e-4,
        l1: float = 0.0,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        config = {"inputs": inputs, "classes": classes, "weight_decay": weight_decay, "l1": l1}
        super().__init__(config | {"seed": seed, "dtype": dtype}, inputs, classes, "svm")


@register
class LinearRegression(_LinearModel):
    """y = x W + b by least squares, with the penalties of `SoftmaxRegression` (ridge, lasso).

    Parameters
    ----------
    inputs, outputs : int
    weight_decay, l1, seed, dtype : as for `SoftmaxRegression`
    """

    def __init__(
        self,
        inputs: int,
        outputs: int = 1,
        weight_decay: float = 0.0,
        l1: float = 0.0,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        config = {"inputs": inputs, "outputs": outputs, "weight_decay": weight_decay, "l1": l1}
        super().__init__(config | {"seed": seed, "dtype": dtype}, inputs, outputs, "identity")

    def solve(self, x: Any, y: Any, method: str = "normal", **options: Any) -> LeastSquaresResult:
        """Set W and b to the minimum of the objective by `least_squares`, and return what that found.

        Parameters
        ----------
        x, y, sample_weight : as for `fit`
        method, options : see `dlcore.models.least_squares`; ridge and fit_intercept follow from the model

        Raises
        ------
        ValueError
            For data that do not fit, and for a model with an L1 penalty, which has no closed form.
        """
        if self.l1:
            raise ValueError(f"solve: l1 is {self.l1}, expected 0: the L1 penalty has no closed form, use fit")
        taken = {"ridge", "fit_intercept"} & set(options)
        if taken:
            raise ValueError(f"solve: {', '.join(sorted(taken))} is given, it follows from the model")
        cases, target = self._pair(x, y, "solve")
        # The model's loss is the mean over cases and outputs of r², that of `least_squares` ½ the mean over cases.
        ridge = 0.5 * self.outputs * self.weight_decay
        found = least_squares(cases.numpy(), target.numpy(), method, ridge=ridge, **options)
        for name, parameter in self.parameters.items():
            value = found.theta if name.endswith("weight") else found.intercept
            parameter.array.assign(tensor(value, self.dtype).array)
        return found
