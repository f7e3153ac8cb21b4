"""The table of diagnoses: what came of continuing each pair, by the pair's texts, so that pairing again loses none.

In: a diagnosis, or a pair. Out: the diagnosis of that very text, or None.
Not here: what a diagnosis is (`records`), how one is made (`diagnosis`).
"""

from collections.abc import Iterator

from iterpref.records import PairDiagnosis, PreferencePair

from .tables import Tables


class Diagnoses(Tables):
    """One row for each pair and way of asking."""

    def put_diagnosis(self, asked: str, diagnosis: PairDiagnosis) -> None:
        """What came of a pair's continuations; `asked` tells models and ways of asking apart."""
        self._put("diagnoses", diagnosis.task_id, diagnosis.content_hash, asked, self._pack(diagnosis))

    def diagnosis(self, pair: PreferencePair, asked: str | None = None) -> PairDiagnosis | None:
        """The diagnosis of a pair's task, texts and spans: that of `asked`, else the one that was stored last."""
        query = (
            "SELECT record FROM diagnoses WHERE task_id = ? AND content_hash = ? AND coalesce(asked = ?, 1) "
            "ORDER BY rowid DESC"
        )
        return self._get(PairDiagnosis, query, pair.task_id, pair.content_hash, asked)

    def diagnoses(self) -> Iterator[PairDiagnosis]:
        """All, in the order they were stored; none where an earlier version wrote the database, and it is only read."""
        if self._one("SELECT 1 FROM sqlite_master WHERE name = 'diagnoses'"):
            yield from self._records(PairDiagnosis, "SELECT record FROM diagnoses ORDER BY rowid")
