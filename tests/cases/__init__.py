"""One module a family, each with `CASES: list[Case]`; what the family refuses stands in `errors`."""
