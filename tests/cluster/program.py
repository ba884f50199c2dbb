"""One long-running program of a cluster: started in a control group, ended by its process id."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster import cgroups

ENTER_CGROUP = 'echo $$ > "$0/cgroup.procs" && exec "$@"'


@dataclass
class Program:
    """What it is called, its command, where its output goes, and the control group that it and its children live in."""

    name: str
    command: list[str]
    log: Path
    cgroup: str
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Nothing where it runs already: a second one would fail on its port, and the first be out of reach."""
        if self.is_running:
            return
        folder = cgroups.make(self.cgroup)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", ENTER_CGROUP, str(folder), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def check(self) -> None:
        """Raises with the end of its log when it is not running."""
        if not self.is_running:
            code = None if self._process is None else self._process.returncode
            end = self.log.read_text(errors="replace")[-1500:] if self.log.exists() else ""
            raise RuntimeError(f"{self.name} ended with exit code {code}: ...{end}")

    def stop(self, patience_s: float = 10.0) -> None:
        """SIGTERM, and SIGKILL when that was not enough."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """SIGKILL: it has no time to say goodbye."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
