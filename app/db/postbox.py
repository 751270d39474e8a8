"""The postbox: mail is put into it in the transaction of the change that it tells of, and leaves later."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from app.db.models import OutgoingMail
from app.db.session import Session
from app.domain.mails import Mail
from app.vault import Vault


@dataclass(frozen=True, slots=True)
class Postbox:
    """Keeps mail encrypted until the mail server has taken it; `public_url` is what its links begin with."""

    vault: Vault
    public_url: str | None

    async def put(self, tx: Session, mail: Mail, *, expires_at: datetime, now: datetime) -> None:
        """Have the mail sent when the transaction is committed; after `expires_at` it is not worth sending."""
        tx.add(
            OutgoingMail(
                message_encrypted=self.vault.encrypt(json.dumps(asdict(mail))),
                created_at=now,
                expires_at=expires_at,
                next_attempt_at=now,
                attempts=0,
            )
        )
        await tx.flush()

    def read(self, waiting: OutgoingMail) -> Mail:
        """The mail that waits; raises WrongKey when it was encrypted with a key that we were not given."""
        return Mail(**json.loads(self.vault.decrypt(waiting.message_encrypted)))
