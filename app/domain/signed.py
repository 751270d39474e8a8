"""Signed documents: what stands beside a backup's file, as JSON that only a holder of the keys can write."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any


class Signed(ABC):
    """A document with the member `signature`, which is made over everything else."""

    __slots__ = ()

    @abstractmethod
    def as_document(self) -> dict[str, Any]:
        """As it is kept, with the names that answers use."""

    def unsigned_text(self) -> str:
        """What the signature is made over, in one way of writing it."""
        document = self.as_document()
        del document["signature"]
        return json.dumps(document, sort_keys=True, separators=(",", ":"))

    def as_text(self) -> str:
        """The file."""
        return json.dumps(self.as_document(), indent=2) + "\n"
