"""A cluster in the foreground, until it is interrupted."""

import argparse
import signal
import sys
from pathlib import Path

from tests.cluster import binaries, images, machine
from tests.cluster.cache import say
from tests.cluster.cluster import Cluster


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("--state", type=Path, help="folder for the cluster's files and logs; a temporary one otherwise")
    parser.add_argument("--build-only", action="store_true", help="build what the cluster needs and start nothing")
    parser.add_argument("--bare", action="store_true", help="without the scoring image: starts in half the time")
    options = parser.parse_args()
    if reason := machine.refusal():
        sys.exit(reason)
    try:
        machine.install_packages()
        binaries.programs()
        if not options.bare:
            images.scoring_image()
        if not options.build_only:
            _hold(Cluster(options.state, bare=options.bare))
    except (RuntimeError, TimeoutError) as error:
        sys.exit(str(error))


def _hold(cluster: Cluster) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        cluster.start()
        say(f"export KUBECONFIG={cluster.kubeconfig}  # context {cluster.context}, image {cluster.scoring_image}")
        signal.pause()
    except KeyboardInterrupt:
        say("stopping ...")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        cluster.stop()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
