"""Run by Alembic: the migrations inside the transaction that `core.database.migration` opened."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=True,  # SQLite can, in the transactions that `core.database.connection` opens
)
context.run_migrations()
