"""The nets that are in memory: each loaded once, the least used put back."""

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence

from keras_caffe_zoo.serving.nets import ServedNet
from keras_caffe_zoo.serving.offers import Offer, find

KEPT = 3  # nets in memory; VGG's have half a gigabyte each


class Shelf:
    """Loaded nets, by name, for any number of threads, one at a time.

    Args:
        offers: The nets that there are.
        kept: How many stay in memory.
    """

    def __init__(self, offers: Sequence[Offer], kept: int = KEPT):
        self.offers = tuple(offers)
        self._kept = max(1, kept)
        self._nets: OrderedDict[str, ServedNet] = OrderedDict()
        self._lock = threading.RLock()

    @property
    def loaded(self) -> list[str]:
        """Names of the nets in memory, the one that was used last at the end."""
        with self._lock:
            return list(self._nets)

    @contextlib.contextmanager
    def using(self, name: str) -> Iterator[ServedNet]:
        """Lend a net; nobody else has one meanwhile.

        Raises:
            ViewError: If there is no net of that name.
        """
        offer = find(self.offers, name)
        with self._lock:
            if name not in self._nets:
                while len(self._nets) >= self._kept:  # before the new one needs room
                    self._nets.popitem(last=False)
                self._nets[name] = offer.load()
            self._nets.move_to_end(name)
            yield self._nets[name]
