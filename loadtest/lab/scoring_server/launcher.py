"""Forks azmlinfsrv processes that listen on sockets the lab has opened, and die with the lab.

`launcher.py LAB_PID CONTROL_FD`, with the Python of the scoring server's environment. azmlinfsrv needs more than a
second of CPU to import what it uses; this process has imported that already, so replicas that start in a burst do not
take the processor from those that work. What it forks is azmlinfsrv as released: gunicorn master, workers, init() in
each.

azmlinfsrv binds 0.0.0.0 and lets nobody choose; gunicorn beneath it prefers an inherited socket (systemd's protocol),
so the lab opens one on 127.0.0.1. This file is gunicorn's configuration file too (`-c`, from GUNICORN_CMD_ARGS).
"""

import contextlib
import fcntl
import gc
import importlib
import json
import mmap
import os
import runpy
import signal
import socket
import sys
import threading
import time
from typing import Any

# gunicorn 27 puts one control socket into the home directory, which replicas would fight over.
control_socket_disable = True

_IMPORTED_BEFOREHAND = (
    "azure.monitor.opentelemetry.exporter",
    "flask_cors",
    "gunicorn.app.wsgiapp",
    "gunicorn.workers.sync",
    "inference_schema.schema_util",
    "opentelemetry.sdk._logs.export",
    "opentelemetry.sdk.trace.export",
    "pydantic_settings",
)
"""Not azmlinfsrv itself, which reads its settings while it is imported."""
MAX_DEATHS_BEFORE_READY = 3
"""gunicorn replaces a worker that was killed in init() at once, and for ever; after so many the master ends."""
_READY_FD = "SURGEPROOF_LAB_READY_FD"
_SYSTEMD_FIRST_FD = 3
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15


_deaths_before_ready = 0


def pre_fork(server: Any, worker: Any) -> None:
    """Memory that the worker shares with its master, which learns in no other way whether init() has returned."""
    worker.is_up = mmap.mmap(-1, 1)


def post_fork(server: Any, worker: Any) -> None:
    """A worker dies with its master: by itself it would notice only after half its timeout, 150 s.

    What the model forks may live longer, and must not hold the pipe whose end tells that the master is gone.
    """
    die_with_parent(server.pid)
    os.register_at_fork(after_in_child=_close_ready_pipe)


def post_worker_init(worker: Any) -> None:
    """One byte for each worker whose init() has returned."""
    worker.is_up[0] = 1
    os.write(int(os.environ[_READY_FD]), b".")


def child_exit(server: Any, worker: Any) -> None:
    """Note in the log a worker that died in init() without an exception; the lab reads it there."""
    global _deaths_before_ready
    if not worker.is_up[0]:
        _deaths_before_ready += 1
        os.write(1, b"Worker (pid:%d) died before init() had returned\n" % worker.pid)
    if _deaths_before_ready == MAX_DEATHS_BEFORE_READY:
        os._exit(1)  # the other workers die with their master


def pre_request(worker: Any, request: Any) -> None:
    """Drop a request that was given up while it waited in the backlog (Linux delivers it even after a reset)."""
    if request.unreader.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise StopIteration  # gunicorn's word for "close this connection"


def _close_ready_pipe() -> None:
    with contextlib.suppress(OSError):
        os.close(int(os.environ[_READY_FD]))


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; where it cannot, watch for that."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _prctl(option: int, value: object) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(option, value)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    lab, control_fd = (int(argument) for argument in sys.argv[1:3])
    die_with_parent(lab)
    for module in _IMPORTED_BEFOREHAND:
        with contextlib.suppress(ImportError):  # then azmlinfsrv says it better
            importlib.import_module(module)
    gc.freeze()
    fork_on_request(socket.socket(fileno=control_fd))


def fork_on_request(control: socket.socket) -> None:
    """Each request is a line of JSON with three files: listening socket, pipe for readiness, log.

    The answer, a line with the process id, comes from the child, once it leads a process group of its own.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    this = os.getpid()
    while True:
        line, files, _, _ = socket.recv_fds(control, 65536, 3)
        while line and not line.endswith(b"\n"):
            line += control.recv(65536)
        if not line:
            return
        if os.fork() == 0:
            die_with_parent(this)
            os.setsid()
            control.sendall(b"%d\n" % os.getpid())
            control.close()
            run_azmlinfsrv(json.loads(line), *files)
            return
        for file in files:
            os.close(file)


def run_azmlinfsrv(request: dict[str, Any], socket_fd: int, ready_fd: int, log_fd: int) -> None:
    """What a forked child does with its life."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(log_fd, 1)
    os.dup2(log_fd, 2)
    os.close(log_fd)
    # Numbers out of the way of the one that the inherited socket must have.
    socket_copy, ready_copy = _copy(socket_fd), _copy(ready_fd)
    os.dup2(socket_copy, _SYSTEMD_FIRST_FD)
    os.close(socket_copy)
    os.environ |= request["environment"] | {
        "LISTEN_PID": str(os.getpid()),
        "LISTEN_FDS": "1",
        _READY_FD: str(ready_copy),
        "GUNICORN_CMD_ARGS": f"-c {os.path.realpath(__file__)}",
    }
    if sys.platform == "linux":
        _prctl(_PR_SET_NAME, b"azmlinfsrv")
    os.chdir(request["folder"])
    sys.path[0] = os.path.dirname(sys.executable)
    sys.argv = ["azmlinfsrv", *request["arguments"]]
    runpy.run_module("azureml_inference_server_http", run_name="__main__", alter_sys=True)


def _copy(fd: int) -> int:
    """The same file under a number of 10 or more that no command inherits, the old number closed."""
    copy = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(fd)
    return copy


if __name__ == "__main__":
    main()
