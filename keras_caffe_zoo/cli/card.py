"""The command that tells all that is known of a net: card."""

from pathlib import Path

from keras_caffe_zoo.cli._command import add_command, add_json


def add_commands(commands) -> None:
    """Add this module's commands."""
    parser = add_command(
        commands,
        "card",
        _card,
        "Tell all that is known of nets, a page of Markdown for each: what it is, "
        "paper, data, input, output, accuracy, licence, size, how to get and use it.",
        example="card vgg16 | less",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a net's name")
    parser.add_argument("--all", action="store_true", help="every net of the zoo")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        help="the file to write; for several nets a folder, in which there will be "
        "NAME.md for each (default: print it)",
    )
    add_json(parser)


def _card(arguments) -> list[dict] | None:
    from keras_caffe_zoo.cards import card_facts, model_card
    from keras_caffe_zoo.weights import model_entry, model_names

    if bool(arguments.names) == arguments.all:
        received = "both" if arguments.all else "neither"
        raise ValueError(f"Expected names of nets or --all; received: {received}")
    names = list(dict.fromkeys(arguments.names or model_names()))
    for name in names:
        model_entry(name)  # raises if there is none, before anything is written
    if arguments.output:
        _write({name: model_card(name) for name in names}, arguments.output)
    elif not arguments.json:
        print("\n".join(map(model_card, names)), end="")
    return [card_facts(name) for name in names] if arguments.json else None


def _write(cards: dict[str, str], output: Path) -> None:
    """Write cards into a folder, or one into a file."""
    from keras_caffe_zoo.files import check_folder, replacing

    one = len(cards) == 1 and not output.is_dir()
    if not one:
        if output.suffix and not output.is_dir():
            raise ValueError(
                f"Expected --output: a folder, for several nets; received: {output}"
            )
        output.mkdir(parents=True, exist_ok=True)
    for name, card in cards.items():
        path = output if one else output / f"{name}.md"
        check_folder(path)
        with replacing(path) as file:
            file.write(card.encode("utf-8"))
    print(f"Wrote {output}" if one else f"Wrote {len(cards)} cards into {output}")
