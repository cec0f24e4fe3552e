"""Which approach for which component, and why: from facts alone, or from measured candidates.

- `facts.read_facts(path) -> Facts`: the facts file, validated; `facts.parse_facts(data, where) -> Facts` from bytes.
- `recommend.decide(facts) -> Decision`: constraints, criteria, money, verdict, flips; one entry per component.
- `measured.recommend_measured(component: MeasuredComponent) -> ComponentDecision`: the same verdict from a bake-off.
- `criteria.CRITERIA`: the table of rules, one named function each.

Nothing heavy is loaded here; numpy comes with the money, on first use.
"""
