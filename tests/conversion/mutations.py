"""Prototxts and caffemodels with a few things changed, as fuzzers want them."""

import re

NUMBERS = """0 -1 1 2 3 5 7 64 1000 65536 2000000000 2147483647 4294967295
    -2147483648 9223372036854775807 0.5 -0.5 1e30 nan inf""".split()  # noqa: SIM905
TOKEN = re.compile(r'"[^"]*"|[A-Za-z_]\w*|-?\d[\w.+-]*|[{}:]|\s+|.')
TYPES = re.compile(r'type: "(\w+)"')


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
