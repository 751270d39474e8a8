"""${message}."""

# One change a migration, safe while the previous release still runs:
# add columns nullable or with a constant default; drop only what no running release reads;
# indexes with postgresql_concurrently=True inside op.get_context().autocommit_block();
# constraints NOT VALID first, VALIDATE in the next migration; move data in batches by a job, not here.
# Never import app: a migration is history, the application moves on.

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
