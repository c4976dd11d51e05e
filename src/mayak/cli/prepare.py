"""``mayak prepare``: raw_data/ → data/."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.errors import ConfigError
from mayak.labels import LABELS
from mayak.language import tr
from mayak.names import printable
from mayak.workers import cores

if TYPE_CHECKING:
    from mayak.dataset.collect import Reason, Rejected
    from mayak.dataset.options import PrepareResult

_SHOWN = 5
_TOLD = ("damaged", "unreadable", "bomb", "disagreement")
"""Reasons whose heading does not say it all."""


def prepare(
    raw: Annotated[
        Path | None,
        Parameter(
            help=tr(
                "Folder with 0_irrelevant, 1_chat_history, 2_transaction_place, 3_drug_raw "
                "(default: raw_data).",
                "0_irrelevant, 1_chat_history, 2_transaction_place, 3_drug_raw가 있는 폴더 "
                "(기본: raw_data).",
            )
        ),
    ] = None,
    *,
    from_case: Annotated[
        list[Path] | None,
        Parameter(
            negative="",
            # a case's name may begin with a bracket
            json_list=False,
            help=tr(
                "Take what people decided in this case instead of RAW, read again from its "
                "sources; repeatable.",
                "RAW 대신 이 사건에서 사람이 판정한 이미지를 원본에서 다시 읽어 씁니다. 여러 번 "
                "지정 가능.",
            ),
        ),
    ] = None,
    data: Annotated[
        Path, Parameter(help=tr("Folder to write the manifests to.", "목록을 쓸 폴더."))
    ] = Path("data"),
    seed: Annotated[int, Parameter(help=tr("Seed of split and augmentation.", "난수 시드."))] = 42,
    test_fraction: Annotated[
        float,
        Parameter(help=tr("Share of all images to test on.", "전체 중 시험 세트의 비율.")),
    ] = 0.15,
    val_fraction: Annotated[
        float,
        Parameter(
            help=tr(
                "Share of the rest to validate on.", "시험 세트를 뺀 나머지 중 검증 세트의 비율."
            )
        ),
    ] = 0.15,
    group: Annotated[
        Literal["pdq", "none"],
        Parameter(
            help=tr(
                "pdq: near-duplicates stay in one split; none: the paper's plain split.",
                "pdq: 유사·중복 이미지를 같은 세트에 둠. none: 논문의 단순 분할.",
            )
        ),
    ] = "pdq",
    augment: Annotated[
        int,
        Parameter(
            help=tr(
                "New images from each training image of class 2.",
                "2번 분류의 학습 이미지마다 만들 증강 이미지 수.",
            )
        ),
    ] = 4,
    workers: Annotated[
        int | None,
        Parameter(help=tr("Processes (default: all cores).", "프로세스 수 (기본: 모든 코어).")),
    ] = None,
    overwrite: Annotated[
        bool,
        Parameter(
            negative="",
            help=tr(
                "Replace a data folder made from other input.",
                "다른 입력으로 만든 데이터 폴더를 덮어씁니다.",
            ),
        ),
    ] = False,
    test_only: Annotated[
        bool,
        Parameter(
            negative="",
            help=tr(
                "Put every image into the test set, to measure on images from elsewhere.",
                "모든 이미지를 시험 세트에 넣습니다(외부 세트 측정용).",
            ),
        ),
    ] = False,
    as_json: Annotated[
        bool,
        Parameter(
            name="--json",
            negative="",
            help=tr("Print the result as JSON.", "결과를 JSON으로 출력합니다."),
        ),
    ] = False,
) -> int:
    """Split the images of RAW, or those decided in cases, into train, validation and test, and
    augment class 2.

    Exit code 1 when an image could not be read.
    """
    from mayak.dataset import PrepareOptions
    from mayak.dataset import prepare as run
    from mayak.dataset.collect import HARMLESS

    if raw is not None and from_case:
        raise ConfigError(
            tr("both RAW and --from-case are given", "RAW와 --from-case가 함께 지정되었습니다"),
            remedy=tr("give one of them", "하나만 지정하십시오"),
        )
    console = Console()
    result = run(
        PrepareOptions(
            raw=raw or Path("raw_data"),
            cases=tuple(from_case or ()),
            data=data,
            seed=seed,
            test_fraction=test_fraction,
            val_fraction=val_fraction,
            group=group,
            augment=augment,
            workers=cores() if workers is None else workers,
            overwrite=overwrite,
            test_only=test_only,
        ),
        progress=console,
    )
    if as_json:
        console.json(_as_json(result))
    else:
        _show(console, result)
    return int(any(reason not in HARMLESS for reason in result.reasons))


def _show(console: Console, result: PrepareResult) -> None:
    parts = ("train", "augmented", "val", "test")
    counts = result.counts
    rows = [
        [f"{label.index} {label.name}", *(str(counts[label.index][part]) for part in parts)]
        for label in LABELS
    ]
    totals = [sum(counts[label.index][part] for label in LABELS) for part in parts]
    rows.append([tr("all", "합계"), *map(str, totals)])
    columns = [
        tr("class", "분류"),
        tr("train", "학습"),
        tr("+ augmented", "+ 증강"),
        tr("validation", "검증"),
        tr("test", "시험"),
    ]
    console.table(tr("Images per class and split", "분류·세트별 이미지 수"), columns, rows)
    console.result("")
    rejected = len(result.rejected)
    console.result(
        tr(
            f"files found {result.found} = used {result.used} + rejected {rejected}",
            f"발견한 파일 {result.found} = 사용 {result.used} + 제외 {rejected}",
        )
    )
    sizes = result.group_sizes
    if len(sizes) < result.used:
        console.result(
            tr(
                f"duplicate groups: {len(sizes)} for {result.used} images, "
                f"the largest of {max(sizes.values())}; none is parted by the split",
                f"중복 그룹: 이미지 {result.used}장에 그룹 {len(sizes)}개, "
                f"가장 큰 그룹 {max(sizes.values())}장. 분할로 나뉜 그룹 없음",
            )
        )
    if absent := [label.folder for label in LABELS if not any(counts[label.index].values())]:
        console.result(
            tr(f"no images of {', '.join(absent)}", f"이미지가 없는 분류: {', '.join(absent)}")
        )
    _show_rejected(console, result)
    _show_cross_label(console, result)
    if result.noted:
        console.result(
            tr(
                f"images adapted or with a note: {len(result.noted)} (`warnings` in dataset.json)",
                f"변환했거나 특이 사항이 있는 이미지: {len(result.noted)}장 "
                "(dataset.json의 `warnings`)",
            )
        )
    console.result(
        tr(f"written to {result.data}", f"저장 위치: {result.data}")
        + tr(f" · digest {result.digest[:16]}", f" · 다이제스트 {result.digest[:16]}")
    )


def _show_rejected(console: Console, result: PrepareResult) -> None:
    if not result.rejected:
        return
    console.result(tr("rejected:", "제외한 파일:"))
    for reason, count in result.reasons.items():
        console.result(f"  {_reason(reason)}: {count}")
        its = [item for item in result.rejected if item.reason == reason]
        for item in its[:_SHOWN]:
            console.result(f"    {printable(item.name)}{_detail(item)}")
        if count > _SHOWN:
            console.result(
                "    "
                + tr(
                    f"and {count - _SHOWN} more: `rejected` in dataset.json",
                    f"그 밖에 {count - _SHOWN}개: dataset.json의 `rejected`",
                )
            )


def _show_cross_label(console: Console, result: PrepareResult) -> None:
    if not result.cross_label:
        return
    console.result(
        tr(
            f"warning: groups of near-duplicates under two labels: {len(result.cross_label)}; "
            "check that the labels are right:",
            f"경고: 유사 이미지 그룹 {len(result.cross_label)}개가 두 분류에 걸쳐 있습니다. "
            "분류가 맞는지 확인하십시오:",
        )
    )
    for group in result.cross_label[:_SHOWN]:
        other = next(sample for sample in group if sample.label != group[0].label)
        names = f"{group[0].image_path} ~ {other.image_path}"
        more = len(group) - 2
        tail = tr(f" (and {more} more)", f" (그 밖에 {more}장)") if more else ""
        console.result(f"    {printable(names)}{tail}")
    if len(result.cross_label) > _SHOWN:
        left = len(result.cross_label) - _SHOWN
        console.result(
            "    "
            + tr(
                f"and {left} more: `cross_label_near_duplicates` in dataset.json",
                f"그 밖에 {left}개: dataset.json의 `cross_label_near_duplicates`",
            )
        )


def _reason(reason: Reason) -> str:
    texts: dict[Reason, str] = {
        "empty": tr("empty files", "빈 파일"),
        "damaged": tr("damaged images", "손상된 이미지"),
        "bomb": tr(
            "too many pixels, possibly decompression bombs",
            "픽셀 수 과다, 압축 폭탄 의심",
        ),
        "codec-missing": tr(
            "codec not installed (pip install 'mayak[heic]')",
            "코덱 미설치 (pip install 'mayak[heic]')",
        ),
        "too-large": tr("files larger than 1 GiB", "1 GiB가 넘는 파일"),
        "unreadable": tr(
            "cannot be read (check permissions and the disk)",
            "읽을 수 없음 (권한과 디스크를 확인하십시오)",
        ),
        "crashed": tr("crashed the decoder", "디코더 비정상 종료"),
        "name": tr("names that are not UTF-8 (rename them)", "UTF-8이 아닌 이름 (이름 변경 필요)"),
        "link": tr("symbolic links, not followed", "심볼릭 링크 (따라가지 않음)"),
        "special": tr("pipes, sockets or devices", "파이프·소켓·장치"),
        "outside": tr("outside the four class folders", "네 분류 폴더 밖의 파일"),
        "system-file": tr("files of operating systems", "운영체제가 만든 파일"),
        "not-an-image": tr("no images", "이미지가 아닌 파일"),
        "disagreement": tr("reviewers differ", "검토자의 판정이 서로 다름"),
        "augmented": tr(
            "augmented copies (_aug_N) of images that are there too",
            "함께 있는 원본의 증강 사본(_aug_N)",
        ),
        "augmented-orphan": tr(
            "named as augmented copies (_aug_N), without their original (rename what is no copy)",
            "이름은 증강 사본(_aug_N)이나 원본이 없는 파일 (원본이면 이름 변경 필요)",
        ),
    }
    return texts[reason]


def _detail(item: Rejected) -> str:
    """What was found."""
    return f" — {item.error}" if item.reason in _TOLD else ""


def _as_json(result: PrepareResult) -> dict[str, object]:
    return {
        "data": str(result.data),
        "found": result.found,
        "used": result.used,
        "counts": {LABELS[label].folder: parts for label, parts in result.counts.items()},
        "groups": {
            "number": len(result.group_sizes),
            "largest": max(result.group_sizes.values()),
        },
        "splits": dict(result.digests),
        "digest": result.digest,
        "input_digest": result.input_digest,
        "noted": {path: list(notes) for path, notes in result.noted.items()},
        "cross_label_near_duplicates": [
            [{"image_path": s.image_path, "label": s.label} for s in group]
            for group in result.cross_label
        ],
        "rejected": [
            {"path": printable(item.name), "reason": item.reason, "error": item.error}
            for item in result.rejected
        ],
    }
