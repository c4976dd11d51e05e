"""``mayak demo``: the paper's steps in a row, on images that the demo draws."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.config import FINAL, load_train_config
from mayak.labels import LABELS
from mayak.language import tr

if TYPE_CHECKING:
    from mayak.dataset import Manifest
    from mayak.demo.run import Ledger
    from mayak.model import VisionLanguageModel

MODEL = "nano"
SEED = 42


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Images of one style, and the folders of what is made of them."""

    name: str
    raw: str
    data: str
    seed: int
    counts: tuple[int, int, int, int]
    """Images of each label. Of places fewer are drawn to train on: `prepare` multiplies them."""
    held_out: bool


OWN = ImageSet("test", "raw_data", "data", SEED, (200, 200, 60, 200), held_out=False)
HELD_OUT = ImageSet(
    "heldout", "heldout_raw", "heldout_data", 20261123, (60, 60, 60, 60), held_out=True
)
SETS = (OWN, HELD_OUT)
PHONE = {0: 20, 1: 8, 2: 8, 3: 8}
"""Images of each label on the phone that is gone through at the end."""


def demo(
    folder: Annotated[
        Path, Parameter(help=tr("Folder for all of it.", "모든 결과를 둘 폴더."))
    ] = Path("demo"),
    *,
    as_json: Annotated[
        bool,
        Parameter(
            name="--json",
            negative="",
            help=tr("Print the result as JSON.", "결과를 JSON으로 출력합니다."),
        ),
    ] = False,
) -> int:
    """Draw images, prepare, measure zero-shot, fine-tune, evaluate, compare, triage a phone.

    What an earlier run in the same folder has finished is not done again.
    """
    from mayak.demo.run import Ledger

    console = Console()
    started = time.monotonic()
    run = _Run(folder, Ledger(folder), console)
    run.everything()
    rows = [run.row(images) for images in reversed(SETS)]
    console.note(
        tr(
            f"{time.monotonic() - started:.0f} seconds",
            f"{time.monotonic() - started:.0f}초",
        )
    )
    if as_json:
        console.json({row.pop("set"): row for row in rows} | {"triage": run.triaged()})
    else:
        run.show_triage()
        _show(console, rows)
    return 0


class _Run:
    """One demo folder; each step is done unless the ledger has it already."""

    def __init__(self, folder: Path, ledger: Ledger, console: Console) -> None:
        self.folder, self.ledger, self.console = folder, ledger, console
        self.settings = load_train_config(MODEL)

    def everything(self) -> None:
        """All steps in order, each keyed by what it is made from."""
        from mayak.demo.run import software_digest

        begin = self.ledger.key(software_digest(), {"seed": SEED})
        data, zeroshot = {}, {}
        for images in SETS:
            made = {"set": images.name, "counts": images.counts, "seed": images.seed}
            drawn = self.ledger.key(begin, made)
            self._step("draw", images, drawn, partial(self._draw, images))
            data[images] = self.ledger.key(drawn, "prepare")
            self._step("prepare", images, data[images], partial(self._prepare, images))
        for images in SETS:
            zeroshot[images] = self.ledger.key(data[images], "zeroshot")
            self._step("zeroshot", images, zeroshot[images], partial(self._zeroshot, images))
        trained = self.ledger.key(data[OWN], self.settings.model_dump(mode="json"))
        resume = self.ledger.begun("train-test", trained)
        self._step("train", OWN, trained, partial(self._train, resume))
        for images in SETS:
            evaluated = self.ledger.key(trained, data[images], "evaluate")
            self._step("evaluate", images, evaluated, partial(self._evaluate, images))
            compared = self.ledger.key(zeroshot[images], evaluated)
            self._step("compare", images, compared, partial(self._compare, images))
        phone = self.ledger.key(begin, {"phone": {str(k): n for k, n in PHONE.items()}})
        self._step("phone", None, phone, self._phone)
        self._step("triage", None, self.ledger.key(trained, phone), self._triage)

    def row(self, images: ImageSet) -> dict[str, Any]:
        """What came out for one set."""
        compared = self._result("comparison", images)
        found = json.loads((compared / "comparison.json").read_text(encoding="utf-8"))
        evaluated = self._metrics("evaluation", images)
        return {
            "set": images.name,
            "n": found["n"],
            "zeroshot": found["first"]["accuracy"],
            "zeroshot_unclassifiable": self._metrics("zeroshot", images)["parser"][
                "unclassifiable"
            ],
            "finetuned": found["second"]["accuracy"],
            "finetuned_ci95": evaluated["accuracy_ci95"],
            "misses": evaluated["n"]
            - sum(evaluated["confusion_matrix"][i][i] for i in range(len(evaluated["per_class"]))),
            "mcnemar_p": found["mcnemar"]["p"],
            "comparison": str(compared / "comparison.html"),
            "report": str(self._result("evaluation", images) / "report.html"),
        }

    def _step(
        self, kind: str, images: ImageSet | None, key: str, work: Callable[[], Iterable[Path]]
    ) -> None:
        name = f"{kind}-{images.name}" if images else kind
        title = f"{_step_title(kind)} · {_set_title(images)}" if images else _step_title(kind)
        done = self.ledger.done(name, key)
        self.console.note(title + (tr(": done before", ": 이전에 완료됨") if done else ""))
        if not done:
            self.ledger.run(name, key, work)

    def _draw(self, images: ImageSet) -> Iterable[Path]:
        from mayak.demo.write import generate

        raw = self.folder / images.raw
        shutil.rmtree(raw, ignore_errors=True)
        generate(
            raw,
            {label.index: images.counts[label.index] for label in LABELS},
            seed=images.seed,
            style="heldout" if images.held_out else "base",
            workers=_cores(),
            progress=self.console,
        )
        return _files(raw)

    def _prepare(self, images: ImageSet) -> Iterable[Path]:
        from mayak.dataset import PrepareOptions, prepare

        data = self.folder / images.data
        options = PrepareOptions(
            raw=self.folder / images.raw,
            data=data,
            seed=SEED,
            workers=_cores(),
            overwrite=True,
            test_only=images.held_out,
        )
        prepare(options, progress=self.console)
        return _files(data)

    def _zeroshot(self, images: ImageSet) -> Iterable[Path]:
        from mayak.evaluation.run import zeroshot
        from mayak.model import AnswerGenerator

        out = self._result("zeroshot", images)
        zeroshot(self._manifest(images), AnswerGenerator(self._untouched), out, self.console)
        return _files(out)

    def _train(self, resume: bool) -> Iterable[Path]:
        from mayak.training import train

        train(
            self.settings,
            data=self.folder / OWN.data,
            output=self._output,
            resume=resume,
            overwrite=not resume,
            progress=self.console,
            device="auto",
            note=self.console.note,
        )
        return _files(self._output / FINAL)

    def _evaluate(self, images: ImageSet) -> Iterable[Path]:
        from mayak.evaluation.run import evaluate
        from mayak.model import LabelScorer

        out = self._result("evaluation", images)
        evaluate(self._manifest(images), LabelScorer(self._finetuned), out, self.console)
        return _files(out)

    def _compare(self, images: ImageSet) -> Iterable[Path]:
        from mayak.evaluation.compare import compare

        out = self._result("comparison", images)
        compare(self._result("zeroshot", images), self._result("evaluation", images), out)
        return _files(out)

    def _phone(self) -> Iterable[Path]:
        from mayak.demo.phone import as_on_a_phone, write_phone
        from mayak.demo.write import generate

        with tempfile.TemporaryDirectory() as place:
            generate(
                Path(place),
                PHONE,
                seed=SEED + 1,
                style="base",
                workers=_cores(),
                progress=self.console,
            )
            images: dict[str, bytes] = {}
            for path in sorted(_files(Path(place))):
                name, copies = path.name, 0
                while name in images:  # names are drawn for each label on its own
                    copies += 1
                    name = f"{path.stem} ({copies}){path.suffix}"
                images[name] = path.read_bytes()
        write_phone(self._phone_image, *as_on_a_phone(images))
        return [self._phone_image]

    def _triage(self) -> Iterable[Path]:
        from mayak.model import LabelScorer
        from mayak.triage import Options, triage

        # A step is done whole or again: the case of an interrupted one is not gone on with.
        shutil.rmtree(self._case, ignore_errors=True)
        options = Options(
            sources=(self._phone_image,), case=self._case, operator="demo", workers=_cores()
        )
        vlm = self._finetuned
        summary = triage(options, LabelScorer(vlm), self.console, least=2 * vlm.largest_side)
        found = self.folder / "triage.json"
        found.write_text(json.dumps(asdict(summary), indent=1) + "\n", encoding="utf-8")
        return [self._case / "case.json", found]

    def triaged(self) -> dict[str, Any]:
        """What triage said of the phone."""
        text = (self.folder / "triage.json").read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text)
        return found | {"case": str(self._case)}

    def show_triage(self) -> None:
        """What was found where on the phone."""
        from mayak.case import CaseStore
        from mayak.cli.triage import show_results

        with CaseStore.read(self._case) as case:
            show_results(self.console, case, self.triaged()["run"])
            counts = case.counts()
        self.console.result(
            tr(
                f"{self._phone_image}: {counts.items} files = {counts.contents} images + "
                f"{counts.failures} not read + {counts.exclusions} left out; case: {self._case}",
                f"{self._phone_image}: 파일 {counts.items}개 = 이미지 {counts.contents} + "
                f"읽지 못함 {counts.failures} + 제외 {counts.exclusions}. 사건: {self._case}",
            )
        )

    @property
    def _phone_image(self) -> Path:
        return self.folder / "phone.E01"

    @property
    def _case(self) -> Path:
        return self.folder / "case"

    @cached_property
    def _untouched(self) -> VisionLanguageModel:
        from mayak.model import load_model

        return load_model(MODEL, precision=self.settings.precision)

    @cached_property
    def _finetuned(self) -> VisionLanguageModel:
        from mayak.model import load_model

        return load_model(MODEL, precision=self.settings.precision, adapter=self._output / FINAL)

    def _manifest(self, images: ImageSet) -> Manifest:
        from mayak.dataset.manifest import FILES, read_manifest

        return read_manifest(self.folder / images.data / FILES["test"])

    @property
    def _output(self) -> Path:
        return self.folder / "outputs"

    def _result(self, kind: str, images: ImageSet) -> Path:
        return self.folder / f"{kind}_{images.name}"

    def _metrics(self, kind: str, images: ImageSet) -> dict[str, Any]:
        path = self._result(kind, images) / "metrics.json"
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found


def _show(console: Console, rows: list[dict[str, Any]]) -> None:
    console.table(
        tr("Zero-shot against fine-tuned", "제로샷과 미세조정의 비교"),
        [
            tr("test set", "시험 세트"),
            tr("number", "장수"),
            tr("zero-shot", "제로샷"),
            tr("fine-tuned", "미세조정"),
            tr("misses", "오분류"),
            "McNemar p",
        ],
        [
            [
                _set_title(OWN if row["set"] == OWN.name else HELD_OUT),
                str(row["n"]),
                f"{row['zeroshot']:.2%}",
                f"{row['finetuned']:.2%}",
                str(row["misses"]),
                f"{row['mcnemar_p']:.1e}",
            ]
            for row in rows
        ],
    )
    console.result(
        tr(
            "Synthetic images, a tiny model: this shows that the machinery works and says nothing "
            "about casework.",
            "합성 이미지와 아주 작은 모델의 결과입니다. 과정이 동작함을 보여 줄 뿐, 실제 사건에 "
            "대해서는 아무것도 말해 주지 않습니다.",
        )
    )
    console.result(tr("comparison: ", "비교: ") + rows[0]["comparison"])
    console.result(tr("report: ", "보고서: ") + rows[0]["report"])


def _set_title(images: ImageSet) -> str:
    if images.held_out:
        return tr("another style", "다른 양식")
    return tr("base style", "기본 양식")


def _step_title(kind: str) -> str:
    return {
        "draw": tr("drawing", "그리기"),
        "prepare": tr("preparing", "준비"),
        "zeroshot": tr("zero-shot", "제로샷"),
        "train": tr("fine-tuning", "미세조정"),
        "evaluate": tr("evaluating", "평가"),
        "compare": tr("comparing", "비교"),
        "phone": tr("drawing a phone's memory", "휴대전화 저장소 그리기"),
        "triage": tr("triage of the phone", "휴대전화 분류"),
    }[kind]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
