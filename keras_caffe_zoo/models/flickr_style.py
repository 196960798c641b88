"""CaffeNet fine-tuned to tell the style of a photograph."""

from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.models._caffenet import features


@builder(smallest=39)
def flickr_style(plan):
    """Build CaffeNet for the 20 styles of Flickr Style (`finetune_flickr_style`).

    Its last layer is `fc8_flickr`. Fully convolutional, its windows have a stride of 32
    pixels.
    """
    return plan.classifier(features(plan.image()), window=6, head="fc8_flickr")
