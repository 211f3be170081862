"""The table of what ``tools/gpu_check.py`` found."""

from __future__ import annotations

import json
from typing import Any


def table(record: dict[str, Any]) -> str:
    """The stages, and the benchmarks' medians with the speed of dlcore over each peer."""
    lines = [f"{record['machine']['name']}: {json.dumps(record['machine'])}", ""]
    for name, entry in record["stages"].items():
        lines.append(f"{name:<10} {entry['status']:<8} {entry.get('seconds', '')} {entry.get('tests', '')}".rstrip())
        for row in entry.get("rows", []):
            if "error" in row:
                lines.append(f"    {row['name']}: {row['error']}")
                continue
            parts = [
                f"{c} {value} {row['unit']}" + (f" (x{row['speed_of_first_over'][c]})" if i else "")
                for i, (c, value) in enumerate(row["median"].items())
            ]
            parts += [f"{candidate}: {error}" for candidate, error in row.get("errors", {}).items()]
            lines.append(f"    {row['name']}: {', '.join(parts)}")
    return "\n".join(lines)
