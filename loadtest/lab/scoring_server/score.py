"""The lab's model: sleeps as long as the request says, so that a run's service times are known."""

import json
import time


def init() -> None:
    """Nothing to load; the lab's cold start is drawn, not caused."""


def run(data: str) -> dict[str, object]:
    """Answer `{"request": i, "service_time_s": x}` after x seconds (0 where it is missing)."""
    request = json.loads(data)
    service_time_s = float(request.get("service_time_s", 0.0))
    time.sleep(service_time_s)
    return {"request": request.get("request"), "slept_s": service_time_s}
