// What every part of the page shares: language, address, preferences, the server.

import { computed, effect, signal } from "./vendor/signals.js";
import { h } from "./vendor/preact.js";
import htm from "./vendor/htm.js";
import { WORDS } from "./words.js";

export { plain } from "./names.js";

export const html = htm.bind(h);
export const boot = JSON.parse(document.getElementById("boot").textContent);

// ---------------------------------------------------------------- preferences

function preference(name, initial) {
  // Each reviewer's own: a machine is shared.
  const key = `mayak ${boot.reviewer} ${name}`;
  const stored = localStorage.getItem(key);
  const kept = signal(stored === null ? initial : JSON.parse(stored));
  effect(() => localStorage.setItem(key, JSON.stringify(kept.value)));
  return kept;
}

export const language = preference("language", boot.language);
export const blur = preference("blur", true);
export const grey = preference("grey", false);
export const size = preference("size", 1);
export const theme = preference("theme", "");

effect(() => {
  const root = document.documentElement;
  root.lang = language.value;
  root.classList.toggle("blur", blur.value);
  root.classList.toggle("grey", grey.value);
  root.dataset.theme = theme.value;
});

// ---------------------------------------------------------------- words

const at = () => (language.value === "ko" ? 1 : 0);

/** The text of a key; further keys lead into a table, other arguments stand in the text. */
export function t(key, ...rest) {
  let word = WORDS[key];
  while (!Array.isArray(word)) word = word[rest.shift()];
  const said = word[at()];
  return typeof said === "function" ? said(...rest) : said;
}

export const labelName = (label) =>
  label < 0 ? t("unscored") : (boot.labels[label]?.[language.value === "ko" ? "ko" : "en"] ?? String(label));

/** Why a file gave no image, by the name that is recorded. */
export const reasonName = (name) => boot.reasons[name]?.[language.value === "ko" ? "ko" : "en"] ?? name;

export const number = (n) => n.toLocaleString("en");

export function bytes(n) {
  if (n === null) return "–";
  if (n < 1000) return `${n} B`;
  const unit = n < 1e6 ? [1e3, "kB"] : n < 1e9 ? [1e6, "MB"] : [1e9, "GB"];
  return `${(n / unit[0]).toFixed(1)} ${unit[1]} (${number(n)})`;
}

/** A time of the case, which is UTC, on this machine's clock, with its zone. */
export function moment(text) {
  if (!text) return "–";
  const time = new Date(text);
  const two = (n) => String(n).padStart(2, "0");
  const ahead = -time.getTimezoneOffset();
  const zone = `UTC${ahead < 0 ? "−" : "+"}${two(Math.floor(Math.abs(ahead) / 60))}:${two(Math.abs(ahead) % 60)}`;
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())} ${zone}`;
}

/** A time of a file, by the clock that wrote it where that names no time zone. */
export function fileTime(text, zoneKnown) {
  if (!text || zoneKnown !== false) return moment(text);
  return `${text.slice(0, 19).replace("T", " ")} ${t("noZone")}`;
}

// ---------------------------------------------------------------- address

const FILTERS = [
  "label", "verdict", "state", "score", "margin", "off", "source", "folder", "camera", "from",
  "to", "box", "located", "deleted", "alert", "failed", "q", "near", "group", "similar",
];

const parse = () => Object.fromEntries(new URLSearchParams(location.search));

/** What stands behind the question mark. */
export const query = signal(parse());
addEventListener("popstate", () => (query.value = parse()));

/** Change some of the address; null removes a key. With `quiet` nothing is added to the history. */
export function go(changes, quiet = false) {
  const next = { ...query.peek(), ...changes };
  for (const key of Object.keys(next)) if (next[key] === null || next[key] === "") delete next[key];
  const search = new URLSearchParams(next).toString();
  history[quiet ? "replaceState" : "pushState"](null, "", search ? `?${search}` : "/");
  query.value = next;
}

export const filters = computed(() =>
  Object.fromEntries(FILTERS.filter((key) => query.value[key]).map((key) => [key, query.value[key]])),
);
/** The run whose labels and scores are shown, where it is not the one that the server chooses. */
export const ofRun = computed(() => (query.value.run ? { run: query.value.run } : {}));
/** What a request about images says of them. */
export const asked = computed(() => ({ ...filters.value, ...ofRun.value }));
export const VIEWS = ["images", "rejected", "time", "map", "sample"];
export const view = computed(() => (VIEWS.includes(query.value.view) ? query.value.view : "images"));
export const stacked = computed(() => query.value.stack !== "0");

/** Another filter: the place in the list has no meaning any more. */
export const refine = (changes) => go({ at: null, open: null, ...changes });

export const cleared = () => Object.fromEntries(FILTERS.map((key) => [key, null]));

// ---------------------------------------------------------------- server

export class Refused extends Error {}
/** Nobody knows whether the server has done what it was asked. */
export class Unanswered extends Refused {}

export async function ask(path, parameters = {}, options = {}) {
  const search = new URLSearchParams(parameters).toString();
  let answer;
  try {
    answer = await fetch(search ? `${path}?${search}` : path, {
      ...options,
      headers: { "Accept-Language": language.peek(), ...options.headers },
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unanswered(t("offline"));
  }
  if (answer.status >= 500) throw new Unanswered(t("serverFault", answer.status));
  const body = await answer.json();
  // 410: the result is gone; 409: the reviewer is asked first.
  if (answer.ok || [409, 410].includes(answer.status)) return body;
  throw new Refused([body.message, body.remedy].filter(Boolean).join(" – "));
}

export const send = (path, body) =>
  ask(path, {}, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json" },
  });

/** One line for the person, for some seconds. */
export const notice = signal(null);
let timer;
export function tell(text, action = null) {
  clearTimeout(timer);
  notice.value = { text, action };
  timer = setTimeout(() => (notice.value = null), action ? 8000 : 4000);
}

export const attempt = (work) =>
  work.catch((error) => {
    if (error.name !== "AbortError") tell(error.message);
  });
