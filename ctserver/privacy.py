"""Joins what one caller's data is found in: the database, the recordings and Asterisk's notes of ended calls."""

from __future__ import annotations

import asyncio

from ctserver.asterisk import notes
from ctserver.config import Settings
from ctserver.recordings.keeper import Keeper
from ctserver.recordings.places import Places
from ctserver.services import caller_data
from ctserver.services.caller_data import CallerData
from ctserver.storage.db import Database


def caller_data_of(db: Database, settings: Settings, places: Places) -> CallerData:
    """What the settings name, joined."""
    folders = [settings.path(settings.recordings.folder), *(settings.spool(pbx) for pbx in settings.asterisk)]
    country, keeper = settings.server.country, Keeper(db, settings, places)

    async def of_notes(number: str, alias: str) -> int:
        return await asyncio.to_thread(notes.forget, folders, number, country, apply=bool(alias))

    return CallerData(db, caller_data.Places(places.local, keeper.remove, of_notes))
