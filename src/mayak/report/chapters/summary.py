"""The summary: numbers of files and images, classes, reviewers, how images were shown."""

from __future__ import annotations

from mayak.case.records import SeenHow
from mayak.labels import LABELS
from mayak.language import tr
from mayak.report import words
from mayak.report.document import Block, Figures, Prose, Section, Table
from mayak.report.report_data import OPEN, ReportData
from mayak.report.text import files, moment, shortened


def summary(found: ReportData) -> Section:
    """Return the chapter."""
    chosen = found.images["selected"]
    waiting = sum(found.images[state] for state in OPEN)
    blocks: list[Block] = [
        Figures(
            (
                (
                    f"{found.counts.items:,}",
                    tr("files listed", "나열한 파일"),
                    tr(f"in {len(found.sources)} sources", f"원본 {len(found.sources)}개"),
                ),
                (
                    f"{found.counts.distinct_contents:,}",
                    tr("different images", "서로 다른 이미지"),
                    files(found.counts.contents),
                ),
                (
                    f"{chosen:,}",
                    tr("images selected by reviewers", "검토자가 선별한 이미지"),
                    files(found.files["selected"]),
                ),
                (
                    f"{waiting:,}",
                    tr("images not settled", "판정이 끝나지 않은 이미지"),
                    tr(
                        "reviewers differ, or proposed or without a result and not reviewed",
                        "판정 불일치, 미검토 제안, 모델 결과 없음",
                    ),
                ),
                (
                    f"{found.counts.failures:,}",
                    tr("files that could not be read", "읽지 못한 파일"),
                    tr("listed with reasons", "사유와 함께 기재"),
                ),
            )
        ),
        _labels(found),
        Prose(
            tr(
                "Selected is what reviewers decided to be relevant (1, 2 or 3) and nobody "
                "contradicts. The model only proposes; what is not reviewed, so that no "
                "decision stands, is listed apart and is no finding. None of this replaces an "
                "analysis of a substance or a ruling on what a warrant covers.",
                "‘선별’은 검토자가 관련 있음(1, 2, 3)으로 판정하고 다른 검토자의 판정과 "
                "어긋나지 않는 이미지만을 뜻합니다. 모델은 제안만 하며, 유효한 판정이 없는 "
                "제안은 따로 표시하고 판정 결과로 보지 않습니다. 이 분류는 마약류 감정이나 "
                "영장에 기재된 혐의사실과의 관련성에 대한 판단을 대신하지 않습니다.",
            ),
            "soft",
        ),
    ]
    if found.reviewers:
        blocks += [_reviewers(found), *_seen(found)]
    else:
        blocks.append(Prose(_undecided(found), "warning"))
    return Section(tr("Summary", "요약"), tuple(blocks), alone=True)


def _labels(found: ReportData) -> Table:
    rows = [
        (
            words.label(label.index),
            f"{len(found.selected.get(label.index, ())):,}",
            f"{found.selected_files[label.index]:,}",
            f"{found.agreed[label.index]:,}",
            f"{found.proposals[label.index]:,}",
        )
        for label in LABELS[1:]
    ]
    rows.append(
        (
            tr("Sum", "합계"),
            f"{found.images['selected']:,}",
            f"{found.files['selected']:,}",
            f"{sum(found.agreed.values()):,}",
            f"{sum(found.proposals.values()):,}",
        )
    )
    return Table(
        (
            tr("Label", "분류"),
            tr("Selected images", "선별한 이미지"),
            tr("their files", "해당 파일"),
            tr("of these, the model said the same", "그중 모델도 같게 분류"),
            tr("Proposals without a decision", "미검토 제안"),
        ),
        tuple(rows),
        (2.2, 1.2, 1.1, 1.7, 1.4),
        numbers=frozenset({1, 2, 3, 4}),
    )


def _reviewers(found: ReportData) -> Table:
    return Table(
        (
            tr("Reviewer", "검토자"),
            tr("Images", "이미지"),
            tr("First decision (UTC)", "첫 판정(UTC)"),
            tr("Last decision (UTC)", "마지막 판정(UTC)"),
        ),
        tuple(
            (shortened(name, 80), f"{who.images:,}", moment(who.first), moment(who.last))
            for name, who in found.reviewers.items()
        ),
        (2.2, 0.9, 1.6, 1.6),
        numbers=frozenset({1}),
    )


def _seen(found: ReportData) -> list[Block]:
    """Return how the images were shown when they were decided."""
    rows = []
    order: tuple[SeenHow | None, ...] = ("opened", "grid", "copy", "bulk", None)
    for how in order:
        decisions = {
            seen: count for seen, count in found.seen.items() if (seen.how if seen else None) == how
        }
        if total := sum(decisions.values()):
            blurred = sum(count for seen, count in decisions.items() if seen and seen.blurred)
            drawn = how is not None and how != "bulk"
            rows.append((words.seen_how(how), f"{total:,}", f"{blurred:,}" if drawn else "–"))
    text = tr(
        "How the images were shown when they were decided. A decision does not mean that "
        "somebody looked at the image by itself: “behind a copy” was decided together with "
        "another image of the same picture, “not on the screen” without having been drawn. "
        "An “opened” image was shown by itself: the original, or its thumbnail of at most 320 "
        "pixels until the original had been read, or if it could not be.",
        "판정할 때 이미지가 어떻게 표시되어 있었는지입니다. ‘판정’은 이미지를 하나씩 "
        "확인하였다는 뜻이 아닙니다. ‘같은 사진의 사본’은 같은 사진인 다른 이미지와 함께, "
        "‘화면에 표시하지 않음’은 이미지가 화면에 나타나지 않은 채 판정한 것입니다. "
        "‘크게 보기’는 이미지 하나를 크게 표시한 것이며, 원본을 읽기 전이거나 읽을 수 없는 "
        "경우에는 최대 320픽셀의 축소 그림을 표시한 것입니다.",
    )
    return [
        Prose(text, "soft"),
        Table(
            (
                tr("How the image was shown", "이미지 표시 방식"),
                tr("Decisions", "판정"),
                tr("of these, blurred", "그중 흐린 표시"),
            ),
            tuple(rows),
            (2.2, 0.9, 1.2),
            numbers=frozenset({1, 2}),
        ),
    ]


def _undecided(found: ReportData) -> str:
    """Return what a report without a valid decision contains."""
    why = (
        tr(
            f"No decision stands (withdrawn: {found.withdrawn:,}).",
            f"유효한 판정이 없습니다(취소한 판정 {found.withdrawn:,}건).",
        )
        if found.withdrawn
        else tr("Nobody has decided anything yet.", "아직 아무도 판정하지 않았습니다.")
    )
    holds = tr(
        f" The report holds {found.awaiting:,} proposals and no finding.",
        f" 이 보고서에는 제안 {found.awaiting:,}건만 있으며 판정 결과는 없습니다.",
    )
    return why + holds
