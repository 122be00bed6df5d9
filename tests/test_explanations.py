"""One table says what everything means and what to do."""

from __future__ import annotations

from typing import get_args

import pytest

from proxy.errors import REASONS
from proxy.explanations import (
    CACHE,
    OTHER,
    SECRETS,
    TOKEN,
    Explanation,
    cache_meaning,
    cache_remedy,
    explain,
    remedy,
    secret_remedy,
    with_remedy,
)
from proxy.tokens.shared.store import Trouble

TABLES: list[dict[str, Explanation]] = [{str(name): known for name, known in TOKEN.items()}, SECRETS, OTHER, CACHE]


def test_every_reason_is_explained() -> None:
    assert {*TOKEN} == {*REASONS}


@pytest.mark.parametrize(("name", "known"), [row for table in TABLES for row in table.items()])
def test_an_explanation_is_two_lines_for_a_person(name: str, known: Explanation) -> None:
    meaning, to_do = known
    assert known in SECRETS.values() or known in CACHE.values() or explain(name) == known
    assert "\n" not in meaning + to_do
    assert not meaning.endswith("."), "it stands in the middle of a sentence"
    assert meaning[0].islower() or meaning.startswith(("TLS", "API", "Secrets Manager"))
    assert to_do[0].isupper()
    assert to_do.endswith((".", ")."))


def test_secrets_have_reasons_of_their_own() -> None:
    assert secret_remedy("timeout") == SECRETS["timeout"].remedy != remedy("timeout")
    assert secret_remedy("nothing") == ""


def test_a_finding_may_name_them() -> None:
    assert explain("secret:timeout") == SECRETS["timeout"] != explain("timeout")


def test_the_token_cache_has_troubles_of_its_own() -> None:
    assert {*CACHE} == {*get_args(Trouble)}
    assert explain("cache:timeout") == CACHE["timeout"] != explain("timeout")
    assert (cache_meaning("full"), cache_remedy("full")) == CACHE["full"]


def test_a_name_that_nobody_gives() -> None:
    with pytest.raises(KeyError):
        explain("nothing")
    assert remedy("nothing") == ""


def test_what_a_caller_reads() -> None:
    told = with_remedy("timeout", "the token endpoint did not answer within 10 s")
    assert told == f"timeout: the token endpoint did not answer within 10 s. {TOKEN['timeout'].remedy}"
