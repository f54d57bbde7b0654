"""DynamoDB: updates of a table that take their time, and what AWS refuses.

Sources: API_UpdateTable (one update at a time: ResourceInUseException; units equal to the present ones are a
ValidationException; a table that becomes provisioned needs units for itself and each index; on demand none may be
given), API_OnDemandThroughput (-1 removes a ceiling), ServiceQuotas (four changes to on demand in 24 hours; four
decreases a UTC day, then one for each hour without one: LimitExceededException). While a table is UPDATING it shows
what was asked for. API_RestoreTableFromBackup (the new table is CREATING until its data is there, RestoreSummary tells
from where; the billing mode is the backed up table's).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import GlobalSecondaryIndex, RestoredTable, Table

from monitor.demo.emulator.calls import Call, Reply, refuse
from monitor.demo.emulator.state import Answerer, Emulator, patch

_ON_DEMAND, _PROVISIONED = "PAY_PER_REQUEST", "PROVISIONED"
_DAY, _HOUR = 86_400.0, 3_600.0
_NOTHING = {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0, "NumberOfDecreasesToday": 0}


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """Mend what tables tell of themselves; the operation checked here."""
    tables = Tables(emulator)
    patch(Table, "describe", tables.describing)
    patch(GlobalSecondaryIndex, "describe", _describing_index)
    patch(RestoredTable, "__init__", tables.restoring)
    patch(RestoredTable, "describe", tables.describing_restored)
    return {"dynamodb:UpdateTable": tables.update}


class Tables:
    """UpdateTable's rules."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def describing(self, original: Any) -> Any:
        """moto's description with its passing state, its ceiling, and no units while on demand."""

        def describe(table: Any, base_key: str = "TableDescription") -> dict[str, Any]:
            described: dict[str, Any] = original(table, base_key)
            found = described[base_key]
            if self._updating(table):
                found["TableStatus"] = "UPDATING"
            _ceiling(table, found)
            if table.billing_mode == _ON_DEMAND:
                for part in (found, *(found.get("GlobalSecondaryIndexes") or ())):
                    part["ProvisionedThroughput"] = dict(_NOTHING)
            return described

        return describe

    def restoring(self, original: Any) -> Any:
        """It takes a while, and the table is billed as the other one was."""

        def restore(table: Any, *args: Any, **more: Any) -> None:
            original(table, *args, **more)
            backup = more.get("backup") or args[-1]
            table.billing_mode = backup.table.billing_mode
            table.emulated_restored = self._emulator.clock.tick() + self._emulator.settings.table_seconds

        return restore

    def describing_restored(self, original: Any) -> Any:
        """CREATING until the data is there."""

        def describe(table: Any, base_key: str = "TableDescription") -> dict[str, Any]:
            described: dict[str, Any] = original(table, base_key)
            if self._emulator.clock.tick() < table.emulated_restored:
                described[base_key]["TableStatus"] = "CREATING"
                described[base_key]["RestoreSummary"]["RestoreInProgress"] = True
            return described

        return describe

    def update(self, call: Call) -> Reply | None:
        """Refuses what AWS refuses; moto makes the change."""
        asked = call.json()
        name = str(asked.get("TableName", "")).rsplit("/", 1)[-1]
        table: Any = dynamodb_backends[call.account][call.region].tables.get(name)
        if table is None:
            return None
        if self._updating(table):
            text = f"Attempt to change a resource which is still in use: Table is being updated: {table.name}"
            return refuse(call, "ResourceInUseException", text)
        if (fault := _fault(table, asked)) is not None:
            return refuse(call, "ValidationException", fault)
        if (limit := _limit(table, asked)) is not None:
            return refuse(call, "LimitExceededException", limit)
        for part, wanted in _parts(table, asked):
            if "OnDemandThroughput" in wanted:
                part.emulated_ceiling = {**getattr(part, "emulated_ceiling", {}), **wanted["OnDemandThroughput"]}
        table.emulated_settles = self._emulator.clock.tick() + self._emulator.settings.table_seconds
        return None

    def _updating(self, table: Any) -> bool:
        return self._emulator.clock.tick() < float(getattr(table, "emulated_settles", 0.0))


def _describing_index(original: Any) -> Any:
    def describe(index: Any) -> dict[str, Any]:
        found: dict[str, Any] = original(index)
        _ceiling(index, found)
        return found

    return describe


def _ceiling(part: Any, found: dict[str, Any]) -> None:
    tops = {name: top for name, top in getattr(part, "emulated_ceiling", {}).items() if top != -1}
    if tops:
        found["OnDemandThroughput"] = tops


def _parts(table: Any, asked: Mapping[str, Any]) -> list[tuple[Any, Mapping[str, Any]]]:
    """(table or index, what is wanted of it)."""
    rows: list[tuple[Any, Mapping[str, Any]]] = [(table, asked)]
    by_name = {index.name: index for index in table.global_indexes}
    for change in asked.get("GlobalSecondaryIndexUpdates") or ():
        wanted = change.get("Update")
        if wanted and wanted["IndexName"] in by_name:
            rows.append((by_name[wanted["IndexName"]], wanted))
    return rows


def _units(throughput: Mapping[str, Any] | None) -> tuple[int, int]:
    given = throughput or {}
    return int(given.get("ReadCapacityUnits") or 0), int(given.get("WriteCapacityUnits") or 0)


def _fault(table: Any, asked: Mapping[str, Any]) -> str | None:
    mode = asked.get("BillingMode") or table.billing_mode or _PROVISIONED
    given = [(part, wanted.get("ProvisionedThroughput")) for part, wanted in _parts(table, asked)]
    wanted = [(part, units) for part, units in given if units]
    if mode == _ON_DEMAND:
        if wanted:
            return (
                "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be "
                "specified when BillingMode is PAY_PER_REQUEST"
            )
        return None
    if table.billing_mode == _ON_DEMAND and len(wanted) < 1 + len(table.global_indexes):
        return "One or more parameter values were invalid: ProvisionedThroughput must be specified for all of the table"
    if table.billing_mode != _ON_DEMAND and any(_units(part.throughput) == _units(units) for part, units in wanted):
        return "The provisioned throughput for the table will not change. The requested value equals the current value."
    return None


def _is_lower(new: tuple[int, int], old: tuple[int, int]) -> bool:
    return new[0] < old[0] or new[1] < old[1]


def _limit(table: Any, asked: Mapping[str, Any]) -> str | None:
    """Counts what the rules count, as soon as it is permitted."""
    now = time.time()
    if asked.get("BillingMode") == _ON_DEMAND and table.billing_mode != _ON_DEMAND:
        switches = [at for at in getattr(table, "emulated_switches", []) if at > now - _DAY]
        if len(switches) >= 4:
            return "Subscriber limit exceeded: Update to PayPerRequest mode are limited to 4 times in 24 hours."
        table.emulated_switches = [*switches, now]
    lowered = [
        part
        for part, given in _parts(table, asked)
        if "ProvisionedThroughput" in given
        and table.billing_mode != _ON_DEMAND
        and _is_lower(_units(given["ProvisionedThroughput"]), _units(part.throughput))
    ]
    for part in lowered:
        today = [at for at in getattr(part, "emulated_decreases", []) if at // _DAY == now // _DAY]
        if len(today) >= 4 and today[-1] > now - _HOUR:
            return (
                "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After "
                "the first 4 decreases, each subsequent decrease in the same UTC day can be performed at most once "
                "every 3600 seconds."
            )
        part.emulated_decreases = [*today, now]
    return None
