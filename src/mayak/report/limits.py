"""The chapter that says what a report does not show, from what the case counts."""

from __future__ import annotations

from mayak.case import Sample
from mayak.case.reasons import reason
from mayak.language import tr
from mayak.report.document import Block, Prose, Section, Table
from mayak.report.left_out import kind, kind_of, kinds
from mayak.report.report_data import Survey
from mayak.report.text import files, images, moment, shortened

_EXTENSIONS = 15
"""Of the files left out as no image, the commonest extensions."""
_BACKUPS = 10
"""Folders of phone backups that are named."""
_CHOSEN = ("include", "exclude", "since", "known-good", "too-small")
"""Rules that the operator's options set."""


def limits(found: Survey) -> Section:
    """What was not looked at, and how much the model may have missed."""
    points = [
        *_demonstration(found),
        _not_read(found),
        *_no_image(found),
        *_backups(found),
        *_options(found),
        *_free_space(found),
        *_documents(found),
        tr(
            "Of an animation at most four frames were examined; of a file with several pictures "
            "of a camera (MPO) and of a Photoshop file the first picture alone.",
            "움직이는 그림은 네 장면까지만, 카메라의 다중 사진 파일(MPO)과 포토샵 파일은 첫 "
            "그림만 분석하였습니다.",
        ),
        _unseen(found),
        *_quick(found),
        tr(
            "What a file states of itself (camera, time, place) can be altered by anybody.",
            "파일 스스로 적은 정보(촬영 기기, 시각, 위치)는 누구나 바꿀 수 있습니다.",
        ),
    ]
    blocks: list[Block] = [Prose("", points=tuple(points))]
    if found.left_out.files:
        blocks += _by_extension(found)
    blocks.append(_missed(found))
    return Section(tr("Limits", "한계"), tuple(blocks))


def _demonstration(found: Survey) -> list[str]:
    if found.run is None or not str(found.run.engine.get("model", "")).startswith("nano@"):
        return []
    return [
        tr(
            "The embedded model “nano” demonstrates the machinery. Its proposals say nothing "
            "about real images.",
            "내장 모델 ‘nano’는 동작을 보여 주기 위한 것이며, 실제 이미지에 대한 제안으로서 "
            "의미가 없습니다.",
        )
    ]


def _not_read(found: Survey) -> str:
    if not found.counts.failures:
        return tr(
            "No listed file failed to be read; what a rule left out was not examined further.",
            "읽지 못한 파일은 없습니다. 규칙에 따라 제외한 파일은 더 분석하지 않았습니다.",
        )
    reasons = ", ".join(
        f"{reason(name)} {count:,}"
        for name, count in sorted(found.failures.items(), key=lambda pair: (-pair[1], pair[0]))
    )
    return tr(
        f"{files(found.counts.failures)} could not be read, so that the content was not examined: "
        f"{reasons}.",
        f"읽지 못하여 분석하지 못한 파일이 {found.counts.failures:,}개 있습니다: {reasons}.",
    )


def _no_image(found: Survey) -> list[str]:
    left = found.left_out
    if not left.files:
        return []
    told = tr(
        f"Left out because they do not begin as an image does: {files(left.files)}. They were not "
        "examined further: pictures inside such files were not looked for. ",
        f"{files(left.files)}는 이미지 형식으로 시작하지 않아 제외하였으며 더 분석하지 "
        "않았습니다. 이런 파일 안에 든 사진은 찾지 않았습니다. ",
    )
    if not left.kinds:
        return [told.strip()]
    return [
        told
        + tr(
            f"By their names, among them are kinds that can hold pictures: {kinds(left)}.",
            "파일 이름에 따르면 그중 사진이 들어 있을 수 있는 종류는 다음과 같습니다: "
            f"{kinds(left)}.",
        )
    ]


def _documents(found: Survey) -> list[str]:
    if not (count := found.exclusions.get("document", 0)):
        return []
    return [
        tr(
            f"Documents (PDF): {count:,}. The images in them were examined; texts and drawings on "
            "their pages were not looked at.",
            f"문서(PDF) {count:,}개는 안의 이미지만 분석하였으며, 쪽에 적힌 글과 도형은 확인하지 "
            "않았습니다.",
        )
    ]


def _backups(found: Survey) -> list[str]:
    folders = found.left_out.backups
    if not folders:
        return []
    named = "; ".join(shortened(folder, 120) for folder in folders[:_BACKUPS])
    if len(folders) > _BACKUPS:
        named += "; …"
    return [
        tr(
            f"Folders that hold a phone's backup, by the names in them (Manifest.db next to "
            f"Manifest.plist): {len(folders):,}. mayak does not undo the renaming of the files in "
            "such backups, and of an encrypted one no picture can be recognised. Left "
            f"out in them as no image: {files(found.left_out.in_backups)}. {named}",
            f"파일 이름에 따르면 폴더 {len(folders):,}개는 휴대전화 백업입니다(Manifest.db와 "
            "Manifest.plist). mayak은 이런 백업을 해석하지 않으며, 암호화된 백업의 사진은 알아볼 "
            f"수 없습니다. 그 안의 {files(found.left_out.in_backups)}를 이미지가 아닌 것으로 "
            f"제외하였습니다: {named}.",
        )
    ]


def _options(found: Survey) -> list[str]:
    rules = {rule: found.exclusions[rule] for rule in _CHOSEN if found.exclusions.get(rule)}
    if not rules:
        return []
    said = ", ".join(f"{reason(rule)} {count:,}" for rule, count in rules.items())
    return [
        tr(
            f"Left out by the settings of triage: {files(sum(rules.values()))} ({said}).",
            f"분석 설정에 따라 {files(sum(rules.values()))}를 제외하였습니다: {said}.",
        )
    ]


def _free_space(found: Survey) -> list[str]:
    disks = [
        source
        for source in found.sources
        if source.kind == "image"
        or (source.id in found.source_counts and found.source_counts[source.id].has_disk_image)
    ]
    if not disks:
        return []
    return [
        tr(
            f"{len(disks):,} of {len(found.sources):,} sources are or hold disk images. Their free "
            "space was not searched: a deleted picture that no entry of the file system names any "
            "more was not found.",
            f"원본 {len(found.sources):,}개 가운데 {len(disks):,}개는 디스크 이미지이거나 디스크 "
            "이미지를 담고 있습니다. 비할당 영역(삭제 후 파일 시스템에 항목이 남지 않은 데이터)은 "
            "분석하지 않았습니다.",
        )
    ]


def _unseen(found: Survey) -> str:
    if not (count := found.images["unseen"]):
        return tr(
            "No image rests on the model's word alone that it is irrelevant.",
            "모델의 분류만으로 ‘관련 없음’으로 남은 이미지는 없습니다.",
        )
    return tr(
        "Images that the model calls irrelevant and on which no decision stands may be relevant: "
        f"{images(count)}.",
        f"모델이 ‘관련 없음’으로 분류하고 유효한 판정이 없는 이미지 {count:,}장 가운데 관련 있는 "
        "것이 있을 수 있습니다.",
    )


def _quick(found: Survey) -> list[str]:
    tiers = found.tiers[found.run.id] if found.run else {}
    if not (early := tiers.get(0, 0) + tiers.get(1, 0)):
        return []
    return [
        tr(
            f"Called irrelevant by a quicker reading than the whole model's: {images(early)}. What "
            "that may have lost, and whether it held, is under Integrity.",
            f"이미지 {early:,}장은 전체 모델이 아닌 빠른 단계에서 ‘관련 없음’으로 "
            "분류되었습니다. 이로 인해 놓칠 수 있는 비율과 그 성립 여부는 ‘무결성’에 "
            "적었습니다.",
        )
    ]


def _by_extension(found: Survey) -> list[Block]:
    """What was left out as no image, by the ends of the files' names."""
    extensions = found.left_out.extensions
    order = sorted(extensions.items(), key=lambda pair: (-pair[1], pair[0]))
    rows = [
        (
            f".{name}" if name else tr("(no extension)", "(확장자 없음)"),
            kind(known) if (known := kind_of(name)) else "–",
            f"{count:,}",
        )
        for name, count in order[:_EXTENSIONS]
    ]
    if rest := order[_EXTENSIONS:]:
        rows.append(
            (
                tr(f"{len(rest):,} other extensions", f"그 밖의 확장자 {len(rest):,}가지"),
                "–",
                f"{sum(count for _, count in rest):,}",
            )
        )
    return [
        Prose(
            tr(
                "Left out as no image, by the extension of the name (what is in them was not "
                "looked at):",
                "이미지가 아닌 것으로 제외한 파일의 확장자별 수(내용은 확인하지 않음):",
            )
        ),
        Table(
            (
                tr("Extension", "확장자"),
                tr("Kind that can hold pictures", "사진이 들어 있을 수 있는 종류"),
                tr("Files", "파일"),
            ),
            tuple(rows),
            (2.0, 3.0, 1.0),
            numbers=frozenset({2}),
            small=True,
        ),
    ]


def _missed(found: Survey) -> Prose:
    if not found.samples:
        return Prose(
            tr(
                "No blind sample was drawn, so that nothing can be said of how many relevant "
                "images were missed.",
                "무작위 표본을 추출하지 않았으므로, 놓친 이미지가 얼마나 되는지 추정할 수 "
                "없습니다.",
            ),
            "warning",
        )
    counts = found.counts
    return Prose(
        tr(
            "How much was missed among the images that mayak read and a run called irrelevant, "
            "estimated from blind random samples of those that nobody had decided. Of files that "
            f"were not read ({counts.failures:,}) or left out ({counts.exclusions:,}), of free "
            "space and of what came into the case later it says nothing:",
            "누락 추정: mayak이 읽고 모델이 ‘관련 없음’으로 분류한 이미지 가운데 아무도 판정하지 "
            "않은 것에서 무작위로 뽑아 점수를 가리고 판정한 결과입니다. 읽지 못한 파일"
            f"({counts.failures:,}개), 제외한 파일({counts.exclusions:,}개), 비할당 영역, 표본을 "
            "뽑은 뒤에 추가된 이미지에는 적용되지 않습니다.",
        ),
        points=tuple(map(_estimate, found.samples)),
    )


def _estimate(sample: Sample) -> str:
    drawn = tr(
        f"Sample {sample.id}: {sample.size:,} of {sample.population:,} images that run "
        f"{sample.run} called irrelevant, drawn {moment(sample.drawn)} UTC, judged by "
        f"{sample.reviewer}. ",
        f"표본 {sample.id}: {sample.run}번 모델 실행에서 ‘관련 없음’으로 분류한 이미지 "
        f"{sample.population:,}장 가운데 {sample.size:,}장(추출 {moment(sample.drawn)} UTC, 판정 "
        f"{sample.reviewer}). ",
    )
    missed = sample.missed
    if missed is None:
        return drawn + tr(
            f"{sample.judged:,} judged so far; there is no estimate until all are.",
            f"{sample.judged:,}장을 판정하였으며, 모두 판정해야 추정할 수 있습니다.",
        )
    low, high = (100 * end for end in missed.interval)
    return drawn + tr(
        f"{missed.relevant:,} were relevant ({100 * missed.fraction:.2f}%). With 95 % confidence "
        f"between {missed.low:,} and {missed.high:,} relevant images were missed among these "
        f"{missed.population:,} ({low:.2f}–{high:.2f}%).",
        f"관련 있음 {missed.relevant:,}장({100 * missed.fraction:.2f}%). 95% 신뢰수준에서 이 "
        f"{missed.population:,}장 가운데 놓친 이미지는 {missed.low:,}장에서 "
        f"{missed.high:,}장 사이입니다({low:.2f}–{high:.2f}%).",
    )
