"""What an `engine` field may say: who computes, never what."""

# The last two are of Intel's Caffe.
ENGINE = "enum Engine: DEFAULT=0 CAFFE=1 CUDNN=2 MKL2017=3 MKLDNN=4"
