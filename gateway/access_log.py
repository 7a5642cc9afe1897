"""The outcome of each request: each is counted; what was refused is logged, and a sample of the
rest."""

from __future__ import annotations

from time import monotonic

from prometheus_client import Counter, Histogram

from core.telemetry import REQUEST_SECONDS, REQUESTS, get_logger
from gateway.context import RequestContext

SAMPLED_ONE_IN = 100
SLOW_SECONDS = 1.0
# Of lines about refusals: a caller that is refused again and again does not fill the disk.
REFUSALS_PER_SECOND = 50
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_log = get_logger(__name__)


class AccessLog:
    """Counts requests by route template, so that the number of series is bounded by the routes.
    Writes one line for each hundredth, for every one that failed or was slow, and for each that was
    refused, so that the id in its answer is found here: REFUSALS_PER_SECOND of these at most, and
    how many were left out."""

    def __init__(self) -> None:
        self._seen = 0
        self._refused, self._second = 0, 0
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def record(self, context: RequestContext, status: int, seconds: float) -> None:
        method = context.method if context.method in _METHODS else "other"
        key = (method, context.template, status)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = (
                REQUESTS.labels(method, context.template, str(status)),
                REQUEST_SECONDS.labels(method, context.template),
            )
        series[0].inc()
        series[1].observe(seconds)
        self._seen += 1
        is_logged = self._seen % SAMPLED_ONE_IN == 0 or status >= 500 or seconds >= SLOW_SECONDS
        if is_logged or (status >= 400 and self._has_room()):
            _log.info(
                "request",
                request_id=context.request_id,
                method=method,
                route=context.template,
                status=status,
                milliseconds=round(seconds * 1000, 3),
                principal=context.principal.id,
                tenant_id=str(context.principal.tenant_id or ""),
            )

    def _has_room(self) -> bool:
        """Whether this second's share of lines about refusals takes one more."""
        second = int(monotonic())
        if second != self._second:
            if self._refused > REFUSALS_PER_SECOND:
                _log.warning("refusals_left_out", count=self._refused - REFUSALS_PER_SECOND)
            self._refused, self._second = 0, second
        self._refused += 1
        return self._refused <= REFUSALS_PER_SECOND

    def failure(self, context: RequestContext, error: Exception) -> None:
        """An error of ours: all of it goes into the log, and none of it to the caller."""
        _log.error(
            "request_failed",
            request_id=context.request_id,
            method=context.method,
            route=context.template,
            exc_info=error,
        )
