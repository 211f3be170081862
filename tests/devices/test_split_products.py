"""Products of three parts on tensor cores (cuda/gemm_split.cuh), which the environment chooses for a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, sys
import dlcore, numpy as np
if path := os.environ.get("DLCORE_TEST_DEVICE_PATH"):
    dlcore.__path__.append(path)
from dlcore import placement

device = placement.find(sys.argv[1])
rng = np.random.default_rng(0)
spread = lambda *shape: (rng.standard_normal(shape) * 10.0 ** rng.uniform(-3, 3, shape)).astype(np.float32)
binary = lambda *shape: (rng.random(shape) < 0.5).astype(np.float32)
huge = spread(9, 5)
huge[3, 2] = 3e38  # beyond the parts' range: the other kernel's
for m, k, n in ((1, 1, 1), (65, 33, 70), (7, 100, 64), (40, 0, 3)):
    for ta in (False, True):
        for tb in (False, True):
            for make_a, make_b in ((spread, spread), (binary, spread), (binary, binary)):
                a, b = make_a(m, k), make_b(k, n)
                left, right = (np.ascontiguousarray(x.T if t else x) for x, t in ((a, ta), (b, tb)))
                operands, launches = [device.from_numpy(x) for x in (left, right)], device.teams_started()
                found = device.matmul(*operands, ta, tb).numpy()
                assert k == 0 or device.teams_started() - launches > 3  # the other kernel takes one or two
                exact = a.astype(np.float64) @ b.astype(np.float64)
                scale = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
                assert (np.abs(found - exact) <= 4 * 2.0**-23 * scale).all(), (m, k, n, ta, tb)
                if make_b is binary:
                    assert (found == exact).all()
found = device.matmul(device.from_numpy(huge), device.from_numpy(np.eye(5, dtype=np.float32))).numpy()
assert (found == huge).all()
print("as float64 has it")
"""


def test_split_products_are_those_of_float64(other: str, tmp_path: Path) -> None:
    script = tmp_path / "split.py"
    script.write_text(SCRIPT, encoding="utf-8")
    environment = os.environ | {"DLCORE_CUDA_GEMM": "split"}
    done = subprocess.run([sys.executable, str(script), other], env=environment, capture_output=True, text=True)
    assert done.stdout == "as float64 has it\n", done.stderr
