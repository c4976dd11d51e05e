// The input queue: decisions, judgements and withdrawals, in the order in which they were made.
// It uses neither DOM nor network: clock, network and view are arguments, so that tests can drive it
// like the page does.
//
// The rule: a key means what it would mean if every answer arrived at once. `3 1 2` decides three
// consecutive images, `3 → 2` leaves out the second, `3 Backspace 2` decides one image with 2.
//
// 1. `place` is the position for the next key. It moves on with the key, before the answer arrives.
//    An act keeps what was framed at that position when the key went down (`frame`), and is carried
//    out for these images whatever is framed by then.
// 2. `shown` is the position on the screen: that of the next key, so that a key is for what is framed
//    when it is pressed, however late answers are. It stays at a picture that is not drawn yet, and
//    at an act whose outcome must be known first. If the reviewer has moved meanwhile, it goes to
//    the reviewer's position, and there is no automatic step.
// 3. An act whose picture is not on the screen yet waits for it, at most `LIMIT` after its turn has
//    come; then it is dropped, and a message names the image. `shown` steps through such pictures
//    one by one.
// 4. If an act fails, all keys are ignored until the reviewer has read which one it was. Later acts
//    whose pictures had been drawn are carried out for their own images; the others are dropped and
//    named too. The frame returns to the first image that was not decided.
// 5. After a key whose outcome is not known at once (a question; a withdrawal or the next open image,
//    which the server must find) no verdict is accepted until it is known.
// 6. After the last image no verdict is accepted until the reviewer moves.

/** Milliseconds that an act waits for its picture to be drawn, after its turn has come. */
const LIMIT = 6000;

/** The picture was not drawn in time, or the list was left before it was. */
export class NotDrawn extends Error {}

export class Acts {
  /**
   * The result or blind sample on the page; null while it is loaded. Its interface:
   * `scope` (withdrawals apply to it) and `size`;
   * `frame(place)`: what is framed at a position (`{ at, next }` and what the network needs; `next`
   * is null after the last image), or null;
   * `reveal()`: scroll the frame back into sight; returns whether it was out of sight;
   * `look(frame)`: its state on the screen; `state` is `drawn`, `waiting`, `absent` (there is no
   * picture) or `many` (more images than are drawn), `count` the number of images, null if unknown;
   * `taken(frame)`, `restored(frame)`: an act was made for it, or was given up;
   * `show(position)`, `recorded(act, answer)`, `finished()`, and `withdrawn(act, answer)`: a promise
   * of the position of the withdrawn image, null if it is not in this list.
   */
  list = null;
  place = 0;
  #ended = false;
  #queue = [];
  #running = false;
  #asking = false;
  #failed = [];
  /** Decisions of this page that have not been withdrawn, in order. */
  #made = [];
  #awaited = null;

  /**
   * `net.decide(act, confirmed)`, `net.undo(act)`: return promises of the server's answer.
   * `view.ask(act, question)`, `view.failed(failures)`: return promises of the reviewer's answer.
   * `view.refused(why)`: a key was ignored; `why` is `loading`, `wait`, `end` or `away`.
   */
  constructor({ clock, net, view }) {
    Object.assign(this, { clock, net, view });
  }

  /** Acts that are not on disk yet. */
  get pending() {
    return this.#queue;
  }

  get shown() {
    for (const act of this.#queue) {
      if (act.list !== this.list) continue;
      if (act.look?.state === "waiting" || (act.blocks && !act.moved)) return act.from;
    }
    return this.place;
  }

  /** Switch to another list, or to another position in the same list. */
  open(list, place) {
    const other = list !== this.list;
    this.list = list;
    if (other) this.#leave();
    this.move(place);
  }

  /** The list is loaded again: nothing can be decided until `open`. */
  close() {
    this.list = null;
    this.#leave();
  }

  move(place) {
    if (!this.list?.size) return;
    for (const act of this.#queue) act.moved = true;
    this.#stand(place);
    this.#show();
  }

  /** Decide the framed image. */
  decide(verdict) {
    if (this.#refuses()) return;
    const frame = this.list.frame(this.place);
    if (!frame) return;
    if (this.list.reveal()) {
      this.view.refused("away");
      return;
    }
    const act = { kind: "decide", verdict, frame, look: this.list.look(frame) };
    act.blocks = act.look.state === "many" || act.look.state === "absent";
    this.list.taken(frame);
    this.#made.push(act);
    this.#add(act, () => {
      this.#stand(frame.next ?? this.place);
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
    const target = this.#made.findLast((act) => act.list.scope === scope) ?? null;
    const known = target?.list === this.list;
    if (target) this.#made.splice(this.#made.indexOf(target), 1);
    const act = { kind: "undo", target, blocks: !known };
    this.#add(act, () => known && this.#stand(target.from));
  }

  /** Move to the result of `search` (a promise of a position, or of null). */
  find(search) {
    if (this.#refuses()) return;
    this.#add({ kind: "find", search, blocks: true });
  }

  /** A picture was drawn, or cannot be: check the waiting acts again. */
  painted() {
    for (const act of this.#queue) {
      if (act.look?.state === "waiting") act.look = act.list.look(act.frame);
    }
    if (this.#awaited && this.#awaited.act.look.state !== "waiting") this.#awaited.settle();
    if (this.#queue.length) this.#show();
  }

  #refuses() {
    const why = !this.list
      ? "loading"
      : this.#asking || this.#failed.length || this.#queue.some((act) => act.blocks)
        ? "wait"
        : this.#ended
          ? "end"
          : null;
    if (why) this.view.refused(why);
    return why !== null;
  }

  #stand(place) {
    this.place = Math.min(Math.max(place, 0), this.list.size - 1);
    this.#ended = false;
  }

  #show() {
    if (this.list) this.list.show(this.shown);
  }

  /** Queue an act for the framed image, then go `on`. */
  #add(act, on = () => {}) {
    this.#queue.push(Object.assign(act, { list: this.list, from: this.place, moved: false }));
    on();
    this.#show();
    if (!this.#running) this.#run();
  }

  async #run() {
    this.#running = true;
    while (this.#queue.length) {
      const act = this.#queue[0];
      try {
        await this[`_${act.kind}`](act);
      } catch (error) {
        this.#fail(act, error);
      }
      this.#queue.shift();
      this.#show();
      if (!this.#queue.length) await this.#report();
    }
    this.#running = false;
    if (this.#ended) this.list?.finished();
  }

  async _decide(act) {
    await this.#drawn(act);
    let confirmed = {};
    if (act.look.state === "absent") {
      if (!(await this.#ask(act, { kind: "absent" }))) return;
      confirmed = { count: act.look.count };
    } else if (act.look.state === "many" && act.look.count !== null) {
      if (!(await this.#ask(act, { kind: "many", count: act.look.count }))) return;
      confirmed = { count: act.look.count };
    }
    for (;;) {
      const answer = await this.net.decide(act, confirmed);
      if (answer.count !== undefined) {
        if (!(await this.#ask(act, { kind: "many", count: answer.count }))) return;
        confirmed = { ...confirmed, count: answer.count };
      } else if (answer.changed !== undefined) {
        if (!(await this.#ask(act, { kind: "changed", ...answer }))) return;
        confirmed = { ...confirmed, mark: answer.mark };
      } else {
        act.action = answer.action;
        act.list.recorded(act, answer);
        return;
      }
    }
  }

  async _undo(act) {
    // A decision that was never recorded needs no withdrawal; nothing else is withdrawn instead.
    if (act.target && act.target.action === undefined) return;
    const answer = await this.net.undo(act);
    const position = await act.list.withdrawn(act, answer);
    if (position !== null && act.blocks && !act.moved && act.list === this.list) this.#stand(position);
  }

  async _find(act) {
    const found = await act.search(this.place);
    if (act.moved || act.list !== this.list) return;
    if (found === null) this.view.refused("end");
    else this.#stand(found);
  }

  /** Wait until the act's picture has been drawn. Throws NotDrawn. */
  async #drawn(act) {
    if (act.left) throw new NotDrawn();
    if (act.look.state !== "waiting") return;
    act.look = act.list.look(act.frame);
    if (act.look.state !== "waiting") return;
    try {
      await new Promise((resolve, reject) => {
        const cancel = this.clock.after(LIMIT, () => reject(new NotDrawn()));
        const end = (done) => () => {
          cancel();
          done();
        };
        this.#awaited = { act, settle: end(resolve), leave: end(() => reject(new NotDrawn())) };
      });
    } finally {
      this.#awaited = null;
    }
  }

  /** Drop the acts that wait for pictures of a list that was left: these are never drawn. */
  #leave() {
    for (const act of this.#queue) {
      act.moved = true;
      if (act.look?.state === "waiting" && act.list !== this.list) act.left = true;
    }
    if (this.#awaited?.act.left) this.#awaited.leave();
  }

  async #ask(act, question) {
    this.#asking = true;
    const yes = await this.view.ask(act, question);
    this.#asking = false;
    if (yes) return true;
    this.#forget(act);
    // No other act followed: the reviewer is still at that position.
    if (this.#queue.length === 1 && !act.moved && act.list === this.list) {
      this.#stand(act.from);
      this.list.restored(act.frame);
    }
    return false;
  }

  #forget(act) {
    this.#made = this.#made.filter((other) => other !== act);
  }

  #fail(act, error) {
    this.#failed.push({ act, error });
    this.#forget(act);
    if (act.target) this.#made.push(act.target);
    for (const later of this.#queue.slice(1)) {
      if (later.look?.state !== "waiting") continue;
      this.#failed.push({ act: later, error: new NotDrawn() });
      this.#forget(later);
      this.#queue.splice(this.#queue.indexOf(later), 1);
    }
  }

  async #report() {
    if (!this.#failed.length) return;
    await this.view.failed(this.#failed);
    const [{ act }] = this.#failed;
    this.#failed = [];
    if (act.kind === "decide" && act.list === this.list) {
      this.#stand(act.from);
      this.#show();
    }
  }
}
