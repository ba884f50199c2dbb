"""Worker processes of this machine. One that is lost is replaced, and what it had to do is computed again."""

from __future__ import annotations

import contextlib
import pickle
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from planner.child import child_environment, module_command
from planner.errors import WorkersLostError
from planner.executors.batches import Answer, in_order
from planner.executors.worker import read_frame, write_frame

Task = TypeVar("Task")
R = TypeVar("R")

LOSSES = 3
"""A task that has ended so many workers is not given to another."""

END_WITHIN_S = 5.0


class Processes:
    """Started one by one as there is work, ended on leaving the context, also in the middle of a task."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._threads = ThreadPoolExecutor(workers)  # each waits for one process
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._alive: set[_Worker] = set()
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with self._lock:
            self._is_closed = True
            for worker in self._alive:
                worker.kill()
        self._threads.shutdown(cancel_futures=True)
        for worker in self._alive:
            worker.close()

    @property
    def pids(self) -> list[int]:
        """Of those that are alive."""
        with self._lock:
            return [worker.pid for worker in self._alive]

    def in_order(self, function: Callable[[Task], R], tasks: Iterable[Task]) -> Iterator[R]:
        """function and tasks are pickled."""
        return in_order(partial(self._submit, pickle.dumps(function, protocol=5)), tasks, 3 * self.workers)

    def _submit(self, function: bytes, batch: list[Any]) -> Future[Answer]:
        return self._threads.submit(self._compute, function, batch)

    def _compute(self, function: bytes, batch: list[Any], losses: int = 0) -> Answer:
        worker = self._take()
        answer = worker.ask(function, batch)
        if answer is not None:
            self._idle.append(worker)
            return _opened(answer)
        ended = self._ended(worker)
        losses += 1
        if losses == LOSSES:
            raise WorkersLostError(f"{LOSSES} worker processes in turn ended while they computed it ({ended})", batch)
        alone = [self._compute(function, [task], losses) for task in batch]  # whichever it was, the others are spared
        return Answer([result for one in alone for result in one.results], sum(one.seconds for one in alone))

    def _take(self) -> _Worker:
        with self._lock:
            if self._is_closed:
                raise WorkersLostError("the worker processes have been ended")
            if self._idle:
                return self._idle.pop()
            try:
                worker = _Worker()
            except OSError as error:
                raise WorkersLostError(f"no worker process can be started ({error.strerror})") from None
            self._alive.add(worker)
            return worker

    def _ended(self, worker: _Worker) -> str:
        with self._lock:
            self._alive.discard(worker)
        return worker.close()


class _Worker:
    """`python -m planner.executors.worker` in a session of its own: Ctrl-C in a terminal reaches the parent only."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            module_command("planner.executors.worker"),
            env=child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._function = b""

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, function: bytes, batch: list[Any]) -> bytes | None:
        """The pickled answer, None if the process has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            write_frame(self._process.stdin, b"" if function is self._function else function)
            write_frame(self._process.stdin, pickle.dumps(batch, protocol=5))
        except OSError:
            return None
        self._function = function
        return read_frame(self._process.stdout)

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> str:
        """Wait until it has ended, for it is about to; says how."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            code = self._process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if code == -signal.SIGKILL:
            return "killed: is there too little memory?"
        return f"exit code {code}" if code >= 0 else f"ended by signal {-code}"


def _opened(pickled: bytes) -> Answer:
    answer = pickle.loads(pickled)
    if isinstance(answer, Exception):
        raise answer
    assert isinstance(answer, Answer)
    return answer
