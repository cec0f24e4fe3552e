"""Encoders and generators, their conversion and metering, and artefacts on disk. Loads nothing heavy until a part is used."""

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

GENERATORS = Catalog(
    "generator",
    {
        "openai": Part(
            "steelyard.models.openai_generator:OpenAIGenerator",
            "any OpenAI-compatible server: hosted, vLLM, Ollama, llama.cpp",
            extra="generate",
        ),
        "transformers": Part(
            "steelyard.models.local_generator:LocalGenerator",
            "a local folder of safetensors, on CPU or CUDA; nothing is downloaded",
            extra="train",
        ),
    },
)
"""Language models behind one protocol, by the settings' `kind`."""
