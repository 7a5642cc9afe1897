"""Metrics and structured logs of one process."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from typing import Any, Protocol, cast

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

# When each series began: a line for each, which nobody reads.
disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry(auto_describe=True)

_LATENCY_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_BATCH_SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(f"holdfast_{name}", text, labels, registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"holdfast_{name}", text, labels, registry=REGISTRY)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(f"holdfast_{name}", text, labels, buckets=buckets, registry=REGISTRY)


REQUESTS = _counter("http_requests_total", "Requests answered", "method", "route", "status")
REQUEST_SECONDS = _histogram(
    "http_request_duration_seconds", "Time in the replica", _LATENCY_SECONDS, "method", "route"
)
RATE_LIMITED = _counter("rate_limited_total", "Requests refused by a limit", "scope")
TURNS_REFUSED = _counter("turns_refused_total", "Dear reads refused for others' sake", "reason")
RATE_LIMIT_OPEN = _counter(
    "rate_limit_failed_open_total", "Rounds in which Redis could not be asked"
)
COMMANDS = _counter("commands_total", "Commands answered by a host", "family", "command", "outcome")
BATCH_SIZE = _histogram("batch_commands", "Commands per committed batch", _BATCH_SIZES, "family")
COMMIT_SECONDS = _histogram(
    "commit_seconds", "Time of a batch's commit", _LATENCY_SECONDS, "family"
)
MAILBOX_DEPTH = _gauge("mailbox_depth", "Commands waiting in a host's mailbox", "family")
MAILBOX_REFUSED = _counter("mailbox_refused_total", "Commands refused unseen", "family", "reason")
FENCED = _counter("fenced_commits_total", "Commits stopped by a moved epoch", "family")
COMMANDS_SENT = _counter(
    "commands_sent_total", "Commands sent by a replica: by stream or call", "way"
)
COMMAND_RETRIES = _counter("command_retries_total", "Commands sent again by a replica", "family")
AGGREGATES_LOADED = _gauge("aggregates_in_memory", "Aggregates that a host holds", "family")
SHARDS_OWNED = _gauge("shards_owned", "Shards that a host holds", "family")
EVENTS_FAILED = _counter(
    "events_failed_total",
    "Attempts of consumers at an event that failed: it is tried again, or set_aside",
    "consumer",
    "outcome",
)
CARD_REFUNDS = _counter(
    "card_refunds_total",
    "Refunds asked of the card provider: made, refused, unknown, dead",
    "outcome",
)


class Logged(Protocol):
    """What is being worked on."""

    @property
    def log_facts(self) -> dict[str, str]:
        """Names and values that each line of the log about it carries."""
        ...


# One variable that is set, rather than one for each fact: lines are few, requests are many.
LOGGED: ContextVar[Logged | None] = ContextVar("logged", default=None)


def _with_facts(logger: Any, method: str, event: Any) -> Any:
    about = LOGGED.get()
    return event if about is None else about.log_facts | event


def configure_logging(level: str = "INFO") -> None:
    """One JSON object per line on standard error, with the facts of what is LOGGED in every line
    (of a request: `request_id`, `tenant_id`)."""
    structlog.configure(
        processors=[
            _with_facts,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        # Serve puts a buffered logger of its own in the place of sys.stderr, and something that
        # prints tuples in the place of print.
        logger_factory=structlog.WriteLoggerFactory(sys.__stderr__),
        cache_logger_on_first_use=True,
    )


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    return cast(structlog.typing.FilteringBoundLogger, structlog.get_logger(component=name))
