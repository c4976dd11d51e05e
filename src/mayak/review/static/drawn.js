// Tracks which pictures are drawn on the screen: no verdict is accepted for one that is not.

const drawn = new WeakSet();
let listener = () => {};

/** Call back when a picture was drawn, could not be drawn, or became visible. */
export const onDrawn = (callback) => (listener = callback);
export const lookAgain = () => listener();

const nextFrame = () => new Promise((done) => requestAnimationFrame(done));

/** Call this when an image has loaded. */
export async function loaded({ target }) {
  try {
    await target.decode();
  } catch {
    return; // it shows something else by now
  }
  // The first animation frame may be the one that is being made now.
  await nextFrame();
  await nextFrame();
  if (target.isConnected) drawn.add(target);
  listener();
}

const isDrawn = (picture) => drawn.has(picture) && picture.complete && picture.naturalWidth > 0;

/** State of the cell at a position of the grid: `drawn`, `absent` (there is no picture), `waiting`
 * (it is still loading), or `hidden` (less than half of it is visible). */
export function inGrid(position) {
  const cell = document.getElementById(`cell-${position}`);
  const grid = document.getElementById("grid");
  if (!cell || !grid) return "hidden";
  const [inside, around] = [cell.getBoundingClientRect(), grid.getBoundingClientRect()];
  const height = Math.min(inside.bottom, around.bottom) - Math.max(inside.top, around.top);
  if (height < inside.height / 2) return "hidden";
  return cell.dataset.sha256 ? stateOf(cell) : "waiting";
}

/** State of an image in the viewer or in a blind sample. */
export function onStage(sha256) {
  const stage = document.querySelector(`.lying[data-sha256="${sha256}"]`);
  if (!stage) return "waiting";
  const state = stateOf(stage);
  return state === "absent" && !stage.dataset.failed ? "waiting" : state;
}

function stateOf(element) {
  const pictures = [...element.querySelectorAll("img.picture")];
  if (pictures.some(isDrawn)) return "drawn";
  return pictures.length ? "waiting" : "absent";
}
