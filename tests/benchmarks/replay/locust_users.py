"""How people keep a rate with Locust: 100 users of two requests a second each."""

from __future__ import annotations

from itertools import count

from locust import FastHttpUser, constant_throughput, poisson, task

NUMBERS = count()


class Score(FastHttpUser):
    """One numbered request after the other, of the kind that the replay sends."""

    abstract = True

    @task
    def score(self) -> None:
        headers = {"Content-Type": "application/json", "x-ms-client-request-id": f"peer-{next(NUMBERS)}"}
        self.client.post("/score", data='{"request": 0, "service_time_s": 0.05}', headers=headers)


class ConstantThroughput(Score):
    wait_time = constant_throughput(2)


class Poisson(Score):
    wait_time = poisson(2)
