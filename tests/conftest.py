"""What holds for all tests."""

import os
import signal

import pytest
from hypothesis import settings

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
