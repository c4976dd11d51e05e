"""``Samples``: blind samples that estimate how many relevant images a run missed (elusion test).

The population of a sample is every distinct content that the run labels irrelevant (0) and that
nobody has decided when the sample is drawn. Files that could not be read, were excluded, or are
added later are not in it.
"""

from __future__ import annotations

import hashlib
import heapq
from bisect import bisect_left
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from math import comb
from sqlite3 import Row

from mayak.case.database import Database
from mayak.case.decisions import Decisions, PageState, reviewer_name
from mayak.case.records import BlindSample, MissRateEstimate, Seen
from mayak.case.scores import LABEL
from mayak.case.values import checked, moment, row_name
from mayak.errors import CaseError
from mayak.i18n import msg


class Samples:
    """Blind samples of a case, and their estimates.

    A judgement is a decision with the number of its sample; ``undo`` withdraws it like any other.
    What the reviewer decides on the same content elsewhere, where scores are shown, is not a
    judgement.
    """

    def __init__(self, database: Database, decisions: Decisions) -> None:
        self._database = database
        self._decisions = decisions

    def draw_sample(self, run: int, size: int, seed: int, reviewer: str) -> int:
        """Draw ``size`` contents for a reviewer to judge; return the sample's number.

        It takes the contents whose SHA-256 over ``seed:content`` (content as hex) is smallest,
        smallest first, so that anyone can repeat the draw.

        Raises:
            CaseError: the population is smaller.
        """
        reviewer = reviewer_name(reviewer)
        with self._database.batch("draw sample", run=run, reviewer=reviewer, seed=seed) as batch:
            population = [
                content
                for (content,) in batch.connection.execute(
                    f"SELECT content FROM predictions p WHERE run = ? AND {LABEL} = 0"  # noqa: S608
                    " AND NOT EXISTS (SELECT 1 FROM verdicts WHERE content = p.content)",
                    (run,),
                )
            ]
            if not 1 <= size <= len(population):
                raise CaseError(
                    msg(
                        "a sample of {size} cannot be drawn: run {run} calls {n_population} "
                        "images irrelevant that nobody has decided",
                        size=size,
                        run=run,
                        n_population=len(population),
                    ),
                    remedy=msg("draw between 1 and {n_population}", n_population=len(population))
                    if population
                    else msg("there is nothing to estimate: every such image has been decided"),
                )
            sample = batch.add(
                "samples",
                run=run,
                size=size,
                seed=seed,
                population=len(population),
                reviewer=reviewer,
                drawn=datetime.now(UTC).isoformat(),
            )
            for content in heapq.nsmallest(size, population, key=lambda c: _rank(seed, c)):
                batch.add("sample_items", sample=sample, content=content)
            return sample

    def samples(self) -> list[BlindSample]:
        """Return all samples, in the order they were drawn; each has an estimate once all of it is
        judged."""
        return [
            self._sample(row) for row in self._database.query("SELECT * FROM samples ORDER BY id")
        ]

    def sample_items(self, sample: int) -> dict[str, int | None]:
        """Return the contents of a sample in the order to judge them, with the present judgement.

        Raises:
            CaseError: there is no such sample.
        """
        self._row_of(sample)
        items = self._database.query(
            "SELECT content FROM sample_items WHERE sample = ? ORDER BY id", sample
        )
        judged = self._database.query(
            "SELECT content, verdict FROM decisions d WHERE sample = ? AND verdict IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM decisions WHERE undoes = d.action AND"
            "  content = d.content) ORDER BY id",
            sample,
        )
        found = {row["content"]: row["verdict"] for row in judged}
        return {row["content"]: found.get(row["content"]) for row in items}

    def judge(
        self,
        reviewer: str,
        sample: int,
        verdicts: Mapping[str, int],
        *,
        seen: Mapping[str, Seen] | None = None,
        known: PageState | None = None,
    ) -> int:
        """Record verdicts on contents of a reviewer's sample as one action; return its number.

        The last judgement of a content counts.

        Raises:
            CaseError: the sample was drawn for another reviewer, a content is not in it, or as
                ``Decisions.decide``.
        """
        drawn_for = self._row_of(sample)["reviewer"]
        if reviewer_name(reviewer) != drawn_for:
            raise CaseError(
                msg(
                    "sample {sample} was drawn for {drawn_for}, not for {reviewer}",
                    sample=sample,
                    drawn_for=drawn_for,
                    reviewer=reviewer,
                ),
                remedy=msg("draw one of your own"),
            )
        items = self.sample_items(sample)
        for sha256 in verdicts:
            if sha256 not in items:
                raise CaseError(
                    msg("{sha256} is not in sample {sample}", sha256=sha256, sample=sample),
                    remedy=msg("judge the images that were drawn"),
                )
        return self._decisions.add_action(reviewer, verdicts, sample, seen or {}, known)

    def _row_of(self, sample: int) -> Row:
        rows = self._database.query("SELECT * FROM samples WHERE id = ?", sample)
        if not rows:
            raise CaseError(
                msg("there is no sample {sample}", sample=sample), remedy=msg("draw one first")
            )
        return rows[0]

    def _sample(self, row: Row) -> BlindSample:
        with checked(self._database.folder, row_name("samples", row["id"])):
            drawn = moment(row["drawn"])
            if not 1 <= row["size"] <= row["population"]:
                raise ValueError("size")
        judgements = [v for v in self.sample_items(row["id"]).values() if v is not None]
        relevant = sum(verdict != 0 for verdict in judgements)
        size, population = row["size"], row["population"]
        return BlindSample(
            id=row["id"],
            run=row["run"],
            size=size,
            seed=row["seed"],
            population=population,
            reviewer=row["reviewer"],
            drawn=drawn,
            judged=len(judgements),
            relevant=relevant,
            # Part of a sample that the reviewer chose is not a random sample.
            missed=miss_rate(relevant, size, population) if len(judgements) == size else None,
        )


def _rank(seed: int, content: str) -> bytes:
    return hashlib.sha256(f"{seed}:{content}".encode()).digest()


@cache
def miss_rate(relevant: int, size: int, population: int) -> MissRateEstimate:
    """Estimate the relevant images of a population from a random sample with ``relevant`` of them.

    The interval is that of Clopper and Pearson (Biometrika 26, 1934) with tails from the
    hypergeometric distribution, because the population is finite and no image is drawn twice
    (Buonaccorsi, The American Statistician 41, 1987). It is computed in whole numbers, so exact.
    """
    samples = comb(population, size)
    minimum, maximum = relevant, population - size + relevant

    def too_few(number: int) -> bool:
        """Whether, with ``number`` relevant images in the population, at most 2.5 % of all samples
        hold as many as this one, or more."""
        return 40 * (samples - _at_most(relevant - 1, number, size, population)) <= samples

    def too_many(number: int) -> bool:
        """Whether, with ``number`` relevant images in the population, at most 2.5 % of all samples
        hold as few as this one, or fewer."""
        return 40 * _at_most(relevant, number, size, population) <= samples

    low = minimum + bisect_left(range(minimum, maximum), True, key=lambda n: not too_few(n))
    high = minimum + bisect_left(range(minimum + 1, maximum + 1), True, key=too_many)
    return MissRateEstimate(relevant, size, population, low, high)


def _at_most(relevant: int, number: int, size: int, population: int) -> int:
    """Count the samples with ``relevant`` relevant images or fewer, from a population with
    ``number`` of them."""
    first = max(0, size - (population - number))
    term = comb(number, first) * comb(population - number, size - first)
    total = 0
    for found in range(first, relevant + 1):
        total += term
        term = term * (number - found) * (size - found)
        term //= (found + 1) * (population - number - size + found + 1)
    return total
