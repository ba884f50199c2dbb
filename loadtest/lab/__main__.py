"""`python -m loadtest.lab SCENARIO ...`: the command `surgeproof lab`, as a process that another one starts."""

import sys

from planner.cli.root import main

if __name__ == "__main__":
    main(["lab", *sys.argv[1:]])
