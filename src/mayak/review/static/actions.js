// The input queue: decisions, judgements and withdrawals, in the order in which they were made.
// It uses neither DOM nor network: clock, network and view are arguments, so that tests can drive it
// like the page does.
//
// The rule: a key means what it would mean if every answer arrived at once. `3 1 2` decides three
// consecutive images, `3 → 2` leaves out the second, `3 Backspace 2` decides one image with 2.
//
// 1. `position` is for the next key. It moves on with the key, before the answer arrives.
//    An action keeps what was framed at that position when the key went down (`frame`), and is carried
//    out for these images whatever is framed by then.
// 2. `shown` is the position on the screen: that of the next key, so that a key is for what is framed
//    when it is pressed, however late answers are. It stays at a picture that is not drawn yet, and
//    at an action whose outcome must be known first. If the reviewer has moved meanwhile, it goes to
//    the reviewer's position, and there is no automatic step.
// 3. An action whose picture is not on the screen yet waits for it, at most `LIMIT` after its turn has
//    come; then it is dropped, and a message names the image. `shown` steps through such pictures
//    one by one.
// 4. If an action fails, all keys are ignored until the reviewer has read which one it was. Later actions
//    whose pictures had been drawn are carried out for their own images; the others are dropped and
//    named too. The frame returns to the first image that was not decided.
// 5. After a key whose outcome is not known at once (a question; a withdrawal or the next open image,
//    which the server must find) no verdict is accepted until it is known.
// 6. After the last image no verdict is accepted until the reviewer moves.

/** Milliseconds that an action waits for its picture to be drawn, after its turn has come. */
const LIMIT = 6000;

/** The picture was not drawn in time, or the list was left before it was. */
export class NotDrawn extends Error {}

export class Actions {
  /**
   * The result or blind sample on the page; null while it is loaded. Its interface:
   * `scope` (withdrawals apply to it) and `size`;
   * `frame(position)`: what is framed at a position (`{ at, next }` and what the network needs; `next`
   * is null after the last image), or null;
   * `reveal()`: scroll the frame back into sight; returns whether it was out of sight;
   * `look(frame)`: its state on the screen; `state` is `drawn`, `waiting`, `absent` (there is no
   * picture) or `many` (more images than are drawn), `count` the number of images, null if unknown;
   * `taken(frame)`, `restored(frame)`: an action was made for it, or was given up;
   * `show(position)`, `recorded(action, answer)`, `finished()`, and `withdrawn(action, answer)`: a promise
   * of the position of the withdrawn image, null if it is not in this list.
   */
  list = null;
  position = 0;
  #ended = false;
  #queue = [];
  #running = false;
  #asking = false;
  #failed = [];
  /** Decisions of this page that have not been withdrawn, in order. */
  #made = [];
  #awaited = null;

  /**
   * `net.decide(action, confirmed)`, `net.undo(action)`: return promises of the server's answer.
   * `view.ask(action, question)`, `view.failed(failures)`: return promises of the reviewer's answer.
   * `view.refused(why)`: a key was ignored; `why` is `loading`, `wait`, `end` or `away`.
   */
  constructor({ clock, net, view }) {
    Object.assign(this, { clock, net, view });
  }

  /** Actions that are not on disk yet. */
  get pending() {
    return this.#queue;
  }

  get shown() {
    for (const action of this.#queue) {
      if (action.list !== this.list) continue;
      if (action.look?.state === "waiting" || (action.blocks && !action.moved)) return action.from;
    }
    return this.position;
  }

  /** Switch to another list, or to another position in the same list. */
  open(list, position) {
    const other = list !== this.list;
    this.list = list;
    if (other) this.#leave();
    this.move(position);
  }

  /** The list is loaded again: nothing can be decided until `open`. */
  close() {
    this.list = null;
    this.#leave();
  }

  move(position) {
    if (!this.list?.size) return;
    for (const action of this.#queue) action.moved = true;
    this.#stand(position);
    this.#show();
  }

  /** Decide the framed image. */
  decide(verdict) {
    if (this.#refuses()) return;
    const frame = this.list.frame(this.position);
    if (!frame) return;
    if (this.list.reveal()) {
      this.view.refused("away");
      return;
    }
    const action = { kind: "decide", verdict, frame, look: this.list.look(frame) };
    action.blocks = action.look.state === "many" || action.look.state === "absent";
    this.list.taken(frame);
    this.#made.push(action);
    this.#add(action, () => {
      this.#stand(frame.next ?? this.position);
      this.#ended = frame.next === null;
    });
  }

  /** Withdraw the last decision of this page in this list, or else the last one on record. */
  undo() {
    if (!this.list || this.#asking || this.#failed.length) {
      this.view.refused(this.list ? "wait" : "loading");
      return;
    }
    const { scope } = this.list;
    const target = this.#made.findLast((action) => action.list.scope === scope) ?? null;
    const known = target?.list === this.list;
    if (target) this.#made.splice(this.#made.indexOf(target), 1);
    const action = { kind: "undo", target, blocks: !known };
    this.#add(action, () => known && this.#stand(target.from));
  }

  /** Move to the result of `search` (a promise of a position, or of null). */
  find(search) {
    if (this.#refuses()) return;
    this.#add({ kind: "find", search, blocks: true });
  }

  /** A picture was drawn, or cannot be: check the waiting actions again. */
  painted() {
    for (const action of this.#queue) {
      if (action.look?.state === "waiting") action.look = action.list.look(action.frame);
    }
    if (this.#awaited && this.#awaited.action.look.state !== "waiting") this.#awaited.settle();
    if (this.#queue.length) this.#show();
  }

  #refuses() {
    const why = !this.list
      ? "loading"
      : this.#asking || this.#failed.length || this.#queue.some((action) => action.blocks)
        ? "wait"
        : this.#ended
          ? "end"
          : null;
    if (why) this.view.refused(why);
    return why !== null;
  }

  #stand(position) {
    this.position = Math.min(Math.max(position, 0), this.list.size - 1);
    this.#ended = false;
  }

  #show() {
    if (this.list) this.list.show(this.shown);
  }

  /** Queue an action for the framed image, then go `on`. */
  #add(action, on = () => {}) {
    this.#queue.push(Object.assign(action, { list: this.list, from: this.position, moved: false }));
    on();
    this.#show();
    if (!this.#running) this.#run();
  }

  async #run() {
    this.#running = true;
    while (this.#queue.length) {
      const action = this.#queue[0];
      try {
        await this[`_${action.kind}`](action);
      } catch (error) {
        this.#fail(action, error);
      }
      this.#queue.shift();
      this.#show();
      if (!this.#queue.length) await this.#report();
    }
    this.#running = false;
    if (this.#ended) this.list?.finished();
  }

  async _decide(action) {
    await this.#drawn(action);
    let confirmed = {};
    if (action.look.state === "absent") {
      if (!(await this.#ask(action, { kind: "absent" }))) return;
      confirmed = { count: action.look.count };
    } else if (action.look.state === "many" && action.look.count !== null) {
      if (!(await this.#ask(action, { kind: "many", count: action.look.count }))) return;
      confirmed = { count: action.look.count };
    }
    for (;;) {
      const answer = await this.net.decide(action, confirmed);
      if (answer.count !== undefined) {
        if (!(await this.#ask(action, { kind: "many", count: answer.count }))) return;
        confirmed = { ...confirmed, count: answer.count };
      } else if (answer.changed !== undefined) {
        if (!(await this.#ask(action, { kind: "changed", ...answer }))) return;
        confirmed = { ...confirmed, mark: answer.mark };
      } else {
        action.number = answer.action;
        action.list.recorded(action, answer);
        return;
      }
    }
  }

  async _undo(action) {
    // A decision that was never recorded needs no withdrawal; nothing else is withdrawn instead.
    if (action.target && action.target.number === undefined) return;
    const answer = await this.net.undo(action);
    const position = await action.list.withdrawn(action, answer);
    if (position !== null && action.blocks && !action.moved && action.list === this.list) this.#stand(position);
  }

  async _find(action) {
    const found = await action.search(this.position);
    if (action.moved || action.list !== this.list) return;
    if (found === null) this.view.refused("end");
    else this.#stand(found);
  }

  /** Wait until the action's picture has been drawn. Throws NotDrawn. */
  async #drawn(action) {
    if (action.left) throw new NotDrawn();
    if (action.look.state !== "waiting") return;
    action.look = action.list.look(action.frame);
    if (action.look.state !== "waiting") return;
    try {
      await new Promise((resolve, reject) => {
        const cancel = this.clock.after(LIMIT, () => reject(new NotDrawn()));
        const end = (done) => () => {
          cancel();
          done();
        };
        this.#awaited = { action, settle: end(resolve), leave: end(() => reject(new NotDrawn())) };
      });
    } finally {
      this.#awaited = null;
    }
  }

  /** Drop the actions that wait for pictures of a list that was left: these are never drawn. */
  #leave() {
    for (const action of this.#queue) {
      action.moved = true;
      if (action.look?.state === "waiting" && action.list !== this.list) action.left = true;
    }
    if (this.#awaited?.action.left) this.#awaited.leave();
  }

  async #ask(action, question) {
    this.#asking = true;
    const yes = await this.view.ask(action, question);
    this.#asking = false;
    if (yes) return true;
    this.#forget(action);
    // No other action followed: the reviewer is still at that position.
    if (this.#queue.length === 1 && !action.moved && action.list === this.list) {
      this.#stand(action.from);
      this.list.restored(action.frame);
    }
    return false;
  }

  #forget(action) {
    this.#made = this.#made.filter((other) => other !== action);
  }

  #fail(action, error) {
    this.#failed.push({ action, error });
    this.#forget(action);
    if (action.target) this.#made.push(action.target);
    for (const later of this.#queue.slice(1)) {
      if (later.look?.state !== "waiting") continue;
      this.#failed.push({ action: later, error: new NotDrawn() });
      this.#forget(later);
      this.#queue.splice(this.#queue.indexOf(later), 1);
    }
  }

  async #report() {
    if (!this.#failed.length) return;
    await this.view.failed(this.#failed);
    const [{ action }] = this.#failed;
    this.#failed = [];
    if (action.kind === "decide" && action.list === this.list) {
      this.#stand(action.from);
      this.#show();
    }
  }
}
