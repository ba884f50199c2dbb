"""Plain Locust as the engine of a replay, with its web UI, `--headless`, `--processes`, `--master` and `--worker`:

    locust -f loadtest/replay/locustfile.py --headless --processes 2 \\
        --scenario quickstart --url http://127.0.0.1:5001/score

leaves a run folder as `surgeproof replay` does. Each option of `loadtest.replay.plain` can be given as an environment
variable too (SURGEPROOF_SCENARIO, SURGEPROOF_URL, …), and the web UI asks for them. The endpoint key comes in
SURGEPROOF_ENDPOINT_KEY, on each machine of its own. A worker elsewhere needs Surgeproof, but no file: schedule and
payloads come from its master.

Locust's number of users and spawn rate do not change the load: the schedule does.
"""

from __future__ import annotations

import os
import signal
from typing import Any, ClassVar

import gevent
from gevent.event import Event
from locust import User, events, task
from locust.exception import StopUser
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

from loadtest.replay.agent import Agent
from loadtest.replay.coordinator import Coordinator
from loadtest.replay.credential_settings import CredentialSettings
from loadtest.replay.credentials import Credentials
from loadtest.replay.plain import PlainReplay, add_options
from loadtest.runfolder import RUNS


class ReplayUser(User):
    """Stands for the replay in Locust's count of users; waits until it is over."""

    over: ClassVar[Event] = Event()

    @task
    def replay(self) -> None:
        self.over.wait()
        raise StopUser


events.init_command_line_parser.add_listener(add_options)


@events.init.add_listener
def set_up(environment: Any, runner: Any, web_ui: Any, **_: Any) -> None:
    """Give each of Locust's processes its part."""
    if isinstance(runner, WorkerRunner | LocalRunner):
        allowed = [host for host in [environment.parsed_options.allow_host] if host]
        credentials = Credentials(CredentialSettings.from_environment(os.environ), os.environ)
        agent = Agent(runner, environment.events.request, credentials, away=RUNS, allow_hosts=allowed)
        environment.events.quitting.add_listener(lambda **_: agent.finish())
    # Else Python would raise KeyboardInterrupt in whichever greenlet runs, such as one that notes what was sent.
    gevent.signal_handler(signal.SIGINT, runner.quit if isinstance(runner, WorkerRunner) else _interrupt_main)
    if isinstance(runner, MasterRunner | LocalRunner):
        replay = PlainReplay(environment, runner, Coordinator(runner), has_web_ui=web_ui is not None)
        environment.events.test_start.add_listener(lambda **_: _begin(replay))
        environment.events.test_stopping.add_listener(lambda **_: replay.stop())


def _interrupt_main() -> None:
    """Ctrl-C where Locust waits for it. A second one must not end the writing of what was measured."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gevent.get_hub().parent.throw(KeyboardInterrupt)


def _begin(replay: PlainReplay) -> None:
    ReplayUser.over.clear()
    gevent.spawn(replay.perform).link(lambda _: ReplayUser.over.set())
