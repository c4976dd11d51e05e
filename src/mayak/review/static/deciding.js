// Connects the input queue with the page: requests, questions, messages.

import { useEffect, useRef } from "./vendor/hooks.js";
import { signal } from "./vendor/signals.js";
import { Actions, NotDrawn } from "./actions.js";
import { Unanswered, html, labelName, send, t, tell } from "./core.js";
import { onDrawn } from "./drawn.js";

/** Identifies this page, because a reviewer can have several open. */
export const page = crypto.randomUUID();

export const labelled = (verdict) => `${verdict} ${labelName(verdict)}`;

const clock = {
  after(milliseconds, work) {
    const timer = setTimeout(work, milliseconds);
    return () => clearTimeout(timer);
  },
};

/** Milliseconds after which a reviewer who sees no reaction would press the key again. */
const SLOW = 500;

const net = {
  async decide(action, confirmed) {
    const [path, body] = action.list.request(action);
    const stop = clock.after(SLOW, () => tell(t("recording")));
    try {
      return await send(path, { ...body, ...confirmed, page });
    } finally {
      stop();
    }
  },
  undo: ({ target, list }) =>
    send("/api/undo", {
      token: list.token ?? "",
      action: target?.number ?? null,
      sample: target ? null : (list.sample ?? null),
    }),
};

/** The dialog in the middle of the page: `{ title, lines, yes, no, answer }`. */
const question = signal(null);

const put = (asked) => new Promise((answer) => (question.value = { ...asked, answer }));

const TEXTS = {
  many: ({ look }, { count }, label) => ({
    title: t("askMany", count, label),
    lines: [t("askManyWhy", Object.keys(look.positions).length)],
    yes: t("yesMany", count),
  }),
  absent: ({ look: { count } }, _, label) => ({
    title: count > 1 ? t("askMany", count, label) : t("askAbsent", label),
    lines: [t("askAbsentWhy")],
    yes: count > 1 ? t("yesMany", count) : t("yesAbsent"),
  }),
  changed: (_, { changed, verdicts }, label) => ({
    title: t("askChanged", label),
    lines: [
      t("askChangedWhy", changed),
      ...Object.entries(verdicts).slice(0, 5).map(([image, verdict]) => `${image.slice(0, 12)}…: ${labelled(verdict)}`),
    ],
    yes: t("yesChanged"),
  }),
};

const view = {
  ask: (action, asked) => put({ ...TEXTS[asked.kind](action, asked, labelled(action.verdict)), no: t("no") }),
  failed(failures) {
    const unknown = failures.some(({ error }) => error instanceof Unanswered);
    return put({
      title: t(unknown ? "maybeRecorded" : "notRecorded", failures.length),
      lines: [
        ...failures.slice(0, 5).map(({ action, error }) => {
          const why = error instanceof NotDrawn ? t("notDrawn") : error.message;
          return action.kind === "decide" ? t("failedAct", action.frame.at + 1, labelled(action.verdict), why) : why;
        }),
        ...(failures.length > 5 ? [`+ ${failures.length - 5}`] : []),
        ...(unknown ? [t("maybeRecordedWhy")] : []),
      ],
      no: t("close"),
    });
  },
  refused: (why) => tell(why === "end" ? t("end") : t("refused", why)),
};

export const actions = new Actions({ clock, net, view });
onDrawn(() => actions.painted());

// Decisions that are not on disk yet would be lost.
addEventListener("beforeunload", (event) => {
  if (actions.pending.some((action) => action.kind === "decide")) event.preventDefault();
});

/** Decide by a button; the second click of a double click is ignored. */
export function press(event, verdict) {
  if (event.detail > 1) tell(t("doubleClick"));
  else actions.decide(verdict);
}

export function Question() {
  const now = question.value;
  const box = useRef(null);
  const safe = useRef(null);
  const given = useRef(false);
  useEffect(() => {
    if (!now) return;
    given.current = false;
    box.current.showModal();
    safe.current.focus();
  }, [now]);
  if (!now) return null;
  const close = () => {
    const back = document.querySelector(".viewer, .judging") ?? document.getElementById("grid");
    question.value = null;
    back?.focus({ preventScroll: true });
    now.answer(given.current);
  };
  return html`<dialog class="question" ref=${box} onClose=${close} aria-labelledby="question-title">
    <h2 id="question-title">${now.title}</h2>
    ${now.lines.map((line) => html`<p>${line}</p>`)}
    <div class="answers">
      <button type="button" class="wide" ref=${safe} onClick=${() => box.current.close()}><span>${now.no}</span></button>
      ${now.yes && html`<button type="button" class="wide primary" onClick=${() => {
        given.current = true;
        box.current.close();
      }}><span>${now.yes}</span></button>`}
    </div></dialog>`;
}
