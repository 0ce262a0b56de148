"""Dashboards as they are declared, and the JSON that Grafana reads, made by Grafana's own builders."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from grafana_foundation_sdk.builders.common import ReduceDataOptions, VizLegendOptions, VizTooltipOptions
from grafana_foundation_sdk.builders.dashboard import Dashboard as DashboardBuilder
from grafana_foundation_sdk.builders.dashboard import DashboardLink, QueryVariable, Row
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as StatBuilder
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeriesBuilder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    DataSourceRef,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableRefresh,
    VariableSort,
)

SOURCE: Final = DataSourceRef(type_val="prometheus", uid="prometheus")
"""The data source that is provisioned beside the dashboards."""

_LEGEND: Final = (
    VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)
)
_TAG: Final = "event-sourced subgraphs"


@dataclass(frozen=True, slots=True)
class Query:
    """A query in PromQL, and what its series are called in the legend."""

    promql: str
    legend: str = ""


class Panel:
    """`unit` is one of Grafana's: `s`, `bytes`, `reqps`, `percentunit`, `short`."""

    __slots__ = ("kind", "meaning", "queries", "title", "unit")

    def __init__(
        self, title: str, meaning: str, unit: str, *queries: Query, kind: Literal["lines", "number"] = "lines"
    ) -> None:
        self.title = title
        self.meaning = meaning
        self.unit = unit
        self.queries = queries
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Variable:
    """A selector: the values of a label of series."""

    name: str
    label: str
    series: str
    of: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """`uid` is also the name of its file."""

    uid: str
    title: str
    meaning: str
    variables: Sequence[Variable]
    sections: Sequence[Section]


def written(dashboard: Dashboard) -> str:
    """The JSON of a dashboard, with a new line at its end."""
    builder = (
        DashboardBuilder(dashboard.title)
        .uid(dashboard.uid)
        .description(dashboard.meaning)
        .tags([_TAG])
        .editable()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .link(
            DashboardLink("Dashboards")
            .type(DashboardLinkType.DASHBOARDS)
            .tags([_TAG])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
    )
    for variable in dashboard.variables:
        builder = builder.with_variable(_variable(variable))
    ids = itertools.count(1)
    for section in dashboard.sections:
        builder = builder.with_row(Row(section.title).id(next(ids)))
        for panel in section.panels:
            drawn = _number(panel) if panel.kind == "number" else _lines(panel)
            builder = builder.with_panel(drawn.id(next(ids)))
    return JSONEncoder(sort_keys=True, indent=1).encode(builder.build()) + "\n"


def _variable(variable: Variable) -> QueryVariable:
    return (
        QueryVariable(variable.name)
        .label(variable.label)
        .datasource(SOURCE)
        .query(f"label_values({variable.series}, {variable.of})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
    )


def _lines(panel: Panel) -> TimeSeriesBuilder:
    builder = (
        TimeSeriesBuilder()
        .title(panel.title)
        .description(panel.meaning)
        .unit(panel.unit)
        .min(0)
        .datasource(SOURCE)
        .span(8)
        .height(8)
        .fill_opacity(10)
        .legend(
            VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)
        )
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    for target in _targets(panel):
        builder = builder.with_target(target)
    return builder


def _number(panel: Panel) -> StatBuilder:
    builder = (
        StatBuilder()
        .title(panel.title)
        .description(panel.meaning)
        .unit(panel.unit)
        .datasource(SOURCE)
        .span(4)
        .height(4)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
    )
    for target in _targets(panel):
        builder = builder.with_target(target)
    return builder


def _targets(panel: Panel) -> Sequence[Dataquery]:
    return [
        Dataquery().datasource(SOURCE).expr(query.promql).legend_format(query.legend).ref_id("ABC"[number]).range()
        for number, query in enumerate(panel.queries)
    ]
