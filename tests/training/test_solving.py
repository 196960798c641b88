"""A whole training as Caffe's solver does it: data by places, tests, log, resuming."""

import io
import re

import keras
import numpy as np
import pytest
from data_files import datum, write_lmdb
from PIL import Image

from keras_caffe_zoo.training import from_solver

