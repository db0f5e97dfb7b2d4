"""By which words a certificate is found."""

from __future__ import annotations

import pytest

from ca.terms import MAX_QUERY_TERMS, Wanted, terms_of, wanted_terms


@pytest.mark.parametrize(
    ("subject", "terms"),
    [
        ("CN=gateway-0001.City.gov.cn,C=CN", {"gateway", "0001", "city", "gov", "cn"}),
        ("CN=王小明,O=区公安局,C=CN", {"王小", "小明", "明", "区公", "公安", "安局", "局"}),
        ("C=CN,CN=\uff21\uff22\uff11", {"ab1"}),
        ("2.5.4.97=x1,CN=公安county17局", {"x1", "公安", "安", "county17", "局"}),
        (r"CN=a\,b\+c=d", {"a", "b", "c", "d"}),
        ("CN=" + "x" * 64, {"x" * 32}),
    ],
)  # fmt: skip
def test_terms_are_folded_words_and_pairs_of_neighbours(subject: str, terms: set[str]) -> None:
    assert terms_of(subject) == terms


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("Gate", {Wanted("gate", whole=False)}),
        ("公安局", {Wanted("公安", whole=True), Wanted("安局", whole=True)}),
        ("局", {Wanted("局", whole=False)}),
        ("王 17", {Wanted("王", whole=False), Wanted("17", whole=False)}),
        (" -_% ", set()),
    ],
)
def test_a_query_wants_beginnings_of_words_and_whole_pairs(query: str, wanted: set[Wanted]) -> None:
    assert set(wanted_terms(query)) == wanted


def test_a_query_has_a_bounded_number_of_terms() -> None:
    assert len(wanted_terms(" ".join(f"word{number}" for number in range(100)))) == MAX_QUERY_TERMS
