"""Model cards: a page for people about each net of the zoo."""

from keras_caffe_zoo.cards.card import card_facts, model_card

__all__ = ["card_facts", "model_card"]
