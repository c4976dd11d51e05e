"""``mayak demo``: the paper's steps in a row, on images that the demo draws."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import sys
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
from mayak.i18n import msg
from mayak.labels import LABELS
from mayak.untrusted import DOCUMENT_BYTES, read_json
from mayak.workers import cores

if TYPE_CHECKING:
    from mayak.cli.demo_ledger import Ledger
    from mayak.dataset import Manifest
    from mayak.evaluation.record import Kind
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
    """Images of each label. Fewer places are drawn to train on: `prepare` multiplies them."""
    held_out: bool


OWN = ImageSet("test", "raw_data", "data", SEED, (200, 200, 60, 200), held_out=False)
HELD_OUT = ImageSet(
    "heldout", "heldout_raw", "heldout_data", 20261123, (60, 60, 60, 60), held_out=True
)
SETS = (OWN, HELD_OUT)
PHONE = {0: 20, 1: 8, 2: 8, 3: 8}
"""Images of each label on the phone of the last steps."""
REVIEWER = "demo script"
"""The reviewer's name in the case: a script, not a person."""
SAMPLE = 10
"""Images of the blind sample."""
CELLS: dict[Kind, str] = {
    "zeroshot-generate": "zeroshot",
    "finetuned-score": "evaluation",
    "zeroshot-score": "zeroshot_score",
    "finetuned-generate": "evaluation_generate",
}
"""The cells of the two-by-two table and their folders; the first two are compared in detail."""


def demo(
    folder: Annotated[Path, Parameter(help=msg("Folder for all of it."))] = Path("demo"),
    *,
    as_json: Annotated[
        bool,
        Parameter(
            name="--json",
            negative="",
            help=msg("Print the result as JSON."),
        ),
    ] = False,
) -> int:
    """Run all steps on synthetic images: prepare, train, evaluate, compare; triage, review and
    report a phone.

    If an earlier run in the same folder has finished a step, it is not done again.
    """
    from mayak.cli.demo_ledger import Ledger

    console = Console()
    started = time.monotonic()
    run = _Run(folder, Ledger(folder), console)
    run.everything()
    rows = [run.row(images) for images in reversed(SETS)]
    console.note(msg("{elapsed:.0f} seconds", elapsed=time.monotonic() - started))
    if as_json:
        found = {row.pop("set"): row for row in rows}
        console.json(found | {"triage": run.triaged(), "review": run.reviewed()})
    else:
        run.show_triage()
        _show(console, run, rows)
        run.show_review()
    return 0


class _Run:
    """One demo folder; a step is done if the ledger does not have it yet."""

    def __init__(self, folder: Path, ledger: Ledger, console: Console) -> None:
        self.folder, self.ledger, self.console = folder, ledger, console
        self.settings = load_train_config(MODEL)

    def everything(self) -> None:
        """Run all steps in order, each keyed by what it is made from."""
        from mayak.cli.demo_ledger import software_digest

        begin = self.ledger.key(software_digest(), {"seed": SEED})
        data = {}
        for images in SETS:
            made = {"set": images.name, "counts": images.counts, "seed": images.seed}
            drawn = self.ledger.key(begin, made)
            self._step("draw", images, drawn, partial(self._draw, images))
            data[images] = self.ledger.key(drawn, "prepare")
            self._step("prepare", images, data[images], partial(self._prepare, images))
        trained = self.ledger.key(data[OWN], self.settings.model_dump(mode="json"))
        resume = self.ledger.begun("train-test", trained)
        self._step("train", OWN, trained, partial(self._train, resume))
        for images in SETS:
            measured = []
            for kind in CELLS:
                model = trained if kind.startswith("finetuned") else "untouched"
                measured.append(self.ledger.key(data[images], model, kind))
                self._step(kind, images, measured[-1], partial(self._measure, kind, images))
            compared = self.ledger.key(*measured)
            self._step("compare", images, compared, partial(self._compare, images))
        phone = self.ledger.key(begin, {"phone": {str(k): n for k, n in PHONE.items()}})
        self._step("phone", None, phone, self._phone)
        triaged = self.ledger.key(trained, phone)
        self._step("triage", None, triaged, self._triage)
        reviewed = self.ledger.key(triaged, {"reviewer": REVIEWER, "sample": SAMPLE})
        self._step("review", None, reviewed, self._review)
        self._step("report", None, self.ledger.key(reviewed, "ko"), self._report)

    def row(self, images: ImageSet) -> dict[str, Any]:
        """Return the figures of one set."""
        from mayak.cli.demo_figures import headline

        compared = self._result("comparison", images)
        found = read_json(compared / "comparison.json", DOCUMENT_BYTES)
        return {
            "set": images.name,
            "n": found["n"],
            "headline": headline(found),
            "two_by_two": found["two_by_two"],
            "n_fixed": len(found["changed"]["fixed"]),
            "n_fixed_unread": found["n_fixed_unread"],
            "comparison": str(compared / "comparison.html"),
            "report": str(self._result("evaluation", images) / "report.html"),
        }

    def cells(self, images: ImageSet) -> list[Path]:
        """Return the folders of the cells of one set, in the order in which they are compared."""
        return [self._result(folder, images) for folder in CELLS.values()]

    def _step(
        self, kind: str, images: ImageSet | None, key: str, work: Callable[[], Iterable[Path]]
    ) -> None:
        name = f"{kind}-{images.name}" if images else kind
        title = _step_title(kind) + " · " + _set_title(images) if images else _step_title(kind)
        done = self.ledger.done(name, key)
        self.console.note(title + (msg(": done before") if done else ""))
        if not done:
            self.ledger.run(name, key, work)

    def _draw(self, images: ImageSet) -> Iterable[Path]:
        from mayak_synthetic.raw_folder import generate

        raw = self.folder / images.raw
        shutil.rmtree(raw, ignore_errors=True)
        generate(
            raw,
            {label.index: images.counts[label.index] for label in LABELS},
            seed=images.seed,
            style="heldout" if images.held_out else "base",
            workers=cores(),
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
            workers=cores(),
            overwrite=True,
            test_only=images.held_out,
        )
        prepare(options, progress=self.console)
        return _files(data)

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

    def _measure(self, kind: Kind, images: ImageSet) -> Iterable[Path]:
        from mayak.dataset.training_images import Leakage
        from mayak.evaluation.record import is_finetuned, is_generated
        from mayak.evaluation.run import evaluate, zeroshot
        from mayak.model import AnswerGenerator, LabelScorer

        out, manifest = self._result(CELLS[kind], images), self._manifest(images)
        vlm = self._finetuned if is_finetuned(kind) else self._base_model
        asked = AnswerGenerator(vlm) if is_generated(kind) else LabelScorer(vlm)
        if is_finetuned(kind):
            leakage = Leakage.of(self._output / FINAL, manifest)
            language = self.console.language
            evaluate(manifest, asked, out, self.console, leakage=leakage, language=language)
        else:
            zeroshot(manifest, asked, out, self.console, language=self.console.language)
        return _files(out)

    def _compare(self, images: ImageSet) -> Iterable[Path]:
        from mayak.evaluation.compare import compare

        out = self._result("comparison", images)
        first, second, *others = self.cells(images)
        compare(first, second, out, others=others, language=self.console.language)
        return _files(out)

    def _phone(self) -> Iterable[Path]:
        from mayak_synthetic.phone import as_on_a_phone, write_phone
        from mayak_synthetic.raw_folder import generate

        folders = {label.folder: label.index for label in LABELS}
        with tempfile.TemporaryDirectory() as folder:
            generate(
                Path(folder),
                PHONE,
                seed=SEED + 1,
                style="base",
                workers=cores(),
                progress=self.console,
            )
            images: dict[str, bytes] = {}
            labels: dict[str, int] = {}
            for path in sorted(_files(Path(folder))):
                name, copies = path.name, 0
                while name in images:  # names are drawn for each label on its own
                    copies += 1
                    name = f"{path.stem} ({copies}){path.suffix}"
                images[name] = data = path.read_bytes()
                labels[hashlib.sha256(data).hexdigest()] = folders[path.parent.name]
        write_phone(self._phone_image, *as_on_a_phone(images))
        self._truth.write_text(json.dumps(labels, indent=1) + "\n", encoding="utf-8")
        return [self._phone_image, self._truth]

    def _triage(self) -> Iterable[Path]:
        from mayak.model import LabelScorer
        from mayak.triage import Options, triage

        # An interrupted step is done again from the start, so its case is not resumed.
        shutil.rmtree(self._case, ignore_errors=True)
        options = Options(
            sources=(self._phone_image,), case=self._case, operator="demo", workers=cores()
        )
        summary = triage(options, LabelScorer(self._finetuned), self.console)
        found = self.folder / "triage.json"
        values = asdict(summary)
        # The keys of the file's format.
        values["unclassified"] = values.pop("without_result")
        values["limited"] = values.pop("is_limited")
        found.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
        return [self._case / "case.json", found]

    def _review(self) -> Iterable[Path]:
        """Decide what the model calls relevant, and a blind sample of the rest, by what was drawn;
        the remaining images stay undecided, as in a case whose deadline came first."""
        from mayak.case import CaseStore

        truth = json.loads(self._truth.read_text(encoding="utf-8"))
        run = self.triaged()["run"]
        with CaseStore.review(self._case, operator=REVIEWER) as case:
            results = case.results(run, limit=len(truth))
            proposed = [r.sha256 for r in results if r.scores.label != 0]
            for sha256 in proposed:
                case.decide(REVIEWER, {sha256: truth[sha256]})
            size = min(SAMPLE, len(results) - len(proposed))
            # An interrupted review may have drawn its sample already.
            if size and not case.samples():
                case.draw_sample(run, size, SEED, REVIEWER)
            for sample in case.samples():
                for sha256, judged in case.sample_items(sample.id).items():
                    if judged is None:
                        case.judge(REVIEWER, sample.id, {sha256: truth[sha256]})
            missed = [sample.missed for sample in case.samples()]
        figures = {
            "reviewer": REVIEWER,
            "images": len(results),
            "decided": len(proposed),
            "confirmed": sum(truth[sha256] != 0 for sha256 in proposed),
            "sample": asdict(missed[0]) if missed and missed[0] else None,
            "report": str(self._report_folder),
        }
        path = self.folder / "review.json"
        path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        return [path]

    def _report(self) -> Iterable[Path]:
        from mayak.case import CaseStore
        from mayak.report import write_report

        with CaseStore.read(self._case) as case:
            made = write_report(
                case, self._report_folder, self.console, language="ko", overwrite=True
            )
        return [self._report_folder / name for name in made.files]

    def reviewed(self) -> dict[str, Any]:
        """Return the decisions about the phone."""
        found: dict[str, Any] = json.loads((self.folder / "review.json").read_text("utf-8"))
        return found

    def show_review(self) -> None:
        """Print the decisions, the path of the report, and the command that shows the case."""
        found = self.reviewed()
        result = self.console.result
        result(
            msg(
                "A script ({reviewer}), not a person, decided {decided} of {images} images by "
                "what was drawn; {confirmed} of them are relevant.",
                reviewer=found["reviewer"],
                decided=found["decided"],
                images=found["images"],
                confirmed=found["confirmed"],
            )
        )
        if missed := found["sample"]:
            result(
                msg(
                    "Blind sample: {relevant} of {size} images called irrelevant are relevant; an "
                    "estimated {low} to {high} of these {population} were missed (95 % "
                    "confidence).",
                    relevant=missed["relevant"],
                    size=missed["size"],
                    low=missed["low"],
                    high=missed["high"],
                    population=missed["population"],
                )
            )
        for name in ("report.pdf", "report.html"):
            result(msg("Korean report: ") + str(self._report_folder / name))
        # As this command was called: after `make demo` no mayak is on the path.
        called = sys.argv[0] if Path(sys.argv[0]).stem == "mayak" else "mayak"
        opening = shlex.join([called, "review", str(self._case)])
        result(msg("look at the case yourself: ") + opening)

    def triaged(self) -> dict[str, Any]:
        """Return the summary of the phone's triage."""
        text = (self.folder / "triage.json").read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text)
        return found | {"case": str(self._case)}

    def show_triage(self) -> None:
        """Print what was found on the phone, by folder."""
        from mayak.case import CaseStore
        from mayak.cli.triage_summary import show_results

        with CaseStore.read(self._case) as case:
            show_results(self.console, case, self.triaged()["run"])
            counts = case.counts()
        self.console.result(
            msg(
                "{phone_image}: {sums}; case: {case}",
                phone_image=self._phone_image,
                sums=counts.sum_text,
                case=self._case,
            )
        )

    @property
    def _phone_image(self) -> Path:
        return self.folder / "phone.E01"

    @property
    def _truth(self) -> Path:
        """The label of each picture on the phone, by SHA-256."""
        return self.folder / "phone.json"

    @property
    def _case(self) -> Path:
        return self.folder / "case"

    @property
    def _report_folder(self) -> Path:
        return self.folder / "case-report"

    @cached_property
    def _base_model(self) -> VisionLanguageModel:
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


def _show(console: Console, run: _Run, rows: list[dict[str, Any]]) -> None:
    from mayak.cli.compare import show_two_by_two
    from mayak.evaluation.record import read_run
    from mayak.evaluation.two_by_two import TwoByTwo

    for images, row in zip(reversed(SETS), rows, strict=True):
        table = TwoByTwo.of([read_run(folder) for folder in run.cells(images)])
        console.result("")
        show_two_by_two(console, table, _set_title(images))
        console.result(row["headline"])
    console.result("")
    console.result(
        msg(
            "Synthetic images, a tiny model: this shows that the program works. It does not "
            "measure accuracy on real cases."
        )
    )
    console.result(msg("comparison: ") + rows[0]["comparison"])
    console.result(msg("report: ") + rows[0]["report"])


def _set_title(images: ImageSet) -> str:
    if images.held_out:
        return msg("another style")
    return msg("base style")


def _step_title(kind: str) -> str:
    return {
        "draw": msg("drawing"),
        "prepare": msg("preparing"),
        "train": msg("fine-tuning"),
        "zeroshot-generate": msg("zero-shot, answers"),
        "finetuned-score": msg("fine-tuned, scores"),
        "zeroshot-score": msg("zero-shot, scores"),
        "finetuned-generate": msg("fine-tuned, answers"),
        "compare": msg("comparing"),
        "phone": msg("drawing a phone's memory"),
        "triage": msg("triage of the phone"),
        "review": msg("review by a script"),
        "report": msg("Korean report"),
    }[kind]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
