"""One frozen settings tree: every setting with its default, unit and reason; unknown keys name the nearest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from steelyard.config.model_settings import ModelSettings


@dataclass(frozen=True, kw_only=True)
class WorkspaceSettings:
    """`[workspace]`: what the workspace is called."""

    name: str = "workspace"

    """How the workspace is called in the report."""


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """`[[sources]]`: a folder or git working tree, and who may see its documents."""

    path: str
    """The folder, inside the workspace or absolute; a git working tree gives the history for free."""
    allow: tuple[str, ...] = ()
    """Groups that may see its documents, or `user:NAME`; `everyone` is the group all are in. Empty: nobody."""
    deny: tuple[str, ...] = ()
    """Groups or `user:NAME` that may not; deny beats allow."""


@dataclass(frozen=True, kw_only=True)
class ComponentSettings:
    """`[components.NAME]`: one part of the system with one task."""

    task: Literal["classify", "answer", "write"]
    """What the component does: label a message, answer a question, write a reply."""
    examples: str | None = None
    """File of labelled messages (`classify`) or approved replies (`write`): CSV or JSON Lines."""
    questions: str | None = None
    """File of questions with their answers (`answer`): CSV or JSON Lines."""
    neutral: str | None = None
    """File of neutral rewrites of approved replies, for the style score."""
    format: str | None = None
    """What a reply must match: the name of a JSON Schema file, or a regular expression."""
    style_guide: str | None = None
    """File with the house style in words (`write`), shown to a generator."""
    unsupported: Literal["drop", "mark"] = "drop"
    """What becomes of a generated sentence that no passage says (`answer`): it is dropped, or marked as such."""
    judged: str | None = None
    """File of outputs that people judged (`question`, `output`, `right`): what a language model's judgement is held against."""
    headline: Literal["labels", "judge"] = "labels"
    """What decides (`answer`): the labelled answers, or a language model's judgement, refused where it agrees too little with people."""
    out_of_scope_label: str = "out_of_scope"
    """The label of messages that no other label fits."""
    candidates: tuple[str, ...] = ()
    """Candidates to weigh; empty means all of the task."""
    origin: str | None = None
    """Where the rows come from, in a sentence, for the data card."""
    licence: str | None = None
    """Under which licence or agreement the rows may be used, for the data card."""
    updates_per_year: float | None = None
    """Changes a year this component must follow; None: see `[traffic]` for answers, once a year for the others."""


@dataclass(frozen=True, kw_only=True)
class SystemSettings:
    """`[system]`: end-to-end cases that need every component."""

    cases: str | None = None
    """File of cases, JSON Lines; None: whole systems are not measured."""


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """`[requirements]`: hard; a candidate that cannot meet one is infeasible, whatever it costs."""

    citations: bool = False
    """Every answer names the place in a document it rests on."""
    audit: bool = False
    """It can be shown afterwards what an answer rested on."""
    scoping: bool = False
    """An answer rests only on documents that the asker may see."""
    erasure: bool = False
    """What a deleted document said must be gone from the answers; written into the record."""
    residency: bool = False
    """Data must stay on the team's own machines; written into the record."""
    p95_ms: float | None = None
    """Highest latency in milliseconds at the 95th percentile; None: no limit."""


@dataclass(frozen=True, kw_only=True)
class TrafficSettings:
    """`[traffic]`: how much is asked, and how often knowledge changes."""

    queries_per_month: float = 50_000
    """Requests in the first month."""
    growth_per_month: float = 0.0
    """Growth from month to month as a share: 0.02 is 2 %; negative shrinks."""
    updates_per_year: float | None = None
    """Knowledge changes a year; None: measured from the documents' history where there is one, else 4."""


@dataclass(frozen=True, kw_only=True)
class EconomicsSettings:
    """`[economics]`: money in USD, time in months and hours."""

    horizon_months: int = 24
    """Months over which everything is added up."""
    hour_usd: float = 95.0
    """A loaded developer hour: median US salary 133,080 x 1.4 over 1,960 h, 2026."""
    wrong_answer_usd: float = 0.50
    """What a wrong answer costs on average: repairs, repeats, lost customers."""
    handoff_usd: float = 2.00
    """What it costs when the system declines and a person answers."""
    label_usd: float = 3.0
    """One labelled or reviewed row."""
    cpu_hour_usd: float = 0.05
    """One virtual core for an hour on a general-purpose cloud machine."""
    cpu_watts: float = 7.0
    """Power of one busy core, for the energy estimate of the training ledger: package power over cores of two server processors is
    4.4 W (280 W, 64 cores) and 7.3 W (205 W, 28 cores)."""
    rag_setup_hours: float = 160.0
    """Hours to set up retrieval: ingestion, index, evaluation."""
    rag_operations_hours_per_month: float = 16.0
    """Hours a month to operate retrieval."""
    rag_update_hours: float = 0.5
    """Hours of work for one change of knowledge, with retrieval or a prompt."""
    fine_tune_setup_hours: float = 320.0
    """Hours to set up tuning: data, training, evaluation, deployment."""
    fine_tune_operations_hours_per_month: float = 16.0
    """Hours a month to operate a tuned model."""
    fine_tune_update_hours: float = 60.0
    """Hours of work to label, train, evaluate and ship one change."""
    prompt_setup_hours: float = 40.0
    """Hours to write and evaluate a prompt."""
    prompt_operations_hours_per_month: float = 4.0
    """Hours a month to operate a prompt."""
    embedded_share: float = 0.25
    """Share of the labour above that an embedded candidate needs: Steelyard itself builds, evaluates and serves it."""


@dataclass(frozen=True, kw_only=True)
class CorpusSettings:
    """`[corpus]`: how documents become passages, in characters."""

    store: str = "lance"
    """Where passages are kept and searched, by its name in the table of stores."""
    passage_chars: int = 900
    """Longest passage; tables, lists and code stay whole where they fit."""
    overlap_chars: int = 0
    """Characters that a passage shares with the one before."""
    prefer_newer: bool = False
    """Whether of two passages that say nearly the same the newer comes first."""
    max_file_mb: float = 50.0
    """A larger file is left out and listed, in MiB."""
    parse_seconds: float = 30.0
    """A file that takes longer to read is left out and listed."""
    keep_generations: int = 20
    """Newest generations that `steelyard compact` keeps, besides the one in force and those that a release pins."""
    keep_days: float = 90.0
    """Generations that answered within so many days are kept too; earlier dates cannot be asked after a compaction."""


@dataclass(frozen=True, kw_only=True)
class MeasureSettings:
    """`[measure]`: shares of the split, and the seed of every draw."""

    train: float = 0.5
    """Share of the rows to learn from."""
    validation: float = 0.2
    """Share of the rows to choose and calibrate on."""
    holdout: float = 0.3
    """Share of the rows that are sealed and only scored."""
    seed: int = 7
    """Seed of every draw."""


@dataclass(frozen=True, kw_only=True)
class GateSettings:
    """`[gates]`: what a version must show before it may answer in production."""

    margin: float = 0.01
    """By how much a guarded metric may be worse than in production: 0.01 is one point."""
    margins: Mapping[str, float] = field(default_factory=dict)
    """Other margins by metric, e.g. `refusal_recall = 0.05` where few rows can show it."""
    alpha: float = 0.05
    """Highest chance that a version passes which is worse by the margin, all metrics and components together."""
    agreement: float = 0.99
    """Share of rows on which the served form (saved, ONNX, int8) must say what its reference form says."""
    guarded: tuple[str, ...] = ()
    """Metrics that may not get worse; empty means those of the task."""


@dataclass(frozen=True, kw_only=True)
class ReleaseSettings:
    """`[releases]`: what is kept of releases and requests."""

    keep_releases: int = 5
    """Newest releases whose files `steelyard versions prune` keeps, besides those in force and behind an alias."""
    keep_questions: bool = False
    """Keep the text of each request beside the versions that answered it."""


@dataclass(frozen=True, kw_only=True)
class ScopeSettings:
    """`[serve.scopes.NAME]`: a scope with a name, for callers who have no identity of their own."""

    user: str | None = None
    """The user they count as; None: nobody in particular."""
    groups: tuple[str, ...] = ()
    """The groups they count as members of, beside `everyone`."""


@dataclass(frozen=True, kw_only=True)
class JwtSettings:
    """`[serve.jwt]`: tokens of an identity provider that callers may show instead of a key."""

    issuer: str
    """The `iss` that a token must carry."""
    audience: str
    """The `aud` that a token must carry, alone or in a list."""
    jwks: str
    """Where the provider's keys are: an https URL (http only on this machine), or a file inside the workspace."""
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    """Signatures that count, whatever a token says; `none` and shared secrets (HS...) are never taken."""
    leeway_s: float = 30.0
    """Seconds by which the clocks of provider and server may differ when `exp`, `nbf` and `iat` are checked."""
    refetch_s: float = 60.0
    """Shortest time in seconds between two readings of the keys because a token names one that is not known."""
    keep_s: float = 3600.0
    """Seconds after which the keys are read again in any case, so that one the provider withdrew stops counting."""
    user_claim: str = "sub"
    """The claim that names the user."""
    groups_claim: str = "groups"
    """The claim that lists the groups; absent in a token: no groups."""
    group_source: str = ""
    """Written before each group as `SOURCE:GROUP`, so that it cannot be taken for a group of another source; empty: as it is."""
    roles_claim: str = "roles"
    """The claim that lists roles."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """A provider's role to `ask` or `operate`; empty: every valid token may ask, and none may operate."""


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """`[serve]`: who may call the server, and how much."""

    anonymous: str | None = None
    """The scope of `[serve.scopes]` for callers who show neither key nor token; None: they get nothing."""
    scopes: Mapping[str, ScopeSettings] = field(default_factory=dict)
    """Scopes with a name."""
    jwt: JwtSettings | None = None
    """Tokens that count; None: only keys do."""
    requests_per_minute: float = 600.0
    """Requests that a key (a token's user, an anonymous address) may make a minute, over all workers; 0: no limit."""
    burst: int = 60
    """Requests that a key may make at once before the rate holds it."""
    max_body_bytes: int = 262_144
    """Largest request in bytes."""
    session_hours: float = 12.0
    """Hours after which somebody who signed in to the page signs in again."""
    threads: int = 0
    """Requests that one worker process computes at a time; 0: the cores of the machine, shared out over the workers."""
    waiting: int = 256
    """Requests that may wait for a thread in one worker; one more is told to come back later (503)."""
    timeout_s: float = 30.0
    """Seconds after which a request is given up (504)."""
    handoff_text: str = "I cannot answer this from the documents. A colleague will take it from here."
    """What the chat says where the system hands the message to a person and no approved reply fits."""


@dataclass(frozen=True, kw_only=True)
class WatchSettings:
    """`[watch]`: when a monitor raises an alert. Shares are 0 to 1; what is counted must be shown beyond chance before it counts."""

    hours: int = 24
    """Hours of traffic that health is judged on: a whole day, because nights differ from days."""
    reference_days: int = 28
    """Days before that window which it is compared with: four whole weeks, because weekends differ from workdays."""
    least_requests: int = 200
    """Calls below which no rate raises an alert: 200 calls tell a share of 5 % from one of 10 %."""
    freshness_hours: float = 24.0
    """A change of a source that answers do not know after so long is reported: daily ingest is the least that people expect."""
    retrieval_drop: float = 0.05
    """Points of recall@5 on the gold questions below the generations before that count as a drop, when it is beyond chance."""
    drift_index: float = 0.2
    """Population stability index of the routed labels from which they have moved; 0.1 is called small, 0.25 large (Lewis, 1994)."""
    refusal_margin: float = 0.1
    """By how much the share of declined answers may exceed the measured one, or that of the days before."""
    error_rate: float = 0.01
    """Highest share of failing requests: 99 of 100 must be served."""
    p95_ms: float = 1000.0
    """Latency that 95 of 100 answers must keep, where [requirements] p95_ms says none: within a second thought flows on (Nielsen, 1993)."""
    spend_margin: float = 0.2
    """By what share the month may cost more than planned before it is reported."""
    break_even_weeks: float = 13.0
    """Weeks ahead from which a break-even counts as near: a quarter is enough to build and measure the other approach."""
    base_model_days: int = 90
    """Days ahead from which the end of a base model is reported: time to tune and measure its successor."""
    keep_days: float = 7.0
    """Days that single calls are kept; about 0.2 kB each."""
    keep_hours_days: float = 400.0
    """Days that sums by hour are kept: a year and a month, to compare with last year."""


@dataclass(frozen=True, kw_only=True)
class CanarySettings:
    """`[canary]`: when a canary is stopped. Margins are how much worse it may be, in shares of requests."""

    alpha: float = 0.05
    """Highest chance that a canary as good as production is ever stopped, however long it runs and however often one looks."""
    error_margin: float = 0.005
    """Failing requests: half a point."""
    refusal_margin: float = 0.02
    """Declined requests."""
    latency_tolerance: float = 1.2
    """A canary's answer counts as slow from so many times production's usual latency (median and 95th percentile)."""
    latency_tolerance_ms: float = 10.0
    """And only from so many milliseconds above it: less is nothing that anybody notices."""
    latency_margin: float = 0.02
    """Answers that are slow."""
    feedback_margin: float = 0.05
    """Verdicts of wrong or unsafe, among all feedback."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The whole of steelyard.toml."""

    workspace: WorkspaceSettings = WorkspaceSettings()
    sources: tuple[SourceSettings, ...] = ()
    components: Mapping[str, ComponentSettings] = field(default_factory=dict)
    system: SystemSettings = SystemSettings()
    requirements: Requirements = Requirements()
    traffic: TrafficSettings = TrafficSettings()
    economics: EconomicsSettings = EconomicsSettings()
    models: ModelSettings = ModelSettings()  # noqa: RUF009 - frozen, from the file beside
    corpus: CorpusSettings = CorpusSettings()
    measure: MeasureSettings = MeasureSettings()
    gates: GateSettings = GateSettings()
    releases: ReleaseSettings = ReleaseSettings()
    watch: WatchSettings = WatchSettings()
    canary: CanarySettings = CanarySettings()
    serve: ServeSettings = ServeSettings()

    def to_json(self) -> dict[str, Any]:
        """Every setting, defaults included."""
        out = asdict(self)
        out["components"] = {name: asdict(component) for name, component in self.components.items()}
        out["serve"]["scopes"] = {name: asdict(scope) for name, scope in self.serve.scopes.items()}
        return out
