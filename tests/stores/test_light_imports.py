import subprocess
import sys


def test_the_rooms_load_nothing_heavy_before_a_part_is_used():
    script = """
import sys
import steelyard.models, steelyard.stores, steelyard.components
from steelyard.models import ENCODERS
from steelyard.stores import STORES
assert STORES.names() and ENCODERS.names()
heavy = {"numpy", "lancedb", "pyarrow", "torch", "onnxruntime", "tokenizers", "bm25s"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_searching_in_memory_needs_no_database():
    script = """
import sys
from steelyard.components.retriever import Retriever
from steelyard.models.fake import FakeEncoder
from steelyard.schema.scope import Scope
from steelyard.stores.memory import MemoryStore
Retriever(MemoryStore(), FakeEncoder(), 1).fused("refund", Scope(), 5, 0.5)
assert not {"lancedb", "pyarrow", "torch", "sklearn"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
