"""The reference pages that follow from the models are current."""

import json
from pathlib import Path

from faultware.config.reference import main, schema_page, settings_page
from faultware.config.settings import NAMES

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
AGAIN = "run: python -m faultware.config.reference"


def test_the_table_of_settings_is_current():
    assert (REFERENCE / "settings.md").read_text(encoding="utf-8") == settings_page(), AGAIN


def test_the_schema_of_documents_is_current():
    assert (REFERENCE / "faults.schema.json").read_text(encoding="utf-8") == schema_page(), AGAIN


def test_every_setting_has_a_row_with_four_filled_cells():
    rows = [line for line in settings_page().splitlines() if line.startswith("| `FAULTWARE_")]
    assert [row.split("`")[1] for row in rows] == [f"FAULTWARE_{name.upper()}" for name in NAMES]
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert len(cells) == 4, row
        assert all(cells), row


def test_both_pages_are_written_where_asked(tmp_path):
    main([str(tmp_path / "new")])
    assert (tmp_path / "new" / "settings.md").read_text(encoding="utf-8") == settings_page()
    assert json.loads((tmp_path / "new" / "faults.schema.json").read_text(encoding="utf-8"))["$defs"]["Rule"]
