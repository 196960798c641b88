import subprocess
import sys

import keras
import pytest

from keras_caffe_zoo import messages
from keras_caffe_zoo.messages import say


@pytest.mark.parametrize(("interactive", "printed"), [(True, "hello\n"), (False, "")])
def test_it_prints_where_keras_would(capsys, monkeypatch, interactive, printed):
    monkeypatch.setattr(
        keras.config, "is_interactive_logging_enabled", lambda: interactive
    )
    say("hello")
    assert capsys.readouterr().out == printed


def test_it_does_not_import_keras():
    code = f"import sys; exec(open({messages.__file__!r}).read()); say('hello')"
    code += "; assert 'keras' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("hello\n", "")
