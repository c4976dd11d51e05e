// Which pictures have been drawn on the screen: no verdict is taken for one that has not.

const drawn = new WeakSet();
let listener = () => {};

/** Call back whenever a picture was drawn, could not be, or came into sight. */
export const onDrawn = (callback) => (listener = callback);
export const lookAgain = () => listener();

const nextFrame = () => new Promise((done) => requestAnimationFrame(done));

/** To be called when an image has loaded. */
export async function loaded({ target }) {
  try {
    await target.decode();
  } catch {
    return; // it shows something else by now
  }
  // The first frame may be the one that is just being made.
  await nextFrame();
  await nextFrame();
  if (target.isConnected) drawn.add(target);
  listener();
}

const isDrawn = (picture) => drawn.has(picture) && picture.complete && picture.naturalWidth > 0;

/** How the cell at a position of the grid is on the screen: `drawn`, `absent` (there is no picture to
 * draw), `waiting` (it is still loading), or `hidden` (less than half of it is in sight). */
export function inGrid(position) {
  const cell = document.getElementById(`cell-${position}`);
  const grid = document.getElementById("grid");
  if (!cell || !grid) return "hidden";
  const [inside, around] = [cell.getBoundingClientRect(), grid.getBoundingClientRect()];
  const height = Math.min(inside.bottom, around.bottom) - Math.max(inside.top, around.top);
  if (height < inside.height / 2) return "hidden";
  return cell.dataset.sha256 ? stateOf(cell) : "waiting";
}

/** How an image is on the stage of the viewer or of a blind sample. */
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
