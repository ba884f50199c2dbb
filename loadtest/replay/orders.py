"""What the workers of a replay are to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.replay.settings import ReplaySettings
from planner.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Orders:
    """The files (schedule, payloads) lie in `folder`, which workers on this machine see themselves."""

    run_id: str
    folder: Path
    settings: ReplaySettings
    schedule_sha256: str
    payloads_sha256: str

    def to_document(self) -> dict[str, Any]:
        """Plain data, as it goes to the master's process."""
        plain = {name: getattr(self, name) for name in ("run_id", "schedule_sha256", "payloads_sha256")}
        return plain | {"folder": str(self.folder.absolute()), "settings": self.settings.to_document()}

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Orders:
        if not re.fullmatch(r"[0-9a-f]{16}", document["run_id"]):  # names a folder on the worker's machine
            raise InputError("the master's run id is none")
        settings = ReplaySettings.from_document(document["settings"])
        return cls(**document | {"folder": Path(document["folder"]), "settings": settings})
