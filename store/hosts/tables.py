"""Tables of the runtime: who owns which shard, which commands were answered, which events wait."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from store.kit.schema import Xid8, exempt, metadata, moment, of_caller, of_nobody, of_tenant

installation = Table(
    "installation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    comment="Facts fixed when the database was set up, such as the number of shards",
    info=of_nobody(app="SELECT", host="SELECT"),
)

shard_hosts = Table(
    "shard_hosts",
    metadata,
    Column("id", Uuid, primary_key=True, comment="One incarnation of a host: one process"),
    Column("name", Text, nullable=False, comment="Of the Ray actor"),
    Column("machine", Text, nullable=False, comment="Boot id of the machine it runs on"),
    Column("pid", Integer, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("lost_at", DateTime(timezone=True), comment="Set by who took its shards"),
    Column("decided_at_ms", BigInteger, nullable=False, server_default=text("0")),
    Column(
        "build",
        Text,
        nullable=False,
        server_default=text("''"),
        comment="Of the code that it runs; empty: from before builds were told",
    ),
    Column(
        "birth",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="When the process began, as its machine counts; with the pid it names one process"
        " for good; 0: not known",
    ),
    moment("superseded_at", nullable=True, comment="Set when a younger incarnation took the name"),
    moment("ended_at", nullable=True, comment="Set once its process is proved gone"),
    info=of_nobody(app="SELECT", host="SELECT, INSERT, UPDATE, DELETE"),
)

shard_leases = Table(
    "shard_leases",
    metadata,
    Column("family", Text, primary_key=True),
    Column("shard", Integer, primary_key=True),
    Column("host_id", Uuid, ForeignKey("shard_hosts.id")),
    Column("epoch", BigInteger, nullable=False, server_default=text("0")),
    Column(
        "decided_at_ms",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="Floor of the next owner's decision time",
    ),
    Index("ix_shard_leases_host_id", "host_id"),
    info=of_nobody(app="SELECT", host="SELECT, INSERT, UPDATE, DELETE"),
)

keeper_beat = Table(
    "keeper_beat",
    metadata,
    Column("id", Integer, primary_key=True, comment="1: there is one row"),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    Column("keeper_id", Uuid, comment="Who keeps; others stand by"),
    comment="When a keeper last looked at everything",
    info=of_nobody(app="SELECT", host="SELECT, UPDATE"),
)

shard_pins = Table(
    "shard_pins",
    metadata,
    Column("family", Text, primary_key=True),
    Column("shard", Integer, primary_key=True),
    Column("host_name", Text, nullable=False),
    comment="Where an operator wants a shard to be",
    info=of_nobody(host="SELECT, INSERT, UPDATE, DELETE"),
)

drained_hosts = Table(
    "drained_hosts",
    metadata,
    Column("name", Text, primary_key=True),
    comment="Hosts that an operator wants to be without shards",
    info=of_nobody(host="SELECT, INSERT, UPDATE, DELETE"),
)

command_log = Table(
    "command_log",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column(
        "tenant_id",
        Uuid,
        nullable=False,
        comment="The business; for a shopper's own mutation the user",
    ),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("reply", LargeBinary, nullable=False),
    Column(
        "created_on",
        Date,
        primary_key=True,
        server_default=text("(now() AT TIME ZONE 'UTC')::date"),
        comment="Part of the key because partitions are daily: unique within a day by the"
        " database, for longer by the log being asked first",
    ),
    postgresql_partition_by="RANGE (created_on)",
    info=of_caller(app="SELECT, INSERT", host="SELECT, INSERT"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("event_id", Uuid, nullable=False),
    Column("tenant_id", Uuid, nullable=False),
    Column("type", Text, nullable=False, info=exempt(no_bound="a kind of ours")),
    Column("subject", Text, nullable=False, info=exempt(no_bound="an id of ours")),
    Column("time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("data", JSONB, nullable=False),
    Column("xid", Xid8(), nullable=False, server_default=text("pg_current_xact_id()")),
    Column("published_at", DateTime(timezone=True)),
    Index("ix_outbox_unpublished", "id", postgresql_where=text("published_at IS NULL")),
    Index("ix_outbox_tenant_id_type", "tenant_id", "type"),
    info=of_tenant(app="SELECT, INSERT", owner="SELECT"),
)
