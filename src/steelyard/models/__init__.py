"""Encoders, their conversion and metering, and artefacts on disk. Loads nothing heavy until a part is used."""

from steelyard.catalog import Catalog, Part

ENCODERS = Catalog(
    "encoder",
    {
        "minilm": Part(
            "steelyard.models.loading:load_minilm", "all-MiniLM-L6-v2 through ONNX Runtime; the embedded default"
        ),
        "fake": Part(
            "steelyard.models.fake:FakeEncoder", "hashes words, deterministic, no weights; for tests and dry runs"
        ),
    },
)
