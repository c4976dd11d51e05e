"""The chapter on methods: what was listed, counted, asked and decided."""

from __future__ import annotations

from mayak.labels import QUESTION
from mayak.language import tr
from mayak.report.document import Prose, Section
from mayak.report.report_data import ReportData
from mayak.report.text import files as files_text
from mayak.report.text import images
from mayak.report.words import numbers, outcome_sum


def methods(found: ReportData, *, clear: bool) -> Section:
    """Return the chapter: what was done, in plain words."""
    points = [
        _listing(found),
        _accounting(found),
        tr(
            "Images with the same bytes (SHA-256) count as one image and are listed at every "
            "place where they were found; the pictures inside a repeated image file at the first "
            "place alone.",
            "내용(SHA-256)이 같은 이미지는 한 장으로 세며, 확인된 모든 위치를 기재합니다. 같은 "
            "이미지 파일이 여러 곳에 있으면 그 안의 나머지 그림은 첫 위치에만 기재합니다.",
        ),
        _asking(found),
        _deciding(found),
        tr(
            "Times are in UTC (Korean time is nine hours ahead). Times of files are those that "
            "the source states; where it keeps a clock without a time zone (FAT, most ZIP files) "
            "that clock is shown as it is and the time zone is given as unknown.",
            "시각은 UTC입니다(한국 표준시는 9시간을 더합니다). 파일의 시각은 원본에 기록된 값이며, "
            "시간대 없이 기록하는 원본(FAT, 대부분의 ZIP)은 기록된 시각을 그대로 적고 시간대를 "
            "‘알 수 없음’으로 표시하였습니다.",
        ),
        tr("The thumbnails are shown clearly.", "축소 그림을 흐리게 처리하지 않았습니다.")
        if clear
        else tr(
            "The thumbnails are blurred; the originals are identified by their hashes.",
            "축소 그림은 흐리게 처리하였습니다. 원본은 해시값으로 확인합니다.",
        ),
        tr(
            "Signs in names that cannot be seen or that change the direction of writing are "
            "spelt out by number, such as \\u202e; a long name is shortened in the middle and "
            "stands whole in the CSV files.",
            "보이지 않거나 글의 방향을 바꾸는 문자는 \\u202e처럼 번호로 적었습니다. 긴 이름은 "
            "가운데를 줄였으며 전체 이름은 CSV 파일에 있습니다.",
        ),
    ]
    title = tr("Methods", "분석 방법")
    return Section(title, (Prose("", points=tuple(points)),))


def _listing(found: ReportData) -> str:
    """Return how many files were listed, and whether these are all."""
    deleted = sum(counts.deleted for counts in found.source_counts.values())
    entered = found.exclusions.get("container", 0)
    text = tr(
        "mayak opens sources for reading only. Listed in "
        f"{len(found.sources):,} source{'s' * (len(found.sources) != 1)}: "
        f"{files_text(found.counts.items)}, {deleted:,} of them deleted, with what could be "
        f"listed of {entered:,} archives and disk images inside the sources. ",
        f"mayak은 원본을 읽기 전용으로 엽니다. 원본 {len(found.sources):,}개에서 "
        f"{files_text(found.counts.items)}를 나열하였으며(삭제된 파일 {deleted:,}개 포함), 그 안의 "
        f"압축 파일과 디스크 이미지 {entered:,}개는 나열할 수 있는 안의 파일까지 포함합니다. ",
    )
    if found.incomplete:
        which = numbers(found.incomplete)
        return text + tr(
            f"Of source {which} it is not on record that triage came to the end: files may be "
            "missing.",
            f"번호 {which}의 원본은 끝까지 처리하였다는 기록이 없으므로 빠진 파일이 있을 수 "
            "있습니다.",
        )
    return text + tr(
        "Triage went through every source to its end. An archive or disk image of a kind that "
        "mayak does not know is one file to it: what is in it is not listed (see Limits).",
        "모든 원본을 끝까지 처리하였습니다. mayak이 알지 못하는 종류의 압축 파일이나 디스크 "
        "이미지는 파일 하나로 취급하며 그 안은 나열하지 않습니다(‘한계’ 참조).",
    )


def _accounting(found: ReportData) -> str:
    """Return what the three outcomes mean, and whether they add up."""
    counts = found.counts
    text = tr(
        "Each listed file is an image, a file that could not be read, or a file that a rule left "
        "out, which then was not examined further. ",
        "나열한 파일은 이미지, 읽지 못한 파일, 규칙에 따라 제외한 파일 중 하나이며, 제외한 파일은 "
        "더 분석하지 않았습니다. ",
    )
    text += _no_files(found)
    sums = outcome_sum(found)
    if counts.balanced:
        return text + tr(f"The numbers add up: {sums}.", f"집계: {sums}.")
    return text + tr(f"THE NUMBERS DO NOT ADD UP: {sums}.", f"집계가 맞지 않습니다: {sums}.")


def _no_files(found: ReportData) -> str:
    """Return how many rows count as files but are not separate files of a source."""
    inside = sum(counts.inside for counts in found.source_counts.values())
    gaps = sum(counts.gaps for counts in found.source_counts.values())
    text = ""
    if inside:
        text += tr(
            f"Counted as files are also {inside:,} pictures inside other files: pages, frames, "
            "pictures of documents and pictures under transparency. ",
            f"다른 파일 안의 그림(쪽, 장면, 문서의 그림, 투명 영역에 가려진 그림) {inside:,}장도 "
            "파일로 셉니다. ",
        )
    if gaps:
        text += tr(
            f"Counted as files that could not be read are also {gaps:,} notes on what could not "
            "be listed of archives, disk images and folders, besides the row of the archive or "
            "disk image itself. ",
            f"압축 파일, 디스크 이미지, 폴더에서 나열하지 못한 부분을 적은 {gaps:,}행도 읽지 못한 "
            "파일로 세며, 압축 파일이나 디스크 이미지 자체의 행과는 별개입니다. ",
        )
    return text


def _asking(found: ReportData) -> str:
    """Return how many images the model classified, and what a score is."""
    run = found.run
    if run is None:
        return tr("No model was asked about the images.", "이미지를 모델로 분류하지 않았습니다.")
    tiers = found.tiers[run.id]
    asked = tiers.get(1, 0) + tiers.get(2, 0)
    text = tr(
        f"A vision-language model was asked one question of {images(asked)}: “{QUESTION}” ",
        f"시각·언어 모델에 {images(asked)}에 대하여 이미지마다 다음 질문을 하였습니다. "
        f"“{QUESTION}” ",
    )
    if quick := tiers.get(0, 0):
        text += tr(
            f"Called irrelevant by a quicker stage, without the question: {images(quick)}. ",
            f"{images(quick)}은 질문 없이 빠른 단계에서 ‘관련 없음’으로 분류하였습니다. ",
        )
    if lacking := found.counts.distinct_contents - run.predictions:
        text += tr(
            f"Without a result: {images(lacking)}. ", f"{images(lacking)}은 결과가 없습니다. "
        )
    text += tr(
        "A score is the share of a label's probability among the four labels",
        "점수는 네 분류의 확률 가운데 해당 분류의 확률이 차지하는 비율",
    )
    if run.engine.get("calibration"):
        text += tr(
            ", adjusted by the calibration that Integrity names", "이며 ‘무결성’에 적은 보정을 거침"
        )
    return text + tr(
        ". It orders the work of looking; it is not the probability that the answer is right.",
        "입니다. 먼저 볼 순서를 정할 뿐, 답이 맞을 확률이 아닙니다.",
    )


def _deciding(found: ReportData) -> str:
    """Return who decided, and what “not reviewed” means."""
    back = tr(
        f"{found.withdrawn:,} decisions were withdrawn and stay on record.",
        f"취소한 판정 {found.withdrawn:,}건도 기록에 남아 있습니다.",
    )
    if not found.reviewers:
        return tr("No decision of a reviewer stands. ", "유효한 검토자 판정이 없습니다. ") + back
    return (
        tr(
            "The reviewers named in this report decided, not the model. Each decision is kept with "
            "name and time. ‘Not reviewed’ means that no decision stands, not that nobody looked. ",
            "판정은 모델이 아니라 이 보고서에 적힌 검토자가 하였습니다. 판정마다 이름과 시각이 "
            "기록됩니다. ‘미검토’는 유효한 판정이 없다는 뜻이며, 아무도 보지 않았다는 뜻이 "
            "아닙니다. ",
        )
        + back
    )
