"""dlcore.optim.minimize against SciPy's methods of the same name on the problems of Moré, Garbow and Hillstrom.

    python benchmarks/compare_minimize.py [METHOD ...] [--rows]

One rule for both sides: a problem is solved when the optimizer first computes a gradient of f = Σ r² with
max |∂f/∂x_i| ≤ 1e-5 within 5000 evaluations of f; the evaluations of f made until then are counted. SciPy's own
tolerances are set so low that they do not end a run before; all else is its default. Both sides get the same functions.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "optim"))

from counting import PAIRS, Count, at_known_minimum, by_scipy, table
from problems import PROBLEMS


def median(counts: list[int]) -> float:
    return statistics.median(counts) if counts else float("nan")


def shown(count: Count) -> str:
    return f"{count.nfev:5d}" if count.solved else "    -"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", help=f"of {', '.join(pair[0] for pair in PAIRS)} (default: all)")
    parser.add_argument("--rows", action="store_true", help="print every problem's evaluations too")
    parser.add_argument("--pins", action="store_true", help="print SciPy's figures as the test has them")
    arguments = parser.parse_args()
    import numpy
    import scipy

    print(f"{len(PROBLEMS)} problems, SciPy {scipy.__version__}, NumPy {numpy.__version__}\n")
    print(
        "| method | solved | at a known minimum | median evaluations | of problems both solve | gradients | Hessians |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, theirs, options in PAIRS:
        if arguments.methods and name not in arguments.methods:
            continue
        sides = (table(name), {p.name: by_scipy(p, theirs, options) for p in PROBLEMS})
        both = [p.name for p in PROBLEMS if all(side[p.name].solved for side in sides)]
        cells = [
            [sum(c.solved for c in side.values()) for side in sides],
            [sum(at_known_minimum(p, side[p.name].f) for p in PROBLEMS) for side in sides],
            # a problem that is not solved counts as one that takes for ever
            [median([c.nfev if c.solved else sys.maxsize for c in side.values()]) for side in sides],
            [median([side[n].nfev for n in both]) for side in sides],
            [median([side[n].njev for n in both]) for side in sides],
            [median([side[n].nhev for n in both]) for side in sides],
        ]
        print(f"| {name} / {theirs} | " + " | ".join(f"{a:g} / {b:g}" for a, b in cells) + " |", flush=True)
        if arguments.rows:
            for p in PROBLEMS:
                a, b = (side[p.name] for side in sides)
                print(f"    {p.name:36s} {shown(a)} {shown(b)}   f = {a.f:.6g}, {b.f:.6g}")
        if arguments.pins:
            print([c.nfev if c.solved else None for c in sides[1].values()])


if __name__ == "__main__":
    main()
