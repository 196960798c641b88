#!/usr/bin/env python3
"""Convert a .caffemodel into one HDF5 file in Keras layout, as `keras-caffe-zoo dump`.

python tools/dump_caffe_weights.py NET.caffemodel [--mean MEAN.binaryproto] -o OUT.h5
"""

import sys

from keras_caffe_zoo.cli import main

if __name__ == "__main__":
    sys.exit(main(["dump", *sys.argv[1:]]))
