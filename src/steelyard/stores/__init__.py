"""Index backends: passages with vectors and words, in numbered generations. Loads nothing heavy until a part is used."""

from steelyard.catalog import Catalog, Part

STORES = Catalog(
    "store",
    {
        "lance": Part("steelyard.stores.lance:LanceStore", "LanceDB in a folder: embedded, durable, the default"),
        "memory": Part("steelyard.stores.memory:MemoryStore", "exact and in process, for tests and small corpora"),
    },
)
