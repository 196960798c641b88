"""The command, where only Python is at hand: `python -m keras_caffe_zoo`."""

import sys

from _keras_caffe_zoo_command import main

if __name__ == "__main__":
    sys.exit(main())
