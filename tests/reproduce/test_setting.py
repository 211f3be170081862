"""The settings as data: all rows are there, with figures, sources and shortened runs."""

import math

import pytest
from dlcore.reproduce import PROCEDURES, Figure, load_setting, parse_changes, setting_names
from dlcore.reproduce.setting import merged

PUBLISHED = {  # name -> figures of the sources
    "rbm-exact": [-149.05],
    "rbm-exact-centred": [-142.56],
    "rbm-500": [-84.86, -96.61],
    "rbm-cd25": [-86.34],
    "dbn-theano": [1.34],
    "dbn-hinton": [1.25],
    "dbn-backprop": [1.2],
    "sda-theano": [1.30],
    "lenet-theano": [0.92],
    "lenet-5": [0.95],
    "mlp-theano": [1.65],
    "logreg-theano": [7.49],
    "few-labels": [81.7, 76.02, 93.65, 88.71],
    "deep-ae": [3.00, 8.01, 13.87],
    "digits-rbm": [0.935, 0.782],
}


def test_every_row_has_a_setting():
    assert sorted(setting_names()) == sorted(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_setting_has_its_source_figures_and_shortened_run(name):
    setting = load_setting(name)
    found = [figure.published for figure in setting.figures]
    assert set(PUBLISHED[name]) <= set(found)
    assert setting.procedure in PROCEDURES and setting.settings["data"] in ("mnist", "digits")
    assert len(setting.source) > 20 and len(setting.published) > 20
    assert setting.quick and setting.resolved(quick=True) != setting.resolved(quick=False)
    assert setting.quick_figures, "the shortened run's figures are stated"
    for figure in setting.quick_figures:
        assert figure.at_least <= figure.expected <= figure.at_most and figure.asked
        assert math.isfinite(figure.at_least) or math.isfinite(figure.at_most)


def test_orders_differ():
    orders = [load_setting(name).order for name in setting_names()]
    assert orders == sorted(set(orders))


def test_figures_are_checked_on_both_sides():
    assert [Figure("x", at_least=1, at_most=2).is_within(v) for v in (0.9, 1.0, 2.0, 2.1)] == [False, True, True, False]
    assert Figure("x", at_most=2).is_within(-5) is True and Figure("x", at_least=2).is_within(1.9) is False
    assert Figure("x").is_within(3) is None
    assert [Figure("x", at_least=a, at_most=b).asked for a, b in ((1, 2.5), (-math.inf, 2), (1, math.inf))] == [
        "1 to 2.5",
        "<= 2",
        ">= 1",
    ]


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"reproduce: name is '\.\./x', expected one of dbn-backprop, "):
        load_setting("../x")


def test_changes_of_what_a_setting_lacks_are_refused():
    setting = load_setting("logreg-theano")
    assert setting.resolved(False, {"limit": [9, 9]})["limit"] == [9, 9]
    message = r"reproduce: logreg-theano has no 'epochs', expected one of data, fit, limit, model, stopping, "
    with pytest.raises(ValueError, match=message):
        setting.resolved(False, {"epochs": 3})


def test_changes_reach_nested_settings():
    changes = parse_changes(["fit.epochs=3", "fit.schedule=linear", "layers=[784, 5]"])
    assert changes == {"fit": {"epochs": 3, "schedule": "linear"}, "layers": [784, 5]}
    assert merged({"fit": {"lr": 0.1, "epochs": 9}}, changes)["fit"] == {"lr": 0.1, "epochs": 3, "schedule": "linear"}
    for text in ("fit.epochs", "=3", "fit..epochs=3"):
        with pytest.raises(ValueError, match=r"expected KEY\.KEY=VALUE"):
            parse_changes([text])
