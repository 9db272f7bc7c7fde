"""workbench.catalog.records: a record that is none is refused, and the packaged ones name what they are of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from workbench import catalog
from workbench.catalog import Record
from workbench.errors import CatalogError

KNOWN = catalog.load()


def test_a_record_is_counted_per_gpu():
    record = KNOWN.records[0]
    assert isinstance(record, Record)
    assert record.output_tps_per_gpu == pytest.approx(24_198.7 / 8)


def test_a_record_of_nothing_is_refused():
    with pytest.raises(CatalogError, match=r"^record mlperf.*: output_tps must be positive, got 0"):
        replace(KNOWN.records[0], output_tps=0.0)


def test_records_are_of_models_and_gpus_of_the_catalog():
    for record in KNOWN.records:
        assert set(record.models) <= set(KNOWN.models)
        assert record.gpu in KNOWN.gpus
