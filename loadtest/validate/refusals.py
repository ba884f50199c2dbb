"""When the 503s came. An endpoint that only answers shows by them its wait limit, and a front end that was held up."""

from __future__ import annotations

import numpy as np

from loadtest.validate.observed import Observation
from planner.causes import UNATTRIBUTED
from planner.scenario import Scenario


def refusals(seen: Observation, scenario: Scenario) -> str | None:
    """From send to answer of the 503s beside the scenario's wait limit, three sentences.

    None without a 503, and where the causes of the 503s are known.
    """
    if seen.n_503 == 0 or seen.causes_503[UNATTRIBUTED] != seen.n_503:
        return None
    median_ms, most_ms = (1e3 * np.quantile(seen.after_503_s, q, method="inverted_cdf") for q in (0.5, 0.95))
    return (
        f"In the median the {seen.n_503} 503s came {median_ms:.4g} ms after they were sent, 95 % of them within "
        f"{most_ms:.4g} ms. The scenario's wait limit is {1e3 * scenario.deployment.max_request_wait_s:.4g} ms. "
        "A median far from it means another limit; a long tail, that the front end or this machine was held up."
    )
