"""The four dashboards, of any system: `python -m infra.observability.dashboards` writes their JSON anew.

They know no name of a domain: types of events, subgraphs, views and process managers are labels, which come from a
system's declaration.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from infra.observability.panels import Dashboard, Panel, Query, Section, Variable, written
from infra.observability.promql import each, latest, quantile, quantiles, rate, share, total

FOLDER: Final = Path(__file__).with_name("grafana") / "dashboards"

_HERE: Final = 'system=~"$system",instance=~"$instance"'
_READER: Final = f'{_HERE},messaging_consumer_group_name=~"$reader"'
_SUBGRAPH: Final = f'{_HERE},graphql_subgraph_name=~"$subgraph"'
_MUTATIONS: Final = f'{_SUBGRAPH},graphql_operation_type="mutation"'
_QUERIES: Final = f'{_SUBGRAPH},graphql_operation_type="query"'
_LOG: Final = f'{_HERE},messaging_destination_name=~"$subgraph"'
_ROUTER: Final = f'{_HERE},graphql_subgraph_name=""'

SYSTEM: Final = Variable("system", "System", 'up{system!=""}', "system")
INSTANCE: Final = Variable("instance", "Instance", 'up{system=~"$system"}', "instance")
SUBGRAPH: Final = Variable("subgraph", "Subgraph", f"eventgraph_subgraph_ready{{{_HERE}}}", "graphql_subgraph_name")
READER: Final = Variable(
    "reader", "View or process manager", f"eventgraph_reader_troubles{{{_HERE}}}", "messaging_consumer_group_name"
)

OPERATIONS: Final = "graphql_server_operation_duration_seconds"
ERRORS: Final = "graphql_server_operation_errors_total"
REQUESTS: Final = "http_server_request_duration_seconds"
APPENDS: Final = "messaging_client_operation_duration_seconds"
ASKED: Final = "http_client_request_duration_seconds"
DOCUMENTS: Final = "graphql_server_document_cache_requests_total"
CACHED: Final = "graphql_router_cache_requests_total"
FETCHES: Final = "graphql_router_operation_fetches"
GROUPS: Final = "eventkernel_append_group_size"

GROUP: Final = "messaging_consumer_group_name"
LOG: Final = "messaging_destination_name"
OF: Final = "graphql_subgraph_name"
TYPE: Final = "cloudevents_event_type"


DOMAIN: Final = Dashboard(
    "domain",
    "Domain",
    "What happens in a system: events by type, changes that are asked for, refusals, sagas.",
    [SYSTEM, INSTANCE, SUBGRAPH],
    [
        Section(
            "Events",
            [
                Panel(
                    "Events by type",
                    "New on the logs, in a second.",
                    "eps",
                    rate(f"eventgraph_log_events_total{{{_LOG}}}", "system", TYPE),
                ),
                Panel(
                    "Events since the start, by type",
                    "What the running processes have put on the logs.",
                    "short",
                    total(f"eventgraph_log_events_total{{{_LOG}}}", "system", TYPE),
                ),
                Panel(
                    "Events by log",
                    "New on each log, in a second.",
                    "eps",
                    rate(f"messaging_client_sent_messages_total{{{_LOG}}}", "system", LOG),
                ),
            ],
        ),
        Section(
            "Changes",
            [
                Panel(
                    "Mutations",
                    "Requests to change something, by the subgraph that decides.",
                    "reqps",
                    rate(f"{OPERATIONS}_count{{{_MUTATIONS}}}", "system", OF),
                ),
                Panel(
                    "Refusals and errors of mutations",
                    "By code: what the domain refuses has the domain's codes.",
                    "reqps",
                    rate(f"{ERRORS}{{{_MUTATIONS}}}", "system", OF, "error_type"),
                ),
                Panel(
                    "How long mutations take",
                    "In the subgraph, until the answer is complete.",
                    "s",
                    *quantiles(OPERATIONS, _MUTATIONS, "system", OF),
                ),
                Panel(
                    "Queries",
                    "Queries and requests for entities, by subgraph.",
                    "reqps",
                    rate(f"{OPERATIONS}_count{{{_QUERIES}}}", "system", OF),
                ),
                Panel(
                    "Commands by outcome",
                    "What became of them at the log: the empty outcome is success, others are the reason against it.",
                    "reqps",
                    rate(f"{APPENDS}_count{{{_LOG}}}", "system", LOG, "error_type"),
                ),
            ],
        ),
        Section(
            "Process managers and sagas",
            [
                Panel(
                    "Reactions",
                    "Completed reactions to events, in a second.",
                    "ops",
                    rate(f"eventgraph_process_manager_reactions_total{{{_HERE}}}", "system", GROUP),
                ),
                Panel(
                    "Deadlines",
                    "To come, or over and not dealt with: about as many sagas are under way.",
                    "short",
                    total(f"eventgraph_process_manager_deadlines{{{_HERE}}}", "system", GROUP),
                ),
                Panel(
                    "Overdue",
                    "How long the oldest deadline has been over that is not dealt with. Alert: SagaOverdue.",
                    "s",
                    latest(f"eventgraph_process_manager_overdue_duration_seconds{{{_HERE}}}", "system", GROUP),
                ),
            ],
        ),
    ],
)

_THERE: Final = f"sum by (system) (up{{{_HERE}}})"
_READY: Final = f"max by (system, {OF}) (eventgraph_subgraph_ready{{{_HERE}}})"

SERVICES: Final = Dashboard(
    "services",
    "Services",
    "Each process: whether it is there and ready, what it is asked, how near its limits it is, what it uses.",
    [SYSTEM, INSTANCE],
    [
        Section(
            "There and ready",
            [
                Panel(
                    "Processes",
                    "Those whose metrics can be read.",
                    "short",
                    Query(_THERE, "{{system}}"),
                    kind="number",
                ),
                Panel(
                    "Not answering",
                    "Processes whose metrics cannot be read. Alert: ProcessDown.",
                    "short",
                    Query(f"count by (system) (up{{{_HERE}}}) - {_THERE}", "{{system}}"),
                    kind="number",
                ),
                Panel(
                    "Subgraphs that are ready",
                    "Those of which at least one process is ready. Alert: SubgraphNotReady.",
                    "short",
                    Query(f"sum by (system) ({_READY})", "{{system}}"),
                    kind="number",
                ),
                Panel(
                    "Since",
                    "How long each process has run.",
                    "s",
                    each(f"process_uptime_seconds{{{_HERE}}}", "instance"),
                    kind="number",
                ),
            ],
        ),
        Section(
            "Requests",
            [
                Panel(
                    "Requests",
                    "By status of HTTP; of a system in one process, those to its subgraphs, too.",
                    "reqps",
                    rate(f"{REQUESTS}_count{{{_HERE}}}", "instance", "http_response_status_code"),
                ),
                Panel(
                    "How long requests take",
                    "From the head to the end of the answer.",
                    "s",
                    *quantiles(REQUESTS, _HERE, "instance"),
                ),
                Panel(
                    "Requests under way, and their limit",
                    "One more is refused with OVERLOADED. Alert: RequestsNearLimit.",
                    "short",
                    each(f"http_server_active_requests{{{_HERE}}}", "instance", OF),
                    each(f"http_server_request_limit{{{_HERE}}}", "instance", OF, more="limit"),
                ),
                Panel(
                    "Limits that were met",
                    "Requests that were refused or cut, by code. Alert for OVERLOADED: RequestsRefused.",
                    "reqps",
                    rate(f"graphql_server_limit_hits_total{{{_HERE}}}", "instance", "error_type"),
                ),
                Panel(
                    "Connections, and their limit",
                    "Of clients, on all ports. Alert: ConnectionsNearLimit.",
                    "short",
                    each(f"http_server_open_connections{{{_HERE}}}", "instance"),
                    each(f"http_server_connection_limit{{{_HERE}}}", "instance", more="limit"),
                ),
                Panel(
                    "Connections turned away",
                    "There was no place for them. Alert: ConnectionsRefused.",
                    "ops",
                    rate(f"http_server_refused_connections_total{{{_HERE}}}", "instance"),
                ),
                Panel(
                    "Documents found in the subgraphs' caches",
                    "The others are parsed and validated first.",
                    "percentunit",
                    share(f'{DOCUMENTS}{{{_HERE},result="hit"}}', f"{DOCUMENTS}{{{_HERE}}}", "system", OF),
                ),
            ],
        ),
        Section(
            "What they use",
            [
                Panel(
                    "CPU",
                    "Seconds of processors in a second; Python's part of a process uses one at most.",
                    "percentunit",
                    rate(f"process_cpu_time_seconds_total{{{_HERE}}}", "instance"),
                ),
                Panel(
                    "Memory",
                    "Resident.",
                    "bytes",
                    each(f"process_memory_usage_bytes{{{_HERE}}}", "instance"),
                ),
                Panel(
                    "Delay of the event loop",
                    "How late timers are. Alert: EventLoopLate.",
                    "s",
                    *quantiles("asyncio_eventloop_delay_seconds", _HERE, "instance"),
                ),
                Panel(
                    "Open files",
                    "With sockets.",
                    "short",
                    each(f"process_open_file_descriptor_count{{{_HERE}}}", "instance"),
                ),
                Panel(
                    "Garbage collections",
                    "By generation.",
                    "ops",
                    rate(f"cpython_gc_collections_total{{{_HERE}}}", "instance", "cpython_gc_generation"),
                ),
            ],
        ),
        Section(
            "Machines",
            [
                Panel(
                    "CPU of machines",
                    "The share of time that is not idle, by node exporter.",
                    "percentunit",
                    Query(
                        '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))',
                        "{{instance}}",
                    ),
                ),
                Panel(
                    "Memory of machines",
                    "What is available. Alert: MemoryShort.",
                    "percentunit",
                    each("node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes", "instance"),
                ),
                Panel(
                    "Disks",
                    "What is free. Alert: DiskFull.",
                    "percentunit",
                    each("node_filesystem_avail_bytes / node_filesystem_size_bytes", "instance", "mountpoint"),
                ),
            ],
        ),
    ],
)


def _of_readers(title: str, meaning: str, metric: str, unit: str = "short") -> Panel:
    return Panel(title, meaning, unit, latest(f"{metric}{{{_READER}}}", "system", GROUP))


_PARTITIONS: Final = f"max by (system, {GROUP}, {LOG}, messaging_destination_partition_id)"

LOG_AND_PROJECTIONS: Final = Dashboard(
    "log-and-projections",
    "Log and projections",
    "How fast changes get to the logs, and how views and process managers keep up with them.",
    [SYSTEM, INSTANCE, SUBGRAPH, READER],
    [
        Section(
            "Logs",
            [
                Panel(
                    "Appends",
                    "Commands that came to the log, in a second; refused ones too.",
                    "ops",
                    rate(f"{APPENDS}_count{{{_LOG}}}", "system", LOG),
                ),
                Panel(
                    "How long appends take",
                    "Until the events are durable.",
                    "s",
                    *quantiles(APPENDS, _LOG, "system", LOG),
                ),
                Panel(
                    "Appends that go to the disk together",
                    "On average: so many share one fsync, or one batch.",
                    "short",
                    share(f"{GROUPS}_sum{{{_LOG}}}", f"{GROUPS}_count{{{_LOG}}}", "system", LOG),
                ),
                Panel(
                    "Ledger's backlog",
                    "Commits that are not known to be on the log. Alert: LedgerBacklog.",
                    "short",
                    latest(f"eventkernel_ledger_backlog{{{_LOG}}}", "system", LOG),
                ),
            ],
        ),
        Section(
            "Views and process managers",
            [
                Panel(
                    "Records behind",
                    "Of all partitions. Alert: ReaderFarBehind.",
                    "short",
                    total(f"{_PARTITIONS} (eventgraph_reader_lag{{{_READER}}})", "system", GROUP),
                ),
                _of_readers(
                    "Seconds behind",
                    "Age of the oldest record that is not dealt with. Alert: ReaderLagging.",
                    "eventgraph_reader_lag_duration_seconds",
                    "s",
                ),
                Panel(
                    "Records taken",
                    "By each view, in a second.",
                    "ops",
                    rate(f"messaging_client_consumed_messages_total{{{_READER}}}", "system", GROUP),
                ),
                _of_readers(
                    "Streams that wait",
                    "Alerts: ParkedStreams, ReactionsSetAside.",
                    "eventgraph_reader_parked_streams",
                ),
                _of_readers("Records that wait", "In these streams.", "eventgraph_reader_parked_records"),
                _of_readers(
                    "Troubles", "What fails and is tried again. Alert: ReaderTroubled.", "eventgraph_reader_troubles"
                ),
            ],
        ),
        Section(
            "Builds of views",
            [
                _of_readers("Live builds", "1: it answers. Alert: ViewNotLive.", "eventgraph_view_live"),
                _of_readers(
                    "Builds that were filled",
                    "Since the process started, the first one too.",
                    "eventgraph_view_rebuilds_total",
                ),
                _of_readers(
                    "Flaws",
                    "In what the view is not what its logs say. Alert: ViewFlawed.",
                    "eventgraph_view_flaws",
                ),
                _of_readers(
                    "Damage",
                    "Records of the logs that cannot be read. Alert: LogDamaged.",
                    "eventgraph_view_log_damage",
                ),
                Panel(
                    "Readers that can be asked",
                    "0: an engine does not answer. Alert: ReadersUnreadable.",
                    "short",
                    latest(f"eventgraph_status_readable{{{_SUBGRAPH}}}", "system", OF),
                ),
            ],
        ),
    ],
)

ROUTER: Final = Dashboard(
    "router",
    "Router",
    "Operations of clients, what the router asks of subgraphs for them, and its caches.",
    [SYSTEM, INSTANCE],
    [
        Section(
            "Operations",
            [
                Panel(
                    "Operations",
                    "By type; of those that could not be read the type is empty.",
                    "reqps",
                    rate(f"{OPERATIONS}_count{{{_ROUTER}}}", "system", "graphql_operation_type"),
                ),
                Panel(
                    "How long operations take",
                    "Refused ones too.",
                    "s",
                    *quantiles(OPERATIONS, _ROUTER, "system"),
                ),
                Panel(
                    "p95 by name",
                    "Of names that are known; all others are _OTHER.",
                    "s",
                    quantile(0.95, OPERATIONS, _ROUTER, "system", "graphql_operation_name"),
                ),
                Panel(
                    "Errors by code",
                    "Operations with errors, once for each code.",
                    "reqps",
                    rate(f"{ERRORS}{{{_ROUTER}}}", "system", "error_type"),
                ),
                Panel(
                    "Errors for each operation",
                    "Of any kind. Alert for those that are not the client's: RouterErrors.",
                    "percentunit",
                    share(f"{ERRORS}{{{_ROUTER}}}", f"{OPERATIONS}_count{{{_ROUTER}}}", "system"),
                ),
                Panel(
                    "Open subscriptions",
                    "Streams of answers.",
                    "short",
                    total(f"graphql_server_active_streams{{{_ROUTER}}}", "system"),
                ),
                Panel(
                    "Messages of subscriptions",
                    "To all clients, in a second.",
                    "ops",
                    rate(f"graphql_router_subscription_messages_total{{{_HERE}}}", "system"),
                ),
            ],
        ),
        Section(
            "Subgraphs",
            [
                Panel(
                    "Requests to subgraphs for each operation",
                    "On average, by type of the operation.",
                    "short",
                    share(
                        f"{FETCHES}_sum{{{_HERE}}}", f"{FETCHES}_count{{{_HERE}}}", "system", "graphql_operation_type"
                    ),
                ),
                Panel(
                    "Requests to subgraphs",
                    "By outcome: status of HTTP, or the code where no answer came.",
                    "reqps",
                    rate(f"{ASKED}_count{{{_HERE}}}", "system", OF, "http_response_status_code", "error_type"),
                ),
                Panel(
                    "How long subgraphs take",
                    "As the router sees it.",
                    "s",
                    *quantiles(ASKED, _HERE, "system", OF),
                ),
                Panel(
                    "Requests to subgraphs under way",
                    "Many of one subgraph: it is slow.",
                    "short",
                    total(f"http_client_active_requests{{{_HERE}}}", "system", OF),
                ),
            ],
        ),
        Section(
            "Caches and configuration",
            [
                Panel(
                    "Found in caches",
                    "The others are parsed and validated, or planned.",
                    "percentunit",
                    share(f'{CACHED}{{{_HERE},result="hit"}}', f"{CACHED}{{{_HERE}}}", "system", "cache"),
                ),
                Panel(
                    "Time for what was not found",
                    "Seconds in a second.",
                    "percentunit",
                    rate(f"graphql_router_cache_miss_duration_seconds_total{{{_HERE}}}", "system", "cache"),
                ),
                Panel(
                    "Entries of caches",
                    "What is kept.",
                    "short",
                    each(f"graphql_router_cache_entries{{{_HERE}}}", "instance", "cache"),
                ),
                Panel(
                    "Size of caches",
                    "Estimated.",
                    "bytes",
                    each(f"graphql_router_cache_size_bytes{{{_HERE}}}", "instance", "cache"),
                ),
                Panel(
                    "Evictions",
                    "Entries that made room for others.",
                    "ops",
                    rate(f"graphql_router_cache_evictions_total{{{_HERE}}}", "instance", "cache"),
                ),
                Panel(
                    "Configuration",
                    "The number of the one that serves. Alert for 0: RouterNotServing.",
                    "short",
                    each(f"graphql_router_configuration_generation{{{_HERE}}}", "instance"),
                ),
                Panel(
                    "Refused configurations",
                    "1: the one that was read last was refused. Alert: RouterConfigurationRefused.",
                    "short",
                    each(f"graphql_router_configuration_refused{{{_HERE}}}", "instance"),
                ),
            ],
        ),
    ],
)

DASHBOARDS: Final = (DOMAIN, SERVICES, LOG_AND_PROJECTIONS, ROUTER)


def main() -> None:
    """Write the files, or with `--check` exit with 1 where one is another than what is declared."""
    for dashboard in DASHBOARDS:
        file = FOLDER / f"{dashboard.uid}.json"
        if "--check" not in sys.argv:
            file.write_text(written(dashboard), encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != written(dashboard):
            sys.exit(f"{file.name} is not what infra/observability declares: write it anew with make generate")


if __name__ == "__main__":
    main()
