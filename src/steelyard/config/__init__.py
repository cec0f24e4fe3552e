"""One frozen settings tree (`tree`), and how it is read from steelyard.toml (`reading`)."""

from steelyard.config.model_settings import GeneratorSettings, ModelSettings, TuningSettings
from steelyard.config.reading import FILE_NAME, load_settings, parse_settings
from steelyard.config.tree import (
    CanarySettings,
    ComponentSettings,
    CorpusSettings,
    EconomicsSettings,
    GateSettings,
    JwtSettings,
    MeasureSettings,
    ReleaseSettings,
    Requirements,
    ScopeSettings,
    ServeSettings,
    Settings,
    SourceSettings,
    SystemSettings,
    TrafficSettings,
    WatchSettings,
    WorkspaceSettings,
)

__all__ = [
    "FILE_NAME",
    "CanarySettings",
    "ComponentSettings",
    "CorpusSettings",
    "EconomicsSettings",
    "GateSettings",
    "GeneratorSettings",
    "JwtSettings",
    "MeasureSettings",
    "ModelSettings",
    "ReleaseSettings",
    "Requirements",
    "ScopeSettings",
    "ServeSettings",
    "Settings",
    "SourceSettings",
    "SystemSettings",
    "TrafficSettings",
    "TuningSettings",
    "WatchSettings",
    "WorkspaceSettings",
    "load_settings",
    "parse_settings",
]
