"""How long init() took, by the scoring server's own log: between two of its lines, so that no clocks are compared."""

from __future__ import annotations

import re
from datetime import datetime

BEGUN = "Invoking user's init function"
DONE = "Users's init has completed successfully"
"""Of azureml-inference-server-http 1.5.1, once for each worker."""

_STAMP = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d) ")


def init_seconds(log: str) -> float | None:
    """From a log read with `timestamps=true`: the longest init() of its workers; None where none has ended."""
    begun: list[float] = []
    taken: list[float] = []
    for line in log.splitlines():
        if BEGUN in line and (at_s := _stamp(line)) is not None:
            begun.append(at_s)
        elif DONE in line and begun and (at_s := _stamp(line)) is not None:
            taken.append(at_s - begun.pop(0))
    return max(0.0, max(taken)) if taken else None


def _stamp(line: str) -> float | None:
    """Nanoseconds do not fit into a datetime."""
    found = _STAMP.match(line)
    if found is None:
        return None
    return datetime.fromisoformat(found[1] + found[3]).timestamp() + float(f"0{found[2] or ''}")
