"""The workbench's own tables: projects, finished steps, versions of data models, jobs and their workers."""

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from core.database import Json, UtcDateTime, metadata

__all__ = ["data_model_draft", "data_model_version", "job", "job_worker", "project", "project_step"]

project = Table(
    "project",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("title", Json(), nullable=False),
    Column("created_at", UtcDateTime(), nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("spec_fingerprint", String(64), nullable=False),
)

project_step = Table(
    "project_step",
    metadata,
    Column("project", String(64), ForeignKey("project.name"), primary_key=True),
    Column("step", String(16), primary_key=True),
    Column("finished_at", UtcDateTime(), nullable=False),
    Column("finished_by", String(128), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("inputs", String(64), nullable=False),
    Column("summary", Json(), nullable=False),
    Column("path", Text(), nullable=False),
)

# A job belongs to whoever holds its lease: every write of a worker names the lease, so one that lost it writes nothing.
job = Table(
    "job",
    metadata,
    Column("id", Integer(), primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("project", String(64)),
    Column("args", Json(), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("actor", Json(), nullable=False),
    Column("created_at", UtcDateTime(), nullable=False),
    Column("started_at", UtcDateTime()),
    Column("finished_at", UtcDateTime()),
    Column("fraction", Float(), nullable=False),
    Column("message", Json()),
    Column("eta", UtcDateTime()),
    Column("attempt", Integer(), nullable=False),
    Column("max_attempts", Integer(), nullable=False),
    Column("lease_owner", String(64)),
    Column("lease_until", UtcDateTime()),
    Column("heartbeat_at", UtcDateTime()),
    Column("cancel_requested", Boolean(), nullable=False),
    Column("finish_requested", Boolean(), nullable=False),
    Column("idempotency_key", String(128)),
    Column("result", Json()),
    Column("error", Json()),
    Column("log_tail", Text(), nullable=False),
    Index("ix_job_state_id", "state", "id"),
    Index("ix_job_project_id", "project", "id"),
    Index("ix_job_idempotency_key", "idempotency_key"),
)

job_worker = Table(
    "job_worker",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("pid", Integer(), nullable=False),
    Column("started_at", UtcDateTime(), nullable=False),
    Column("heartbeat_at", UtcDateTime(), nullable=False),
)

# A version is never changed but for its review; number 0 is what the import had inferred when the first was saved.
data_model_version = Table(
    "data_model_version",
    metadata,
    Column("project", String(64), ForeignKey("project.name"), primary_key=True),
    Column("number", Integer(), primary_key=True, autoincrement=False),
    Column("base", Integer(), nullable=False),
    Column("yaml", Text(), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("author", String(128), nullable=False),
    Column("created_at", UtcDateTime(), nullable=False),
    Column("note", Text(), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reviewed_by", String(128)),
    Column("reviewed_at", UtcDateTime()),
    Column("review_note", Text()),
)

# What one person has changed and not saved yet: the steps, so that each can be taken back.
data_model_draft = Table(
    "data_model_draft",
    metadata,
    Column("project", String(64), ForeignKey("project.name"), primary_key=True),
    Column("owner", String(128), primary_key=True),
    Column("base", Integer(), nullable=False),
    Column("base_yaml", Text(), nullable=False),
    Column("steps", Json(), nullable=False),
    Column("position", Integer(), nullable=False),
    Column("conflicts", Json(), nullable=False),
    Column("updated_at", UtcDateTime(), nullable=False),
)

# `revision` goes up with each change: who changes a row names the one that was read, so only one scheduler moves on.
schedule = Table(
    "schedule",
    metadata,
    Column("id", Integer(), primary_key=True, autoincrement=True),
    Column("project", String(64), nullable=False),
    Column("name", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("args", Json(), nullable=False),
    Column("cron", String(128), nullable=False),
    Column("time_zone", String(64), nullable=False),
    Column("is_on", Boolean(), nullable=False),
    Column("max_attempts", Integer(), nullable=False),
    Column("retry_minutes", Integer(), nullable=False),
    Column("actor", Json(), nullable=False),
    Column("created_at", UtcDateTime(), nullable=False),
    Column("next_at", UtcDateTime(), nullable=False),
    Column("revision", Integer(), nullable=False),
    UniqueConstraint("project", "name", name="uq_schedule_project_name"),
    Index("ix_schedule_next_at", "next_at"),
)

# One row for each moment that was due and for all that were missed before it; its attempts share it.
schedule_run = Table(
    "schedule_run",
    metadata,
    Column("id", Integer(), primary_key=True, autoincrement=True),
    Column("schedule_id", Integer(), ForeignKey("schedule.id"), nullable=False),
    Column("due_at", UtcDateTime(), nullable=False),
    Column("n_missed", Integer(), nullable=False),
    Column("started_at", UtcDateTime(), nullable=False),
    Column("finished_at", UtcDateTime()),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer(), nullable=False),
    Column("job_id", Integer()),
    Column("retry_at", UtcDateTime()),
    Column("error", Json()),
    Column("alert_at", UtcDateTime()),
    Column("n_alerts", Integer(), nullable=False),
    Column("alerted_at", UtcDateTime()),
    UniqueConstraint("schedule_id", "due_at", name="uq_schedule_run_due"),
    Index("ix_schedule_run_state", "state"),
)
