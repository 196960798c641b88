"""Between Caffe's nets and Keras' models."""
