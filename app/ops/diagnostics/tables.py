"""What takes the room, and what grows?"""

from __future__ import annotations

from datetime import date, timedelta

from app.db.engine import Database
from app.db.queries import samples
from app.db.queries.diagnostics import tables as queries
from app.db.session import Session
from app.domain.diagnostics.answers import DEFAULT_ITEMS, QUESTION_SECONDS, Answer
from app.domain.diagnostics.tables import GROWTH_DAYS, Table, roll_up, with_growth
from app.ops.diagnostics.asking import ask

MAX_TABLES = 5000
"""So many are looked at, partitions too, before they are put together."""


async def look(
    database: Database,
    *,
    today: date,
    each_partition: bool = False,
    limit: int = DEFAULT_ITEMS,
    seconds: float = QUESTION_SECONDS,
) -> Answer[Table]:
    """Tables, the largest first, with their growth; partitions in their parent unless each is wanted."""

    async def see(tx: Session) -> Answer[Table]:
        found = await queries.list_tables(tx, limit=MAX_TABLES)
        sizes: dict[str, list[tuple[date, int]]] = {}
        for sample in await samples.list_sizes(tx, since=today - timedelta(days=GROWTH_DAYS)):
            sizes.setdefault(sample.subject, []).append((sample.day, sample.bytes))
        tables = [with_growth(one, sizes, today) for one in found] if each_partition else roll_up(found, sizes, today)
        return Answer(items=tuple(tables[:limit]))

    return await ask(database, see, Answer, seconds)
