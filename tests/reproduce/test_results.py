"""Results as tables."""

from pathlib import Path

import pytest
from dlcore.reproduce import load_setting, markdown_table, read_results, replace_table, setting_names, write_result
from dlcore.reproduce.result import BEGIN, END, duration, figure_rows, number, processor

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/results/reproduce"


def result(name="mlp-theano", value=1.7, within=True, **others):
    figure = {
        "name": "test error",
        "unit": "%",
        "value": value,
        "published": 1.65,
        "asked": "<= 1.75",
        "within": within,
    }
    clock = {"all": 300.0, "fit": 300.0}
    return {
        "name": name, "quick": False, "figures": [figure], "seconds": clock, "processor_seconds": {"all": 90.0},
        "epochs": {"fit": [60]}, "machine": {"threads": 1}, "version": "1.2", "date": "2026-01-02",
    } | others  # fmt: skip


def test_the_table_has_full_runs_first_in_the_order_of_the_settings():
    results = [
        result("logreg-theano", 9.0, within=False),
        result("rbm-exact", quick=True),
        result("rbm-exact", epochs={"rbm": [5, 4], "fit": [6]}),
    ]
    lines = markdown_table(results, setting_names()).splitlines()
    assert lines[0].startswith("| name | figure | published | here | asked |")
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        "`rbm-exact`",
        "`logreg-theano`",
        "`rbm-exact --quick`",
    ]
    assert lines[2] == (
        "| `rbm-exact` | test error | 1.650 % | **1.700 %** | <= 1.75 % | 5 min (90.0 s) | 5 + 4 rbm, 6 fit | 1 |"
        " 1.2, 2026-01-02 |"
    )
    assert "| 9.00 % (outside) |" in lines[3]


def test_figures_without_a_range_or_a_source():
    plain = result(within=None)
    plain["figures"][0] |= {"published": None, "asked": "", "unit": ""}
    assert figure_rows(plain)[1] == ["test error", "", "1.700", "", ""]
    assert "|  | 1.700 |  |" in markdown_table([plain], [])


def test_numbers():
    assert [number(v) for v in (None, 0.935, -84.857, 1.999, 2.0)] == ["", "0.935", "-84.86", "1.999", "2.00"]
    assert [duration(v) for v in (3.14, 119.96, 120.0, 5400.0)] == ["3.1 s", "120.0 s", "2 min", "90 min"]


def test_a_page_gets_the_table_between_its_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"# Head\n{BEGIN}\nold\n{END}\ntail\n")
    for _ in range(2):
        replace_table(page, "new")
        assert page.read_text() == f"# Head\n{BEGIN}\nnew\n{END}\ntail\n"
    page.write_text("# Head\n")
    with pytest.raises(ValueError, match="lacks the marks"):
        replace_table(page, "new")


def test_results_are_read_and_others_refused(tmp_path):
    write_result(tmp_path / "b.json", result("b"))
    write_result(tmp_path / "a.json", result("a"))
    assert [found["name"] for found in read_results(tmp_path)] == ["a", "b"]
    (tmp_path / "c.json").write_text("{}")
    with pytest.raises(ValueError, match="is not a result of this command"):
        read_results(tmp_path)


def test_the_processor_has_a_name(tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text("processor : 0\nmodel name\t: Some CPU\nmodel name\t: Some CPU\n")
    assert processor(file) == "Some CPU"
    assert processor(tmp_path / "none")


def test_the_projects_own_results_are_of_the_settings_that_there_are():
    found = read_results(RESULTS)
    assert found
    for result in found:
        setting = load_setting(result["name"])
        assert result["settings"] == setting.resolved(result["quick"]) and not result["changed"]
        asked = {figure.name: figure for figure in (setting.quick_figures if result["quick"] else setting.figures)}
        for figure in result["figures"]:
            if figure["name"] in asked:
                expected = asked[figure["name"]]
                assert figure["asked"] == expected.asked
                assert figure["within"] == expected.is_within(figure["value"])
                assert result["quick"] or figure["published"] == expected.published


def test_the_page_has_the_projects_own_results():
    text = (ROOT / "docs/reproduce.md").read_text(encoding="utf-8")
    assert f"{BEGIN}\n{markdown_table(read_results(RESULTS), setting_names())}\n{END}" in text
    assert all(f"**{name}" in text or f" {name}" in text for name in setting_names()), "what is done otherwise"


def test_the_readme_names_every_page():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"(docs/{page.name})" not in text] == []
