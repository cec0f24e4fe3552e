from concurrent.futures import ThreadPoolExecutor

from steelyard.stores.conformance import ANYONE, STAFF_SCOPE, random_corpus, unit
from steelyard.stores.interface import Staged
from steelyard.stores.memory import MemoryStore


def test_searches_beside_staging_always_see_one_whole_generation():
    store = MemoryStore()
    corpus = random_corpus(400, seed=9)
    store.stage(1, Staged(corpus.passages[:100], corpus.vectors[:100]), [])
    expected = {
        scope: (store.dense(unit(1.0), scope, 20, 1), store.lexical("refund invoice", scope, 20, 1))
        for scope in (ANYONE, STAFF_SCOPE)
    }

    def search(turn):
        scope = (ANYONE, STAFF_SCOPE)[turn % 2]
        return (store.dense(unit(1.0), scope, 20, 1), store.lexical("refund invoice", scope, 20, 1)) == expected[scope]

    def update(turn):
        rows = slice(100 + 10 * turn, 110 + 10 * turn)
        store.stage(2 + turn, Staged(corpus.passages[rows], corpus.vectors[rows]), [corpus.passages[turn].id])
        if turn % 3 == 2:
            store.discard(2 + turn)
        return True

    with ThreadPoolExecutor(8) as pool:
        searches = [pool.submit(search, turn) for turn in range(200)]
        updates = pool.submit(lambda: all(update(turn) for turn in range(25)))
        assert updates.result()
        assert all(future.result() for future in searches)
