"""Fresh interpreters."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence

import pytest

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def outputs(code: str, command: Sequence[str] = (sys.executable,), **environment: str) -> tuple[str, str]:
    """What a fresh interpreter prints, and its errors, with nothing of dlcore in its environment but what is given."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DLCORE_", "OMP_", "GOMP_"))}
    done = subprocess.run(
        [*command, "-W", "ignore", "-c", textwrap.dedent(code)],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def python(code: str, command: Sequence[str] = (sys.executable,), **environment: str) -> str:
    """What a fresh interpreter prints; see `outputs`."""
    return outputs(code, command, **environment)[0]
