"""Rendering of a chat template in a process with limits, because a template is a program that came
with the model folder.

This file is also that process: run as a script it imports no module of mayak that needs torch.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from mayak.i18n import message_of, msg
from mayak.workers import limit_process

SECONDS = 60
"""Time limit, one or two of which the start takes."""
_MEMORY = 1 << 29
"""Bytes that the process may allocate after its start; on POSIX systems."""
_MAX_CHARACTERS = 20_000
"""Of a rendered question; the paper's has some hundred."""


class TemplateError(Exception):
    """A chat template that cannot be rendered within the limits."""


def render(
    template: str,
    conversation: list[dict[str, Any]],
    variables: dict[str, Any],
    *,
    seconds: int = SECONDS,
) -> str:
    """Render a conversation and the start of the answer with transformers' sandboxed Jinja.

    Raises:
        TemplateError: it fails, takes longer or grows too large; the message gives the reason.
    """
    job = {
        "template": template,
        "conversation": conversation,
        "variables": variables,
        "seconds": seconds,
    }
    try:
        done = subprocess.run(  # noqa: S603 - this file, by the running Python
            # -P: nothing may be imported from the folder of this file.
            [sys.executable, "-P", __file__],
            input=json.dumps(job).encode(),
            capture_output=True,
            timeout=seconds,
            check=True,
        )
        text: str = json.loads(done.stdout)
    except subprocess.TimeoutExpired as error:
        raise TemplateError(msg("it takes longer than {seconds} s", seconds=seconds)) from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        raise TemplateError(lines[-1][:200] if lines else f"exit {error.returncode}") from error
    except ValueError as error:
        raise TemplateError(message_of(error)) from error
    return text


def _serve() -> None:
    job = json.load(sys.stdin)
    from transformers.utils.chat_template_utils import render_jinja_template

    # The parent ends this process in time, unless it was killed itself.
    limit_process(_MEMORY, 2 * job["seconds"])
    (text,), _ = render_jinja_template(
        conversations=[job["conversation"]],
        chat_template=job["template"],
        add_generation_prompt=True,
        **job["variables"],
    )
    if len(text) > _MAX_CHARACTERS:
        raise ValueError(f"{len(text)} characters")
    json.dump(text, sys.stdout)


if __name__ == "__main__":
    _serve()
