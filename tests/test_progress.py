import io
import sys

import keras
import pytest

from keras_caffe_zoo import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def shown_at_once(monkeypatch):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(progress, "_is_watched", lambda: True)


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


@pytest.mark.parametrize(("stream", "shown"), [(Terminal, True), (io.StringIO, False)])
def test_it_is_for_terminals(monkeypatch, stream, shown):
    monkeypatch.undo()
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(sys, "stderr", stream())
    line = progress.Progress(20)
    line.advance(20)
    line.close()
    assert ("20/20" in sys.stderr.getvalue()) is shown
    assert shown or not sys.stderr.getvalue()


def test_what_is_printed_stays_above_it(monkeypatch):
    both = Terminal()
    monkeypatch.setattr(sys, "stderr", both)
    monkeypatch.setattr(sys, "stdout", both)
    line = progress.Progress(3)
    with line.hidden():
        print("found")
    line.advance(3)
    line.close()
    before, after = both.getvalue().split("found\n")
    assert before.endswith("\r") and "0/3" in before and "3/3" in after


def test_what_is_printed_shows_no_line_before_its_time(monkeypatch):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 60.0)
    monkeypatch.setattr(sys, "stderr", Terminal())
    line = progress.Progress(3)
    with line.hidden():
        print("found")
    line.close()
    assert not sys.stderr.getvalue()
