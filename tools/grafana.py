"""Grafana's dashboard JSON, as little of it as the dashboards here need: `tools/dashboards.py` says what is on them.

Every panel asks the data source variable, so a dashboard can be imported anywhere without being asked for one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Grafana 10; newer ones migrate it when they load it.
SCHEMA = 39
COLUMNS = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL and the legend of its series. `sparse`: may return nothing while all is well."""

    expr: str
    legend: str = ""
    sparse: bool = False
    #: The newest value only, for tables and single numbers.
    instant: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; `width` of 24 columns. `unit` is Grafana's name of one (s, bytes, percentunit, currencyUSD, ...)."""

    title: str
    kind: str  # timeseries | stat | table | state-timeline | bargauge
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 12
    height: int = 8
    description: str = ""
    #: (from this value on, color); the first has None.
    steps: tuple[tuple[float | None, str], ...] = ((None, "green"),)
    #: Value -> (text, color).
    names: Mapping[float, tuple[str, str]] = field(default_factory=dict)
    stacked: bool = False
    minimum: float | None = None
    maximum: float | None = None
    #: Draw the panel once per value of this variable.
    repeat: str = ""
    #: Legend of series (a regular expression) -> color; they are drawn as dashed lines.
    dashed: Mapping[str, str] = field(default_factory=dict)
    #: Columns a table leaves out.
    hidden: tuple[str, ...] = ("Time", "__name__", "instance", "job")


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and its panels, laid out from left to right."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top: the values of `label` on `metric` (with a selector, so that choices narrow each other)."""

    name: str
    label: str
    metric: str
    #: "All" is the values there are; otherwise it is anything, which is shorter and includes what has no such label.
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One page. `uid` never changes: bookmarks and links name it."""

    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]
    #: PromQL of events to mark in every panel, and their text.
    marks: tuple[tuple[str, str, str, str], ...] = ()  # (name, expression, title, color)

    def queries(self) -> list[Query]:
        """Every query of every panel."""
        return [query for row in self.rows for panel in row.panels for query in panel.queries]


def render(dashboard: Dashboard) -> str:
    """The JSON file, whole; the same text for the same dashboard."""
    body: Json = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["tripswitch"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "links": [_link()],
        "annotations": {"list": [_mark(*mark) for mark in dashboard.marks]},
        "templating": {"list": [_source(), *(_variable(one) for one in dashboard.variables)]},
        "panels": _panels(dashboard.rows),
    }
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def _link() -> Json:
    return {
        "type": "dashboards",
        "title": "tripswitch",
        "tags": ["tripswitch"],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
    }


def _source() -> Json:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1}


def _variable(one: Variable) -> Json:
    query = f"label_values({one.metric}, {one.label})"
    made: Json = {
        "name": one.name,
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": one.name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }
    return made if one.closed else made | {"allValue": ".*"}


def _mark(name: str, expr: str, title: str, color: str) -> Json:
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "expr": expr,
        "titleFormat": title,
        "step": "60s",
        "iconColor": color,
        "useValueForTime": False,
    }


def _panels(rows: Sequence[Row]) -> list[Json]:
    made: list[Json] = []
    top = 0
    for row in rows:
        made.append(
            {"id": len(made) + 1, "type": "row", "title": row.title, "collapsed": False, "panels": [],
             "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1}}
        )  # fmt: skip
        top += 1
        left = tallest = 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                top, left, tallest = top + tallest, 0, 0
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            made.append({"id": len(made) + 1, "gridPos": place, **_panel(panel)})
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest
    return made


def _panel(panel: Panel) -> Json:
    made: Json = {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "targets": [_target(number, query, panel.kind) for number, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": [_dashes(*pair) for pair in panel.dashed.items()]},
        "options": _options(panel.kind),
    }
    if panel.kind == "table":
        excluded = dict.fromkeys(panel.hidden, True)
        made["transformations"] = [{"id": "organize", "options": {"excludeByName": excluded}}]
    if panel.repeat:
        made |= {"repeat": panel.repeat, "repeatDirection": "h", "maxPerRow": 2}
    return made


def _target(number: int, query: Query, kind: str) -> Json:
    instant = query.instant or kind in {"stat", "table", "bargauge"}
    return {
        "refId": chr(ord("A") + number),
        "datasource": SOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "editorMode": "code",
        "instant": instant,
        "range": not instant,
        "format": "table" if kind == "table" else "time_series",
    }


def _defaults(panel: Panel) -> Json:
    steps = [{"value": value, "color": color} for value, color in panel.steps]
    made: Json = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "mappings": _mappings(panel.names),
    }
    if panel.minimum is not None:
        made["min"] = panel.minimum
    if panel.maximum is not None:
        made["max"] = panel.maximum
    if panel.kind == "timeseries":
        made["custom"] = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 25 if panel.stacked else 5,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        }
    if panel.kind == "state-timeline":
        made["custom"] = {"fillOpacity": 80, "lineWidth": 0}
    return made


def _mappings(names: Mapping[float, tuple[str, str]]) -> list[Json]:
    if not names:
        return []
    options = {
        f"{value:g}": {"index": index, "text": text, "color": color}
        for index, (value, (text, color)) in enumerate(names.items())
    }
    return [{"type": "value", "options": options}]


def _dashes(legend: str, color: str) -> Json:
    return {
        "matcher": {"id": "byRegexp", "options": legend},
        "properties": [
            {"id": "color", "value": {"mode": "fixed", "fixedColor": color}},
            {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 6]}},
            {"id": "custom.fillOpacity", "value": 0},
        ],
    }


def _options(kind: str) -> Json:
    if kind == "timeseries":
        return {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    if kind == "state-timeline":
        return {"mergeValues": True, "showValue": "auto", "rowHeight": 0.8, "legend": {"showLegend": False}}
    if kind == "table":
        return {"showHeader": True}
    reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    if kind == "bargauge":
        return {"reduceOptions": reduce, "orientation": "horizontal", "displayMode": "basic"}
    return {"reduceOptions": reduce, "colorMode": "value", "graphMode": "none", "textMode": "auto"}
