"""One module a family, each with `ERRORS: list[ErrorCase]`: the calls that its bindings refuse."""
