"""``Groupings``: near-duplicates, and copies of one picture among them (stacks)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, zip_longest
from operator import itemgetter

from mayak.case.database import Database


class Groupings:
    """Groups of near-duplicates and stacks of copies; the last grouping counts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set_groups(
        self,
        groups: Sequence[Sequence[str]],
        *,
        distance: int,
        stacks: Sequence[Sequence[str]] = (),
        stack_distance: int | None = None,
    ) -> None:
        """Record a new grouping of near-duplicates; earlier ones are kept.

        ``groups`` are contents (SHA-256) whose PDQ hashes differ in up to ``distance`` bits.
        ``stacks`` are copies of one picture, found at up to ``stack_distance`` bits (None: stacks
        were not searched for). Recording the present grouping again does nothing.
        """
        stack_of = {content: at for at, stack in enumerate(stacks, 1) for content in stack}
        wanted = (
            (number, content, stack_of.get(content))
            for number, group in enumerate(groups, 1)
            for content in group
        )
        present = zip_longest(wanted, self._members())
        if all(new == old for new, old in present) and (
            not groups or stack_distance == self._stack_distance()
        ):
            return
        with self._database.batch(
            "group", groups=len(groups), stacks=len(stacks), distance=distance
        ) as batch:
            grouping = batch.add("groupings", distance=distance, stack_distance=stack_distance)
            for number, group in enumerate(groups, 1):
                for content in group:
                    batch.add(
                        "group_members",
                        grouping=grouping,
                        number=number,
                        content=content,
                        stack=stack_of.get(content),
                    )

    def groups(self) -> list[list[str]]:
        """Return the present groups of near-duplicates, as they were recorded."""
        return [
            [content for _, content, _ in members]
            for _, members in groupby(self._members(), key=itemgetter(0))
        ]

    def lacks_stacks(self) -> bool:
        """Whether the groups were made by a version of mayak that did not search for stacks."""
        return self._stack_distance() is None and any(True for _ in self._members())

    def _stack_distance(self) -> int | None:
        query = "SELECT stack_distance FROM groupings ORDER BY id DESC LIMIT 1"
        rows = self._database.query(query)
        return rows[0]["stack_distance"] if rows else None

    def _members(self) -> Iterator[tuple[int, str, int | None]]:
        """Group, content and stack of each member of the last grouping."""
        # The plus keeps SQLite from sorting the whole grouping again for each page.
        rows = self._database.pages(
            "SELECT id, number, content, stack FROM group_members"
            " WHERE +grouping = (SELECT max(id) FROM groupings) AND id > ? ORDER BY id LIMIT ?"
        )
        return ((row["number"], row["content"], row["stack"]) for row in rows)
