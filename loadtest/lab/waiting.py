"""Waiting for whichever event comes first."""

from __future__ import annotations

import asyncio


def set_event() -> asyncio.Event:
    """An event that is set from the beginning."""
    event = asyncio.Event()
    event.set()
    return event


async def first_of(*events: asyncio.Event) -> None:
    """Returns when at least one of the events is set."""
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
