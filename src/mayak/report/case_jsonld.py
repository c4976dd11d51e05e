"""The case as CASE/UCO 1.5 JSON-LD, for programs of other houses (caseontology.org).

An image is a file at each of its places, with hashes. What the model said of it and what each
person decided are results of separate analyses: the one by a configured tool, with its score as the
confidence, the other by a person, without any. Texts are in English, as in all recorded files, and
names as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from mayak import __version__
from mayak.case import CaseStore, Decision, Source, Standing, StoredContent, StoredItem
from mayak.case.listing import State
from mayak.case.records import SeenHow
from mayak.labels import LABELS
from mayak.report.report_data import Survey, standings

Node = dict[str, Any]

_TOLD: tuple[State, ...] = ("selected", "disputed", "irrelevant", "proposed", "alert")
"""What the graph holds: all that people decided, and what awaits them."""
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


def write_graphs(case: CaseStore, found: Survey, folder: Path, most: int) -> None:
    """Write ``case.jsonld``, or from ``most`` images on ``case-001.jsonld`` and so forth; each file
    can be read without the others."""
    told = (pair for pair in standings(case, found.run) if pair[1].state in _TOLD)
    graph = _Graph(case, found)
    paths: list[Path] = []
    nodes: list[Node] = []
    count = 0
    for content, standing in told:
        if count == most:
            paths.append(_write(folder, len(paths) + 1, graph.frame() + nodes))
            nodes, count = [], 0
        nodes += graph.image(content, standing)
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
    """Nodes with names that depend on what they stand for alone."""

    def __init__(self, case: CaseStore, found: Survey) -> None:
        self._case, self._found = case, found
        self._space = UUID(found.case)

    def frame(self) -> list[Node]:
        """What every file says: the case, the tool, the persons, the sources."""
        found = self._found
        nodes = [
            self._node(
                "case-investigation:Investigation",
                "case",
                {
                    "uco-core:name": found.name,
                    "uco-core:description": f"mayak case {found.case}; log head {found.head} "
                    f"after {found.entries} entries; {_integrity(found)}",
                },
            )
        ]
        nodes += self._tool()
        nodes += [
            self._node("uco-identity:Person", f"person {name}", {"uco-core:name": name})
            for name in found.reviewers
        ]
        for source in found.sources:
            nodes += self._source(source)
        return nodes

    def _tool(self) -> list[Node]:
        run = self._found.run
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

    def _source(self, source: Source) -> list[Node]:
        key = f"source {source.id}"
        folder = source.kind == "folder"
        facets = [
            self._node(
                "uco-observable:FileFacet",
                f"{key} file",
                {
                    "uco-observable:filePath": source.path,
                    "uco-observable:isDirectory": folder,
                },
            )
        ]
        hashes: list[Node] = []
        if source.hashes:
            last = source.hashes[-1]
            hashes = self._hashes(key, {"MD5": last.md5, "SHA256": last.sha256})
            facets.append(
                self._node(
                    "uco-observable:ContentDataFacet",
                    f"{key} data",
                    {
                        "uco-observable:sizeInBytes": last.size,
                        "uco-observable:hash": [_to(one) for one in hashes],
                    },
                )
            )
        kind = "uco-observable:Directory" if folder else "uco-observable:File"
        has = {"uco-core:hasFacet": [_to(facet) for facet in facets]}
        return [self._node(kind, key, has), *facets, *hashes]

    def image(self, content: StoredContent, standing: Standing) -> list[Node]:
        """An image at all its places, and what was said of it."""
        key = content.sha256
        hashes = self._hashes(
            key, {"MD5": content.md5, "SHA1": content.sha1, "SHA256": content.sha256}
        )
        nodes = hashes[:]
        objects: list[Node] = []
        for place in self._case.places(content.sha256):
            placed = self._place(place, content, hashes)
            objects.append(_to(placed[0]))
            nodes += placed
        nodes += self._said(standing, objects)
        for decision in standing.verdicts:
            nodes += self._decided(decision, objects)
        return nodes

    def _place(
        self, place: StoredItem, content: StoredContent, hashes: Sequence[Node]
    ) -> list[Node]:
        key = f"item {place.id}"
        about: Node = {
            "uco-observable:fileName": place.name,
            "uco-observable:filePath": place.display,
            "uco-observable:isDirectory": False,
        }
        for name, value in (
            ("observableCreatedTime", place.times.created),
            ("modifiedTime", place.times.modified),
            ("accessedTime", place.times.accessed),
            ("metadataChangeTime", place.times.changed),
        ):
            if value is not None:
                about[f"uco-observable:{name}"] = _time(
                    value, zoned=place.times.zone_known is not False
                )
        if place.size is not None:
            about["uco-observable:sizeInBytes"] = place.size
        if place.deleted:
            about["uco-observable:allocationStatus"] = "Unallocated"
        # A facet belongs to one object alone, the same bytes elsewhere need their own.
        facets = [
            self._node("uco-observable:FileFacet", f"{key} file", about),
            self._node(
                "uco-observable:ContentDataFacet",
                f"{key} data",
                {
                    "uco-observable:sizeInBytes": content.size,
                    "uco-observable:hash": [_to(one) for one in hashes],
                },
            ),
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
        file = self._node(
            "uco-observable:RasterPicture",
            key,
            {"uco-core:hasFacet": [_to(facet) for facet in facets]},
        )
        within = self._node(
            "uco-observable:ObservableRelationship",
            f"{key} within",
            {
                "uco-core:source": _to(file),
                "uco-core:target": {"@id": self._name(f"source {place.source}")},
                "uco-core:kindOfRelationship": "Contained_Within",
                "uco-core:isDirectional": True,
            },
        )
        return [file, *facets, within]

    def _said(self, standing: Standing, objects: Sequence[Node]) -> Iterator[Node]:
        run, scores = self._found.run, standing.scores
        if run is None or scores is None:
            return
        calibrated = run.engine.get("calibration") is not None
        yield from self._analysis(
            f"run {run.id} {standing.sha256}",
            scores.label,
            {"uco-action:object": list(objects), "uco-action:instrument": self._ref("tool")},
            f"Proposal of the model; its score is {'' if calibrated else 'not '}calibrated. Not a "
            "finding.",
            confidence=scores.best,
        )

    def _decided(self, decision: Decision, objects: Sequence[Node]) -> Iterator[Node]:
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
        said: Node = {"uco-analysis:class": f"{label}: {LABELS[label].name!s}"}
        if confidence is not None:
            decimal = {"@type": "xsd:decimal", "@value": f"{confidence:.6f}"}
            said["uco-analysis:classificationConfidence"] = decimal
        named = self._node("uco-analysis:ArtifactClassification", f"{key} class", said)
        facet = self._node(
            "uco-analysis:ArtifactClassificationResultFacet",
            f"{key} facet",
            {"uco-analysis:classification": [_to(named)]},
        )
        analysis = {"@id": self._name(f"{key} analysis")}
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


def _integrity(found: Survey) -> str:
    """What readers of the graph alone must know of the case's integrity."""
    said = []
    if found.faults or found.failed_before:
        said.append(f"INTEGRITY FAILURE ({len(found.faults)} faults now)")
    if found.damaged:
        said.append("DAMAGED OR CHANGED SOURCES were accepted")
    if found.history.unreadable:
        said.append("SOURCES COULD NOT BE READ TO THEIR END")
    if not found.balanced:
        said.append("THE SUMS OF ITS FILES DO NOT HOLD")
    if said:
        return f"{', '.join(said)}, see the report"
    return "records and thumbnails agree with their recorded hashes"


def _shown(decision: Decision) -> str:
    if decision.seen is None:
        return "How the image was shown is not recorded"
    how, blurred = decision.seen
    return _SEEN[how] + ("" if blurred is None else ", blurred" if blurred else ", clear")


def _to(node: Node) -> Node:
    return {"@id": node["@id"]}


def _time(moment: datetime, *, zoned: bool = True) -> Node:
    """XML Schema has times without a zone for clocks whose zone is not known."""
    stated = moment if zoned else moment.replace(tzinfo=None)
    return {"@type": "xsd:dateTime", "@value": stated.isoformat()}
