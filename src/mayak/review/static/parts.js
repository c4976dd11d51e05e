// Small components of several views: marks of labels, buttons, thumbnails.

import { useEffect, useState } from "./vendor/hooks.js";
import { html, labelName, t } from "./core.js";
import { loaded, lookAgain } from "./drawn.js";

// Colours that colour-blind people can distinguish, and a shape for each label.
const SHAPES = [
  html`<circle cx="8" cy="8" r="5.5" />`,
  html`<rect x="2.5" y="2.5" width="11" height="11" rx="2" />`,
  html`<path d="M8 1.8 14.6 13.6H1.4Z" />`,
  html`<path d="M8 1.2 14.8 8 8 14.8 1.2 8Z" />`,
];

export const Shape = ({ label }) =>
  label < 0
    ? html`<svg class="shape none" viewBox="0 0 16 16" aria-hidden="true"><path d="M4 8h8" /></svg>`
    : html`<svg class=${`shape l${label}`} viewBox="0 0 16 16" aria-hidden="true">${SHAPES[label]}</svg>`;

export const Label = ({ label }) =>
  html`<span class="label"><${Shape} label=${label} />${label >= 0 && html`<b>${label}</b>`} ${labelName(label)}</span>`;

const ICONS = {
  close: "M4 4l8 8M12 4l-8 8",
  left: "M10 3 5 8l5 5",
  right: "M6 3l5 5-5 5",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9ZM10.5 10.5 14 14",
  undo: "M5.5 3 2.5 6l3 3M3 6h6.5a4 4 0 0 1 0 8H6",
  rotate: "M10.5 3l3 3-3 3M13 6H6.5a4 4 0 0 0 0 8H10",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  fit: "M3 6V3h3M10 3h3v3M13 10v3h-3M6 13H3v-3",
  info: "M8 7v4.5M8 4.4v.2M8 14.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13Z",
  filter: "M2 3.5h12L9.5 9v4l-3 1V9Z",
  help: "M6 6.2a2 2 0 1 1 2.7 1.9c-.5.2-.7.5-.7 1.1v.4M8 11.6v.2M8 14.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13Z",
  theme: "M8 14.5a6.5 6.5 0 1 0 0-13ZM8 1.5v13",
  image: "M2 3h12v10H2ZM2 11l3.5-3.5L9 11l2-2 3 3M10.5 6.2v.1",
  blur: "M8 2C5.5 5.2 4 7.3 4 9.5a4 4 0 0 0 8 0C12 7.3 10.5 5.2 8 2ZM8 11.5a2 2 0 0 1-2-2",
  stack: "M4.5 4.5V2H14v9.5h-2.5M2 4.5h9.5V14H2Z",
  trash: "M3 4.5h10M6.5 4.5V2.5h3v2M4.5 4.5 5 13.5h6l.5-9",
  bell: "M8 2.5 14.5 13.5H1.5ZM8 6.5v3.5M8 11.7v.2",
  check: "M3 8.5 6.5 12 13 4.5",
  differ: "M2 5.5h11M10 2.5l3 3-3 3M14 10.5H3M6 7.5l-3 3 3 3",
  skip: "M3 3l6 5-6 5ZM12 3v10",
  pin: "M8 14.5s4.8-4.6 4.8-8a4.8 4.8 0 0 0-9.6 0c0 3.4 4.8 8 4.8 8ZM8 8.2a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4Z",
};

export const Icon = ({ name }) =>
  html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=${ICONS[name]} /></svg>`;

export const Button = ({ icon, label, text, on, ...rest }) =>
  html`<button type="button" class=${text ? "wide" : ""} title=${label} aria-label=${label}
    aria-pressed=${on === undefined ? undefined : String(on)} ...${rest}
  ><${Icon} name=${icon} />${text && html`<span>${text}</span>`}</button>`;

export function Thumbnail({ digest, alt = "" }) {
  const [failed, setFailed] = useState(null);
  useEffect(lookAgain, [digest, failed]);
  // With a key, so that no element shows the previous picture until this one is loaded.
  return digest && failed !== digest
    ? html`<img class="picture" key=${digest} src=${`/thumb/${digest}`} alt=${alt} draggable=${false} decoding="async"
        onLoad=${loaded} onError=${() => setFailed(digest)} />`
    : html`<span class="picture missing"><${Icon} name="image" /><span>${t("noPicture")}</span></span>`;
}

/** Whether some images of a stack are decided, or all of them differently. */
export const partly = (cell, verdict, decided) => cell.members > 1 && verdict < 0 && decided > 0;

/** Text of a cell for screen readers. */
export function described(cell, verdict, decided) {
  const said = [labelName(cell.label)];
  if (cell.score !== null) said.push(cell.score.toFixed(2));
  if (partly(cell, verdict, decided)) said.push(t("partly", decided, cell.members));
  else said.push(verdict < 0 ? t("open") : `${t("verdict")}: ${verdict} ${labelName(verdict)}`);
  if (cell.alert) said.push(t("alert"));
  if (cell.deleted) said.push(t("deleted"));
  if (cell.failed) said.push(t("failed"));
  if (cell.differs) said.push(t("differing"));
  if (cell.members > 1) said.push(t("stackOf", cell.members));
  if (cell.similar > 0) said.push(t("similarTo", cell.similar));
  if (cell.occurrences > 1) said.push(t("places2", cell.occurrences));
  return said.join(", ");
}
