"""The stage "decode and score" can be another than the local one."""

import hashlib
from dataclasses import replace

from test_triage_run import Counted, Grey, document, film, phone, picture, told, zipped

from mayak.case import CaseStore
from mayak.evidence import open_source
from mayak.triage import Options, triage
from mayak.triage.local import LocalStage
from mayak.triage.pipeline import run_triage
from mayak.types import SilentProgress

__all__ = ["phone"]


class Elsewhere(LocalStage):
    """Scores each picture where it was decoded, as other machines do, and returns no pixels."""

    def __init__(self, classifier):
        super().__init__(classifier, 2)
        self.addresses = {}

    def decode(self, requests, rules):
        for batch in super().decode(self._noted(requests), rules):
            yield replace(batch, results=[self._scored(result) for result in batch.results])

    def score(self, images):
        assert list(images) == []
        return iter(())

    def _noted(self, requests):
        for chunk in requests:
            self.addresses |= {request.path: request.sha256 for request in chunk}
            yield chunk

    def _scored(self, result):
        if result.image is None:
            return result
        (prediction,) = super().score([result.image])
        return replace(result, image=None, prediction=prediction)


def options(case, sources):
    return Options(tuple(sources), case, "Tester", workers=2)


def test_a_stage_that_scores_where_it_decodes_gives_the_same_case(tmp_path, phone):
    folder = phone[0]
    (folder / "scan.tif").write_bytes(film(range(5, 205, 10), "TIFF"))
    (folder / "paper.pdf").write_bytes(document(1, 20))
    here = triage(options(tmp_path / "here", phone), Grey(), SilentProgress())
    progress = Counted()

    there = run_triage(options(tmp_path / "there", phone), Elsewhere(Grey()), progress)

    assert there == here
    assert progress.done == progress.total == here.counts.items
    assert told(tmp_path / "there") == told(tmp_path / "here")
    with CaseStore.read(tmp_path / "here") as one, CaseStore.read(tmp_path / "there") as other:
        assert sorted(map(repr, one.predictions(1))) == sorted(map(repr, other.predictions(1)))
        assert other.verify() == []


def test_a_request_names_its_file_for_a_machine_that_opens_the_same_source(tmp_path):
    inner = zipped(tmp_path / "inner.zip", {"deep.jpg": picture(3)}).read_bytes()
    archive = zipped(tmp_path / "a.zip", {"1.jpg": picture(1), "inner.zip": inner})
    stage = Elsewhere(Grey())

    run_triage(options(tmp_path / "case", [archive]), stage, SilentProgress())

    assert len(stage.addresses) == 2
    with open_source(archive) as source:
        for path, sha256 in stage.addresses.items():
            with source.find(path).open() as stream:
                assert hashlib.sha256(stream.read()).hexdigest() == sha256
