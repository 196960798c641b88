"""A whole training as Caffe's solver does it: data by places, tests, log, resuming."""
