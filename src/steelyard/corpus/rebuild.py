"""An index made again from the library: for a lost or damaged one, and for a store that lives in memory."""

from __future__ import annotations

from itertools import takewhile

from steelyard.corpus.enforcing import catch_up
from steelyard.corpus.interface import Encoder, Index, ProgressCallback, Staged, silent
from steelyard.corpus.library import Library
from steelyard.corpus.vectors import VectorCache
from steelyard.schema.corpus import Generation, Passage


def rebuild(library: Library, index: Index, encoder: Encoder, progress: ProgressCallback = silent) -> list[int]:
    """Stage in `index` the generations that can be had with this encoder, and say which: the newest, and those before it of one make.

    The index must be empty. Nothing is parsed, and what is in the vector cache is not embedded. The library is not changed.
    """
    newest = library.newest()
    if newest is None:
        return []

    def same_make(generation: Generation) -> bool:
        return (generation.encoder, generation.splitting) == (encoder.name, newest.splitting)

    wanted = [generation.number for generation in takewhile(same_make, reversed(library.generations()))][::-1]
    vectors = VectorCache(library.path.with_name("vectors.sqlite"))
    try:
        before: dict[str, Passage] = {}
        for number in wanted:
            held = {passage.id: passage for passage in library.passages(number)}
            add = [passage for name, passage in held.items() if before.get(name) != passage]
            retire = [name for name, passage in before.items() if held.get(name) != passage]
            if add or retire:
                embeddings, _ = vectors.embed(encoder, [passage.search_text for passage in add], progress)
                index.stage(number, Staged(add, embeddings), retire)
            before = held
    finally:
        vectors.close()
    catch_up(index, library.control)
    return wanted
