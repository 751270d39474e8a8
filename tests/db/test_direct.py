"""A direct connection tells what broke a statement off, and not what that did to the session."""

from __future__ import annotations

import pytest
from psycopg import sql

from app.db.direct import direct_connection


async def test_what_broke_a_statement_off_is_told_although_it_still_occupies_the_session(fresh_database: str) -> None:
    async with direct_connection(fresh_database) as direct:
        with pytest.raises(ZeroDivisionError):
            async with direct.limits(lock_seconds=1):
                direct.connection.pgconn.send_query(b"COPY (SELECT 1) TO STDOUT")
                raise ZeroDivisionError


async def test_limits_end_with_what_they_were_meant_for(fresh_database: str) -> None:
    async with direct_connection(fresh_database) as direct:
        async with direct.limits(lock_seconds=1, statement_seconds=2):
            during = await direct.execute(sql.SQL("SELECT current_setting('lock_timeout')"))
        after = await direct.execute(sql.SQL("SELECT current_setting('lock_timeout')"))

    assert (during, after) == ([("1s",)], [("3s",)])
