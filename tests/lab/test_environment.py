"""The scoring server's environment: made once, by one process, and never left half made."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loadtest.lab import environment
from planner.errors import InputError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SURGEPROOF_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def made(cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The environments that were made; making one takes 0.2 s here and installs nothing."""
    folders: list[Path] = []

    def make(folder: Path, python: Path, on_progress: Callable[[str], None]) -> None:
        folders.append(folder)
        folder.mkdir(exist_ok=True)
        time.sleep(0.2)
        (folder / ".complete").touch()

    monkeypatch.setattr(environment, "_make", make)
    monkeypatch.setattr(environment, "installed_version", lambda python: environment.SERVER_VERSION)
    return folders


def test_it_is_made_once_even_by_two_at_the_same_time(made: list[Path]) -> None:
    said: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        pythons = {pool.submit(environment.scoring_python, said.append) for _ in range(2)}
    assert len({python.result() for python in pythons}) == 1
    assert made == [environment.environment_folder()]
    assert "another process is making the scoring server's environment" in said


def test_a_half_made_one_is_made_again(made: list[Path]) -> None:
    environment.environment_folder().mkdir(parents=True)
    environment.scoring_python(lambda line: None)
    assert len(made) == 1


def test_one_whose_python_no_longer_works_is_made_again(made: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    environment.scoring_python(lambda line: None)
    monkeypatch.setattr(environment, "installed_version", lambda python: None)
    environment.scoring_python(lambda line: None)
    assert len(made) == 2


def test_other_requirements_have_another_folder(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = environment.environment_folder()
    assert before.parent == cache
    changed = tmp_path / "requirements.txt"
    changed.write_bytes(environment.REQUIREMENTS.read_bytes() + b"\n")
    monkeypatch.setattr(environment, "REQUIREMENTS", changed)
    assert environment.environment_folder() != before


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SURGEPROOF_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="the scoring server's environment cannot be made"):
        environment.scoring_python(lambda line: None)


@pytest.mark.lab
def test_without_a_package_index_pips_last_error_is_the_message(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(InputError) as caught:
        environment.scoring_python(lambda line: None)
    assert str(caught.value).startswith(
        "the scoring server's environment could not be made; pip says: ERROR: No matching"
    )
    assert "\n" not in str(caught.value)
    assert not (environment.environment_folder() / ".complete").exists()
