"""The metrics of this release, all of them; labels come from closed sets, never from what a client sends.

`initialise` once in each process, `render` for /metrics; `telemetry/instrumentation.py` counts the requests.
"""

import os
import platform
from collections.abc import Iterable
from functools import partial

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    values,
)
from prometheus_client.exposition import choose_encoder

from app.telemetry.late_gauges import LateGauge
from app.telemetry.multiprocess import WorkersCollector, server_pids
from app.telemetry.processes import ProcessesCollector

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "_OTHER"
NO_HANDLER = "none"
DURATION_EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.3, 0.5, 1, 2, 2.5, 5, 10)
QUERY_EDGES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
RUN_EDGES = (0.1, 1, 5, 15, 60, 300, 900, 3600, 14400)
BATCH_EDGES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
POOL_STATES = ("in_use", "idle")

REGISTRY = CollectorRegistry()
IS_MULTIPROCESS = values.ValueClass is not values.MutexValue

disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no annotation here

http_requests = Counter(
    "http_requests_total",
    "Requests answered, by method, route template and status.",
    ["method", "handler", "status"],
    registry=REGISTRY,
)
http_request_duration = Histogram(
    "http_request_duration_seconds",
    "Time from the request to the start of its answer, in seconds.",
    ["method", "handler"],
    buckets=DURATION_EDGES,
    registry=REGISTRY,
)
build_info = Gauge(
    "license_server_build_info",
    "Always 1; the labels tell the release and the Python that runs it.",
    ["version", "python"],
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
validations = Counter(
    "license_server_validations_total",
    "Licenses validated, by the answer's code.",
    ["code"],
    registry=REGISTRY,
)
validation_batch_size = Histogram(
    "license_server_validation_batch_size",
    "Validations that shared one trip to the database.",
    buckets=BATCH_EDGES,
    registry=REGISTRY,
)
validation_line_length = Gauge(
    "license_server_validation_line_length",
    "Validations that wait for the next trip to the database.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
validation_trip = Histogram(
    "license_server_validation_trip_seconds",
    "Time of one trip of a batch of validations to the database and back, in seconds.",
    buckets=QUERY_EDGES,
    registry=REGISTRY,
)
db_query_duration = Histogram(
    "license_server_db_query_duration_seconds",
    "Time of one statement at the database, in seconds, by operation.",
    ["operation"],
    buckets=QUERY_EDGES,
    registry=REGISTRY,
)
db_pool_connections = Gauge(
    "license_server_db_pool_connections",
    "Connections of the pool, by state.",
    ["state"],
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
db_pool_timeouts = Counter(
    "license_server_db_pool_timeouts_total",
    "Requests that got no connection from the pool in time.",
    registry=REGISTRY,
)
login_failures = Counter(
    "license_server_login_failures_total", "Logins with a wrong email address or password.", registry=REGISTRY
)
rate_limit_exceeded = Counter(
    "license_server_rate_limit_exceeded_total",
    "Requests refused by a rate limit, by policy.",
    ["policy"],
    registry=REGISTRY,
)
run_duration = Histogram(
    "license_server_run_duration_seconds",
    "Time of a maintenance run from its start to its end, in seconds, by kind and outcome.",
    ["kind", "outcome"],
    buckets=RUN_EDGES,
    registry=REGISTRY,
)
security_events = Counter(
    "license_server_security_events_total", "Security events, by kind.", ["event"], registry=REGISTRY
)
backup_last_success = LateGauge(
    "license_server_backup_last_success_timestamp_seconds",
    "Moment of the newest backup that can be restored, in seconds since 1970; also of those that other tools report.",
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)
backup_last_verified = LateGauge(
    "license_server_backup_last_verified_timestamp_seconds",
    "When a backup was last found whole, in seconds since 1970; also as other tools report it.",
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)
backup_recovery = LateGauge(
    "license_server_backup_recovery_seconds",
    "Time of the last trial from the backup's file to a database that answers, in seconds.",
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)
backup_bytes = LateGauge(
    "license_server_backup_bytes",
    "Size of the newest backup that can be restored, in bytes.",
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)


def initialise(
    *,
    version: str,
    codes: Iterable[str] = (),
    policies: Iterable[str] = (),
    operations: Iterable[str] = (),
) -> None:
    """Start every series of the closed label sets at 0, so that a first occurrence is seen as an increase."""
    build_info.labels(version, platform.python_version()).set(1)
    for metric, label_values in (
        (validations, codes),
        (rate_limit_exceeded, policies),
        (db_query_duration, operations),
        (db_pool_connections, POOL_STATES),
    ):
        for label_value in label_values:
            metric.labels(label_value)


def render(accept: str | None) -> tuple[bytes, str]:
    """The exposition and its content type, in the format that the Accept header asks for; of all workers."""
    registry = REGISTRY
    if IS_MULTIPROCESS:
        folder = os.environ["PROMETHEUS_MULTIPROC_DIR"]
        registry = CollectorRegistry()
        registry.register(WorkersCollector(folder))
        registry.register(ProcessesCollector(partial(server_pids, folder)))
    encode, content_type = choose_encoder(accept or "")
    return encode(registry), content_type


if not IS_MULTIPROCESS:
    REGISTRY.register(ProcessesCollector())
