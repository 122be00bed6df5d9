"""Grafana's JSON, as far as the dashboard needs it: queries, panels, variables, and where on the page each stands.

Nothing here knows what is measured; `helm.dashboard` does. The shapes are those of Grafana 10 and later (schema 39).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

Json = dict[str, Any]

SOURCE: Final[Json] = {"type": "prometheus", "uid": "${datasource}"}
WIDTH: Final = 24
"""Of a page, in Grafana's columns."""


class Query(NamedTuple):
    """One expression of a panel."""

    expr: str
    legend: str = ""
    """How a line is called; labels stand in two pairs of braces."""


class Step(NamedTuple):
    """A colour from a value on."""

    value: float | None
    """None: from the beginning."""
    color: str


class Panel(NamedTuple):
    """A panel without its place on the page."""

    kind: str
    title: str
    about: str
    """What a person sees who asks what it is for."""
    queries: Sequence[Query]
    width: int
    height: int
    defaults: Json
    options: Json
    overrides: Sequence[Json] = ()
    transformations: Sequence[Json] = ()
    instant: bool = False
    """Ask for this moment, and not for a span of time."""


class Row(NamedTuple):
    """Panels below a heading."""

    title: str
    panels: Sequence[Panel]


def stat(title: str, about: str, expr: str, *steps: Step, unit: str = "short", width: int = 3) -> Panel:
    """One number, which is green until a step says otherwise."""
    defaults = {"unit": unit, "noValue": "-", "thresholds": _thresholds(steps), "color": {"mode": "thresholds"}}
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "background",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
    }
    return Panel("stat", title, about, (Query(expr),), width, 4, defaults, options, instant=True)


def lines(
    title: str,
    about: str,
    *queries: Query,
    unit: str = "short",
    width: int = 8,
    steps: Sequence[Step] = (),
    colors: Mapping[str, str] | None = None,
    stacked: bool = False,
    bars: bool = False,
    most: float | None = None,
) -> Panel:
    """Lines, or bars, over time. `colors` are of lines by a pattern of their names; `steps` draw limits across."""
    custom = {
        "drawStyle": "bars" if bars else "line",
        "lineWidth": 1,
        "fillOpacity": 60 if bars else 10,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if steps else "off"},
    }
    defaults: Json = {"unit": unit, "min": 0, "custom": custom, "color": {"mode": "palette-classic"}}
    if steps:
        defaults["thresholds"] = _thresholds(steps)
    if most is not None:
        defaults["max"] = most
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    overrides = [
        {
            "matcher": {"id": "byRegexp", "options": f"/{pattern}/"},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}],
        }
        for pattern, color in (colors or {}).items()
    ]
    return Panel("timeseries", title, about, queries, width, 8, defaults, options, overrides)


def table(title: str, about: str, expr: str, *hidden: str, width: int = 8, height: int = 8) -> Panel:
    """The labels of what there is at this moment, one line each, without the columns that are `hidden`."""
    organize = {"id": "organize", "options": {"excludeByName": dict.fromkeys(("Time", *hidden), True)}}
    options = {"showHeader": True, "cellHeight": "sm"}
    return Panel("table", title, about, (Query(expr),), width, height, {}, options, (), (organize,), instant=True)


def variable(name: str, label: str, metric: str, *, of: str) -> Json:
    """A choice of values of the label `of`, several at once. All of them match where there is no such label, too."""
    query = f"label_values({metric}, {of})"
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": f"variable-{name}"},
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "regex": "",
        "options": [],
    }


def source_variable() -> Json:
    """Which Prometheus is asked."""
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Data source",
        "query": "prometheus",
        "current": {},
        "includeAll": False,
        "multi": False,
        "refresh": 1,
        "hide": 0,
        "regex": "",
        "options": [],
    }


def annotation(name: str, expr: str, text: str) -> Json:
    """A mark on all panels wherever the expression has a value."""
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": expr,
        "step": "30s",
        "titleFormat": name,
        "textFormat": text,
    }


def dashboard(
    title: str, uid: str, about: str, rows: Iterable[Row], variables: Sequence[Json], annotations: Sequence[Json]
) -> Json:
    """The whole page."""
    return {
        "title": title,
        "uid": uid,
        "description": about,
        "tags": ["cognito-sidecar"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "",
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [*variables]},
        "annotations": {"list": [*annotations]},
        "links": [],
        "panels": _placed(rows),
    }


def _placed(rows: Iterable[Row]) -> list[Json]:
    """Rows from top to bottom, their panels from left to right and on the next line where there is no room."""
    placed: list[Json] = []
    top = 0
    for row in rows:
        heading = {"type": "row", "title": row.title, "collapsed": False, "panels": []}
        placed.append({"id": len(placed) + 1, **heading, "gridPos": _place(0, top, WIDTH, 1)})
        top, left, height = top + 1, 0, 0
        for panel in row.panels:
            if left + panel.width > WIDTH:
                top, left, height = top + height, 0, 0
            placed.append({"id": len(placed) + 1, **_panel(panel, left, top)})
            left, height = left + panel.width, max(height, panel.height)
        top += height
    return placed


def _panel(panel: Panel, left: int, top: int) -> Json:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "gridPos": _place(left, top, panel.width, panel.height),
        "targets": [_target(panel, number, query) for number, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": panel.defaults, "overrides": [*panel.overrides]},
        "options": panel.options,
        **({"transformations": [*panel.transformations]} if panel.transformations else {}),
    }


def _target(panel: Panel, number: int, query: Query) -> Json:
    return {
        "refId": chr(ord("A") + number),
        "datasource": SOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "instant": panel.instant,
        "range": not panel.instant,
        "format": "table" if panel.kind == "table" else "time_series",
    }


def _place(left: int, top: int, width: int, height: int) -> Json:
    return {"x": left, "y": top, "w": width, "h": height}


def _thresholds(steps: Sequence[Step]) -> Json:
    first = () if steps and steps[0].value is None else (Step(None, "green"),)
    return {"mode": "absolute", "steps": [step._asdict() for step in (*first, *steps)]}
