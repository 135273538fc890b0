"""Each record as a sentence that a person reads: one home for the words of each event."""

from projections.auditing.sentences.sentence import has_sentence, sentence_of
from projections.auditing.sentences.wording import Said

__all__ = ["Said", "has_sentence", "sentence_of"]
