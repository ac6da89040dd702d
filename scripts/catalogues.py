"""Brings web/locale/ up to date with the texts in the code and the templates: `.venv/bin/python scripts/catalogues.py`.

New texts are added without a translation, those that are gone are removed; it ends by telling what is to be translated.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages import Catalog, pofile
from babel.messages.extract import extract_from_dir

ROOT = Path(__file__).resolve().parent.parent
LOCALE = ROOT / "web" / "locale"
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "N_": None, "pgettext": ((1, "c"), 2)}
PLACES = [
    (ROOT / "ctserver", [("**.py", "python")]),
    (ROOT / "web" / "templates", [("**.html", "jinja2"), ("**.txt", "jinja2")]),
]
_JINJA = {"extensions": "jinja2.ext.i18n", "newstyle_gettext": "true", "silent": "false"}
OPTIONS = {"**.html": _JINJA, "**.txt": _JINJA | {"trim_blocks": "true"}}
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)  # no date that changes with every run


def extracted() -> Catalog:
    """Every text that a person may see, as it stands in the code and the templates."""
    found = Catalog(project="ctserver", charset="utf-8", creation_date=LONG_AGO)
    for folder, methods in PLACES:
        for name, _, message, comments, context in extract_from_dir(
            folder, methods, OPTIONS, KEYWORDS, ["Translators:"]
        ):
            if message:
                found.add(
                    message,
                    locations=[(f"{folder.relative_to(ROOT)}/{name}", 0)],
                    auto_comments=comments,
                    context=context,
                )
    return found


def catalogues() -> Iterator[Path]:
    """The catalogue of each language but English, which is the source."""
    yield from sorted(LOCALE.glob("*/ctserver.po"))


def read(file: Path) -> Catalog:
    with file.open("rb") as source:
        return pofile.read_po(source, locale=file.parent.name)


def untranslated(catalogue: Catalog) -> list[str]:
    """The texts that have no translation, or one that a person has not looked at."""
    return [str(message.id) for message in catalogue if message.id and (message.fuzzy or not _whole(message.string))]


def _whole(translation: str | tuple[str, ...]) -> bool:
    return all(translation) if isinstance(translation, tuple) else bool(translation)


def update(file: Path) -> Catalog:
    """The catalogue with the texts of today."""
    catalogue = read(file)
    catalogue.update(extracted(), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    catalogue.revision_date = catalogue.creation_date = LONG_AGO
    out = BytesIO()
    pofile.write_po(out, catalogue, width=110, sort_output=True, include_lineno=False, ignore_obsolete=True)
    file.write_bytes(out.getvalue())
    return catalogue


def main() -> int:
    for file in catalogues():
        missing = untranslated(update(file))
        print(f"{file.relative_to(ROOT)}: {len(missing)} to translate", *missing, sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
