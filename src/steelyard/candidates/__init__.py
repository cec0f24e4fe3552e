"""Candidates: the buildable ways to do a component, in one table. Loads nothing heavy until one is used."""

from steelyard.catalog import Catalog, Part

CANDIDATES = Catalog(
    "candidate",
    {
        "majority": Part(
            "steelyard.candidates.classify_router:MajorityRouter",
            "always the most frequent label; the plainest baseline",
            task="classify",
            approach="fine_tune",
        ),
        "tfidf": Part(
            "steelyard.candidates.classify_router:TfidfRouter",
            "words and character n-grams with a linear classifier; the plain baseline",
            task="classify",
            approach="fine_tune",
            baseline=True,
        ),
        "knn": Part(
            "steelyard.candidates.classify_router:KnnRouter",
            "a vote of the nearest labelled examples",
            task="classify",
            approach="rag",
        ),
        "linear": Part(
            "steelyard.candidates.classify_router:LinearRouter",
            "a tuned head on embeddings, blended with lexical features",
            task="classify",
            approach="fine_tune",
        ),
        "cascade": Part(
            "steelyard.candidates.classify_router:CascadeRouter",
            "nearest examples and the tuned head together",
            task="classify",
            approach="hybrid",
        ),
        "closed-book": Part(
            "steelyard.candidates.answer_closed_book:ClosedBook",
            "a tuned head over the known answers; no documents, no citations",
            task="answer",
            approach="fine_tune",
        ),
        "rag-bm25": Part(
            "steelyard.candidates.answer_rag:RagBm25",
            "passages found by their words, the answer quoted; the plain baseline",
            task="answer",
            approach="rag",
            needs="documents",
            baseline=True,
        ),
        "rag-dense": Part(
            "steelyard.candidates.answer_rag:RagDense",
            "passages found by their meaning, the answer quoted",
            task="answer",
            approach="rag",
            needs="documents",
        ),
        "rag-hybrid": Part(
            "steelyard.candidates.answer_rag:RagHybrid",
            "words and meaning fused with a weight chosen on the team's questions, the answer quoted",
            task="answer",
            approach="rag",
            needs="documents",
        ),
        "rag-rerank": Part(
            "steelyard.candidates.answer_rag:RagRerank",
            "the same, passages and quotes ranked again token by token where that answers more",
            task="answer",
            approach="rag",
            needs="documents",
        ),
        "rag-tuned": Part(
            "steelyard.candidates.answer_rag:RagTuned",
            "retrieval, and a reranker and reader tuned on the team's questions as far as that answers more",
            task="answer",
            approach="hybrid",
            needs="documents",
            trains=True,
        ),
        "template": Part(
            "steelyard.candidates.write_approved:TemplateWriter",
            "the most usual approved reply for the slots; the plain baseline",
            task="write",
            approach="rag",
            baseline=True,
        ),
        "exemplar": Part(
            "steelyard.candidates.write_approved:ExemplarWriter",
            "the approved reply to the nearest past message, slots refilled",
            task="write",
            approach="rag",
        ),
        "tuned-selector": Part(
            "steelyard.candidates.write_approved:TunedSelector",
            "a tuned head chooses what to say, an approved wording says it",
            task="write",
            approach="fine_tune",
        ),
        "tuned-writer": Part(
            "steelyard.candidates.write_tuned:TunedWriter",
            "weights tuned on the approved replies make the sentence, slots are copied by constraint",
            task="write",
            approach="fine_tune",
            trains=True,
            on_request=True,
        ),
        "tuned-exemplar": Part(
            "steelyard.candidates.write_hybrid:TunedExemplar",
            "a tuned head chooses what to say, the reply to the nearest past message says it",
            task="write",
            approach="hybrid",
        ),
    },
)
