"""The README is short, true and leads on."""

import re
from pathlib import Path

from keras_caffe_zoo import list_models

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text("utf-8")


def test_it_is_short():
    assert len(TEXT.splitlines()) < 120


def test_it_counts_the_nets():
    assert re.findall(r"(\d+) nets", TEXT) == [str(len(list_models()))]


def test_what_it_leads_to_is_there():
    found = re.findall(r"\]\(([^)#]+)", TEXT)
    assert len(found) > 5
    assert not [path for path in found if not (ROOT / path).exists()]
