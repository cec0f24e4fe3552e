from __future__ import annotations

import importlib.util
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.config import FILE_NAME, Settings, load_settings, parse_settings
from steelyard.schema.errors import ConfigError

ROOT = Path(__file__).parents[1]

CLASSIFY = {"task": "classify", "examples": "tickets.csv"}


@pytest.fixture(scope="module")
def docs_settings():
    """The script that writes the reference page."""
    spec = importlib.util.spec_from_file_location("docs_settings", ROOT / "scripts" / "docs_settings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def refused(raw: dict) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_settings(raw)
    assert caught.value.exit_code == 2
    assert caught.value.remedy
    return caught.value


def test_an_empty_file_gives_the_defaults() -> None:
    settings = parse_settings({})
    assert settings == Settings()
    assert settings.economics.horizon_months == 24
    assert settings.traffic.queries_per_month == 50_000
    assert settings.models.generator.kind == "none"
    assert settings.requirements.p95_ms is None


def test_the_example_of_the_package_reads() -> None:
    settings = load_settings(ROOT / "src" / "steelyard" / "example" / "data")
    assert set(settings.components) == {"intent", "answer", "reply"}
    assert settings.sources[1].allow == ("staff",)
    assert settings.requirements.p95_ms == 800.0


def test_a_generator_is_a_name_or_a_table() -> None:
    assert parse_settings({"models": {"generator": "none"}}).models.generator.kind == "none"
    table = {"kind": "openai", "base_url": "http://localhost:8000/v1", "model": "m", "key_env": "KEY"}
    assert parse_settings({"models": {"generator": table}}).models.generator.base_url == "http://localhost:8000/v1"
    assert refused({"models": {"generator": "opnai"}}).remedy.startswith("Did you mean 'openai'?")


@pytest.mark.parametrize(
    ("raw", "place", "near"),
    [
        ({"trafic": {}}, "steelyard.toml", "traffic"),
        ({"traffic": {"queries_per_mont": 1}}, "steelyard.toml [traffic]", "queries_per_month"),
        ({"components": {"a": {**CLASSIFY, "exmaples": "f"}}}, "steelyard.toml [components.a]", "examples"),
        ({"sources": [{"path": "d", "alow": []}]}, "steelyard.toml [sources[0]]", "allow"),
        ({"models": {"generator": {"kid": "none"}}}, "steelyard.toml [models.generator]", "kind"),
    ],
)
def test_an_unknown_key_names_its_place_and_the_nearest(raw, place, near) -> None:
    error = refused(raw)
    assert error.code == "config.unknown_key"
    assert error.where == place
    assert f"'{near}'" in error.remedy


def test_a_key_that_is_near_to_none_lists_the_known_ones() -> None:
    error = refused({"traffic": {"zzz": 1}})
    assert "queries_per_month" in error.remedy


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ({"traffic": {"queries_per_month": "many"}}, "config.wrong_type"),
        ({"traffic": {"queries_per_month": True}}, "config.wrong_type"),
        ({"traffic": {"queries_per_month": float("nan")}}, "config.wrong_type"),
        ({"traffic": {"queries_per_month": float("inf")}}, "config.wrong_type"),
        ({"traffic": {"queries_per_month": 10**400}}, "config.wrong_type"),
        ({"traffic": 3}, "config.wrong_type"),
        ({"economics": {"horizon_months": 2.5}}, "config.wrong_type"),
        ({"economics": {"horizon_months": True}}, "config.wrong_type"),
        ({"requirements": {"citations": "yes"}}, "config.wrong_type"),
        ({"requirements": {"citations": 1}}, "config.wrong_type"),
        ({"workspace": {"name": 7}}, "config.wrong_type"),
        ({"sources": {"path": "docs"}}, "config.wrong_type"),
        ({"sources": ["docs"]}, "config.wrong_type"),
        ({"sources": [{"path": "docs", "allow": "everyone"}]}, "config.wrong_type"),
        ({"components": []}, "config.wrong_type"),
        ({"components": {"a": {"task": "clasify", "examples": "f"}}}, "config.bad_value"),
        ({"components": {"a": {"task": ["classify"], "examples": "f"}}}, "config.bad_value"),
        ({"components": {"a": {"examples": "f"}}}, "config.missing_key"),
        ({"components": {"a": {"task": "classify"}}}, "config.missing_key"),
        ({"components": {"a": {"task": "answer", "examples": "f"}}}, "config.missing_key"),
        ({"components": {"../a": CLASSIFY}}, "config.bad_name"),
        ({"components": {"a/b": CLASSIFY}}, "config.bad_name"),
        ({"components": {"": CLASSIFY}}, "config.bad_name"),
        ({"sources": [{}]}, "config.missing_key"),
        ({"economics": {"hour_usd": -1}}, "config.negative"),
        ({"corpus": {"passage_chars": -5}}, "config.negative"),
        ({"measure": {"train": 0.5, "validation": 0.2, "holdout": 0.4}}, "config.bad_shares"),
        ({"measure": {"train": 0.0, "validation": 0.5, "holdout": 0.5}}, "config.bad_shares"),
        ({"measure": {"train": 0.8, "validation": 0.2, "holdout": 0.0}}, "config.bad_shares"),
        ({"economics": {"horizon_months": 0}}, "config.bad_horizon"),
        ({"economics": {"embedded_share": 1.5}}, "config.bad_share"),
        ({"traffic": {"growth_per_month": -1.0}}, "config.bad_growth"),
        ({"corpus": {"passage_chars": 100, "overlap_chars": 100}}, "config.bad_overlap"),
        ({"corpus": {"passage_chars": 0}}, "config.bad_overlap"),
    ],
)
def test_a_wrong_value_is_refused_with_its_code(raw, code) -> None:
    assert refused(raw).code == code


def test_what_is_at_the_edge_is_allowed() -> None:
    assert parse_settings({"traffic": {"growth_per_month": -0.5}}).traffic.growth_per_month == -0.5
    assert parse_settings({"measure": {"train": 0.7, "validation": 0.0, "holdout": 0.3}}).measure.validation == 0.0
    assert parse_settings({"components": {"größe-2.b": CLASSIFY}}).components["größe-2.b"].task == "classify"
    whole = parse_settings({"economics": {"hour_usd": 95}}).economics.hour_usd
    assert whole == 95.0
    assert isinstance(whole, float)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=4))
def test_whatever_stands_for_a_section_is_read_or_refused_never_a_crash(value) -> None:
    for name in ("traffic", "sources", "components", "models"):
        with suppress(ConfigError):  # any other error would fail the test
            parse_settings({name: value})


def test_no_file_and_no_toml_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="steelyard init DIR"):
        load_settings(tmp_path)
    (tmp_path / FILE_NAME).write_text("[traffic\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"config\.not_toml"):
        load_settings(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"config\.not_toml"):
        load_settings(tmp_path)


def test_settings_survive_json() -> None:
    import json

    settings = parse_settings({"components": {"a": CLASSIFY}, "sources": [{"path": "d", "allow": ["everyone"]}]})
    assert parse_settings(without_none(json.loads(json.dumps(settings.to_json())))) == settings


def without_none(value):
    if isinstance(value, dict):
        return {key: without_none(one) for key, one in value.items() if one is not None}
    return [without_none(one) for one in value] if isinstance(value, list) else value


def keys_of(kind: type, prefix: str = "") -> list[str]:
    found = []
    for one in fields(kind):
        if is_dataclass(one.default):
            found += keys_of(type(one.default), f"{prefix}{one.name}.")
        else:
            found.append(prefix + one.name)
    return found


def test_every_setting_stands_in_the_reference(docs_settings) -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    tables = {section: part for part in page.split("\n## ")[1:] for section in [part.split("`")[1]]}
    for key in keys_of(Settings):
        section, _, name = key.rpartition(".")
        if section:  # sources and components have tables of their own, below
            assert f"| `{name}` |" in tables[f"[{section}]"], f"{key} is missing: run `make docs`"
    for section, kind in docs_settings.SECTIONS.items():
        for one in fields(kind):
            assert is_dataclass(one.default) or f"| `{one.name}` |" in tables[section]


def test_every_setting_has_a_sentence_about_it(docs_settings) -> None:
    said = docs_settings.meanings()
    for kind in docs_settings.SECTIONS.values():
        for one in fields(kind):
            assert (kind.__name__, one.name) in said, f"{kind.__name__}.{one.name} has no docstring below it"


def test_the_reference_is_up_to_date(docs_settings) -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    assert page == docs_settings.page(), "run `make docs`"


@pytest.mark.parametrize(
    ("generator", "code", "named"),
    [
        ("openai", "config.missing_key", "base_url"),
        ({"kind": "openai", "base_url": "http://localhost/v1"}, "config.missing_key", "model"),
        ("transformers", "config.missing_key", "path"),
        ({"kind": "transformers", "path": "m", "concurrency": 0}, "config.bad_endpoint", "concurrency"),
        ({"kind": "openai", "model": "m", "base_url": "localhost:80"}, "config.bad_endpoint", "base_url"),
    ],
)
def test_a_generator_names_what_it_lacks(generator, code, named) -> None:
    error = refused({"models": {"generator": generator}})
    assert error.code == code
    assert error.where == "steelyard.toml [models.generator]"
    assert named in error.message


def test_an_encoder_at_an_endpoint_is_written_like_a_generator() -> None:
    short = parse_settings(
        {"models": {"encoder": {"kind": "openai", "base_url": "http://h/v1", "model": "e", "dim": 8}}}
    )
    assert short.models.encoder == "openai"
    assert (short.models.embeddings.model, short.models.embeddings.dim) == ("e", 8)
    assert refused({"models": {"encoder": "openai"}}).where == "steelyard.toml [models.embeddings]"
    assert "batch" in refused({"models": {"embeddings": {"batch": 0}}}).message


def test_an_address_with_a_password_is_refused_and_not_repeated() -> None:
    table = {"kind": "openai", "base_url": "https://me:sesame@host/v1", "model": "m"}
    assert "sesame" not in str(refused({"models": {"generator": table}}))


@pytest.mark.parametrize(
    ("serve", "code"),
    [
        ({"anonymous": "public"}, "config.unknown_scope"),
        ({"burst": 0}, "config.bad_burst"),
        ({"jwt": {"issuer": "i", "audience": "a"}}, "config.missing_key"),
        ({"jwt": {"issuer": "i", "audience": "a", "jwks": "k.json", "algorithms": ["none"]}}, "config.bad_algorithm"),
        ({"jwt": {"issuer": "i", "audience": "a", "jwks": "k.json", "algorithms": ["HS256"]}}, "config.bad_algorithm"),
        ({"jwt": {"issuer": "i", "audience": "a", "jwks": "http://id.example.com/keys"}}, "config.bad_jwks"),
        ({"jwt": {"issuer": "i", "audience": "a", "jwks": "k.json", "roles": {"admin": "root"}}}, "config.bad_role"),
    ],
)
def test_settings_that_would_let_strangers_in_are_refused(serve, code) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_settings({"serve": serve})
    assert caught.value.code == code


def test_a_named_scope_lets_callers_in_without_a_key() -> None:
    serve = parse_settings({"serve": {"anonymous": "public", "scopes": {"public": {"groups": ["guests"]}}}}).serve
    assert serve.scopes[serve.anonymous].groups == ("guests",)
