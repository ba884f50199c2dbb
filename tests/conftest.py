"""What holds for all tests."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `planner.cli.root` does, before numpy is imported
