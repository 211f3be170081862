"""A device is a module: every one offers the same functions, each is documented, typed and has a case."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import dlcore.device
import driver
import numpy as np
import pytest
from case import Case

# Functions that no case drives, and what tests them instead.
WITHOUT_CASE = {
    "cpu_features": "test_runtime",
    "device_place": "devices/test_interop",
    "device_problem": "devices/test_placement",
    "empty": "its values are undefined; every op makes its output with it",
    "fail_allocation_after": "test_memory",
    "first_change": "train/test_captured",
    "from_dlpack": "test_dlpack",
    "from_numpy": "test_tensor",
    "from_pointer": "devices/test_interop",
    "guard_violations": "the fixture `checked`",
    "is_overwritten": "calculus/test_mutation",
    "is_plan_recorded": "train/test_tracing",
    "memory_stats": "test_memory",
    "noted_writes": "calculus/test_mutation",
    "num_threads": "test_threads",
    "release_cached_memory": "test_memory",
    "set_allocation_checks": "the fixture `checked`",
    "set_full_teams": "test_threads",
    "set_matmul_precision": "test_precision",
    "set_num_threads": "test_threads",
    "stream_handle": "devices/test_interop",
    "unwatch_writes": "calculus/test_mutation",
    "teams_started": "test_every_kernel_is_tried_on_several_threads",
    "use_tiles": "test_precision",
    "watch_writes": "calculus/test_mutation",
}
# Of the process; not in the table of csrc/README.md.
RUNTIME = {
    name
    for name in WITHOUT_CASE
    if WITHOUT_CASE[name] in ("test_runtime", "test_threads", "test_memory", "the fixture `checked`")
}
RUNTIME |= {"teams_started"}
README = Path(__file__).parent.parent / "csrc" / "README.md"


def usable() -> list[str]:
    return [isa for isa, reason in dlcore.device.describe()["modules"].items() if reason == "available"]


def load(isa: str) -> ModuleType:
    return importlib.import_module(f"dlcore._cpu_{dlcore.device.MODULES.get(isa, isa)}")


def functions(module: ModuleType) -> dict[str, str]:
    """Public functions with their signatures, the module's own namespace taken out."""
    found = {}
    for name, value in vars(module).items():
        if not name.startswith("_") and callable(value) and not isinstance(value, type):
            found[name] = signature(value, module)
    return found


def signature(function: Any, module: ModuleType) -> str:
    first = (function.__doc__ or "").strip().split("\n")[0]
    return first.replace(f"{module.__name__}.", "").replace(f"{module.__name__.split('.')[-1]}.", "")


def methods(module: ModuleType, kind: str = "Array") -> dict[str, str]:
    found = {}
    for name, value in vars(getattr(module, kind)).items():
        if not name.startswith("_") and name not in ("device", "device_name"):
            found[name] = "property" if inspect.isdatadescriptor(value) else signature(value, module)
    return found


def arguments(text: str) -> list[tuple[str, bool]]:
    """Name of each argument of a signature and whether it has a default; types may hold commas in brackets."""
    inner = text[text.index("(") + 1 : text.rindex(")", 0, text.find("->") if "->" in text else None)]
    depth, parts = 0, [""]
    for character in inner:
        depth += (character in "[(") - (character in "])")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [(part.split(":")[0].split("=")[0].strip(), "=" in part) for part in parts if part.strip()]


CPU = dlcore.device.cpu
FUNCTIONS = functions(CPU)


def test_arguments_are_read_from_signatures() -> None:
    text = "f(a: dict[str, int], b: float = 1.0, c: tuple[int, int] | None = None) -> tuple[Array, int]"
    assert arguments(text) == [("a", False), ("b", True), ("c", True)]
    assert arguments("f() -> int") == []


MODULES = {module.__name__: module for module in (*map(load, usable()), driver.DEVICE)}


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_modules_agree(module: ModuleType) -> None:
    assert functions(module) == FUNCTIONS
    for kind in ("Array", "Plan"):
        assert methods(module, kind) == methods(CPU, kind)


def test_signatures_name_their_arguments() -> None:
    for name, text in FUNCTIONS.items():
        assert text.startswith(f"{name}("), f"{name} is overloaded or has no signature: {text}"
        assert "arg0" not in text, text
        assert "dlcore" not in text, f"{text} names a C++ type that Python cannot see"


def test_every_function_has_a_case() -> None:
    covered = {name for _, case in driver.all_cases() for name in case.functions}
    assert sorted(set(FUNCTIONS) - covered - set(WITHOUT_CASE)) == []
    assert sorted(covered - set(FUNCTIONS)) == [], "cases of functions that do not exist"
    assert sorted(set(WITHOUT_CASE) - set(FUNCTIONS)) == []
    assert sorted(covered & set(WITHOUT_CASE)) == []


def test_every_function_with_arguments_has_an_error_case() -> None:
    named = {name for _, case in driver.all_errors() for name in case.functions}
    assert sorted(named - set(FUNCTIONS)) == []
    with_arguments = {name for name, text in FUNCTIONS.items() if arguments(text)}
    refuse_nothing = {"all_finite", "within"}  # arrays of every dtype and shape
    assert sorted(with_arguments - named - set(WITHOUT_CASE)) == sorted(refuse_nothing)


def test_error_cases_are_where_they_are_looked_for() -> None:
    for family in driver.FAMILIES:
        assert not hasattr(importlib.import_module(f"cases.{family}"), "ERRORS"), f"cases.{family}"


# Functions that never use a team, and why.
SERIAL = {
    "permutation": "each place depends on those before",
}


def test_every_kernel_is_tried_on_several_threads(device: Any) -> None:
    """Each function has a case above its grain: what test_cases compares between thread counts is not one thread."""
    device.set_num_threads(4)
    cases: dict[str, list[Case]] = {}
    for _, case in driver.all_cases():
        for name in case.functions:
            cases.setdefault(name, []).append(case)
    serial = []
    for name, its_cases in cases.items():
        prepared = [(case, driver.arguments(case, case.dtypes[0])) for case in its_cases]
        prepared.sort(key=lambda pair: -sum(a.size for a in pair[1] if isinstance(a, np.ndarray)))
        for case, inputs in prepared:
            before = device.teams_started()
            driver.run(case, device, inputs)
            if device.teams_started() > before:
                break
        else:
            serial.append(name)
    assert sorted(serial) == sorted(SERIAL)


def documented() -> dict[str, list[str] | None]:
    """Functions of the table in csrc/README.md, with their arguments where the table gives them."""
    found: dict[str, list[str] | None] = {}
    table = README.read_text(encoding="utf-8").split("## The functions of a device module")[1]
    for row in re.findall(r"^\|([^|]*)\|([^|]*)\|", table, re.MULTILINE):
        for code in re.findall(r"`([^`]+)`", row[1]):
            names, _, rest = code.partition("(")
            for name in names.split():
                if re.fullmatch(r"[a-z][a-z0-9_]*", name):
                    found[name] = [part.split("=")[0].strip() for part in rest.rstrip(")").split(",")] if rest else None
    return found


@pytest.mark.skipif(not README.exists(), reason="the sources are not here")
def test_the_documented_functions_are_those_that_exist() -> None:
    table = documented()
    assert len(table) > 60
    assert sorted(set(table) - set(FUNCTIONS)) == []
    rbm = {name for name in FUNCTIONS if name.startswith("rbm_")}  # the table points to rbm.h
    assert sorted(set(FUNCTIONS) - set(table) - RUNTIME - rbm) == []
    for name, given in table.items():
        if given is not None:
            assert [a for a, _ in arguments(FUNCTIONS[name])] == given, name


def stub(isa: str) -> ast.Module:
    spec = importlib.util.find_spec("dlcore")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    path = Path(spec.submodule_search_locations[0]) / f"_cpu_{isa}.pyi"
    return ast.parse(path.read_text(encoding="utf-8"))


def typed(nodes: list[ast.stmt]) -> dict[str, list[tuple[str, bool]]]:
    found = {}
    for node in nodes:
        if isinstance(node, ast.FunctionDef):
            spec, names = node.args, [a.arg for a in node.args.args]
            assert node.returns is not None
            assert all(a.annotation for a in spec.args if a.arg != "self"), node.name
            without = len(names) - len(spec.defaults)
            found[node.name] = [(name, i >= without) for i, name in enumerate(names)]
    return found


def test_the_stub_describes_the_module() -> None:
    body = stub("generic").body
    assert typed(body) == {name: arguments(text) for name, text in FUNCTIONS.items()}
    classes = {node.name: node.body for node in body if isinstance(node, ast.ClassDef)}
    assert sorted(classes) == ["Array", "Plan"]
    for kind, nodes in classes.items():
        described = typed(nodes)
        attributes = {node.target.id for node in nodes if isinstance(node, ast.AnnAssign)}  # type: ignore[union-attr]
        for name, text in methods(CPU, kind).items():
            expected = [("self", False)] if text == "property" else arguments(text)
            assert name in attributes or described.pop(name) == expected, name
        assert described == {}


@pytest.mark.parametrize("isa", ["avx2", "avx512"])
def test_other_stubs_export_the_same(isa: str) -> None:
    imports = [node for node in stub(isa).body if isinstance(node, ast.ImportFrom)]
    assert [(node.module, node.level, node.names[0].name) for node in imports] == [("_cpu_generic", 1, "*")]
