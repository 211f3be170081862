"""History: records, figures over the epochs, the best epoch, copies."""

import copy
import json
import math
import pickle

import pytest
from dlcore.train import History, format_record


def test_records_and_figures():
    history = History()
    assert len(history) == 0
    assert history.last == {}
    history.append({"loss": 2, "seconds": 0.5})
    history.append({"loss": 1.0, "validation_loss": 3.0, "seconds": 0.25})
    assert len(history) == 2
    assert history["loss"] == [2.0, 1.0]
    assert math.isnan(history["validation_loss"][0])
    assert history["validation_loss"][1] == 3.0
    assert history.last == {"loss": 1.0, "validation_loss": 3.0, "seconds": 0.25}
    assert history.names == ["loss", "seconds", "validation_loss"]
    assert list(history) == history.names
    assert history.seconds == 0.75
    assert "loss" in history
    assert "accuracy" not in history
    assert history.records == [{"loss": 2.0, "seconds": 0.5}, history.last]
    assert repr(history) == "History(2 epochs, loss 1, validation_loss 3, 0.25 s)"


def test_to_dict_has_a_list_per_figure_and_survives_json():
    history = History([{"loss": 0.1}, {"loss": 1 / 3}])
    assert json.loads(json.dumps(history.to_dict())) == {"loss": [0.1, 1 / 3]}


def test_unknown_figure_names_those_there_are():
    with pytest.raises(KeyError, match="no 'acc' in the history, which has loss"):
        _ = History([{"loss": 1.0}])["acc"]
    with pytest.raises(KeyError, match="which has no epochs"):
        _ = History()["loss"]


@pytest.mark.parametrize("value", ["1", None, True, [1.0]])
def test_figures_are_numbers(value):
    history = History()
    with pytest.raises(TypeError, match=r"History: loss is .*, expected a number"):
        history.append({"loss": value})
    assert len(history) == 0


def test_best_is_the_first_of_equals_and_never_nan():
    history = History([{"a": math.nan}, {"a": 2.0}, {"a": 1.0}, {"a": 1.0}, {"a": 2.0}])
    assert history.best("a") == 2
    assert history.best("a", "max") == 1
    with pytest.raises(ValueError, match="mode is 'least'"):
        history.best("a", "least")
    with pytest.raises(ValueError, match="every a is NaN"):
        History([{"a": math.nan}]).best("a")


def test_copies_are_equal_and_separate():
    history = History([{"loss": 1.0}])
    for other in (pickle.loads(pickle.dumps(history)), copy.deepcopy(history), History(history.records)):
        assert other == history
        other.append({"loss": 0.0})
        other.records[0]["loss"] = 5.0
        assert history.records == [{"loss": 1.0}]


def test_format_puts_the_time_last():
    assert format_record({"seconds": 1.234, "loss": 0.123456}) == ["loss 0.1235", "1.23 s"]
