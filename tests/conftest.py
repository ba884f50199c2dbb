"""What holds for all tests."""

import os
import signal

from hypothesis import settings

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `planner.cli.root` does, before numpy is imported

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts what runs in the background so
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("busy machine", parent=settings(), deadline=None)  # how long a case takes is no property
settings.load_profile("busy machine")
