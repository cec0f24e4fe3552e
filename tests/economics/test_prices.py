from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from steelyard.economics.prices import OLD_AFTER_DAYS, PriceTable, load_prices
from steelyard.schema.errors import FactsError, MissingExtraError, NotFoundError
from steelyard.schema.prices import PRICE_CLASSES, ModelPrice

TODAY = date(2026, 11, 22)


def test_every_price_of_the_table_has_a_source_a_date_and_something_to_pay():
    table = load_prices()

    assert len(table.models) >= 30
    for price in table.models.values():
        assert price.source
        assert date(2026, 1, 1) <= price.read_on <= TODAY
        assert any(getattr(price, name) is not None for name in PRICE_CLASSES)
    for rate in table.rates.values():
        assert 0 < rate.low <= rate.high
        assert rate.source
        assert rate.unit


@pytest.mark.parametrize(
    ("name", "prices"),
    [
        ("gpt-4.1", {"input": "2", "cached": "0.5", "output": "8"}),
        ("ft:gpt-4.1", {"input": "3", "cached": "0.75", "output": "12", "training": "25"}),
        ("ft:gpt-4o-mini", {"input": "0.3", "output": "1.2", "training": "3"}),
        ("claude-sonnet-5", {"input": "2", "cached": "0.2", "cache_write": "2.5", "output": "10"}),
        ("text-embedding-3-small", {"embedding": "0.02"}),
        ("cohere-rerank-4-pro", {"rerank_query": "0.0025"}),
    ],
)
def test_known_models_carry_their_published_prices(name, prices):
    found = load_prices().price(name)

    assert {key: getattr(found, key) for key in prices} == {key: Decimal(usd) for key, usd in prices.items()}


def test_tuned_models_cost_what_their_surcharge_says_and_end_with_their_base():
    table = load_prices()

    for name, surcharge in (("gpt-4.1", "1.5"), ("gpt-4.1-mini", "2"), ("gpt-4.1-nano", "2")):
        tuned, base = table.price(f"ft:{name}"), table.price(name)
        assert tuned.base == name
        assert tuned.input == base.input * Decimal(surcharge)
        assert tuned.output == base.output * Decimal(surcharge)
        assert tuned.end_of_life == base.end_of_life


def test_tiers_rise_with_the_length_of_the_prompt():
    for price in load_prices().models.values():
        assert all(low.above_tokens < high.above_tokens for low, high in pairwise(price.tiers))
        assert all(tier.input_usd_per_million > price.input for tier in price.tiers)


def test_an_unknown_model_names_its_nearest_neighbours():
    with pytest.raises(NotFoundError, match=r"Nearest: .*claude-haiku-5-5") as caught:
        load_prices().price("claude-haiku-5.5")

    assert caught.value.exit_code == 2


def test_an_unknown_rate_names_those_there_are():
    with pytest.raises(NotFoundError, match="gpu-h100"):
        load_prices().rate("gpu-h300")


def test_a_price_is_old_after_ninety_days_and_not_a_day_before():
    price = ModelPrice(name="m", source="s", read_on=TODAY, input=Decimal(1))
    table = PriceTable([price])

    assert OLD_AFTER_DAYS == 90
    assert table.warnings(TODAY + timedelta(days=90)) == []
    old = table.warnings(TODAY + timedelta(days=91))
    assert [(finding.code, finding.severity) for finding in old] == [("prices.old", "warning")]
    assert "91 days ago" in old[0].message


def test_a_model_that_ended_is_an_error_and_one_that_ends_soon_a_warning():
    found = {finding.field: finding for finding in load_prices().warnings(TODAY)}

    assert (found["gpt-4.1-nano"].code, found["gpt-4.1-nano"].severity) == ("prices.ended", "error")
    assert (found["gpt-4.1"].code, found["gpt-4.1"].severity) == ("prices.ends_soon", "warning")
    assert "in 53 days" in found["gpt-4.1"].message
    assert "gpt-5.4" not in found


def test_prices_from_memory_say_so():
    table = PriceTable([ModelPrice(name="m", source="s", read_on=TODAY, input=Decimal(1), trust="memory")])

    assert table.warnings(TODAY)[0].code == "prices.low_trust"


def test_an_override_replaces_single_prices_and_adds_models(tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text(
        """
        [defaults]
        source = "our contract"
        read_on = 2026-11-20
        [models."gpt-4.1"]
        input = 1.5
        [models."our-8b"]
        input = 0.05
        output = 0.07
        tiers = [{ above_tokens = 8000, input = 0.1 }]
        [rates."gpu-h100"]
        low = 1.9
        high = 1.9
        unit = "hour"
        """
    )

    table = load_prices(path)

    changed = table.price("gpt-4.1")
    assert (changed.input, changed.output) == (Decimal("1.5"), 8)
    assert (changed.source, changed.read_on) == ("our contract", date(2026, 11, 20))
    assert changed.end_of_life == date(2027, 1, 14)
    assert table.price("our-8b").tiers[0].input_usd_per_million == Decimal("0.1")
    assert table.rate("gpu-h100").high == Decimal("1.9")
    assert table.price("gpt-5.4") == load_prices().price("gpt-5.4")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", None),
        ("[models", "not TOML"),
        ("a = " + "[" * 100_000, "not TOML"),
        ("[model.x]\ninput = 1", "Did you mean 'models'"),
        ('[models."gpt-4.1"]\ninputs = 1', "Did you mean 'input'"),
        ('[models."gpt-4.1"]\ninput = -1', "negative"),
        ('[models."gpt-4.1"]\ninput = nan', "not a finite number"),
        ('[models."gpt-4.1"]\ninput = inf', "not a finite number"),
        ('[models."gpt-4.1"]\ninput = "2"', "found the text '2'"),
        ('[models."gpt-4.1"]\ninput = 1\ninput = 2', "not TOML"),
        ('[models."gpt-4.1"]\nend_of_life = "2027"', "a date such as"),
        ('[models."gpt-4.1"]\ntrust = "high"', "one of read, vendor, memory"),
        ('[models."gpt-4.1"]\nsource = 5', "expected a text"),
        ('[models."gpt-4.1"]\ntiers = 5', "expected a list"),
        ('[models."gpt-4.1"]\ntiers = [5]', "expected a table"),
        ('[models."gpt-4.1"]\ntiers = [{ input = 5 }]', "a number of tokens"),
        ('[models."gpt-4.1"]\ntiers = [{ above = 5 }]', "Did you mean 'above_tokens'"),
        ("[models]\nx = 5", "a table of prices"),
        ("models = 5", "expected a table"),
        ("[models.x]\ninput = 1", "no date"),
        ("[rates.x]\nlow = 1", "no high"),
    ],
)
def test_a_broken_override_is_one_error_with_its_place(tmp_path, text, said):
    path = tmp_path / "prices.toml"
    path.write_text(text)
    if said is None:
        assert load_prices(path).models == load_prices().models
        return

    with pytest.raises(FactsError) as caught:
        load_prices(path)

    assert said in str(caught.value)
    assert caught.value.where.startswith(str(path))
    assert caught.value.remedy


def test_an_unknown_catalogue_is_refused():
    with pytest.raises(NotFoundError, match="genai-prices"):
        load_prices(catalogue="genai")


def test_the_public_catalogue_answers_what_the_table_lacks():
    pytest.importorskip("genai_prices", reason="the extra 'prices' is not installed")
    table = load_prices(catalogue="genai-prices")

    own, theirs = table.price("gpt-4.1"), table.price("gpt-5")
    assert own.source == "public model price catalogue"
    assert theirs.source.startswith("genai-prices")
    assert theirs.input > 0
    assert theirs.output > theirs.input
    assert table.price("mistral/mistral-embed").embedding is not None
    with pytest.raises(NotFoundError, match="Nearest"):
        table.price("claude-nonesuch")


def test_the_public_catalogue_and_the_table_agree_on_what_both_have():
    pytest.importorskip("genai_prices", reason="the extra 'prices' is not installed")
    from steelyard.economics.public_catalogue import PublicCatalogue

    catalogue, table = PublicCatalogue(), load_prices()
    compared = 0
    for name in ("gpt-4.1", "gpt-4.1-mini", "gpt-5.4-mini", "claude-sonnet-5-5", "gemini-2.5-flash"):
        theirs = catalogue.price(name)
        if theirs is not None:
            compared += 1
            assert (theirs.input, theirs.output) == (table.price(name).input, table.price(name).output), name
    assert compared >= 4


def test_without_its_library_the_catalogue_names_the_extra():
    try:
        import genai_prices  # noqa: F401
    except ModuleNotFoundError:
        with pytest.raises(MissingExtraError, match=r"steelyard\[prices\]"):
            load_prices(catalogue="genai-prices")
    else:
        pytest.skip("the extra 'prices' is installed")
