"""Mutated files: each makes a model or a CaffeFormatError, soon, in little memory."""

import random
import re
import warnings

import keras
import pytest
from support import GOLDENS

from keras_caffe_zoo.caffe import CaffeFormatError
from keras_caffe_zoo.conversion.importer import from_caffe

CASES = sorted(
    path.stem for path in GOLDENS.glob("*.prototxt") if "eighth" not in path.stem
)
NUMBERS = """0 -1 1 2 3 5 7 64 1000 65536 2000000000 2147483647 4294967295
    -2147483648 9223372036854775807 0.5 -0.5 1e30 nan inf""".split()  # noqa: SIM905
TOKEN = re.compile(r'"[^"]*"|[A-Za-z_]\w*|-?\d[\w.+-]*|[{}:]|\s+|.')
TYPES = re.compile(r'type: "(\w+)"')


def texts():
    return {name: (GOLDENS / f"{name}.prototxt").read_text() for name in CASES}


def mutated(text, others, rng):
    """Return a prototxt with one to four things changed."""
    for _ in range(rng.randint(1, 4)):
        text = rng.choice(MUTATIONS)(text, others, rng)
    return text


def change_a_number(text, _, rng):
    places = list(re.finditer(r"(?<=: )-?\d[\w.+-]*", text))
    if not places:
        return text
    place = rng.choice(places)
    return text[: place.start()] + rng.choice(NUMBERS) + text[place.end() :]


def change_a_type(text, others, rng):
    types = TYPES.findall(" ".join(others))
    places = list(TYPES.finditer(text))
    if not places:
        return text
    place = rng.choice(places)
    new = f'type: "{rng.choice(types)}"'
    return text[: place.start()] + new + text[place.end() :]


def drop_a_field(text, _, rng):
    places = list(re.finditer(r"\w+: (\"[^\"]*\"|\S+)", text))
    place = rng.choice(places)
    return text[: place.start()] + text[place.end() :]


def repeat_a_field(text, _, rng):
    place = rng.choice(list(re.finditer(r"\w+: (\"[^\"]*\"|\S+)", text)))
    return text[: place.end()] + " " + place[0] + text[place.end() :]


def swap_two_tokens(text, _, rng):
    tokens = TOKEN.findall(text)
    i, j = rng.randrange(len(tokens)), rng.randrange(len(tokens))
    tokens[i], tokens[j] = tokens[j], tokens[i]
    return "".join(tokens)


def swap_two_names(text, _, rng):
    names = list(re.finditer(r'(?<=bottom: )"[^"]*"|(?<=top: )"[^"]*"', text))
    if not names:
        return text
    place, other = rng.choice(names), rng.choice(names)
    return text[: place.start()] + other[0] + text[place.end() :]


def add_anothers_param(text, others, rng):
    params = re.findall(r"\w+_param \{[^{}]*\}", rng.choice(others))
    ends = [m.end() for m in re.finditer(r'top: "[^"]*"', text)]
    if not params or not ends:
        return text
    at = rng.choice(ends)
    return text[:at] + " " + rng.choice(params) + text[at:]


def add_anothers_layer(text, others, rng):
    layers = re.findall(r"(?m)^layer \{.*\}$", rng.choice(others))
    return text + (rng.choice(layers) if layers else "")


def drop_a_line(text, _, rng):
    lines = text.splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    return "".join(lines) or "name: 'x'"


MUTATIONS = (
    *[change_a_number] * 6,
    *[change_a_type] * 3,
    *[add_anothers_param] * 3,
    *[swap_two_names] * 2,
    drop_a_field,
    repeat_a_field,
    swap_two_tokens,
    add_anothers_layer,
    drop_a_line,
)


def with_other_bytes(data, rng):
    data = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[: rng.choice([len(data), len(data), rng.randrange(len(data))])])


def weights(name, rng):
    """Return the bytes of a caffemodel: the case's, another's, or damaged ones."""
    own = GOLDENS / f"{name}.caffemodel"
    others = sorted(p for p in GOLDENS.glob("*.caffemodel") if "eighth" not in p.stem)
    path = own if own.exists() and rng.random() < 0.8 else rng.choice(others)
    data = path.read_bytes()
    return with_other_bytes(data, rng) if rng.random() < 0.5 else data


def outcome(prototxt, caffemodel):
    """Return the model's class or the error; anything but these is the failure."""
    options = {"fully_convolutional": prototxt.stat().st_size % 4 == 0}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = from_caffe(prototxt, caffemodel, **options)
    except CaffeFormatError as error:
        return error
    assert isinstance(model, keras.Model)
    return model


def fuzz(seed, count, folder):
    all_texts, made, refused = texts(), 0, 0
    others = list(all_texts.values())
    for i in range(count):
        rng = random.Random(f"{seed} {i}")
        name = rng.choice(CASES)
        prototxt, caffemodel = folder / "net.prototxt", folder / "net.caffemodel"
        prototxt.write_text(mutated(all_texts[name], others, rng))
        caffemodel.write_bytes(weights(name, rng))
        given = caffemodel if rng.random() < 0.5 else None
        if isinstance(outcome(prototxt, given), CaffeFormatError):
            refused += 1
        else:
            made += 1
        if i % 100 == 99:
            keras.backend.clear_session()
    assert made > count / 20 and refused > count / 20, (made, refused)


def test_mutated_files_make_a_model_or_a_format_error(tmp_path):
    fuzz("import", 150, tmp_path)


@pytest.mark.slow
def test_many_mutated_files_make_a_model_or_a_format_error(tmp_path, run_seed):
    fuzz(f"many {run_seed}", 2000, tmp_path)
