"""How alembic reaches the database: on the connection that `app.db.migrations` holds, with short lock waits."""

from __future__ import annotations

import os
from typing import Any

from alembic import context
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from app.db.models import Model

TIMEOUTS = "SET lock_timeout = '5s'; SET statement_timeout = '15min'; SET idle_in_transaction_session_timeout = '5min'"


def is_ours(thing: Any, name: str | None, kind: str, reflected: bool, compared_to: Any) -> bool:
    """Partitions belong to their parent table and are made at run time, so they are not compared."""
    return not (kind == "table" and reflected and name is not None and name.startswith("validation_events_"))


def run(connection: Connection) -> None:
    """Run the migrations, each in a transaction of its own."""
    connection.execute(text(TIMEOUTS))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=Model.metadata,
        transaction_per_migration=True,
        compare_server_default=True,
        include_object=is_ours,
    )
    with context.begin_transaction():
        context.run_migrations()


connection = context.config.attributes.get("connection")
if connection is not None:
    run(connection)
else:
    url = os.environ["DATABASE_URL"].replace("postgres://", "postgresql://", 1)
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=NullPool)
    with engine.connect() as own_connection:
        run(own_connection)
