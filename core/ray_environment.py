"""Every environment variable that Ray, Ray Serve and its HAProxy read, by name, in one place.

They must be set before the first process of Ray starts, since each process reads them once.
Two copies on one machine would share ports, files and sockets by default, so all of those are
derived from the settings here.
"""

from __future__ import annotations

import resource
from pathlib import Path

from core.settings import Settings

MAX_OPEN_FILES = 32_768
_LOG_FILE_BYTES = 20 * 1024 * 1024


def haproxy_dir(settings: Settings) -> Path:
    """Where HAProxy keeps its configuration and its sockets, one folder per node."""
    return settings.run_dir / "haproxy"


def gcs_dir(settings: Settings) -> Path:
    """Where the GCS of a copy's only node keeps what it must know when it is started again."""
    return settings.run_dir / "gcs"


def token_path(settings: Settings) -> Path:
    """The file with the token that opens this copy's Ray."""
    return settings.home_path / "ray-token"


def ray_environment(settings: Settings, *, one_machine: bool = True) -> dict[str, str]:
    """What to add to the environment of `ray start`; all that it starts inherits it.

    `one_machine` keeps Ray on loopback; without it nodes of a cluster reach each other.
    """
    environment = _ray(settings) | _serve() | _haproxy(settings) | _ingress(settings)
    environment |= _MEMORY
    environment["HOLDFAST_HOME"] = str(settings.home_path)
    if one_machine:
        environment |= QUIET | _alone(settings)
    return environment


def workers(settings: Settings) -> int:
    """How many workers of Ray a copy needs: hosts, replicas, the keeper, Serve's controller and
    HAProxy's manager."""
    applications = 2 if settings.layout == "split" else 1
    return settings.hosts + settings.replicas * applications + 3


def _alone(settings: Settings) -> dict[str, str]:
    return {
        # Its name tells where it comes from; what it does is to make loopback the node's
        # address on any system, so that a laptop may also change networks.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        # A GCS that is started again reads what it knew, and nobody else need be.
        "RAY_gcs_storage": "rocksdb",
        "RAY_gcs_storage_path": str(gcs_dir(settings)),
        # Workers load Python while the rest of Ray starts.
        "RAY_enable_worker_prestart": "1",
        "RAY_num_workers_soft_limit": str(workers(settings)),
        # The raylet's own store is there in a moment; by default it looks again after a second.
        "RAY_raylet_client_connect_timeout_milliseconds": "50",
        "RAY_raylet_client_num_connect_attempts": "200",
        # A process that serves does not end with the raylet or the GCS, but when the supervisor
        # says so: when another Ray serves (`cli.supervisor.survivors`). By default it looks after
        # its raylet once a second.
        "RAY_raylet_death_check_interval_milliseconds": str(2**31 - 1),
        "RAY_gcs_rpc_server_reconnect_timeout_s": "300",
    }


# Each of the thirty threads of a process has an arena of its own by default, which keeps what one
# burst of connections needed. Two serve as well, and what is free on top goes back.
_MEMORY = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": str(1024 * 1024)}

# What Ray does many times a second to schedule and to draw the work of a large cluster. On one
# machine nothing is scheduled but our few actors, and figures are ours (`/metrics`).
QUIET = {
    "RAY_task_events_report_interval_ms": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_event_stats": "0",
    "RAY_raylet_report_resources_period_milliseconds": "1000",
    "RAY_gcs_pull_resource_loads_period_milliseconds": "5000",
    "RAY_raylet_check_gc_period_milliseconds": "5000",
    "RAY_local_fs_monitor_interval_ms": "5000",
    "RAY_memory_monitor_refresh_ms": "1000",
    "RAY_object_manager_timer_freq_ms": "1000",
    "RAY_report_worker_backlog_interval_ms": "10000",
    "RAY_kill_idle_workers_interval_ms": "5000",
    "RAY_core_worker_internal_heartbeat_ms": "5000",
    "RAY_free_objects_period_milliseconds": "10000",
    "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "10000",
}


def _ray(settings: Settings) -> dict[str, str]:
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_path(settings)),
        "RAY_USAGE_STATS_ENABLED": "0",
        # Ray's default of 15 is for workers that compute; ours answer, and would starve beside
        # anything else on the machine.
        "RAY_worker_niceness": "0",
        "RAY_ROTATION_MAX_BYTES": str(_LOG_FILE_BYTES),
        "RAY_ROTATION_BACKUP_COUNT": "1",
        # When a worker dies, what it started dies with it: HAProxy must not outlive its manager
        # and keep the port from the next one.
        "RAY_process_group_cleanup_enabled": "1",
        # A host that hangs is killed rather than asked to leave, after this.
        "RAY_kill_worker_timeout_milliseconds": "1000",
        # A process title normally overwrites the environment, and with it the tag by which
        # leftovers are found.
        "SPT_NOENV": "1",
    }


def _serve() -> dict[str, str]:
    return {
        # Requests go from HAProxy straight to a replica, not through a proxy in Python.
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        # One event loop per replica, buffered logs.
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH": ("deployments.serving.serve_controller:adapt"),
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "gateway.doorstep:middlewares",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
        # Whom X-Forwarded-For is believed of is for `gateway.address` alone to say: the server
        # in front of it would take what a caller wrote for the caller's address.
        "FORWARDED_ALLOW_IPS": "",
        # A dead HAProxy is noticed by its health check alone, after three failures; another one
        # stands in meanwhile.
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
        # On a machine that is short of CPU slow is not dead: to start it again makes it slower.
        "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "10",
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "30",
    }


def _haproxy(settings: Settings) -> dict[str, str]:
    folder = haproxy_dir(settings)
    return {
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(settings.ports.haproxy_metrics),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(settings.ports.haproxy_stats),
        # A log line per request to nobody, and one more to a reader in Python, cost more than
        # they tell: replicas count requests themselves.
        "RAY_SERVE_HAPROXY_LOG_TARGET": str(folder / "log.sock"),
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
        "RAY_SERVE_HAPROXY_MAXCONN": str(max_connections()),
        "RAY_SERVE_HAPROXY_TIMEOUT_CONNECT_S": "3",
        # Longer than any request's deadline; streams send a heartbeat more often than this.
        "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": "40",
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": "60",
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "30",
        # Slack for a busy event loop; a dead replica refuses connections, which is noticed by
        # the next request and not by these checks.
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "2s",
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_FALL": "3",
    }


def max_connections() -> int:
    """What the limit on open files allows: HAProxy takes two and a half for each connection,
    and does not start if the limit is too low for them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    return max(100, (files - 500) // 3)


def _ingress(settings: Settings) -> dict[str, str]:
    ports = settings.ports
    return {
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(ports.serve_fallback_http),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(ports.serve_fallback_grpc),
        # Ray's ranges exclude their end.
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(ports.ingress_http_first),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(ports.ingress_http_last + 1),
        "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": str(ports.ingress_grpc_first),
        "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": str(ports.ingress_grpc_last + 1),
        # A replica that dies again and again takes a new port each time: with the default of
        # 150 s the range would run dry. A little longer than HAProxy's hard stop.
        "RAY_SERVE_PORT_QUARANTINE_S": "35",
    }
