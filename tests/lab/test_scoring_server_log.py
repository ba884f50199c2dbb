"""What is read out of the log of a scoring server that did not start."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.lab.azmlinfsrv import why_it_ended

SCORE = Path("/m/score.py")

INIT = """\
2026-11-22 23:32:42,844 E [9607] azmlinfsrv - User's init function failed
2026-11-22 23:32:42,846 E [9607] azmlinfsrv - Encountered Exception Traceback (most recent call last):
  File "/e/azureml_inference_server_http/server/user_script.py", line 119, in invoke_init
    self._user_init()
  File "/m/score.py", line 8, in init
    load()
  File "/m/score.py", line 3, in load
    raise RuntimeError("no model file")
RuntimeError: no model file

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/e/azureml_inference_server_http/server/aml_blueprint.py", line 109, in setup
    self.user_script.invoke_init()
azureml_inference_server_http.server.user_script.UserScriptException: Caught an unhandled exception

2026-11-22 23:32:42,846 I [9607] gunicorn.error - Worker exiting (pid: 9607)
"""
SYNTAX = """\
2026-11-22 23:32:46,683 E [9620] azmlinfsrv - Traceback (most recent call last):
  File "/e/user_script.py", line 77, in load_script
    main_module_spec.loader.exec_module(user_module)
  File "<frozen importlib._bootstrap>", line 241, in _call_with_frames_removed
  File "/m/score.py", line 3
    def run(data) return 1
                  ^^^^^^
SyntaxError: expected ':'

The above exception was the direct cause of the following exception:
"""
ELSEWHERE = INIT.replace("/m/score.py", "/m/model.py")
DEATH = """\
2026-11-22 23:32:42,844 I [{pid}] azmlinfsrv.user_script - Invoking user's init function
2026-11-22 23:32:42,845 I [{pid}] azmlinfsrv.print - loading 12 GB
2026-11-22 23:32:42,846 E [9601] gunicorn.error - Worker (pid:{pid}) {end}
Worker (pid:{pid}) died before init() had returned
"""
BOOT_ERROR = """\
2026-11-22 23:32:42,846 E [9601] gunicorn.error - Worker (pid:9607) exited with code 3.
2026-11-22 23:32:42,846 E [9601] gunicorn.error - Shutting down: Master
"""


def deaths(*ends: str) -> str:
    return "".join(DEATH.format(pid=9607 + i, end=end) for i, end in enumerate(ends))


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        (
            deaths("was sent SIGSEGV!", "was sent SIGSEGV!", "was sent SIGKILL! Perhaps out of memory?"),
            "/m/score.py: its worker process died 3 times before init() had returned (killed by SIGKILL, perhaps out "
            'of memory); its log ends with "loading 12 GB"',
        ),
        (
            "Traceback (most recent call last):\n  its own\nValueError: caught\n" + deaths("exited with code 5."),
            "/m/score.py: its worker process died once before init() had returned (exit code 5); its log ends with "
            '"loading 12 GB"',
        ),
        (
            "Worker (pid:7) died before init() had returned\n",
            "/m/score.py: its worker process died once before init() had returned (exit code 0)",
        ),
        (deaths("exited with code 5.") + INIT, "/m/score.py, line 3: init() raised RuntimeError: no model file"),
        (BOOT_ERROR, "/m/score.py: its worker process died once before init() had returned (exit code 3)"),
        (INIT, "/m/score.py, line 3: init() raised RuntimeError: no model file"),
        (SYNTAX, "/m/score.py, line 3: importing it raised SyntaxError: expected ':'"),
        (ELSEWHERE, "/m/score.py: init() raised RuntimeError: no model file"),
        ("one\nKilled\n\n", "/m/score.py: the scoring server ended: Killed"),
        ("", "/m/score.py: the scoring server ended: it left no log"),
    ],
)
def test_the_reason_is_the_users_exception_else_how_its_worker_died_else_the_last_line(log: str, sentence: str) -> None:
    assert why_it_ended(log, SCORE) == sentence
