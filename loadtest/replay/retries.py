"""What a client's retries came to: no part of the plan, nor of any fraction that is compared with a prediction."""

from __future__ import annotations

from typing import Any

import numpy as np

from loadtest.replay.books import label
from loadtest.replay.merge import Observed
from loadtest.replay.settings import ReplaySettings
from planner.model import ENDED, Outcome


def retries_document(seen: Observed, settings: ReplaySettings) -> dict[str, Any] | None:
    """Attempts beyond the first, and how requests ended for a client that retries; None where it did not."""
    if settings.retry is None:
        return None
    retries = seen.retries
    final = seen.log.outcome.copy()
    for attempt in np.unique(retries["attempt"]):  # the last attempt of a request is its end
        rows = retries[retries["attempt"] == attempt]
        final[rows["index"]] = rows["outcome"]
    first_answered = np.isin(seen.log.outcome, ENDED)
    answered = int(first_answered.sum())
    still_503 = int(np.sum(final[first_answered] == Outcome.STATUS_503))
    still_failed = int(np.sum(final[first_answered] != Outcome.OK))
    return {
        "attempts": len(retries),
        "requests_retried": len(np.unique(retries["index"])),
        "outcomes": {label(o): int(n) for o in Outcome if (n := np.sum(retries["outcome"] == o))},
        "fraction_503_for_a_client_that_retries": still_503 / answered if answered else None,
        "fraction_failed_for_a_client_that_retries": still_failed / answered if answered else None,
    }
