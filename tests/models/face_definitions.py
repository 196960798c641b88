"""Published definitions of the nets that find faces."""

from definition import Other


def mtcnn_p(d):
    active(d, "conv1", 10, 3, "PReLU1")
    d.pool("pool1", 2, 2)
    active(d, "conv2", 16, 3, "PReLU2")
    x = active(d, "conv3", 32, 3, "PReLU3")
    d.conv("conv4-1", 2, 1, relu=None)
    d.conv("conv4-2", 4, 1, bottom=x, relu=None)
    d.softmax("prob1", "conv4-1")


def mtcnn_r(d):
    active(d, "conv1", 28, 3, "prelu1")
    d.pool("pool1", 3, 2)
    active(d, "conv2", 48, 3, "prelu2")
    d.pool("pool2", 3, 2)
    active(d, "conv3", 64, 2, "prelu3")
    x = d.ip("conv4", 128)
    d.prelu("prelu4")
    d.ip("conv5-1", 2, bottom=x)
    d.ip("conv5-2", 4, bottom=x)
    d.softmax("prob1", "conv5-1")


def mtcnn_o(d):
    active(d, "conv1", 32, 3, "prelu1")
    d.pool("pool1", 3, 2)
    active(d, "conv2", 64, 3, "prelu2")
    d.pool("pool2", 3, 2)
    active(d, "conv3", 64, 3, "prelu3")
    d.pool("pool3", 2, 2)
    active(d, "conv4", 128, 2, "prelu4")
    x = d.ip("conv5", 256)
    d.dropout("drop5", 0.25)
    d.prelu("prelu5")
    d.ip("conv6-1", 2, bottom=x)
    d.ip("conv6-2", 4, bottom=x)
    d.ip("conv6-3", 10, bottom=x)
    d.softmax("prob1", "conv6-1")


def active(d, name, n, k, prelu):
    top = d.conv(name, n, k, relu=None)
    d.prelu(prelu)
    return top


NETS = {
    "mtcnn_p": Other(mtcnn_p, 12, 6_632, ("prob1", "conv4-2"), other_sizes=((31, 40),)),
    "mtcnn_r": Other(mtcnn_r, 24, 100_178, ("prob1", "conv5-2"), quick=True),
    "mtcnn_o": Other(mtcnn_o, 48, 389_040, ("prob1", "conv6-2", "conv6-3")),
}
