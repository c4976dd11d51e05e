"""Acts of a reviewer on the page, with answers of the server that come late or not at all."""

from desk_browser import until

from mayak.case import CaseStore

LATE = """() => {
  const real = window.fetch;
  window.late = { most: 0, fail: [], lost: [], held: null };
  window.late.hold = () => (late.held = new Promise((done) => (late.release = done)));
  window.fetch = async (url, options) => {
    if (!/api\\/(decide|undo|open)|judge/.test(String(url))) return real(url, options);
    await late.held;
    await new Promise((done) => setTimeout(done, Math.random() * late.most));
    if (late.fail.shift()) throw new TypeError("no network");
    const answer = await real(url, options);
    if (late.lost.shift()) throw new TypeError("no network");
    return answer;
  };
}"""
"""Answers of the server come late, when they are released, or not at all: ``fail`` for requests
that do not reach it, ``lost`` for answers that do not come back."""

PATIENCE = """async (milliseconds) => {
  const { actions } = await import("/static/deciding.js");
  actions.clock = {
    after(_, work) {
      const timer = setTimeout(work, milliseconds);
      return () => clearTimeout(timer);
    },
  };
}"""
"""How long the queue waits for a picture, whatever the speed of the machine."""


def decisions(case, reviewer="kim"):
    """What was decided, in order, withdrawn acts left out."""
    with CaseStore.read(case) as store:
        rows = list(store.decisions(reviewer))
    withdrawn = {(row.undoes, row.sha256) for row in rows}
    return [
        row for row in rows if row.verdict is not None and (row.action, row.sha256) not in withdrawn
    ]


def verdicts(case, reviewer="kim"):
    return {row.sha256: row.verdict for row in decisions(case, reviewer)}


def grid(page, server, address="/?stack=0&sort=found"):
    if not page.url.startswith(server.base):
        page.goto(server.url)
    page.goto(server.base + address, wait_until="domcontentloaded")
    until(page, "[...document.querySelectorAll('.cell img')].length > 3")
    drawn(page)
    page.evaluate(LATE)
    page.evaluate(PATIENCE, 600_000)


def drawn(page):
    until(
        page,
        "[...document.querySelectorAll('.cell img')].every(i => i.complete && i.naturalWidth > 0)",
    )
    page.evaluate("() => new Promise(d => setTimeout(d, 80))")


def current(page, digest):
    until(page, "sha => document.querySelector('.cell.current')?.dataset.sha256 === sha", digest)


def at_rest(page):
    """Nothing waits to be recorded."""
    until(
        page,
        "async () => !(await import('/static/deciding.js')).actions.pending.length",
    )


def notice(page, text):
    page.locator(".notice.shown", has_text=text).wait_for()
