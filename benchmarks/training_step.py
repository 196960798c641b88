"""Time a training step of CaffeNet with CaffeConv2D and with Keras' own groups."""

import argparse
import json

import engines
import keras
import nets
import numpy as np
import timing

OURS, PLAIN = "CaffeConv2D", "Conv2D(groups=…)"


def with_plain_convolutions(model: keras.Model) -> keras.Model:
    """Return a copy of a model in which every CaffeConv2D is a keras.layers.Conv2D."""

    def plain(layer):
        if type(layer).__name__ != "CaffeConv2D":
            return layer.from_config(layer.get_config())
        config = layer.get_config()
        padded = any(config.pop("pad"))  # always (kernel - 1) / 2 in CaffeNet
        config["padding"] = "same" if padded else "valid"
        return keras.layers.Conv2D.from_config(config)

    copy = keras.models.clone_model(model, clone_function=plain)
    copy.set_weights(model.get_weights())
    return copy


def compiled(model: keras.Model) -> keras.Model:
    """Prepare a model for Caffe's solver: SGD with momentum."""
    model.compile(keras.optimizers.SGD(1e-5, 0.9), "sparse_categorical_crossentropy")
    return model


def without_dropout(model: keras.Model) -> None:
    """Switch dropout off, so that both models learn the same."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0


def measure(batch: int, rounds: int) -> dict:
    """Return the times of both models, and how far apart their losses are."""
    from keras_caffe_zoo.conversion.params import set_caffe_params
    from keras_caffe_zoo.models import caffenet

    model = caffenet(weights=None)
    set_caffe_params(model, nets.random_params("caffenet"))
    without_dropout(model)
    both = {OURS: compiled(model), PLAIN: compiled(with_plain_convolutions(model))}
    x, y = nets.images(batch, 227), np.arange(batch)
    losses = {
        name: [float(net.train_on_batch(x, y)) for _ in range(3)]
        for name, net in both.items()
    }
    forward = {k: lambda net=net: net.predict_on_batch(x) for k, net in both.items()}
    step = {k: lambda net=net: net.train_on_batch(x, y) for k, net in both.items()}
    found = {"losses": losses}
    for name, calls in (("forward", forward), ("training step", step)):
        times = timing.interleave(calls, rounds)
        found[name] = {k: timing.summary(t, batch) for k, t in times.items()}
        found[name]["ratio"] = timing.paired_ratio(times[OURS], times[PLAIN])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", metavar="FILE", help="also write all numbers there")
    options = parser.parse_args()
    engines.limit_threads()
    facts = timing.machine()
    print(timing.describe(facts))
    found = measure(options.batch, options.rounds)
    print(f"CaffeNet, batch {options.batch}, SGD, ms per image (median, min, max)")
    for name, target in (("forward", 1.0), ("training step", 0.4)):
        rows = dict(found[name])
        ratio = rows.pop("ratio")
        for kind, row in rows.items():
            numbers = "".join(f"{row[k]:9.2f}" for k in ("median", "min", "max"))
            print(f"{name:14} {kind:17}{numbers}")
        print(f"{name:14} ratio {ratio:.2f} (target: at most {target})")
    print("losses of the first three steps:", found["losses"])
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": facts, **found}, file, indent=1)


if __name__ == "__main__":
    main()
