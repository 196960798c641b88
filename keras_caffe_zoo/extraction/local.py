"""The engine on this machine: threads decode pictures while the net runs.

Batches never reach over two blocks, so that a block's values do not depend on which
blocks were computed before it, nor on how many threads there are.
"""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from keras_caffe_zoo.extraction.block import Bad, Block, Item
from keras_caffe_zoo.pictures import PictureError

_BATCHES_DECODED_AHEAD = 2


class _Batch(NamedTuple):
    """Some pictures of one block; `is_last` if the block ends with them."""

    items: Sequence[Item]
    first: int
    is_last: bool


class _Answer(NamedTuple):
    """What became of a batch: rows of the good ones, reasons of the bad ones."""

    good: list[Item]
    values: dict[str, np.ndarray]
    bad: list[Bad]


def compute(
    worker,
    tasks: Iterable[Sequence[Item]],
    advance: Callable[[int], None] = lambda count: None,
) -> Iterator[Block]:
    """Yield the blocks of tasks, in order.

    Args:
        worker: A `BlockWorker`.
        tasks: The pictures of each block; read a few batches ahead.
        advance: Called with the number of pictures that got done.
    """
    batches = _batches(tasks, worker.pictures_at_once)
    pairs = ((batch, batch.items) for batch in batches)
    answers = answered(
        pairs,
        worker.prepare,
        lambda batch, inputs: _answer(worker, batch, inputs),
        size=worker.pictures_at_once,
        at_once=worker.batches_at_once,
    )
    parts = []
    with contextlib.closing(answers):
        for batch, answer in answers:
            parts.append(answer)
            advance(len(batch.items))
            if batch.is_last:
                yield _block(worker, batch.first, parts)
                parts = []


def answered(
    batches: Iterable[tuple[Any, Sequence[Item]]],
    prepare: Callable[[Item], Any],
    answer: Callable[[Any, list], Any],
    *,
    size: int,
    at_once: int,
) -> Iterator[tuple[Any, Any]]:
    """Yield each batch's answer, in order, while later ones are under way.

    Args:
        batches: Pairs of what is called a batch and its pictures; read a few ahead.
        prepare: Makes a picture the net's input; threads call it.
        answer: Makes a batch and its inputs the answer; at most `at_once` threads call
            it.
        size: Pictures in a batch, about.
        at_once: How many batches are in the net at once.

    Yields:
        The batch, and its answer.
    """
    threads = max(2, os.cpu_count() or 1)
    ahead = _BATCHES_DECODED_AHEAD + threads // size
    decoders, nets = ThreadPoolExecutor(threads), ThreadPoolExecutor(at_once)

    def decode(batch, items) -> tuple[Any, list[Future]]:
        return batch, [decoders.submit(prepare, item) for item in items]

    def run(batch, futures: list[Future]) -> tuple[Any, Future]:
        inputs = [future.result() for future in futures]
        return batch, nets.submit(answer, batch, inputs)

    try:
        decoded = _ahead((decode(*pair) for pair in batches), ahead)
        for batch, future in _ahead((run(*one) for one in decoded), at_once):
            yield batch, future.result()
    finally:
        for pool in (decoders, nets):
            pool.shutdown(wait=True, cancel_futures=True)


def _batches(tasks, size: int) -> Iterator[_Batch]:
    for items in tasks:
        for start in range(0, len(items), size):
            is_last = start + size >= len(items)
            yield _Batch(items[start : start + size], items[0].index, is_last)


def _ahead(results: Iterator, count: int) -> Iterator:
    """Yield what an iterator yields, which starts work, `count` - 1 of them later."""
    started = deque()
    for result in results:
        started.append(result)
        if len(started) == count:
            yield started.popleft()
    yield from started


def _answer(worker, batch: _Batch, inputs: list) -> _Answer:
    pairs = list(zip(batch.items, inputs, strict=True))
    bad = [
        Bad(item.index, item.name, one.reason)
        for item, one in pairs
        if isinstance(one, PictureError)
    ]
    good = [(item, x) for item, x in pairs if not isinstance(x, PictureError)]
    values = worker.run([x for _, x in good]) if good else {}
    return _Answer([item for item, _ in good], values, bad)


def _block(worker, first: int, answers: list[_Answer]) -> Block:
    """Join a block's batches."""
    good = [item for answer in answers for item in answer.good]
    layers = [answer.values for answer in answers if answer.good]
    nothing = {
        name: np.empty((0, *(side or 0 for side in shape)), worker.spec.dtype)
        for name, shape in worker.shapes.items()
    }
    return Block(
        first,
        np.array([item.index for item in good], "int64"),
        [item.name for item in good],
        {
            name: np.concatenate([values[name] for values in layers] or [nothing[name]])
            for name in worker.spec.layers
        },
        [bad for answer in answers for bad in answer.bad],
    )
