"""A Dask cluster on loopback in a process of its own: prints its address, ends with its stdin."""

from __future__ import annotations

import logging
import sys

import dask
from distributed import LocalCluster


def main() -> None:
    dask.config.set({"distributed.scheduler.allowed-failures": 1})
    with LocalCluster(
        n_workers=int(sys.argv[1]),
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    ) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
