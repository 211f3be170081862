"""Print the requirements of one optional extra of pyproject.toml: ``python tools/extra.py lint``."""

import re
import sys
from pathlib import Path


def requirements(extra: str) -> list[str]:
    """Read the list with a regular expression: tomllib is not in Python 3.10."""
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    match = re.search(rf"^{re.escape(extra)} = \[(.*?)\]$", text, re.MULTILINE)
    if not match:
        raise SystemExit(f"extra.py: pyproject.toml has no extra {extra!r}")
    return re.findall(r'"([^"]+)"', match.group(1))


if __name__ == "__main__":
    print(" ".join(requirements(sys.argv[1])))
