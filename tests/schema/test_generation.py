from __future__ import annotations

from steelyard.schema.generation import Completion, TokenPrice, TokenUse


def test_a_use_costs_each_class_at_its_own_price() -> None:
    price = TokenPrice(input=3.0, cached=0.3, output=15.0)
    # 1000 x 3 + 9000 x 0.3 + 200 x 15 = 8700 per million
    assert price.usd(TokenUse(input=1000, cached=9000, output=200)) == 0.0087


def test_uses_add_up_class_by_class() -> None:
    assert TokenUse(input=1, cached=2, output=3) + TokenUse(input=10) == TokenUse(input=11, cached=2, output=3)


def test_a_kept_answer_has_its_price_and_costs_nothing_again() -> None:
    first = Completion(text="yes", usd=0.25)
    again = Completion(text="yes", usd=0.25, reused=True)
    assert (first.paid_usd, again.paid_usd) == (0.25, 0.0)
