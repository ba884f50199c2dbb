"""The root of the command line: runs a command and turns every way it can end into an exit code."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys

from planner.cli.output import StdoutLostError, guard_streams, silence_stdout
from planner.errors import SurgeproofError
from planner.extras import extra_of, how_to_install

EXIT_USAGE = 2
EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` has said otherwise
            signal.signal(number, signal.default_int_handler)  # keeps what was measured, as Ctrl-C does
    guard_streams()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # matrices here are small: threads would wait for each other
    gc.set_threshold(200_000, 20, 20)  # the imports of numba make no garbage: looking for it takes a tenth of the start
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """The exit code of one command line, its messages written to stderr. Never raises for an error."""
    if sys.stdout is None:
        _say("stdout cannot be written (it is closed)")
        return EXIT_USAGE
    try:
        code = 0 if _answered_quickly(arguments) else _run_command(arguments or ["--help"])
        sys.stdout.flush()
        return code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else EXIT_INTERNAL
    except KeyboardInterrupt:
        return _interrupted()
    except SurgeproofError as error:
        _debug_traceback()
        _say(str(error))
        return error.exit_code
    except StdoutLostError as lost:
        silence_stdout()
        if lost.exit_code == EXIT_USAGE:
            _say(str(lost))
        return lost.exit_code
    except Exception as error:
        return _unexpected(error)


def _answered_quickly(arguments: list[str]) -> bool:
    if arguments[:1] != ["replicas"]:
        return False
    # By name, as all commands are: the root imports none of them.
    return bool(importlib.import_module("planner.cli.quick").answer_replicas(arguments[1:]))


def _run_command(arguments: list[str]) -> int:
    import typer

    from planner.cli.group import make_group

    try:
        returned = make_group().main(args=arguments, prog_name="surgeproof", standalone_mode=False)
    except typer.Abort:
        return _interrupted()
    return returned if isinstance(returned, int) else 0


def _unexpected(error: Exception) -> int:
    # Usage errors are typer's own or click's, depending on typer's version: known by what they can do.
    show = getattr(error, "show", None)
    if callable(show):
        show()
        return int(getattr(error, "exit_code", EXIT_USAGE))
    if isinstance(error, ModuleNotFoundError) and (extra := extra_of(error.name or "")) is not None:
        _say(f"this command needs the extra {extra} ({error.name} is not installed): {how_to_install(extra)}")
        return EXIT_USAGE
    _debug_traceback()
    first_line = (str(error).splitlines() or [""])[0]
    _say(f"internal error: {type(error).__name__}: {first_line} (SURGEPROOF_DEBUG=1 shows where)")
    return EXIT_INTERNAL


def _interrupted() -> int:
    _say("interrupted")
    return EXIT_INTERRUPTED


def _debug_traceback() -> None:
    if os.environ.get("SURGEPROOF_DEBUG"):
        import traceback

        traceback.print_exc()


def _say(message: str) -> None:
    print(message, file=sys.stderr)


if __name__ == "__main__":
    main()
