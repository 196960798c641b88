"""The README's tables are what `supported_layers` and `list_models` say."""

import re
from pathlib import Path

from keras_caffe_zoo import list_models, supported_layers

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- supported layers -->\n", "<!-- end of supported layers -->"


def table(supported):
    """Return types by fork as rows of Markdown, Caffe's own first."""
    forks = {}
    for type_, fork in supported.items():
        forks.setdefault(fork, []).append(f"`{type_}`")
    order = sorted(forks, key=lambda fork: (fork != "Caffe 1.0", fork.casefold()))
    rows = [f"| {fork} | {' '.join(forks[fork])} |\n" for fork in order if fork]
    return "".join(["| fork | layers |\n", "|---|---|\n", *rows])


def test_the_readme_lists_the_layers_of_each_fork():
    text = README.read_text("utf-8")
    (found,) = re.findall(f"{BEGIN}(.*?){END}", text, re.DOTALL)
    wanted = table(supported_layers())
    assert found == wanted, f"Put this into README.md:\n{wanted}"


def test_every_net_stands_in_one_row():
    rows = README.read_text("utf-8").split("| family | builders |")[1].split("\n\n")[0]
    assert sorted(re.findall(r"`(\w+)`", rows)) == sorted(list_models())


def test_types_stand_by_their_fork_and_rules_of_ones_own_nowhere():
    found = table({"B": "SSD", "A": "Caffe 1.0", "C": "ENet", "D": "SSD", "Mine": ""})
    assert found.splitlines()[2:] == [
        "| Caffe 1.0 | `A` |",
        "| ENet | `C` |",
        "| SSD | `B` `D` |",
    ]
