"""What holds for all tests."""

import os
import signal
from typing import Any

import pytest
from hypothesis import settings

from tests.cluster import machine

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `planner.cli.root` does, before numpy is imported

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts what runs in the background so
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("busy machine", parent=settings(), deadline=None)  # how long a case takes is no property
settings.load_profile("busy machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What may run side by side (`make test` does): files, but of what happens in real time one thing only."""
    for item in items:
        real_time = item.get_closest_marker("lab") or item.get_closest_marker("browser")
        item.add_marker(pytest.mark.xdist_group("real time" if real_time else item.nodeid.partition("::")[0]))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Whoever runs everything is told what everything leaves out."""
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS and "cluster" not in config.option.markexpr:
        has = {True: "yes", False: "no"}
        machine_has = f"root: {has[machine.is_root()]}, Go: {has[machine.has_go()]}"
        terminalreporter.write_line(f"tests/cluster: not run here, `make test-cluster` does ({machine_has})")
