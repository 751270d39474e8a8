"""Pipes: what goes through them comes out as it was, or not at all."""

from __future__ import annotations

import io

import pytest

from app.ops.backups.pipes import DamagedFile, pack, unpack
from tests.ops.backups.copies import make_content


def test_a_flipped_bit_is_noticed_by_whoever_unpacks_the_file_without_us() -> None:
    content, file = make_content(50_000), io.BytesIO()
    pack(io.BytesIO(content), file, None, lambda passed: None)
    packed = bytearray(file.getvalue())

    unpack(io.BytesIO(packed), io.BytesIO(), None)
    packed[25_000] ^= 1

    with pytest.raises(DamagedFile):
        unpack(io.BytesIO(packed), io.BytesIO(), None)
