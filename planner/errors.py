"""Errors a user can cause.

SurgeproofError
├── InputError          a file, key, value or option that cannot be used       exit code 2
├── NoVerdictError      a question that this run or budget cannot answer       exit code 3
│   └── WorkersLostError    the processes or the cluster that computed are gone
└── StoppedByLimit      work ended by a limit the user set                      exit code 4
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class SurgeproofError(Exception):
    """Base of every error whose message is meant for the user; `exit_code` is the command's."""

    exit_code = 70


class InputError(SurgeproofError):
    """Bad input. `problems` holds one sentence each (`file: dotted.path = value, the bound it breaks`)."""

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class NoVerdictError(SurgeproofError):
    """Nothing can be concluded, and the message says why."""

    exit_code = 3


class WorkersLostError(NoVerdictError):
    """Who computed is gone for good; what was finished is kept. `tasks` ended every worker that they were given to."""

    def __init__(self, message: str, tasks: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.tasks = tasks


class StoppedByLimit(SurgeproofError):
    """A limit that the user set has ended the work; what was measured is kept."""

    exit_code = 4
