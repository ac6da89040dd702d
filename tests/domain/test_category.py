"""Sums of money as people type them, and a site's own categories."""

from __future__ import annotations

import pytest

from ctserver.domain import category


@pytest.mark.parametrize(
    ("typed", "hundredths"),
    [("", None), ("  ", None), ("0", 0), ("1250", 125_000), ("1 250,50", 125_050), ("1,250.50", 125_050), ("1.250,5", 125_050),
     ("1,250", 125_000), ("12,50", 1_250), ("1\u202f000", 100_000), ("0.07", 7)],
)  # fmt: skip
def test_a_sum_is_read_as_people_write_it(typed: str, hundredths: int | None) -> None:
    assert category.value(typed) == hundredths


@pytest.mark.parametrize("typed", ["x", "-5", "1.2.3", "1,2,3", "12 $", "1e9", "٣", "9" * 13, "1.2345"])
def test_what_is_no_sum_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=r"money|too much"):
        category.value(typed)


def test_a_site_may_have_categories_of_its_own() -> None:
    assert list(category.of_site(["Test drive", "Service"])) == ["Test drive", "Service"]
    assert category.of_site([]) is category.CATEGORIES
    assert category.name_of("order") == "Order"
    assert category.name_of("Test drive") == "Test drive"
