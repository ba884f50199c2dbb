"""A Dask cluster that is already running. What a lost worker had to do, Dask has another compute again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import operator
import pickle
import platform
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import partial
from importlib import metadata
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from planner import __version__
from planner.errors import InputError, WorkersLostError
from planner.executors.batches import Answer, compute, in_order
from planner.extras import how_to_install

Task = TypeVar("Task")
R = TypeVar("R")

CONNECT_WITHIN_S = 4.0
ANSWER_WITHIN_S = 10.0
"""The scheduler, when it is asked something."""

WORKER_WITHIN_S = 60.0
"""A cluster that has had no worker for so long is given up."""

BATCH_S = 0.25
"""The scheduler spends about a millisecond on each batch, and serves many workers."""


class Cluster:
    """Connected to while in the context."""

    workers: int
    """Threads of all workers, at the start."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __enter__(self) -> Self:
        self._client = _connected(self.address)
        self.workers = max(1, self._threads())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with contextlib.suppress(Exception):  # the scheduler may be gone
            self._client.close(timeout=ANSWER_WITHIN_S)

    def in_order(self, function: Callable[[Task], R], tasks: Iterable[Task]) -> Iterator[R]:
        """function and tasks are pickled, and pass the scheduler as bytes: it need not know what is in them."""
        checked = partial(_answer, versions(), pickle.dumps(function, protocol=5))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")  # a trace may have millions of requests
            there = self._client.submit(pickle.loads, pickle.dumps(checked, protocol=5), pure=False)
        return in_order(partial(_Batch, self, there), tasks, 3 * self.workers, BATCH_S)

    def submit(self, there: Any, batch: list[Any]) -> Any:
        return self._client.submit(operator.call, there, pickle.dumps(batch, protocol=5), pure=False)

    def result(self, future: Any) -> bytes:
        error = self._error_of(future)
        if error is not None:
            raise error
        try:
            result: bytes = future.result()
        except (CancelledError, OSError):
            raise self._lost() from None
        return result

    def _error_of(self, future: Any) -> Exception | None:
        """How the task ended, waited for as long as there is a worker that might compute it."""
        seen_s = time.monotonic()
        while True:
            try:
                error: Exception | None = future.exception(timeout=1.0)
                return error
            except TimeoutError:
                if self._threads():
                    seen_s = time.monotonic()
                elif time.monotonic() - seen_s > WORKER_WITHIN_S:
                    raise WorkersLostError(f"{self.address}: no worker for {WORKER_WITHIN_S:g} s") from None

    def _threads(self) -> int:
        """Of all workers together."""
        client = self._client
        try:
            return sum(client.sync(client.scheduler.ncores, callback_timeout=ANSWER_WITHIN_S).values())
        except (OSError, AttributeError):
            raise self._lost() from None

    def _lost(self) -> WorkersLostError:
        return WorkersLostError(f"{self.address}: the Dask scheduler is gone")


class _Batch:
    def __init__(self, cluster: Cluster, there: Any, batch: list[Any]) -> None:
        self._cluster = cluster
        self._batch = batch
        self._future = cluster.submit(there, batch)

    def result(self) -> Answer:
        from distributed import KilledWorker

        try:
            answer = pickle.loads(self._cluster.result(self._future))
        except KilledWorker as killed:
            often = killed.allowed_failures + 1
            raise WorkersLostError(f"{often} Dask workers in turn ended that had it to compute", self._batch) from None
        except ModuleNotFoundError as error:
            raise InputError(
                f"{self._cluster.address}: a worker cannot import {error.name}: "
                f"install Surgeproof {__version__} there, with the numpy and numba that are here"
            ) from None
        assert isinstance(answer, Answer)
        return answer

    def cancel(self) -> None:
        """Dask drops what nobody holds; waits for nothing."""
        self._future.release()


def versions() -> dict[str, str]:
    """What must be the same on every worker for its results to be those of this process."""
    from planner.sim.compiled import CACHE_DIRECTORY

    python = ".".join(platform.python_version_tuple()[:2])
    packages = {name: metadata.version(name) for name in ("numpy", "numba")}
    return {"surgeproof": __version__, "python": python, **packages, "kernel": CACHE_DIRECTORY[-16:]}


def _answer(wanted: dict[str, str], function: bytes, batch: bytes) -> bytes:
    """On a worker: the pickled answer, if its versions are the wanted ones."""
    here = versions()
    for name, version in wanted.items():
        if here[name] != version:
            raise InputError(
                f"a Dask worker on {platform.node()} has {name} {here[name]}, this command {version}: "
                "results are only the same with the same versions"
            )
    return pickle.dumps(compute(pickle.loads(function), pickle.loads(batch)), protocol=5)


def _connected(address: str) -> Any:
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise InputError(f"--scheduler needs Dask: {how_to_install('dask')}") from None
    _check(address)
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what is lost is said in one sentence
    try:
        with ThreadPoolExecutor(1) as thread:  # a notebook has a loop in this one
            thread.submit(asyncio.run, _greet(address)).result()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions that differ; `_answer` looks at those that matter
            return Client(address, timeout=CONNECT_WITHIN_S, set_as_default=False)
    except OSError:
        raise InputError(f"--scheduler {address}: no Dask scheduler answers there") from None


def _check(address: str) -> None:
    try:
        parts = urlsplit(address)
        is_complete = parts.scheme in ("tcp", "tls") and parts.hostname and parts.port and "@" not in parts.netloc
    except ValueError:
        is_complete = False
    if not is_complete or address != f"{parts.scheme}://{parts.netloc}":
        raise InputError(f"--scheduler {address}: must be tcp://HOST:PORT, or tls://HOST:PORT if it is encrypted")


async def _greet(address: str) -> None:
    """A client would wait for ever for the greeting of what is no scheduler."""
    from distributed import Security, connect

    how = Security().get_connection_args("client")
    if address.startswith("tls:") and how["ssl_context"] is None:
        raise InputError(f"--scheduler {address}: Dask's own configuration names no certificates for it")
    comm = await asyncio.wait_for(connect(address, timeout=CONNECT_WITHIN_S, **how), CONNECT_WITHIN_S)
    await comm.close()
