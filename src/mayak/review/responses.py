"""JSON answers of the review server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mayak.case import Filter, StoredItem
from mayak.imaging.formats import wrong_extension
from mayak.review.regions import region, regions
from mayak.review.session import ReviewSession, unknown_image
from mayak.types import Prediction

Json = dict[str, Any]


def status(session: ReviewSession, run: int | None) -> Json:
    """Return progress, sources, model runs and reviewers of the case."""
    session.browser.refresh()
    return {
        **session.browser.progress(run),
        "mark": session.browser.index.mark,
        "sources": {str(source.id): source.path for source in session.store.sources()},
        "run": session.browser.run if run is None else run,
        "runs": [
            {
                "id": known.id,
                "model": known.engine.get("model"),
                "adapter": known.engine.get("adapter"),
                "started": known.started,
                "finished": known.finished,
            }
            for known in session.browser.runs
        ],
        "reviewers": list(session.browser.index.verdicts),
    }


def facts(session: ReviewSession, sha256: str, run: int | None) -> Json:
    """Return everything that the case knows about an image."""
    store = session.store
    content = store.content(sha256)
    if content is None:
        raise unknown_image(sha256)
    sources = {source.id: source.path for source in store.sources()}
    shown = session.browser.run if run is None else run
    return {
        "sha256": content.sha256,
        "md5": content.md5,
        "sha1": content.sha1,
        "size": content.size,
        "format": content.format,
        "width": content.width,
        "height": content.height,
        "pdq": content.pdq.hex() if content.pdq else None,
        "pdq_quality": content.pdq_quality,
        "metadata": content.metadata,
        "thumbnail": content.thumbnail,
        "warnings": content.warnings,
        "occurrences": [
            item_values(item)
            | {
                "source": sources[item.source],
                "warnings": wrong_extension(item.name, content.format),
            }
            for item in store.occurrences(sha256)
        ],
        "results": [
            {
                "run": number,
                "current": number == shown,
                **asdict(result),
                "scores": result.scores.values,
                "off_label": result.scores.off_label,
            }
            if isinstance(result, Prediction)
            else {"run": number, "current": number == shown, "error": result.message}
            for number, result in store.results_of(sha256).items()
        ],
        "alerts": [{"list": alert.list, "kind": alert.kind} for alert in store.alerts_of(sha256)],
        "verdicts": [
            {"reviewer": name, "verdict": decision.verdict, "at": decision.at}
            for name, decision in store.verdicts(sha256).items()
        ],
        "group": session.browser.group(sha256),
        "similar": session.browser.similar(sha256),
        "region": region(*position) if (position := _position(content.metadata)) else None,
    }


def district_counts(session: ReviewSession, wanted: Filter) -> list[tuple[str | None, int]]:
    """Count images by the district in which they were taken (None: outside), largest first."""
    positions, images = session.browser.positions(wanted)
    counts: Counter[str | None] = Counter()
    for name, count in zip(regions(positions), images, strict=True):
        counts[name] += int(count)
    return counts.most_common()


def _position(metadata: Mapping[str, Any]) -> tuple[float, float] | None:
    location = metadata.get("location")
    if not isinstance(location, dict):
        return None
    return location["latitude"], location["longitude"]


def item_values(item: StoredItem) -> Json:
    """Return a file of the case as JSON values."""
    return {
        "path": item.display,
        "entry": item.entry,
        "source": item.source,
        "size": item.size,
        **asdict(item.times),
        "deleted": item.deleted,
        "failure": None
        if item.failure is None
        else {
            "stage": item.failure.stage,
            "error": item.failure.error,
            "message": item.failure.message,
        },
        "exclusion": None
        if item.exclusion is None
        else {"rule": item.exclusion.rule, "reason": item.exclusion.reason},
    }


def sample_values(session: ReviewSession, number: int) -> Json:
    """Return a blind sample, without scores."""
    # Read the mark first: decisions made meanwhile must count as newer than this answer.
    mark = session.browser.index.mark
    judged = session.store.sample_items(number)
    (found,) = (s for s in session.store.samples() if s.id == number)
    thumbnails = session.browser.thumbnails(list(judged))
    return {
        **asdict(found),
        "mark": mark,
        "items": [
            {"sha256": sha256, "thumbnail": thumbnails.get(sha256), "verdict": verdict}
            for sha256, verdict in judged.items()
        ],
    }
