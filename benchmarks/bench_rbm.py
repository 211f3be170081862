"""An epoch of an RBM 784-500, 60 000 cases in batches of 100, by CD-1, PCD-1 and CD-10, and AIS of 10 000 steps.

python benchmarks/bench_rbm.py [--threads N] [--json FILE]

Some batches are timed, and some steps of AIS, and shown as an epoch, and 10 000. Before that all learn some batches
from the same parameters: the mean-field reconstruction errors must agree; of AIS, the estimates of log Z. scikit-learn
and rbms do PCD-1; scikit-learn computes in float64 unless its data are float32. On several threads only PyTorch takes
part: the others are far behind it on one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import peers
import rbm_peers
import timing

CASES = 60_000
CHECKED = 30  # batches learned before the errors are compared
TOLERANCE = 0.02  # persistent chains begin elsewhere with each peer
CHAINS, STEPS, STEPS_TIMED = 100, 10_000, 50
AIS_SCALE = 0.02  # standard deviation of the weights, with which so few steps give log Z within 0.1


def epoch_row(k: int, persistent: bool, threads: int) -> timing.Row:
    batches = 10 if k == 1 else 2  # in a call
    makers: dict[str, Callable[[], rbm_peers.Maker]] = {
        "dlcore": lambda: rbm_peers.dlcore_fit("float32", k, persistent),
    }
    if threads == 1:
        makers["dlcore float64"] = lambda: rbm_peers.dlcore_fit("float64", k, persistent)
    if torch := peers.torch(threads):
        makers["torch"] = lambda: rbm_peers.torch_loop(torch, "float32", k, persistent)
        if threads == 1 and persistent and (machines := peers.rbms()):
            makers["rbms"] = lambda: rbm_peers.rbms_loop(torch, machines)
        if threads == 1 and not persistent and (models := peers.learnergy()):
            makers["learnergy"] = lambda: rbm_peers.learnergy_fit(torch, models, k)
    if threads == 1 and persistent and (sklearn := peers.sklearn()):
        makers["scikit-learn"] = lambda: rbm_peers.sklearn_loop(sklearn, "float32")
        makers["scikit-learn float64"] = lambda: rbm_peers.sklearn_loop(sklearn, "float64")
    made = {peer: make() for peer, make in makers.items()}

    def error(maker: rbm_peers.Maker) -> float:
        call, parameters = maker
        call(CHECKED)
        return rbm_peers.mean_field_error(parameters())

    return timing.Row(
        f"{'P' * persistent}CD-{k}, epoch of {CASES}",
        {peer: partial(maker[0], batches) for peer, maker in made.items()},
        "s",
        per=dict.fromkeys(made, batches * rbm_peers.BATCH / CASES),
        results={peer: partial(error, maker) for peer, maker in made.items()},
        tolerance=TOLERANCE,
    )


def ais_row(threads: int) -> timing.Row:
    weight = rbm_peers.initial("float32", AIS_SCALE)
    rbm = rbm_peers.dlcore_rbm("float32", weight)
    calls: dict[str, Callable[[], Any]] = {"dlcore": lambda: rbm.ais(CHAINS, STEPS_TIMED).log_z}
    if torch := peers.torch(threads):
        calls["torch"] = lambda: rbm_peers.torch_ais(torch, weight, CHAINS, STEPS_TIMED)
        if threads == 1 and (machines := peers.rbms()):
            calls["rbms"] = lambda: rbm_peers.rbms_ais(torch, machines, weight, CHAINS, STEPS_TIMED)
    per = dict.fromkeys(calls, STEPS_TIMED / STEPS)
    return timing.Row(f"AIS, {CHAINS} chains, {STEPS} steps", calls, "s", per=per, results=calls, tolerance=1e-3)


def main() -> None:
    options = timing.arguments(__doc__).parse_args()
    timing.limit_threads(options.threads)
    settings = [(1, False), (1, True), (10, False)]
    rows = [partial(epoch_row, k, persistent, options.threads) for k, persistent in settings]
    timing.run("rbm", options, [*rows, partial(ais_row, options.threads)])


if __name__ == "__main__":
    main()
