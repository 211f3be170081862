"""``dlcore reproduce``: what it prints, writes and refuses."""

import pytest
from command import run
from dlcore.reproduce import setting_names
from dlcore.reproduce.result import BEGIN, END


def test_the_quick_digits_have_the_figures_that_are_stated(capfd, tmp_path, device):
    code, out, err = run(capfd, "reproduce", "digits-rbm", "--quick", "--out", tmp_path / "run", "--threads", 1)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["figure", "published", "here", "asked"]
    assert [line.split()[-1] for line in lines[2:5]] == ["within"] * 3
    assert lines[-1] == f"wrote {tmp_path / 'run' / 'result.json'}"
    assert "digits-rbm: RBM-100 features" in err and "rbm 1: begins" in err and "RBM epoch 1/" in err
    code, out, err = run(
        capfd, "reproduce", "digits-rbm", "--quick", "--out", tmp_path / "run", "--resume", "--quiet", "--seed", 2
    )
    assert (code, out) == (2, "") and "has other seed" in err


def test_a_figure_outside_its_range_is_a_failure(capfd, tmp_path, monkeypatch):
    monkeypatch.setattr("dlcore.reproduce.is_reproduced", lambda result: False)
    words = ["--out", tmp_path, "--quiet", "--set", "splits=1", "--set", "pretrain.epochs=1"]
    words += ["--set", "features.line_searches=1", "--set", "pixels.line_searches=1"]
    assert run(capfd, "reproduce", "digits-rbm", *words)[0] == 1


def test_the_list_names_all_settings(capfd):
    code, out, _ = run(capfd, "reproduce", "--list")
    assert code == 0 and [line.split()[0] for line in out.splitlines()[1:]] == setting_names()


def test_the_table_is_printed_or_written(capfd, tmp_path):
    folder, page = tmp_path / "results", tmp_path / "page.md"
    folder.mkdir()
    words = ["--out", tmp_path / "run", "--quiet", "--set", "splits=1"]
    for name in ("features", "pixels"):
        words += ["--set", f"{name}.line_searches=1"]
    run(capfd, "reproduce", "digits-rbm", *words)
    (folder / "a.json").write_bytes((tmp_path / "run" / "result.json").read_bytes())
    code, out, _ = run(capfd, "reproduce", "--table", folder)
    assert code == 0 and "| `digits-rbm` | accuracy on features | 0.935 |" in out
    page.write_text(f"{BEGIN}\n{END}\n")
    assert run(capfd, "reproduce", "--table", folder, "--page", page)[:2] == (0, f"wrote {page}\n")
    assert "`digits-rbm`" in page.read_text()


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "expected one of NAME, --list, --table FOLDER"),
        (["mlp-theano", "--list"], "expected one of NAME, --list, --table FOLDER"),
        (["mlp-theano", "--page", "x"], "--page needs --table"),
        (["nothing"], "reproduce: name is 'nothing', expected one of "),
        (["mlp-theano", "--set", "x"], "reproduce: 'x' is given, expected KEY.KEY=VALUE"),
    ],
)
def test_refusals(capfd, words, message):
    code, _, err = run(capfd, "reproduce", *words)
    assert code == 2 and message in err


def test_missing_data_are_named_before_anything_is_trained(capfd, tmp_path):
    code, _, err = run(capfd, "reproduce", "mlp-theano", "--data", tmp_path, "--out", tmp_path / "run", "--quiet")
    assert code == 2 and "files of mnist are missing" in err
    assert not (tmp_path / "run").exists(), "the next try needs no --resume"
