"""One module a family; each has `CASES: list[Case]` and `ERRORS: list[ErrorCase]`."""
