// Shared by all parts of the page: language, address, preferences, requests to the server.

import { computed, effect, signal } from "./vendor/signals.js";
import { h } from "./vendor/preact.js";
import htm from "./vendor/htm.js";
import { WORDS } from "./words.js";

export { plain } from "./names.js";

export const html = htm.bind(h);
export const boot = JSON.parse(document.getElementById("boot").textContent);

// ---------------------------------------------------------------- preferences

function preference(name, initial) {
  // Separate for each reviewer, because several people may use the machine.
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

/** By language: English text → its plural forms. All are loaded before anything is drawn. */
const catalogues = Object.fromEntries(
  await Promise.all(
    boot.languages.map(async (code) => {
      const answer = await fetch(`/words/${code}`).catch(() => null);
      return [code, answer?.ok ? await answer.json() : {}];
    }),
  ),
);

const PLURALS = ["zero", "one", "two", "few", "many", "other"]; // as gettext orders its forms

/** Return the plural form for a number. */
function form(forms, n) {
  const rules = new Intl.PluralRules(language.value);
  const used = PLURALS.filter((category) => rules.resolvedOptions().pluralCategories.includes(category));
  return forms[Math.min(Math.max(used.indexOf(rules.select(n)), 0), forms.length - 1)];
}

const filling = (value) =>
  typeof value === "number" ? number(value) : value?.key === undefined ? String(value) : render(value);

/** Return a text of words.js in the reader's language; its values can be such texts too. */
export function render({ key, english, n, values }) {
  const forms = catalogues[language.value]?.[key];
  const template = forms === undefined ? english : n === undefined ? forms[0] : form(forms, n);
  return template.replace(/\{(\w+)\}/g, (_, name) => filling(values[name]));
}

/** Return the text of a key. Further keys select from a table; other arguments fill the text. */
export function t(key, ...rest) {
  let word = WORDS[key];
  while (typeof word !== "function" && word.english === undefined) word = word[rest.shift()];
  return render(typeof word === "function" ? word(...rest) : word);
}

/** Translate an English text of the server. */
const translated = (english) => render({ key: english, english, values: {} });

export const labelName = (label) =>
  label < 0 ? t("unscored") : label in boot.labels ? translated(boot.labels[label]) : String(label);

/** Return why a file gave no image, by the recorded name of the reason. */
export const reasonName = (name) => (name in boot.reasons ? translated(boot.reasons[name]) : name);

export const number = (n) => n.toLocaleString("en");

export function bytes(n) {
  if (n === null) return "–";
  if (n < 1000) return `${n} B`;
  const unit = n < 1e6 ? [1e3, "kB"] : n < 1e9 ? [1e6, "MB"] : [1e9, "GB"];
  return `${(n / unit[0]).toFixed(1)} ${unit[1]} (${number(n)})`;
}

/** Show a time of the case (UTC) in this machine's time zone. */
export function moment(text) {
  if (!text) return "–";
  const time = new Date(text);
  const two = (n) => String(n).padStart(2, "0");
  const ahead = -time.getTimezoneOffset();
  const zone = `UTC${ahead < 0 ? "−" : "+"}${two(Math.floor(Math.abs(ahead) / 60))}:${two(Math.abs(ahead) % 60)}`;
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())} ${zone}`;
}

/** Show a time of a file; one without a time zone is shown unchanged. */
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

/** The query string, as an object. */
export const query = signal(parse());
addEventListener("popstate", () => (query.value = parse()));

/** Change keys of the address; null removes a key. `quiet` adds nothing to the history. */
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
/** The run whose labels and scores are shown, if it is not the one that the server chooses. */
export const ofRun = computed(() => (query.value.run ? { run: query.value.run } : {}));
/** The parameters of a request about images. */
export const asked = computed(() => ({ ...filters.value, ...ofRun.value }));
export const VIEWS = ["images", "rejected", "time", "map", "sample"];
export const view = computed(() => (VIEWS.includes(query.value.view) ? query.value.view : "images"));
export const stacked = computed(() => query.value.stack !== "0");

/** Change the filter; the position in the list is dropped. */
export const refine = (changes) => go({ at: null, open: null, ...changes });

export const cleared = () => Object.fromEntries(FILTERS.map((key) => [key, null]));

// ---------------------------------------------------------------- server

export class Refused extends Error {}
/** The server may or may not have carried out the request. */
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
    throw new Unanswered(t("offline", boot.command));
  }
  if (answer.status >= 500) throw new Unanswered(t("serverFault", answer.status));
  const body = await answer.json();
  // 410: the result was dropped; 409: the reviewer must confirm.
  if (answer.ok || [409, 410].includes(answer.status)) return body;
  throw new Refused([body.message, body.remedy].filter(Boolean).join(" – "));
}

export const send = (path, body) =>
  ask(path, {}, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json" },
  });

/** Show one line for some seconds. */
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
