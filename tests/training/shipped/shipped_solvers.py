"""Every solver that Caffe 1.0 ships with its examples and models, and their nets."""

from pathlib import PurePosixPath
from typing import NamedTuple

import shipped_nets as nets
from prototxt_text import NetText, Word, as_v1, text

GPU, HDF5 = {"solver_mode": Word("GPU")}, {"snapshot_format": Word("HDF5")}
MNIST, SIAMESE = "examples/mnist", "examples/siamese"
CIFAR, LISTS = "examples/cifar10", "examples/hdf5_classification"
DETECTION, MODELS = "examples/finetune_pascal_detection", "models"


class Shipped(NamedTuple):
    """A solver.

    Attributes:
        path: Where it is in Caffe's repository.
        fields: What it says.
        nets: The nets that it names, by path.
        smooth: Whether the net is without kinks: neither ReLU nor max pooling.
        classes: How many classes, labels of its data go to.
        images: Shape of the stored images, (channels, height, width).
        crop: What the net sees of them, height and width; 0 for all.
    """

    path: str
    fields: dict
    nets: dict[str, NetText]
    smooth: bool = False
    classes: int = 10
    images: tuple[int, ...] = (1, 28, 28)
    crop: int = 0

    @property
    def seen(self):
        """Shape of what the net sees of an image."""
        return (self.images[0], self.crop, self.crop) if self.crop else self.images

    def shortened(self, iterations=2, batch=None, **fields):
        """Return the same with fewer iterations, tested after the last on one batch.

        Args:
            iterations: How many.
            batch: Records of a batch; the nets' own if None.
            **fields: What else the solver is to say.
        """
        tests = [1] * len(self.fields["test_iter"])
        every = {"max_iter": iterations, "test_interval": iterations, "display": 1}
        fields = self.fields | every | {"test_iter": tests} | fields
        files = {path: net.with_batches(batch) for path, net in self.nets.items()}
        return self._replace(fields=fields, nets=files if batch else self.nets)

    def write(self, folder):
        """Write solver and nets side by side into a folder; return the solver."""
        for path, net in self.nets.items():
            (folder / PurePosixPath(path).name).write_text(str(net))
        solver = folder / PurePosixPath(self.path).name
        solver.write_text(text(self.fields) + "\n")
        return solver


def _tests(every, *iterations, stages=()):
    states = {"test_state": [{"stage": stage} for stage in stages]} if stages else {}
    return states | {"test_iter": list(iterations), "test_interval": every}


def _rate(policy, base, **more):
    return {"lr_policy": policy, "base_lr": base} | more


def _length(iterations, display, snapshot, prefix):
    fields = {"display": display, "max_iter": iterations, "snapshot": snapshot}
    return fields | {"snapshot_prefix": prefix}


INV = {"gamma": 0.0001, "power": 0.75}
MOMENTUM = {"momentum": 0.9, "weight_decay": 0.0005}


def _lenet(name, fields, prefix="lenet", mode=GPU):
    path = f"{MNIST}/lenet_train_test.prototxt"
    length = _length(10000, 100, 5000, f"{MNIST}/{prefix}")
    fields = {"net": path} | _tests(500, 100) | fields | length | mode
    return Shipped(f"{MNIST}/{name}.prototxt", fields, {path: nets.lenet()})


def _lenet_auto():
    files = {
        f"{MNIST}/lenet_auto_train.prototxt": nets.lenet_auto("train", 64),
        f"{MNIST}/lenet_auto_test.prototxt": nets.lenet_auto("test", 100),
    }
    fields = dict(zip(("train_net", "test_net"), files, strict=True))
    fields |= _tests(500, 100) | MOMENTUM | _rate("inv", 0.01, **INV)
    fields |= _length(10000, 100, 5000, f"{MNIST}/lenet")
    return Shipped(f"{MNIST}/lenet_auto_solver.prototxt", fields, files)


def lenet_consolidated(v1=False):
    """The solver that holds its net; in the form of 2014 if `v1`."""
    net = nets.lenet_consolidated().fields
    stages = ("test-on-test-set", "test-on-train-set")
    fields = _tests(500, 100, 600, stages=stages) | MOMENTUM
    fields |= _rate("inv", 0.01, **INV)
    fields |= _length(10000, 100, 5000, f"{MNIST}/lenet") | {"random_seed": 1701}
    fields |= GPU | {"net_param": as_v1(net) if v1 else net}
    return Shipped(f"{MNIST}/lenet_consolidated_solver.prototxt", fields, {})


def _autoencoder(name, prefix, **fields):
    path = f"{MNIST}/mnist_autoencoder.prototxt"
    tests = _tests(500, 500, 100, stages=("test-on-train", "test-on-test"))
    length = _length(65000, 100, 10000, f"{MNIST}/mnist_autoencoder{prefix}")
    fields = {"net": path} | tests | {"test_compute_loss": True} | fields
    fields |= {"weight_decay": 0.0005} | length | GPU
    solver = f"{MNIST}/mnist_autoencoder_solver{name}.prototxt"
    return Shipped(solver, fields, {path: nets.autoencoder()}, smooth=True)


def _siamese():
    path = f"{SIAMESE}/mnist_siamese_train_test.prototxt"
    fields = {"net": path} | _tests(500, 100) | {"momentum": 0.9, "weight_decay": 0.0}
    fields |= _rate("inv", 0.01, **INV)
    fields |= _length(50000, 100, 5000, f"{SIAMESE}/mnist_siamese") | GPU
    solver = f"{SIAMESE}/mnist_siamese_solver.prototxt"
    files, images = {path: nets.siamese()}, (2, 28, 28)
    return Shipped(solver, fields, files, classes=2, images=images)


def _cifar(name, kind, rate, every, display, iterations, snapshot):
    net = {"quick": nets.cifar_quick, "full": nets.cifar_full}[kind]
    path = f"{CIFAR}/cifar10_{kind}_train_test.prototxt"
    fields = {"net": path} | _tests(every, 100) | _rate("fixed", rate)
    fields |= {"momentum": 0.9, "weight_decay": 0.004}
    prefix = f"{CIFAR}/cifar10_{kind}"
    fields |= _length(iterations, display, snapshot, prefix) | HDF5 | GPU
    solver = f"{CIFAR}/cifar10_{name}.prototxt"
    return Shipped(solver, fields, {path: net()}, images=(3, 32, 32))


def _cifar_sigmoid(tail, normalized):
    path = f"{CIFAR}/cifar10_full_sigmoid_train_test{tail}.prototxt"
    fields = {"net": path} | _tests(1000, 10) | {"momentum": 0.9}
    fields |= _rate("step", 0.001, gamma=1, stepsize=5000)
    prefix = f"examples/cifar10_full_sigmoid{tail}"
    fields |= _length(60000, 100, 10000, prefix) | GPU
    files = {path: nets.cifar_sigmoid(normalized)}
    solver = f"{CIFAR}/cifar10_full_sigmoid_solver{tail}.prototxt"
    return Shipped(solver, fields, files, images=(3, 32, 32))


def _hdf5(name, kind, hidden):
    files = {
        f"{LISTS}/{kind}_auto_{sets}.prototxt": nets.hdf5_classification(sets, hidden)
        for sets in ("train", "test")
    }
    fields = dict(zip(("train_net", "test_net"), files, strict=True))
    fields |= _tests(1000, 250) | _rate("step", 0.01, gamma=0.1, stepsize=5000)
    fields |= MOMENTUM | _length(10000, 1000, 10000, f"{LISTS}/data/train")
    fields |= {"solver_mode": Word("CPU")}
    solver, smooth = f"{LISTS}/{name}.prototxt", not hidden
    return Shipped(solver, fields, files, smooth, classes=2, images=(4,))


def _model(folder, name, net, fields, **more):
    path = f"{folder}/{name or 'train_val'}.prototxt"
    return {"fields": {"net": path} | fields, "nets": {path: net()}} | more


def _imagenet(name, net, prefix):
    folder = f"{MODELS}/{name}"
    fields = _tests(1000, 1000) | _rate("step", 0.01, gamma=0.1, stepsize=100000)
    length = _length(450000, 20, 10000, f"{folder}/{prefix}")
    more = _model(folder, "", net, fields | MOMENTUM | length | GPU)
    shape = {"classes": 1000, "images": (3, 256, 256), "crop": 227}
    return Shipped(f"{folder}/solver.prototxt", **more, **shape)


def _googlenet(name, prefix, iterations, **policy):
    folder = f"{MODELS}/bvlc_googlenet"
    fields = _tests(4000, 1000) | {"test_initialization": False, "average_loss": 40}
    fields |= _rate(base=0.01, **policy) | {"momentum": 0.9, "weight_decay": 0.0002}
    fields |= _length(iterations, 40, 40000, f"{folder}/{prefix}") | GPU
    more = _model(folder, "", nets.googlenet, fields)
    shape = {"classes": 1000, "images": (3, 256, 256), "crop": 224}
    return Shipped(f"{folder}/{name}.prototxt", **more, **shape)


def _finetuned(folder, solver, name, net, prefix, classes, mode=GPU):
    fields = _tests(1000, 100) | _rate("step", 0.001, gamma=0.1, stepsize=20000)
    fields |= MOMENTUM | _length(100000, 20, 10000, f"{folder}/{prefix}") | mode
    shape = {"classes": classes, "images": (3, 256, 256), "crop": 227}
    more = _model(folder, name, net, fields)
    return Shipped(f"{folder}/{solver}.prototxt", **more, **shape)


STEPS = _rate("step", 0.01, gamma=0.1, stepsize=10000)
STEPVALUES = {"gamma": 0.9, "stepvalue": [5000, 7000, 8000, 9000, 9500]}
SOLVERS = {
    "lenet": _lenet("lenet_solver", MOMENTUM | _rate("inv", 0.01, **INV)),
    "lenet_adam": _lenet(
        "lenet_solver_adam",
        _rate("fixed", 0.001) | {"momentum": 0.9, "momentum2": 0.999, "type": "Adam"},
    ),
    "lenet_rmsprop": _lenet(
        "lenet_solver_rmsprop",
        _rate("inv", 0.01, **INV)
        | {"momentum": 0.0, "weight_decay": 0.0005, "type": "RMSProp"}
        | {"rms_decay": 0.98},
        "lenet_rmsprop",
    ),
    "lenet_adadelta": _lenet(
        "lenet_adadelta_solver",
        _rate("fixed", 1.0)
        | {"momentum": 0.95, "weight_decay": 0.0005, "type": "AdaDelta"}
        | {"delta": 1e-6},
        "lenet_adadelta",
    ),
    "lenet_multistep": _lenet(
        "lenet_multistep_solver",
        MOMENTUM | _rate("multistep", 0.01, **STEPVALUES),
        "lenet_multistep",
    ),
    "lenet_consolidated": lenet_consolidated(),
    "lenet_auto": _lenet_auto(),
    "autoencoder": _autoencoder("", "", **STEPS, momentum=0.9),
    "autoencoder_adagrad": _autoencoder(
        "_adagrad", "_adagrad_train", **_rate("fixed", 0.01), type="AdaGrad"
    ),
    "autoencoder_adadelta": _autoencoder(
        *("_adadelta", "_adadelta_train"),
        **_rate("fixed", 1.0, momentum=0.95, delta=1e-8, type="AdaDelta"),
    ),
    "autoencoder_nesterov": _autoencoder(
        "_nesterov", "_nesterov_train", **STEPS, momentum=0.95, type="Nesterov"
    ),
    "siamese": _siamese(),
    "cifar10_quick": _cifar("quick_solver", "quick", 1e-3, 500, 100, 4000, 4000),
    "cifar10_quick_lr1": _cifar(
        "quick_solver_lr1", "quick", 1e-4, 500, 100, 5000, 5000
    ),
    "cifar10_full": _cifar("full_solver", "full", 1e-3, 1000, 200, 60000, 10000),
    "cifar10_full_lr1": _cifar("full_solver_lr1", "full", 1e-4, 1000, 200, 65000, 5000),
    "cifar10_full_lr2": _cifar("full_solver_lr2", "full", 1e-5, 1000, 200, 70000, 5000),
    "cifar10_full_sigmoid": _cifar_sigmoid("", False),
    "cifar10_full_sigmoid_bn": _cifar_sigmoid("_bn", True),
    "hdf5_logistic": _hdf5("solver", "logreg", 0),
    "hdf5_nonlinear": _hdf5("nonlinear_solver", "nonlinear", 40),
    "caffenet": _imagenet("bvlc_reference_caffenet", nets.caffenet, "caffenet_train"),
    "alexnet": _imagenet("bvlc_alexnet", nets.alexnet, "caffe_alexnet_train"),
    "googlenet": _googlenet(
        *("solver", "bvlc_googlenet", 10000000),
        **{"policy": "step", "stepsize": 320000, "gamma": 0.96},
    ),
    "googlenet_quick": _googlenet(
        *("quick_solver", "bvlc_googlenet_quick", 2400000), policy="poly", power=0.5
    ),
    "flickr_style": _finetuned(
        f"{MODELS}/finetune_flickr_style",
        *("solver", "", nets.flickr_style, "finetune_flickr_style", 20),
    ),
    "pascal": _finetuned(
        *(DETECTION, "pascal_finetune_solver", "pascal_finetune_trainval_test"),
        *(nets.pascal, "pascal_det_finetune", 21, {}),
    ),
}
