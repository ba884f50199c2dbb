"""Tasks in batches: one message carries as many as take a twentieth of a second, whatever one of them takes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple, Protocol, TypeVar

Task = TypeVar("Task")
R = TypeVar("R")

BATCH_S = 0.05
"""A message costs well under a millisecond; waiting for the last batches of all costs at most this."""


class Answer(NamedTuple):
    """What a batch gave, and how long it took to compute."""

    results: list[Any]
    seconds: float


class Future(Protocol):
    def result(self) -> Answer: ...

    def cancel(self) -> object: ...


def compute(function: Callable[[Task], R], batch: Iterable[Task]) -> Answer:
    """What a worker does with a batch."""
    started = time.perf_counter()
    results = [function(task) for task in batch]
    return Answer(results, time.perf_counter() - started)


def in_order(
    submit: Callable[[list[Task]], Future], tasks: Iterable[Task], ahead: int, batch_s: float = BATCH_S
) -> Iterator[Any]:
    """The results of all tasks in their order. submit is given the batches, `ahead` of them before one is awaited."""
    left = iter(tasks)
    size = 1
    waiting: deque[Future] = deque()
    try:
        while True:
            while len(waiting) < ahead and (batch := list(islice(left, size))):
                waiting.append(submit(batch))
            if not waiting:
                return
            answer = waiting.popleft().result()
            size = _next_size(size, answer, batch_s)
            yield from answer.results
    finally:
        for future in waiting:
            future.cancel()


def _next_size(size: int, answer: Answer, batch_s: float) -> int:
    """What takes batch_s at the last batch's pace; at most twice as many as before, for the first is slow."""
    each_s = answer.seconds / len(answer.results)
    return max(1, min(2 * size, int(batch_s / each_s) if each_s > 0 else 2 * size))
