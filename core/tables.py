"""The ground floor's tables: accounts, keys and the audit trail."""

from sqlalchemy import Boolean, Column, Integer, String, Table, Text

from core.database import Json, UtcDateTime, metadata

__all__ = ["api_key", "audit_record", "login_failure", "user_account"]

user_account = Table(
    "user_account",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("password_hash", String(255), nullable=False),
    Column("roles", Json(), nullable=False),
    Column("language", String(8), nullable=False),
    Column("is_active", Boolean(), nullable=False),
    Column("created_at", UtcDateTime(), nullable=False),
    Column("created_by", String(64), nullable=False),
)

# Counted for every name that is tried, known or not, so that a lock tells nothing about who exists.
login_failure = Table(
    "login_failure",
    metadata,
    Column("name_hash", String(64), primary_key=True),
    Column("n_failures", Integer(), nullable=False),
    Column("last_failure_at", UtcDateTime(), nullable=False),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("secret_hash", String(64), nullable=False),
    Column("scopes", Json(), nullable=False),
    Column("created_at", UtcDateTime(), nullable=False),
    Column("created_by", String(64), nullable=False),
    Column("expires_at", UtcDateTime()),
    Column("revoked_at", UtcDateTime()),
)

# `details` is canonical JSON as text: its bytes are what the hash signs, and JSONB would rewrite them.
audit_record = Table(
    "audit_record",
    metadata,
    Column("sequence", Integer(), primary_key=True, autoincrement=False),
    Column("at", UtcDateTime(), nullable=False),
    Column("actor", String(128), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(255), nullable=False, index=True),
    Column("details", Text(), nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
