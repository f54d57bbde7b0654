"""RDS events that are as old and of such a kind as was asked for, and failovers that leave one.

Sources: API_DescribeEvents (Duration: minutes, 60 unless told; StartTime and EndTime; EventCategories);
API_RebootDBInstance (ForceFailover: "whether the reboot is conducted through a Multi-AZ failover"); User Guide, event
categories: RDS-EVENT-0049, category failover, "A Multi-AZ instance failover has completed."
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from moto.core.utils import utcnow
from moto.rds.models import DBInstance, Event, RDSBackend, rds_backends

from monitor.demo.emulator.calls import Call, Reply, refuse
from monitor.demo.emulator.state import Answerer, Emulator, patch

_FAILOVER = "DB_INSTANCE_FAILOVER"
_DEFAULT = 60


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """Mend the events; moto answers the reboot itself."""
    Event.EVENT_MAP[_FAILOVER] = {"Categories": ["failover"], "Message": "Multi-AZ instance failover completed"}
    patch(RDSBackend, "describe_events", _chosen)
    patch(DBInstance, "latest_restorable_time", _backed_up)
    return {"rds:RebootDBInstance": reboot}


def stop_backups(account: str, region: str, name: str) -> int:
    """The newest moment to which this instance can be restored stays what it is now; how many there are."""
    found: Any = rds_backends[account][region].databases.get(name)
    if found is not None:
        found.emulated_backup = utcnow()
    return int(found is not None)


def _backed_up(original: Any) -> Any:
    """Moto's is always now."""

    def newest(database: Any) -> Any:
        return getattr(database, "emulated_backup", None) or original.fget(database)

    return property(newest)


def _chosen(original: Any) -> Any:
    """Moto lists all events of a source; AWS those of a time and of categories."""

    def events(backend: RDSBackend, **asked: Any) -> list[Event]:
        until = _moment(asked.get("end_time")) or utcnow()
        since = _moment(asked.get("start_time")) or until - timedelta(minutes=int(asked.get("duration") or _DEFAULT))
        wanted = set(asked.get("event_categories") or ())
        return [
            event
            for event in original(backend, **asked)
            if since <= event.date <= until and (not wanted or wanted & set(event.event_categories))
        ]

    return events


def _moment(given: Any) -> datetime | None:
    if isinstance(given, str):
        given = datetime.fromisoformat(given.replace("Z", "+00:00"))
    return given.replace(tzinfo=None) if isinstance(given, datetime) else None


def reboot(call: Call) -> Reply | None:
    """RebootDBInstance: a forced failover leaves its event, and needs a standby."""
    asked = {name: values[0] for name, values in parse_qs(call.body.decode()).items()}
    database = rds_backends[call.account][call.region].databases.get(asked.get("DBInstanceIdentifier", ""))
    if database is None or asked.get("ForceFailover", "").lower() != "true":
        return None
    if not database.multi_az:
        text = "Cannot force failover since the instance is not configured for Multi-AZ"
        return refuse(call, "InvalidParameterCombination", text, 400)
    database.add_event(_FAILOVER)
    return None
