"""A model's summary as text."""

from __future__ import annotations


def format_table(title: str, rows: list[tuple[str, str, str]]) -> str:
    """A summary's text from (layer, output shape, parameters)."""
    head = ("layer", "output shape", "parameters")
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(3)]
    lines = [f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}".rstrip() for row in [head, *rows]]
    return "\n".join([title, lines[0], "─" * (sum(widths) + 4), *lines[1:]])


def shape_text(shape: tuple[int, ...]) -> str:
    return f"(n, {', '.join(map(str, shape))})"
