"""The clocks of open incidents: nobody answered in time, an update is due, a follow-up's date has passed.

Silences are respected: what is due while one lasts is said when it ends. Each thing is said once, an update once per
cadence of its severity.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from monitor.core import incident as model
from monitor.core import notice
from monitor.core.incident import Incident
from monitor.core.model import Severity
from monitor.core.ports import Clock
from monitor.engine.incidents import Incidents

#: Severities whose follow-ups people are reminded of; the others' stand in the report.
FOLLOWED_UP = frozenset({Severity.SEV1, Severity.SEV2})
EVERY = 5.0


async def remind(incidents: Incidents, clock: Clock) -> None:
    """Until cancelled: look at every clock, every few seconds."""
    while True:
        now = clock.now()
        for incident in incidents.owned():
            if incidents.muted(incident):
                continue
            if model.response_overdue(incident, now):
                _unanswered(incidents, incident, now)
            elif model.update_due(incident, now):
                _due(incidents, incident, now)
            elif not incident.is_open and incident.severity in FOLLOWED_UP:
                _left_undone(incidents, incident, now)
        await clock.sleep(EVERY)


def _unanswered(incidents: Incidents, incident: Incident, now: datetime) -> None:
    span = notice.respond_within_text(incident)
    told = replace(incident, course=replace(incident.course, overdue_told=True))
    told = model.append(told, now, f"nobody acknowledged it within {span}", "response.overdue")
    # An alert, not an update: whoever is called for alerts must hear that nobody came.
    key = f"alert overdue {incident.severity}"
    incidents.say(told, key, notice.overdue(told, now))


def _due(incidents: Incidents, incident: Incident, now: datetime) -> None:
    incidents.say(incident, f"update due {now.isoformat()}", notice.reminder(incident, now))


def _left_undone(incidents: Incidents, incident: Incident, now: datetime) -> None:
    texts = model.follow_ups_due(incident, now)
    if not texts:
        return
    told = replace(incident, course=replace(incident.course, reminded=(*incident.course.reminded, *texts)))
    incidents.say(told, f"update follow-up {texts[0]}", notice.follow_up(told, now, texts))
