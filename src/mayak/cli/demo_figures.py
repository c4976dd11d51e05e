"""The demo's headline: what fine-tuning changes, and what the way of asking does."""

from __future__ import annotations

from typing import Any

from mayak.i18n import Message, msg


def headline(found: dict[str, Any]) -> Message:
    """Return the result of a ``comparison.json`` with all four cells in one sentence."""
    by = {pair["by"]: pair["unread"] for pair in found["two_by_two"]["like_with_like"]}
    generated, scored = by["generate"], by["score"]
    # Without an image that both runs gave a readable answer to, it is absent.
    both_read = generated.get("left_out", {"accuracy_difference": 0.0, "n": 0})
    return msg(
        "Asked in the same way, fine-tuning changes accuracy by {generated:+.2f} points by free "
        "answers ({both_read:+.2f} on the {n_both_read} images whose answers could be read in both "
        "runs) and by {scored:+.2f} points by label scores; of the {n_fixed} images that are put "
        "right between untouched answers and fine-tuned scores ({unlike:+.2f} points), {n_unread} "
        "had an answer that the parser could not read.",
        generated=100 * generated["wrong"]["accuracy_difference"],
        both_read=100 * both_read["accuracy_difference"],
        n_both_read=both_read["n"],
        scored=100 * scored["wrong"]["accuracy_difference"],
        n_fixed=len(found["changed"]["fixed"]),
        unlike=100 * found["accuracy_difference"],
        n_unread=found["n_fixed_unread"],
    )
