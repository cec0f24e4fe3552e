"""Prices, cost model, uncertainty: what each option costs over the horizon, and how sure that is.

Records are in `steelyard.schema.economics` (inputs) and `steelyard.schema.costs` (results); this file imports nothing. A number
anywhere may be an int, a float, a Decimal, a `Range`, or an `Input` (a number with a name, so options that share it share its
draw). Money comes out as Decimal USD.

Build a scenario, from a file or by hand::

    economics.scenario.read_scenario(path: Path, prices: PriceTable | None = None) -> Scenario
    economics.scenario.scenario_from_json(tree: Mapping[str, Any], *, where="scenario", prices=None) -> Scenario

    Scenario(horizon_months=24, queries_per_month=120_000, growth_per_month=0, updates_per_year=4, hour_usd=95, label_usd=3,
             wrong_answer_usd=0.5, handoff_usd=2, options=(Option(...), Option(...), ...))
    Option(name="rag-hybrid", approach="rag",
           setup_hours=160, labels=0, setup_usd=0, setup_runs=0,          # once; runs are training runs, see below
           operations_hours_per_month=16, store_usd_per_month=100,
           hosting_usd_per_month=0, queries_per_replica=20_000_000,             # replicas = max(1, ceil(q / queries_per_replica))
           updates_per_year=None,                                               # None: the scenario's
           update_hours=0.5, update_labels=0, update_usd=0, update_runs=0,      # each knowledge update
           retrains_per_year=0, retrain_hours=0, retrain_labels=0, retrain_runs=0, retrain_usd=0,   # a second cadence (hybrid)
           corpus_tokens=5_000_000, changed_share=0.02,                         # embedded once, and the changed share per update
           training_examples=0, tokens_per_example=0, epochs=0, training_usd_per_million=0,         # one training run
           input_tokens=(300, 100, 3000), cached_tokens=0, output_tokens=300, embedding_tokens=100, # a query; tuples are summed
           input_usd_per_million=2, cached_usd_per_million=0, output_usd_per_million=8, embedding_usd_per_million=0.02,
           tiers=(), cache_hit_rate=1,                                          # Tier(above_tokens, input, cached, output)
           store_usd_per_million_queries=4, rerank_usd_per_query=0, usd_per_query=0,
           compute_seconds_per_query=0, compute_usd_per_hour=0,                 # measured seconds x machine price
           error_rate=0, handoff_rate=0,
           migration_months=(), migration_hours=0, migration_labels=0, migration_runs=0, migration_usd=0)

Ask it::

    economics.cost_model.costs(scenario) -> tuple[OptionCost, ...]     # name, lines, monthly, total_usd, usd_per_query; exact
    economics.cost_model.closed_form_total(scenario, name) -> Decimal  # no loop over months but for growth and replicas
    economics.break_even.break_even(scenario, a, b) -> BreakEven       # .queries_per_month: from which b is cheaper, or None
    economics.break_even.break_even_in(scenario, input_name, a, b) -> Crossing | None   # any input: `updates_per_year`, ...
    economics.break_even.accuracy_gap(scenario, a, b) -> Decimal | None  # how much worse b may be before its saving is gone
    economics.uncertainty.simulate(scenario, draws=10_000, seed=0) -> Simulation
        # .p_cheapest, .mean_usd, .interval_usd, .regret_usd, .evpi_usd, .inputs[(input, total_order, evppi_usd, low_usd, high_usd)]
    economics.analysis.analyse(scenario, draws=10_000, seed=0) -> Analysis   # all of it, with the curve over volume
    economics.plots.save_plot(analysis, path)                                # .svg, .png or .html

Draws of your own, as float64 arrays by input name::

    economics.sampling.uncertain_inputs(scenario) -> dict[str, Range]
    economics.sampling.draw_inputs(ranges, draws, rng) -> dict[str, Vector]
    economics.sampling.total_draws(scenario, values) -> NDArray (options, draws)   # inputs not in `values` stay at their point
    economics.uncertainty.summarise(names, totals, draws=..., seed=...) -> Simulation

Input names: `queries_per_month`, `hour_usd`, ... for the scenario's own numbers, `OPTION.FIELD` for an option's, or the name an
`Input` carries (`tokens.context` in a scenario file). `scenario.replace(**{"hour_usd": 120})` gives a changed scenario.

Prices::

    economics.prices.load_prices(override: Path | None = None) -> PriceTable
    PriceTable.price(name) -> ModelPrice      # NotFoundError names the nearest; .input, .cached, .output, .training, .end_of_life
    PriceTable.warnings(today) -> list[Finding]   # prices read more than 90 days ago, models past or near their end

Strict input files, also for facts (unknown keys, duplicates, NaN, size, encoding: one FactsError with place and remedy)::

    economics.input_file.read_object(path: Path, kind: str = "scenario") -> dict[str, Any]    # numbers as int or Decimal
    economics.input_file.check_keys(tree, known: Sequence[str], where: str) -> None
"""
