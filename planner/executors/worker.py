"""A worker process: reads functions and batches of tasks from stdin, writes answers to its stdout.

It ends when stdin does, in the middle of a task too: a parent that is killed leaves no orphan.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from queue import SimpleQueue
from typing import IO, Any

from planner.executors.batches import compute

_LENGTH = struct.Struct("<Q")


def write_frame(stream: IO[bytes], data: bytes) -> None:
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def read_frame(stream: IO[bytes]) -> bytes | None:
    """The next frame; None at the end of the stream, in the middle of a frame too."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = stream.read(length)
    return data if len(data) == length else None


def main() -> None:
    answers = _private_stdout()
    frames: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read, args=(frames,), daemon=True).start()
    function: Callable[[Any], Any] | None = None
    while True:
        pickled_function, batch = frames.get(), frames.get()
        try:
            if function is None or pickled_function:
                function = None  # never the one before, should this one not load
                function = pickle.loads(pickled_function)
            answer = pickle.dumps(compute(function, pickle.loads(batch)), protocol=5)
        except Exception as error:
            answer = _pickled_error(error)
        write_frame(answers, answer)


def _private_stdout() -> IO[bytes]:
    """The pipe to the parent; whatever is printed goes to stderr instead."""
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY) if sys.stderr is None else 2, 1)
    return pipe


def _read(frames: SimpleQueue[bytes]) -> None:
    """In a thread of its own, and unpickling nothing: an import there would keep it from seeing the end of stdin."""
    while (frame := read_frame(sys.stdin.buffer)) is not None:
        frames.put(frame)
    os._exit(0)


def _pickled_error(error: Exception) -> bytes:
    error.add_note(traceback.format_exc())
    try:
        return pickle.dumps(error)
    except Exception:
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))


if __name__ == "__main__":
    main()
