"""Newton's method on Rosenbrock's function, a derivative checked, a kink named. Run: python examples/calculus.py"""

from __future__ import annotations

import numpy as np
from dlcore import Tensor, gradcheck, gradgradcheck, hessian, hvp, kinks, ops, value_and_grad


def rosenbrock(x: Tensor) -> Tensor:
    return ops.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def main() -> None:
    x = np.array([-1.2, 1.0])
    gradcheck(rosenbrock, (x,))
    gradgradcheck(rosenbrock, (x,))
    print("Newton's method; the gradient's norm is squared at each step near the minimum:")
    for step in range(8):
        value, gradient = value_and_grad(rosenbrock)(x)
        print(f"  {step}  f = {value.item():.3e}  |∇f| = {np.linalg.norm(gradient.numpy()):.3e}")
        x = x - np.linalg.solve(hessian(rosenbrock)(x).numpy(), gradient.numpy())

    at_the_kink, v = np.array([0.0, 1.0]), np.ones(2)
    try:
        hvp(lambda x: ops.sum(ops.relu(x)))(v, at_the_kink)
    except ValueError as error:
        print("A second derivative at a kink:", error)
    with kinks("zero"):
        print("Beside it:", hvp(lambda x: ops.sum(ops.relu(x)))(v, at_the_kink).numpy())


if __name__ == "__main__":
    main()
