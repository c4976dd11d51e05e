"""Writes the case as CASE/UCO 1.5 JSON-LD, for other forensic programs (caseontology.org).

An image is a file for each of its occurrences, with hashes. The model's proposal and each decision
are results of separate analyses: one by a configured tool with the score as its confidence, the
others by persons, without a confidence. Texts are in English, as in all recorded files; names are
written unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from mayak import __version__
from mayak.case import CaseStore, Decision, ReviewStatus, StoredContent, StoredItem, StoredSource
from mayak.case.records import SeenHow
from mayak.case.statuses import State
from mayak.labels import LABELS
from mayak.report.builder import DocumentBuilder
from mayak.report.report_data import ReportData, statuses
from mayak.types import Progress

Node = dict[str, Any]

_STATES: tuple[State, ...] = ("selected", "disputed", "irrelevant", "proposed", "alert")
"""Review status of the images in the graph: decided, or waiting for a decision."""
_SEEN: dict[SeenHow, str] = {
    "opened": "The image was opened",
    "grid": "The image was shown in a grid",
    "copy": "Another image of the same picture was shown",
    "bulk": "The image was not on the screen",
}
_UCO = "https://ontology.unifiedcyberontology.org/uco"
_CONTEXT = {
    "case-investigation": "https://ontology.caseontology.org/case/investigation/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
} | {
    f"uco-{name}": f"{_UCO}/{name}/"
    for name in (
        "action",
        "analysis",
        "configuration",
        "core",
        "identity",
        "observable",
        "tool",
        "types",
    )
}


IMAGES_PER_FILE = 1000


def write_case_jsonld(builder: DocumentBuilder, folder: Path, _: Progress) -> None:
    """Write ``case.jsonld``, or ``case-001.jsonld`` and so on above ``IMAGES_PER_FILE`` images.

    Each file can be read without the others.
    """
    case, data = builder.case, builder.data
    chosen = (pair for pair in statuses(case, data.run) if pair[1].state in _STATES)
    graph = _Graph(case, data)
    paths: list[Path] = []
    nodes: list[Node] = []
    count = 0
    for content, status in chosen:
        if count == IMAGES_PER_FILE:
            paths.append(_write(folder, len(paths) + 1, graph.frame() + nodes))
            nodes, count = [], 0
        nodes += graph.image(content, status)
        count += 1
    paths.append(_write(folder, len(paths) + 1, graph.frame() + nodes))
    if len(paths) == 1:
        paths[0].rename(folder / "case.jsonld")


def _write(folder: Path, number: int, nodes: Sequence[Node]) -> Path:
    path = folder / f"case-{number:03d}.jsonld"
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write('{"@context": ' + json.dumps(_CONTEXT) + ',\n"@graph": [\n')
        file.write(",\n".join(map(json.dumps, nodes)))
        file.write("\n]}\n")
    return path


class _Graph:
    """Makes nodes whose ids depend only on what they describe, so that files can be joined."""

    def __init__(self, case: CaseStore, data: ReportData) -> None:
        self._case, self._data = case, data
        self._space = UUID(data.case)

    def frame(self) -> list[Node]:
        """Return the nodes of every file: case, tool, reviewers, sources."""
        data = self._data
        nodes = [
            self._node(
                "case-investigation:Investigation",
                "case",
                {
                    "uco-core:name": data.name,
                    "uco-core:description": f"mayak case {data.case}; log head {data.head} "
                    f"after {data.entries} entries; {_integrity(data)}",
                },
            )
        ]
        nodes += self._tool()
        nodes += [
            self._node("uco-identity:Person", f"person {name}", {"uco-core:name": name})
            for name in data.reviewers
        ]
        for source in data.sources:
            nodes += self._source(source)
        return nodes

    def _tool(self) -> list[Node]:
        run = self._data.run
        engine = dict(run.engine) if run else {}
        engine |= {"software": " ".join(f"{n}=={v}" for n, v in engine.get("software", ()))}
        engine |= {"fingerprint": run.fingerprint} if run else {}
        entries = [
            self._node(
                "uco-configuration:ConfigurationEntry",
                f"entry {name}",
                {
                    "uco-configuration:itemName": name,
                    "uco-configuration:itemValue": "none" if value is None else str(value),
                },
            )
            for name, value in sorted(engine.items())
        ]
        configuration = self._node(
            "uco-configuration:Configuration",
            "configuration",
            {"uco-configuration:configurationEntry": [_to(entry) for entry in entries]},
        )
        tool = self._node(
            "uco-tool:ConfiguredTool",
            "tool",
            {
                "uco-core:name": "mayak",
                "uco-tool:toolType": "image classification",
                "uco-tool:version": __version__,
                "uco-configuration:usesConfiguration": _to(configuration),
            },
        )
        return [tool, configuration, *entries]

    def _source(self, source: StoredSource) -> list[Node]:
        key = f"source {source.id}"
        folder = source.kind == "folder"
        facets = [
            self._node(
                "uco-observable:FileFacet",
                f"{key} file",
                {"uco-observable:filePath": source.path, "uco-observable:isDirectory": folder},
            )
        ]
        hashes: list[Node] = []
        if source.hashes:
            last = source.hashes[-1]
            hashes = self._hashes(key, {"MD5": last.md5, "SHA256": last.sha256})
            facets.append(self._content(key, last.size, hashes))
        kind = "uco-observable:Directory" if folder else "uco-observable:File"
        has = {"uco-core:hasFacet": [_to(facet) for facet in facets]}
        return [self._node(kind, key, has), *facets, *hashes]

    def image(self, content: StoredContent, status: ReviewStatus) -> list[Node]:
        """Return an image with all its occurrences, the proposal and the decisions."""
        key = content.sha256
        hashes = self._hashes(
            key, {"MD5": content.md5, "SHA1": content.sha1, "SHA256": content.sha256}
        )
        nodes = hashes[:]
        objects: list[Node] = []
        for item in self._case.occurrences(content.sha256):
            occurrence = self._occurrence(item, content, hashes)
            objects.append(_to(occurrence[0]))
            nodes += occurrence
        nodes += self._proposal(status, objects)
        for decision in status.verdicts:
            nodes += self._decision(decision, objects)
        return nodes

    def _occurrence(
        self, item: StoredItem, content: StoredContent, hashes: Sequence[Node]
    ) -> list[Node]:
        key = f"item {item.id}"
        about: Node = {
            "uco-observable:fileName": item.name,
            "uco-observable:filePath": item.display,
            "uco-observable:isDirectory": False,
        }
        for name, value in (
            ("observableCreatedTime", item.times.created),
            ("modifiedTime", item.times.modified),
            ("accessedTime", item.times.accessed),
            ("metadataChangeTime", item.times.changed),
        ):
            if value is not None:
                about[f"uco-observable:{name}"] = _time(
                    value, zoned=item.times.zone_known is not False
                )
        if item.size is not None:
            about["uco-observable:sizeInBytes"] = item.size
        if item.deleted:
            about["uco-observable:allocationStatus"] = "Unallocated"
        # A facet belongs to one object only, so each occurrence needs its own facets.
        facets = [
            self._node("uco-observable:FileFacet", f"{key} file", about),
            self._content(key, content.size, hashes),
            self._node(
                "uco-observable:RasterPictureFacet",
                f"{key} picture",
                {
                    "uco-observable:pictureType": content.format,
                    "uco-observable:pictureWidth": content.width,
                    "uco-observable:pictureHeight": content.height,
                },
            ),
        ]
        of_file: Node = {"uco-core:hasFacet": [_to(facet) for facet in facets]}
        if item.entry is not None:
            of_file["uco-core:description"] = f"entry number {item.entry}"
        file = self._node("uco-observable:RasterPicture", key, of_file)
        within = self._node(
            "uco-observable:ObservableRelationship",
            f"{key} within",
            {
                "uco-core:source": _to(file),
                "uco-core:target": self._ref(f"source {item.source}"),
                "uco-core:kindOfRelationship": "Contained_Within",
                "uco-core:isDirectional": True,
            },
        )
        return [file, *facets, within]

    def _proposal(self, status: ReviewStatus, objects: Sequence[Node]) -> Iterator[Node]:
        run, scores = self._data.run, status.scores
        if run is None or scores is None:
            return
        calibrated = run.engine.get("calibration") is not None
        yield from self._analysis(
            f"run {run.id} {status.sha256}",
            scores.label,
            {"uco-action:object": list(objects), "uco-action:instrument": self._ref("tool")},
            f"Proposal of the model; its score is {'' if calibrated else 'not '}calibrated. Not a "
            "finding.",
            confidence=scores.best,
        )

    def _decision(self, decision: Decision, objects: Sequence[Node]) -> Iterator[Node]:
        if decision.verdict is None:
            return
        yield from self._analysis(
            f"act {decision.action} {decision.reviewer} {decision.sha256}",
            decision.verdict,
            {
                "uco-action:object": list(objects),
                "uco-action:performer": self._ref(f"person {decision.reviewer}"),
                "uco-action:endTime": _time(decision.at),
            },
            f"Decision of a reviewer, not of the model. {_shown(decision)}.",
        )

    def _analysis(
        self, key: str, label: int, about: Node, text: str, *, confidence: float | None = None
    ) -> Iterator[Node]:
        classification: Node = {"uco-analysis:class": f"{label}: {LABELS[label].name!s}"}
        if confidence is not None:
            decimal = {"@type": "xsd:decimal", "@value": f"{confidence:.6f}"}
            classification["uco-analysis:classificationConfidence"] = decimal
        named = self._node("uco-analysis:ArtifactClassification", f"{key} class", classification)
        facet = self._node(
            "uco-analysis:ArtifactClassificationResultFacet",
            f"{key} facet",
            {"uco-analysis:classification": [_to(named)]},
        )
        analysis = self._ref(f"{key} analysis")
        result = self._node(
            "uco-analysis:AnalyticResult",
            f"{key} result",
            {
                "uco-core:description": text,
                "uco-core:hasFacet": [_to(facet)],
                "uco-analysis:originatingAnalysis": analysis,
            },
        )
        yield self._node(
            "uco-analysis:Analysis", f"{key} analysis", about | {"uco-action:result": [_to(result)]}
        )
        yield from (result, facet, named)

    def _content(self, key: str, size: int, hashes: Sequence[Node]) -> Node:
        about = {
            "uco-observable:sizeInBytes": size,
            "uco-observable:hash": [_to(one) for one in hashes],
        }
        return self._node("uco-observable:ContentDataFacet", f"{key} data", about)

    def _hashes(self, key: str, values: dict[str, str]) -> list[Node]:
        return [
            self._node(
                "uco-types:Hash",
                f"{key} {method}",
                {
                    "uco-types:hashMethod": method,
                    "uco-types:hashValue": {"@type": "xsd:hexBinary", "@value": value},
                },
            )
            for method, value in values.items()
        ]

    def _node(self, kind: str, key: str, about: Node) -> Node:
        return {"@id": self._name(key), "@type": kind, **about}

    def _ref(self, key: str) -> Node:
        return {"@id": self._name(key)}

    def _name(self, key: str) -> str:
        return f"urn:uuid:{uuid5(self._space, key)}"


def _integrity(data: ReportData) -> str:
    """Return what readers of this file alone must know about the case's integrity."""
    faults = []
    if data.faults or data.failed_before:
        faults.append(f"INTEGRITY FAILURE ({len(data.faults)} faults now)")
    if data.damaged:
        faults.append("DAMAGED OR CHANGED SOURCES were accepted")
    if data.history.unreadable:
        faults.append("SOURCES COULD NOT BE READ TO THEIR END")
    if not data.is_balanced:
        faults.append("THE SUMS OF ITS FILES DO NOT HOLD")
    if faults:
        return f"{', '.join(faults)}, see the report"
    return "records and thumbnails agree with their recorded hashes"


def _shown(decision: Decision) -> str:
    if decision.seen is None:
        return "How the image was shown is not recorded"
    how, blurred = decision.seen
    return _SEEN[how] + ("" if blurred is None else ", blurred" if blurred else ", clear")


def _to(node: Node) -> Node:
    return {"@id": node["@id"]}


def _time(moment: datetime, *, zoned: bool = True) -> Node:
    """Return an XML Schema time, without a zone if the zone of the clock is not known."""
    stated = moment if zoned else moment.replace(tzinfo=None)
    return {"@type": "xsd:dateTime", "@value": stated.isoformat()}
