"""Everything that the environment decides, read once per process."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.database_url import as_role, checked


class Ports:
    """Every TCP port of one copy of Holdfast, derived from `HOLDFAST_PORT`.

    A copy owns `base` to `base + 59`; two copies side by side need bases at least 60 apart.
    """

    SPAN = 60

    def __init__(self, base: int) -> None:
        self.api = base
        self.gcs = base + 1
        self.dashboard = base + 2
        self.dashboard_agent_http = base + 3
        self.dashboard_agent_grpc = base + 4
        self.runtime_env_agent = base + 5
        self.node_manager = base + 6
        self.object_manager = base + 7
        self.ray_metrics = base + 8
        self.ray_client = base + 9
        self.haproxy_metrics = base + 10
        self.haproxy_stats = base + 11
        self.serve_grpc = base + 12
        self.serve_fallback_http = base + 13
        self.serve_fallback_grpc = base + 14
        self.haproxy_probe = base + 15
        self.ingress_http_first = base + 20
        self.ingress_http_last = base + 39
        self.ingress_grpc_first = base + 40
        self.ingress_grpc_last = base + 59


class Settings(BaseSettings):
    """Settings of one process. Names in the environment carry the prefix `HOLDFAST_`,
    except `DATABASE_URL` and `REDIS_URL`, which select real servers in place of the
    embedded ones."""

    model_config = SettingsConfigDict(
        env_prefix="HOLDFAST_",
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,  # it may be a password
    )

    home: Path = Path(".holdfast")
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1024, le=65000)
    layout: Literal["single", "split"] = "single"
    application: str = "deployments.app:build"
    environment: Literal["development", "production"] = "development"
    # Ray's dashboard, on one machine: a dozen processes, which nothing of ours needs.
    ray_dashboard: bool = False

    database_url: str | None = Field(
        default=None, validation_alias=AliasChoices("DATABASE_URL", "database_url")
    )
    redis_url: str | None = Field(
        default=None, validation_alias=AliasChoices("REDIS_URL", "redis_url")
    )
    app_database_password: str | None = None
    host_database_password: str | None = None

    build: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]{0,40}$")
    hosts: int = Field(default=2, ge=1, le=64)
    shards: int = Field(default=256, ge=1, le=4096)
    replicas: int = Field(default=2, ge=1, le=256)

    # Between replicas and hosts of one machine; without them all commands go over Ray.
    streams: Literal["on", "off"] = "on"

    rate_limit: Literal["on", "off"] = "on"
    cors_origins: str = ""
    # Addresses and networks of proxies in front of the API, separated by blanks.
    trusted_proxies: str = ""
    signing_key: str | None = None
    metrics_token: str | None = Field(default=None, min_length=16)
    web_url: str | None = None
    access_token_ttl_seconds: int = Field(default=900, ge=30, le=86_400)
    refresh_token_ttl_seconds: int = Field(default=30 * 86_400, ge=60, le=366 * 86_400)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("database_url")
    @classmethod
    def _database_url_is_understood(cls, value: str | None) -> str | None:
        return None if value is None else checked(value)

    @field_validator("redis_url")
    @classmethod
    def _redis_url_is_understood(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("it must begin with redis://, rediss:// (TLS) or unix://")
        return value

    # What a node of a cluster may have for itself; all else must be the same on each.
    OF_A_NODE: ClassVar[frozenset[str]] = frozenset({"home", "host", "log_level", "ray_dashboard"})
    # What a single machine makes for itself, so that without it each node would have its own.
    NEEDED_IN_A_CLUSTER: ClassVar[tuple[str, ...]] = ("database_url", "redis_url", "signing_key")

    @classmethod
    def variable(cls, name: str) -> str:
        """What the environment calls a setting."""
        alias = cls.model_fields[name].validation_alias
        if isinstance(alias, AliasChoices):
            return str(alias.choices[0])
        return f"HOLDFAST_{name.upper()}"

    def of_all_nodes(self) -> dict[str, object]:
        """The settings that must be the same on every node of a cluster."""
        names = type(self).model_fields.keys() - self.OF_A_NODE
        return {name: getattr(self, name) for name in sorted(names)}

    @property
    def ports(self) -> Ports:
        return Ports(self.port)

    @property
    def listen_address(self) -> str:
        """Where the API listens."""
        return "127.0.0.1" if self.host == "localhost" else self.host

    @property
    def local_address(self) -> str:
        """Where this machine reaches the API."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
        return everywhere.get(self.listen_address, self.listen_address)

    @property
    def home_path(self) -> Path:
        return self.home.expanduser().resolve()

    @property
    def instance(self) -> str:
        """Names this copy: two homes never share it. Tags every process that we start."""
        return hashlib.sha256(str(self.home_path).encode()).hexdigest()[:10]

    @property
    def run_dir(self) -> Path:
        """Sockets and Ray's temporary folder. Short, because a Unix socket's path may hold 107
        bytes (103 on macOS, whose own temporary folder takes 49) and Ray adds some 70 of its own.
        The process that makes it checks that it is ours."""
        return Path(f"/tmp/hf-{self.instance}")  # noqa: S108

    @property
    def effective_web_url(self) -> str:
        """Where links in mails lead to, without a slash at the end."""
        return (self.web_url or f"http://127.0.0.1:{self.port}").rstrip("/")

    @property
    def owner_database_url(self) -> str:
        """As the owner of the schema: migrations and the supervising command only."""
        return self.database_url or (f"postgresql://postgres@/holdfast?host={self.run_dir / 'pg'}")

    @property
    def app_database_url(self) -> str:
        """As `holdfast_app`: replicas, under row-level security."""
        return as_role(self.owner_database_url, "holdfast_app", self.app_database_password)

    @property
    def host_database_url(self) -> str:
        """As `holdfast_host`: shard hosts and the keeper, over all tenants."""
        return as_role(self.owner_database_url, "holdfast_host", self.host_database_password)

    @property
    def effective_redis_url(self) -> str:
        return self.redis_url or f"unix://{self.run_dir / 'valkey.sock'}"


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read from its environment once."""
    return Settings()
