"""Check the words of docstrings, comments and texts: forbidden phrases, and rates per 1,000 words.

    python scripts/check_words.py [PATH …]

Prints each forbidden phrase with its place and the rates, and ends with 1 if something is over its
limit. CONTRIBUTING.md has the style that this holds as far as a regular expression can.
"""

from __future__ import annotations

import ast
import io
import os
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHECKED = (
    *(ROOT / "src" / "mayak", ROOT / "src" / "mayak_synthetic"),
    *(ROOT / "scripts", ROOT / "benchmarks"),
)

_PLAIN = r"(?:longer|more|fewer|less|\w+er than)"
"""After "is no": what is plain English. "There is no index" is, too; "it is no index" is not."""
FORBIDDEN = {
    rf"(?<!there )\b(?:is|are|was|were) no\b(?! {_PLAIN}\b)": '"is not a"',
    r"\banew\b": '"again"',
    r"\bwho(?:so)?ever\b": '"if somebody"',
    r"\b(?:is|are|be|been) gone on with\b": '"is continued"',
    r"\bc[oa]mes? upon\b": '"find"',
}
"""Pattern to what is written instead; for docstrings, comments and English texts."""

DIALECT = {
    *("stand", "stands", "stood", "standing", "lie", "lies", "lay", "lying"),
    *("beside", "behind", "anew", "whoever", "whatever", "told"),
}
MAX_WHERE = 3.0
MAX_DIALECT = 0.5
MIN_IF = 3.0


def main(paths: list[Path]) -> int:
    """Print what is found below ``paths``; return the exit code."""
    words: Counter[str] = Counter()
    faults = []
    for path in _files(paths):
        source = path.read_text(encoding="utf-8")
        for _, text in _prose(source):
            words.update(re.findall(r"[a-z][a-z'-]*", text.lower()))
        faults += [
            f"{os.path.relpath(path)}:{line}: {found!r}: write {instead}"
            for line, text in (*_prose(source), *_texts(source))
            for pattern, instead in FORBIDDEN.items()
            for found in re.findall(pattern, text, re.IGNORECASE)
        ]
    total = max(words.total(), 1)
    rates = {
        "where": (1000 * words["where"] / total, f"at most {MAX_WHERE}"),
        "if": (1000 * words["if"] / total, f"at least {MIN_IF}"),
        "/".join(sorted(DIALECT)): (
            1000 * sum(words[word] for word in DIALECT) / total,
            f"at most {MAX_DIALECT}",
        ),
    }
    for fault in sorted(set(faults)):
        print(fault)
    for name, (rate, limit) in rates.items():
        print(f"{name}: {rate:.2f} per 1,000 of {total} words ({limit})")
    where, often, dialect = (rate for rate, _ in rates.values())
    over = where > MAX_WHERE or often < MIN_IF or dialect > MAX_DIALECT
    return 1 if faults or over else 0


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        found = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        yield from (each for each in found if each != Path(__file__))  # it names the words


def _prose(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and text of each docstring and comment."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and _is_text(node.value):
            yield node.lineno, " ".join(node.value.value.split())
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _texts(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and text of each string that is not a docstring: messages among them."""
    for node in ast.walk(ast.parse(source)):
        if _is_text(node):
            yield node.lineno, node.value


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


if __name__ == "__main__":
    sys.exit(main([Path(argument).resolve() for argument in sys.argv[1:]] or list(CHECKED)))
