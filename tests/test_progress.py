import keras
import pytest

from keras_caffe_zoo import progress


@pytest.fixture(autouse=True)
def shown_at_once(monkeypatch):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)


def test_it_is_one_line_on_stderr(capsys):
    line = progress.Progress(4000)
    line.skip(1000)
    for _ in range(6):
        line.advance(100)
    line.close()
    said = capsys.readouterr()
    last = said.err.split("\r")[-1]
    assert "1600/4000" in last
    assert " images/s" in last
    assert last.endswith("\n")
    assert said.out == ""
    assert line.computed == 600


def test_what_was_done_before_tells_nothing_of_the_speed(capsys):
    line = progress.Progress(4000)
    line._line.start_t -= 10.0  # ten seconds ago
    line.skip(1000)
    line.advance(100)
    line.close()
    rate = capsys.readouterr().err.split(", ")[-1]
    assert 9.0 < float(rate.split(" ")[0].strip()) < 10.1


def test_nothing_is_shown_of_what_is_quick(capsys, monkeypatch):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 60.0)
    line = progress.Progress(10)
    line.advance(10)
    line.close()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("enabled", "interactive"), [(False, True), (True, False)])
def test_nothing_is_shown_where_it_is_switched_off(
    capsys, monkeypatch, enabled, interactive
):
    config = "is_interactive_logging_enabled"
    monkeypatch.setattr(keras.config, config, lambda: interactive)
    line = progress.Progress(20, enabled=enabled)
    line.skip(10)
    line.advance(10)
    line.close()
    assert capsys.readouterr().err == ""
    assert line.computed == 10
