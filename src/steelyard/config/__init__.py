"""One frozen settings tree (`tree`), and how it is read from steelyard.toml (`reading`)."""

from steelyard.config.reading import FILE_NAME, load_settings, parse_settings
from steelyard.config.tree import (
    ComponentSettings,
    CorpusSettings,
    EconomicsSettings,
    GateSettings,
    GeneratorSettings,
    MeasureSettings,
    ModelSettings,
    ReleaseSettings,
    Requirements,
    Settings,
    SourceSettings,
    SystemSettings,
    TrafficSettings,
    WorkspaceSettings,
)

__all__ = [
    "FILE_NAME",
    "ComponentSettings",
    "CorpusSettings",
    "EconomicsSettings",
    "GateSettings",
    "GeneratorSettings",
    "MeasureSettings",
    "ModelSettings",
    "ReleaseSettings",
    "Requirements",
    "Settings",
    "SourceSettings",
    "SystemSettings",
    "TrafficSettings",
    "WorkspaceSettings",
    "load_settings",
    "parse_settings",
]
