"""The training nets of Caffe 1.0's examples and models, in a compact form.

Each function writes down what the authors' prototxt says: the same layers in the same
order, with the same names, fillers, multipliers, sources and transforms.
"""

from prototxt_text import NetText, Word

MNIST, CIFAR = "examples/mnist/mnist_{}_lmdb", "examples/cifar10/cifar10_{}_lmdb"
MEAN_OF_CIFAR = "examples/cifar10/mean.binaryproto"
MEAN_OF_IMAGENET = "data/ilsvrc12/imagenet_mean.binaryproto"
LMDB, MAX, AVE = Word("LMDB"), Word("MAX"), Word("AVE")
XAVIER, ZEROS = {"type": "xavier"}, {"type": "constant"}


def phase(name, **more):
    return {"include": {"phase": Word(name)} | more}


def rates(*pairs):
    """Multipliers of parameters: numbers for lr_mult, pairs with decay_mult."""
    names = ("lr_mult", "decay_mult")
    found = [pair if isinstance(pair, tuple) else (pair,) for pair in pairs]
    return {"param": [dict(zip(names, pair, strict=False)) for pair in found]}


ONCE_TWICE = rates((1, 1), (2, 0))


def gaussian(std):
    return {"type": "gaussian", "std": std}


def constant(number):
    return {"type": "constant", "value": number}


def database(net, name, source, batch, tops="data label", where=None, **transform):
    data = {"source": source, "batch_size": batch, "backend": LMDB}
    transform = {"transform_param": transform} if transform else {}
    net.add("Data", name, "", tops, **(where or {}), **transform, data_param=data)


def both_phases(net, name, source, batches, test=None, **transform):
    """Data of the training set and of the other."""
    names = ("test" if test is None else test).split()
    for word, sets, batch in zip(
        ("TRAIN", "TEST"), ("train", *names), batches, strict=True
    ):
        database(net, name, source.format(sets), batch, where=phase(word), **transform)


def conv(net, name, bottom, n, kernel, params=None, weights=XAVIER, bias=ZEROS, **more):
    fillers = {"weight_filler": weights} | ({"bias_filler": bias} if bias else {})
    fields = {"num_output": n, "kernel_size": kernel} | more | fillers
    net.add(
        "Convolution", name, bottom, name, **(params or {}), convolution_param=fields
    )


def pool(net, name, bottom, kind, kernel, stride, **more):
    fields = {"pool": kind, "kernel_size": kernel, "stride": stride} | more
    net.add("Pooling", name, bottom, name, pooling_param=fields)


def inner(net, name, bottom, n, params=None, weights=XAVIER, bias=ZEROS):
    fillers = {"weight_filler": weights} | ({"bias_filler": bias} if bias else {})
    fields = {"num_output": n} | fillers
    net.add(
        "InnerProduct", name, bottom, name, **(params or {}), inner_product_param=fields
    )


def in_place(net, kind, name, blob, **fields):
    net.add(kind, name, blob, blob, **fields)


def accuracy(net, scores, where=None, name="accuracy", **fields):
    where = phase("TEST") if where is None else where
    net.add("Accuracy", name, f"{scores} label", name, **where, **fields)


def softmax_loss(net, scores, name="loss", top="loss", **fields):
    net.add("SoftmaxWithLoss", name, f"{scores} label", top, **fields)


def lenet_layers(net, tail="", data="data", params=lambda name: rates(1, 2)):
    """LeNet from its first convolution to its scores."""
    ends = [f"{name}{tail}" for name in ("conv1", "pool1", "conv2", "pool2")]
    conv(net, ends[0], data, 20, 5, params("conv1"), stride=1)
    pool(net, ends[1], ends[0], MAX, 2, 2)
    conv(net, ends[2], ends[1], 50, 5, params("conv2"), stride=1)
    pool(net, ends[3], ends[2], MAX, 2, 2)
    inner(net, f"ip1{tail}", ends[3], 500, params("ip1"))
    in_place(net, "ReLU", f"relu1{tail}", f"ip1{tail}")
    inner(net, f"ip2{tail}", f"ip1{tail}", 10, params("ip2"))


def lenet():
    net = NetText("LeNet")
    both_phases(net, "mnist", MNIST, (64, 100), scale=0.00390625)
    lenet_layers(net)
    accuracy(net, "ip2")
    softmax_loss(net, "ip2")
    return net


def lenet_consolidated():
    """LeNet as it stands inside its solver, tested on both sets."""
    net = NetText("LeNet")
    for sets, batch, where in [
        ("train", 64, phase("TRAIN")),
        ("test", 100, phase("TEST", stage="test-on-test-set")),
        ("train", 100, phase("TEST", stage="test-on-train-set")),
    ]:
        source = MNIST.format(sets)
        database(net, "mnist", source, batch, where=where, scale=0.00390625)
    lenet_layers(net)
    accuracy(net, "ip2", {})
    softmax_loss(net, "ip2")
    return net


def lenet_auto(sets, batch):
    """What the notebook about learning LeNet writes."""
    net, bare = NetText(), {"bias": None}
    database(net, "data", MNIST.format(sets), batch, scale=0.00392156885937)
    conv(net, "conv1", "data", 20, 5, **bare)
    pool(net, "pool1", "conv1", MAX, 2, 2)
    conv(net, "conv2", "pool1", 50, 5, **bare)
    pool(net, "pool2", "conv2", MAX, 2, 2)
    inner(net, "fc1", "pool2", 500, **bare)
    in_place(net, "ReLU", "relu1", "fc1")
    inner(net, "score", "fc1", 10, **bare)
    softmax_loss(net, "score")
    return net


def autoencoder():
    net, scale = NetText("MNISTAutoencoder"), 0.0039215684
    for sets, where in [
        ("train", phase("TRAIN")),
        ("train", phase("TEST", stage="test-on-train")),
        ("test", phase("TEST", stage="test-on-test")),
    ]:
        source = MNIST.format(sets)
        database(net, "data", source, 100, "data", where=where, scale=scale)
    net.add("Flatten", "flatdata", "data", "flatdata")
    sparse = {"weights": gaussian(1) | {"sparse": 15}, "bias": constant(0)}
    bottom, last = "data", ("encode4", "decode1")
    for name, n in [
        *(("encode1", 1000), ("encode2", 500), ("encode3", 250), ("encode4", 30)),
        *(("decode4", 250), ("decode3", 500), ("decode2", 1000), ("decode1", 784)),
    ]:
        inner(net, name, bottom, n, rates((1, 1), (1, 0)), **sparse)
        bottom = name
        if name not in last:
            net.add("Sigmoid", f"{name}neuron", name, f"{name}neuron")
            bottom = f"{name}neuron"
    for kind, scores, top, weight in [
        ("SigmoidCrossEntropyLoss", "decode1", "cross_entropy_loss", 1),
        ("EuclideanLoss", "decode1neuron", "l2_error", 0),
    ]:
        if weight == 0:
            net.add("Sigmoid", "decode1neuron", "decode1", "decode1neuron")
        net.add(kind, "loss", f"{scores} flatdata", top, loss_weight=weight)
    return net


def siamese():
    net = NetText("mnist_siamese_train_test")
    for word, sets, batch in [("TRAIN", "train", 64), ("TEST", "test", 100)]:
        data = {
            "source": f"examples/siamese/mnist_siamese_{sets}_leveldb",
            "batch_size": batch,
        }
        transform, tops = {"scale": 0.00390625}, "pair_data sim"
        fields = {"transform_param": transform, "data_param": data}
        net.add("Data", "pair_data", "", tops, **phase(word), **fields)
    net.add(
        *("Slice", "slice_pair", "pair_data", "data data_p"),
        slice_param={"slice_dim": 1, "slice_point": 1},
    )

    def shared(name):
        pairs = zip("wb", (1, 2), strict=True)
        return {"param": [{"name": f"{name}_{x}", "lr_mult": n} for x, n in pairs]}

    for tail in ("", "_p"):
        lenet_layers(net, tail, f"data{tail}", shared)
        inner(net, f"feat{tail}", f"ip2{tail}", 2, shared("feat"))
    net.add(
        *("ContrastiveLoss", "loss", "feat feat_p sim", "loss"),
        contrastive_loss_param={"margin": 1},
    )
    return net


def cifar_conv(net, name, bottom, n, std, params, **more):
    weights = {"weights": gaussian(std)} | more
    conv(net, name, bottom, n, 5, params, pad=2, stride=1, **weights)


def cifar_quick():
    net = NetText("CIFAR10_quick")
    both_phases(net, "cifar", CIFAR, (100, 100), mean_file=MEAN_OF_CIFAR)
    cifar_conv(net, "conv1", "data", 32, 0.0001, rates(1, 2))
    pool(net, "pool1", "conv1", MAX, 3, 2)
    in_place(net, "ReLU", "relu1", "pool1")
    for i, n in ((2, 32), (3, 64)):
        cifar_conv(net, f"conv{i}", f"pool{i - 1}", n, 0.01, rates(1, 2))
        in_place(net, "ReLU", f"relu{i}", f"conv{i}")
        pool(net, f"pool{i}", f"conv{i}", AVE, 3, 2)
    inner(net, "ip1", "pool3", 64, rates(1, 2), gaussian(0.1))
    inner(net, "ip2", "ip1", 10, rates(1, 2), gaussian(0.1))
    accuracy(net, "ip2")
    softmax_loss(net, "ip2")
    return net


def cifar_full():
    net = NetText("CIFAR10_full")
    both_phases(net, "cifar", CIFAR, (100, 100), mean_file=MEAN_OF_CIFAR)
    within = {"local_size": 3, "alpha": 5e-05, "beta": 0.75}
    within["norm_region"] = Word("WITHIN_CHANNEL")
    cifar_conv(net, "conv1", "data", 32, 0.0001, rates(1, 2))
    pool(net, "pool1", "conv1", MAX, 3, 2)
    in_place(net, "ReLU", "relu1", "pool1")
    net.add("LRN", "norm1", "pool1", "norm1", lrn_param=within)
    cifar_conv(net, "conv2", "norm1", 32, 0.01, rates(1, 2))
    in_place(net, "ReLU", "relu2", "conv2")
    pool(net, "pool2", "conv2", AVE, 3, 2)
    net.add("LRN", "norm2", "pool2", "norm2", lrn_param=within)
    cifar_conv(net, "conv3", "norm2", 64, 0.01, None)
    in_place(net, "ReLU", "relu3", "conv3")
    pool(net, "pool3", "conv3", AVE, 3, 2)
    inner(net, "ip1", "pool3", 10, rates((1, 250), (2, 0)), gaussian(0.01))
    accuracy(net, "ip1")
    softmax_loss(net, "ip1")
    return net


def cifar_sigmoid(normalized):
    """The net with sigmoids, or with BatchNorm in front of them."""
    net, batches = NetText("CIFAR10_full"), (100 if normalized else 111, 1000)
    both_phases(net, "cifar", CIFAR, batches, mean_file=MEAN_OF_CIFAR)
    bias = {"bias_term": False, "bias": None} if normalized else {}
    both = [rates(1)] * 3 if normalized else [rates(1, 2), rates(1, 2), rates(1, 1)]

    def normal(i, blob):
        if not normalized:
            return blob
        net.add("BatchNorm", f"bn{i}", blob, f"bn{i}", **rates(0, 0, 0))
        return f"bn{i}"

    cifar_conv(net, "conv1", "data", 32, 0.0001, both[0], **bias)
    pool(net, "pool1", "conv1", MAX, 3, 2)
    net.add("Sigmoid", "Sigmoid1", normal(1, "pool1"), "Sigmoid1")
    bottom = "Sigmoid1"
    for i, n in ((2, 32), (3, 64)):
        cifar_conv(net, f"conv{i}", bottom, n, 0.01, both[i - 1], **bias)
        net.add("Sigmoid", f"Sigmoid{i}", normal(i, f"conv{i}"), f"Sigmoid{i}")
        pool(net, f"pool{i}", f"Sigmoid{i}", AVE, 3, 2)
        bottom = f"pool{i}"
    last = rates((1, 1), (1, 0)) if normalized else rates((1, 0), (2, 0))
    inner(net, "ip1", "pool3", 10, last, gaussian(0.01))
    accuracy(net, "ip1")
    softmax_loss(net, "ip1")
    return net


def hdf5_classification(sets, hidden):
    """What the notebook about HDF5 writes: logistic regression, or one layer more."""
    net, source = NetText(), f"examples/hdf5_classification/data/{sets}.txt"
    data = {"source": source, "batch_size": 10}
    net.add("HDF5Data", "data", "", "data label", hdf5_data_param=data)
    scores = "ip1"
    inner(net, "ip1", "data", hidden or 2, bias=None)
    if hidden:
        in_place(net, "ReLU", "relu1", "ip1")
        inner(net, "ip2", "ip1", 2, bias=None)
        scores = "ip2"
    accuracy(net, scores, {})
    softmax_loss(net, scores)
    return net


def alexnet_data(net, batches):
    transform = {"crop_size": 227, "mean_file": MEAN_OF_IMAGENET}
    source = "examples/imagenet/ilsvrc12_{}_lmdb"
    for word, sets, batch in zip(
        ("TRAIN", "TEST"), ("train", "val"), batches, strict=True
    ):
        mirror = {"mirror": word == "TRAIN"} | transform
        where = {"where": phase(word)} | mirror
        database(net, "data", source.format(sets), batch, **where)


def alexnet_layers(net, bias, norm_first, head, classes, times=1):
    """AlexNet, or CaffeNet, where LRN comes behind pooling, up to its scores."""

    def gauss(std, b):
        return {"params": ONCE_TWICE, "weights": gaussian(std), "bias": constant(b)}

    bottom = "data"
    for i, n, kernel, b, more in [
        (1, 96, 11, 0, {"stride": 4}),
        (2, 256, 5, bias, {"pad": 2, "group": 2}),
    ]:
        conv(net, f"conv{i}", bottom, n, kernel, **gauss(0.01, b), **more)
        in_place(net, "ReLU", f"relu{i}", f"conv{i}")
        ends = [f"conv{i}", f"norm{i}", f"pool{i}"]
        if not norm_first:
            ends[1:] = ends[:0:-1]
        for source, name in zip(ends, ends[1:], strict=False):
            if name.startswith("pool"):
                pool(net, name, source, MAX, 3, 2)
            else:
                fields = {"local_size": 5, "alpha": 0.0001, "beta": 0.75}
                net.add("LRN", name, source, name, lrn_param=fields)
        bottom = ends[-1]
    for i, n, b, more in [
        (3, 384, 0, {}),
        (4, 384, bias, {"group": 2}),
        (5, 256, bias, {"group": 2}),
    ]:
        conv(net, f"conv{i}", bottom, n, 3, **gauss(0.01, b), pad=1, **more)
        in_place(net, "ReLU", f"relu{i}", f"conv{i}")
        bottom = f"conv{i}"
    pool(net, "pool5", "conv5", MAX, 3, 2)
    bottom = "pool5"
    for i in (6, 7):
        inner(net, f"fc{i}", bottom, 4096, **gauss(0.005, bias))
        in_place(net, "ReLU", f"relu{i}", f"fc{i}")
        half = {"dropout_param": {"dropout_ratio": 0.5}}
        in_place(net, "Dropout", f"drop{i}", f"fc{i}", **half)
        bottom = f"fc{i}"
    params = rates((times, 1), (2 * times, 0))
    inner(net, head, bottom, classes, params, gaussian(0.01), constant(0))


def alexnet():
    net = NetText("AlexNet")
    alexnet_data(net, (256, 50))
    alexnet_layers(net, 0.1, True, "fc8", 1000)
    accuracy(net, "fc8")
    softmax_loss(net, "fc8")
    return net


def caffenet():
    net = NetText("CaffeNet")
    alexnet_data(net, (256, 50))
    alexnet_layers(net, 1, False, "fc8", 1000)
    accuracy(net, "fc8")
    softmax_loss(net, "fc8")
    return net


def flickr_style():
    net = NetText("FlickrStyleCaffeNet")
    for word, sets in (("TRAIN", "train"), ("TEST", "test")):
        transform = {"mirror": word == "TRAIN", "crop_size": 227}
        transform["mean_file"] = MEAN_OF_IMAGENET
        data = {"source": f"data/flickr_style/{sets}.txt", "batch_size": 50}
        data |= {"new_height": 256, "new_width": 256}
        fields = {"transform_param": transform, "image_data_param": data}
        net.add("ImageData", "data", "", "data label", **phase(word), **fields)
    alexnet_layers(net, 1, False, "fc8_flickr", 20, 10)
    accuracy(net, "fc8_flickr")
    softmax_loss(net, "fc8_flickr")
    return net


def pascal():
    net, folder = NetText("CaffeNet"), "examples/finetune_pascal_detection"
    for word, sets in (("TRAIN", "trainval"), ("TEST", "test")):
        transform = {"mirror": True, "crop_size": 227, "mean_file": MEAN_OF_IMAGENET}
        data = {
            **{"source": f"{folder}/window_file_2007_{sets}.txt", "batch_size": 128},
            **{"fg_threshold": 0.5, "bg_threshold": 0.5, "fg_fraction": 0.25},
            **{"context_pad": 16, "crop_mode": "warp"},
        }
        fields = {"transform_param": transform, "window_data_param": data}
        net.add("WindowData", "data", "", "data label", **phase(word), **fields)
    alexnet_layers(net, 1, False, "fc8_pascal", 21, 10)
    softmax_loss(net, "fc8_pascal", top="")
    accuracy(net, "fc8_pascal")
    return net


def googlenet():
    net = NetText("GoogleNet")
    transform = {"crop_size": 224, "mean_value": [104, 117, 123]}
    source = "examples/imagenet/ilsvrc12_{}_lmdb"
    for word, sets, batch in (("TRAIN", "train", 32), ("TEST", "val", 50)):
        mirror = {"mirror": word == "TRAIN"} | transform
        database(net, "data", source.format(sets), batch, where=phase(word), **mirror)
    fill = {"params": ONCE_TWICE, "bias": constant(0.2)}
    lrn = {"lrn_param": {"local_size": 5, "alpha": 0.0001, "beta": 0.75}}

    def unit(name, bottom, n, kernel, **more):
        conv(net, name, bottom, n, kernel, **fill, **more)
        stage, _, rest = name.partition("/")
        rest = rest.removesuffix("_s2")
        in_place(net, "ReLU", f"{stage}/relu_{rest}", name)
        return name

    unit("conv1/7x7_s2", "data", 64, 7, pad=3, stride=2)
    pool(net, "pool1/3x3_s2", "conv1/7x7_s2", MAX, 3, 2)
    net.add("LRN", "pool1/norm1", "pool1/3x3_s2", "pool1/norm1", **lrn)
    unit("conv2/3x3_reduce", "pool1/norm1", 64, 1)
    unit("conv2/3x3", "conv2/3x3_reduce", 192, 3, pad=1)
    net.add("LRN", "conv2/norm2", "conv2/3x3", "conv2/norm2", **lrn)
    pool(net, "pool2/3x3_s2", "conv2/norm2", MAX, 3, 2)

    def inception(letter, bottom, ones, small3, threes, small5, fives, proj):
        at = f"inception_{letter}"
        unit(f"{at}/1x1", bottom, ones, 1)
        unit(f"{at}/3x3_reduce", bottom, small3, 1)
        unit(f"{at}/3x3", f"{at}/3x3_reduce", threes, 3, pad=1)
        unit(f"{at}/5x5_reduce", bottom, small5, 1)
        unit(f"{at}/5x5", f"{at}/5x5_reduce", fives, 5, pad=2)
        pool(net, f"{at}/pool", bottom, MAX, 3, 1, pad=1)
        unit(f"{at}/pool_proj", f"{at}/pool", proj, 1)
        ends = " ".join(f"{at}/{end}" for end in ("1x1", "3x3", "5x5", "pool_proj"))
        net.add("Concat", f"{at}/output", ends, f"{at}/output")
        return f"{at}/output"

    def classifier(at, bottom, loss, top, weight):
        name = f"{at}/classifier"
        inner(net, name, bottom, 1000, ONCE_TWICE, bias=constant(0))
        softmax_loss(net, name, f"{at}/{loss}", f"{at}/{top}", loss_weight=weight)
        accuracy(net, name, name=f"{at}/top-1")
        accuracy(net, name, name=f"{at}/top-5", accuracy_param={"top_k": 5})

    def side(at, bottom):
        pool(net, f"{at}/ave_pool", bottom, AVE, 5, 3)
        conv(net, f"{at}/conv", f"{at}/ave_pool", 128, 1, **fill)
        in_place(net, "ReLU", f"{at}/relu_conv", f"{at}/conv")
        inner(net, f"{at}/fc", f"{at}/conv", 1024, ONCE_TWICE, bias=constant(0.2))
        in_place(net, "ReLU", f"{at}/relu_fc", f"{at}/fc")
        dropout = {"dropout_param": {"dropout_ratio": 0.7}}
        in_place(net, "Dropout", f"{at}/drop_fc", f"{at}/fc", **dropout)
        classifier(at, f"{at}/fc", "loss", "loss1", 0.3)

    x = inception("3a", "pool2/3x3_s2", 64, 96, 128, 16, 32, 32)
    x = inception("3b", x, 128, 128, 192, 32, 96, 64)
    pool(net, "pool3/3x3_s2", x, MAX, 3, 2)
    x = inception("4a", "pool3/3x3_s2", 192, 96, 208, 16, 48, 64)
    side("loss1", x)
    x = inception("4b", x, 160, 112, 224, 24, 64, 64)
    x = inception("4c", x, 128, 128, 256, 24, 64, 64)
    x = inception("4d", x, 112, 144, 288, 32, 64, 64)
    side("loss2", x)
    x = inception("4e", x, 256, 160, 320, 32, 128, 128)
    pool(net, "pool4/3x3_s2", x, MAX, 3, 2)
    x = inception("5a", "pool4/3x3_s2", 256, 160, 320, 32, 128, 128)
    x = inception("5b", x, 384, 192, 384, 48, 128, 128)
    pool(net, "pool5/7x7_s1", x, AVE, 7, 1)
    drop = {"dropout_param": {"dropout_ratio": 0.4}}
    in_place(net, "Dropout", "pool5/drop_7x7_s1", "pool5/7x7_s1", **drop)
    classifier("loss3", "pool5/7x7_s1", "loss3", "loss3", 1)
    return net
