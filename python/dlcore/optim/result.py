"""What a descent returns, and when it ends."""

from __future__ import annotations

from typing import Any

import numpy as np

MESSAGES = {
    0: "the largest component of the gradient is within gtol",
    1: "the largest number of iterations is reached",
    3: "the largest number of function evaluations is reached",
    4: "the relative decrease of f is within ftol",
    5: "the relative change of x is within xtol",
    99: "callback raised StopIteration",
}
STALLED = 2
SUCCESSES = (0, 4, 5)


class OptimizeResult(dict[str, Any]):
    """A dictionary whose entries are attributes too, named as SciPy names them.

    Attributes
    ----------
    x : the best point found, of x0's shape, in float32 where x0 is
    fun, jac : f and ∇f there
    nit : iterations
    nfev, njev, nhev : evaluations of f, of its gradient (or a Jacobian) and of its Hessian or a product with it
    status : 0 gradient within gtol, 1 too many iterations, 2 no step decreases f any more (`message` says
        what is known of the reason), 3 too many evaluations, 4 ftol reached, 5 xtol reached, 99 ended by the callback
    success : whether status is 0, 4 or 5
    message : the same in words
    trace : arrays by name with one entry for x0 and one for each iteration: ``fun``, ``gradient`` (largest component in
        size), ``step`` (‖Δx‖) and ``nfev``
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    __setattr__ = dict.__setitem__
    __delattr__ = dict.__delitem__

    def __dir__(self) -> list[str]:
        return list(self)

    def __repr__(self) -> str:
        width = max(map(len, self), default=0)
        rows = []
        for name, value in self.items():
            if name == "trace":
                text = f"{', '.join(value)} of {len(value['fun'])} points"
            elif isinstance(value, np.ndarray):
                text = np.array2string(value, threshold=20, prefix=" " * (width + 2))
            else:
                text = repr(value)
            rows.append(f"{name:>{width}}: {text}")
        return "\n".join(rows)


class Trace:
    """The record of a descent."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, float, float, int]] = []

    def append(self, f: float, gradient: float, step: float, nfev: int) -> None:
        self._rows.append((f, gradient, step, nfev))

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """One array a column."""
        columns = np.array(self._rows, np.float64).reshape(-1, 4).T
        return {
            "fun": columns[0],
            "gradient": columns[1],
            "step": columns[2],
            "nfev": columns[3].astype(np.int64),
        }
