from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from steelyard.schema.corpus import Heading
from steelyard.schema.scope import Access
from steelyard.stores.conformance import passage
from steelyard.stores.texts import Texts


@pytest.mark.parametrize("left", [0, 1, 2])
def test_records_from_before_headings_and_leads_are_read_without_them(left: int) -> None:
    whole = replace(passage("a", "refund"), lead="Plan | Price", headings=(Heading(level=1, text="É 1.0", start=0),))
    made = Texts.of([whole])
    fields = json.loads(made.blob.tobytes().decode())
    blob = np.frombuffer(json.dumps(fields[: len(fields) - left]).encode(), dtype=np.uint8)
    older = Texts(np.array([0, len(blob)]), blob)
    expected = replace(whole, headings=whole.headings if left < 1 else (), lead=whole.lead if left < 2 else "")
    assert older.passage(0, whole.id, Access(allow=("everyone",))) == replace(
        expected, access=Access(allow=("everyone",))
    )
