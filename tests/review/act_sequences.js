// Random sequences of keys against the page's own input queue, with a clock, a network and a screen
// that are not real. A function of the seed of the first sequence and how many to try; returns what
// went wrong, and how much was tried.
async ([first, count, failing]) => {
  const { Actions } = await import("/static/actions.js");
  const { Keyboard } = await import("/static/keys.js");

  const random = (seed) => () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  // All that has been promised is done before the clock goes on.
  const { port1, port2 } = new MessageChannel();
  const settle = () => new Promise((done) => { port1.onmessage = done; port2.postMessage(0); });

  // What keeps the frame where it is: a picture that is not drawn, an outcome that is not known.
  const unsettled = (action) => action.blocks || action.look?.state === "waiting";

  async function one(seed) {
    const dice = random(seed);
    const pick = (...values) => values[Math.floor(dice() * values.length)];
    let now = 0;
    const timers = [];
    const clock = {
      after(milliseconds, work) {
        const timer = { at: now + milliseconds, work, number: timers.length };
        timers.push(timer);
        return () => (timer.work = null);
      },
    };
    async function until(time) {
      for (;;) {
        await settle();
        const due = timers.filter((t) => t.work && t.at <= time).sort((a, b) => a.at - b.at || a.number - b.number)[0];
        if (!due) break;
        now = Math.max(now, due.at);
        const { work } = due;
        due.work = null;
        work();
      }
      now = Math.max(now, time);
    }

    // The screen: the grid shows all pictures from the start, viewer and sample the one that is at hand.
    const kind = pick("grid", "viewer", "sample");
    const size = pick(6, 30, 30, 30);
    const wrong = [];
    const drawn = new Set(kind === "grid" ? Array.from({ length: size }, (_, n) => n) : []);
    let visible = -1;
    let actions;
    const list = {
      scope: kind === "sample" ? "sample 1" : "images",
      size,
      frame: (place) => ({ image: place, next: place + 1 < size ? place + 1 : null }),
      reveal: () => false,
      look: ({ image }) => ({ state: drawn.has(image) ? "drawn" : "waiting", count: 1, positions: {} }),
      taken() {},
      restored() {},
      show(position) {
        if (position === visible) return;
        visible = position;
        if (kind === "grid") return;
        drawn.clear();
        clock.after(pick(0, 16, 40, 150), () => {
          if (visible !== position) return;
          drawn.add(position);
          actions.painted();
        });
      },
      recorded() {},
      withdrawn: (_, { image }) => image,
      finished() {},
    };

    // The server: answers late, or not at all.
    const log = [];
    let action = 0;
    const late = () => new Promise((done) => clock.after(pick(0, 0, 20, 67, 116, 214, 400), done));
    const net = {
      async decide({ verdict, frame: { image }, look }) {
        if (look.state !== "drawn") wrong.push(`image ${image} was decided before it was drawn`);
        await late();
        if (failing && dice() < 0.15) throw new Error("refused");
        log.push({ action: ++action, image, verdict });
        await late();
        return { action, images: [image] };
      },
      async undo({ target }) {
        await late();
        const named = target?.number ?? null;
        const last = log.findLast((entry) => !entry.undone && (named === null || entry.action === named));
        if (last) last.undone = true;
        await late();
        return { image: last?.image ?? null };
      },
    };

    let refused = null;
    const lost = new Set();
    const view = {
      ask: async () => true,
      failed: async (failures) => {
        for (const { action } of failures) lost.add(action);
        await new Promise((done) => clock.after(300, done));
      },
      refused: (why) => (refused = why),
    };
    actions = new Actions({ clock, net, view });
    actions.open(list, 0);

    const open = (entries, from) => {
      const held = new Set(entries.filter((entry) => !entry.undone).map((entry) => entry.image));
      const left = Array.from({ length: size }, (_, image) => image).filter((image) => !held.has(image));
      return left.find((image) => image > from) ?? left[0] ?? null;
    };
    const nextOpen = async (from) => {
      await late();
      return open(log, from);
    };

    // What the person means: as if every answer came at once.
    let place = 0;
    let ended = false;
    const typed = [];
    const keyboard = new Keyboard();
    const keydown = (code, repeat = false) => {
      const { key, repeated } = keyboard.press({ code, key: "Process", repeat, timeStamp: now });
      if (key === "ArrowRight") actions.move(actions.position + 1);
      else if (key === "ArrowLeft") actions.move(actions.position - 1);
      else if (repeated) return;
      else if (key === "Backspace") actions.undo();
      else if (key === "n") actions.find(nextOpen);
      else actions.decide(Number(key));
    };
    const keyup = (code) => keyboard.release({ code });
    const step = (to) => {
      place = Math.min(Math.max(to, 0), size - 1);
      ended = false;
    };
    let pressed = 0;
    let ignored = 0;
    for (let n = 0; n < 24; n++) {
      const what = dice();
      refused = null;
      if (failing) {
        place = actions.position;
      }
      if (what < 0.66) {
        const verdict = Math.floor(dice() * 4);
        const code = pick("Digit", "Numpad") + verdict;
        const queued = actions.pending.length;
        keydown(code);
        pressed++;
        if (refused) {
          ignored++;
          const fair = refused === "end" ? ended || failing : failing || actions.pending.some((action) => action.blocks);
          if (!fair) wrong.push(`key ${n} was refused: ${refused}`);
        } else {
          if (ended && !failing) wrong.push(`key ${n} after the last image was taken`);
          if (actions.pending.length !== queued + 1) wrong.push(`key ${n} is not queued once`);
          typed.push({ action: actions.pending.at(-1), image: place, verdict });
          if (visible !== actions.position && !actions.pending.some(unsettled)) wrong.push(`key ${n}: the frame stays at ${visible}`);
          const next = place + 1;
          step(next);
          ended = next >= size;
        }
        if (dice() < 0.25) {
          // Held; some systems do not mark what they repeat.
          const marked = dice() < 0.5;
          for (let r = 0; r < 6; r++) {
            await until(now + 33);
            keydown(code, marked);
          }
        }
        keyup(code);
      } else if (what < 0.8) {
        const by = pick(-1, 1, 1);
        keydown(by < 0 ? "ArrowLeft" : "ArrowRight");
        keyup(by < 0 ? "ArrowLeft" : "ArrowRight");
        step(place + by);
        if (kind === "grid" && visible !== actions.position) wrong.push(`key ${n} moved, but ${visible} is shown`);
      } else if (what < 0.83 && !failing) {
        keydown("KeyN");
        keyup("KeyN");
        if (!refused) {
          keydown("Digit1");
          keyup("Digit1");
          if (refused !== "wait") wrong.push(`key ${n}: a verdict was taken before the next image was known`);
          const found = open(typed, place);
          await until(now + 30_000);
          if (found !== null) step(found);
        }
      } else if (what < 0.88) {
        const to = Math.floor(dice() * size);
        actions.move(to);
        step(to);
      } else {
        const last = typed.findLast((entry) => !entry.undone && !lost.has(entry.action));
        keydown("Backspace");
        keyup("Backspace");
        if (last && !refused) {
          last.undone = true;
          step(last.image);
        }
      }
      await until(now + pick(0, 0, 40, 100, 200));
    }
    await until(now + 60_000);
    if (actions.pending.length) wrong.push("actions are left in the queue");

    const told = (entries) => entries.map(({ image, verdict }) => `${image}:${verdict}`).join(" ");
    const expected = typed.filter((entry) => !lost.has(entry.action));
    if (told(log) !== told(expected)) wrong.push(`recorded ${told(log)}, typed ${told(expected)}`);
    const standing = (entries) => told(entries.filter((entry) => !entry.undone));
    if (standing(log) !== standing(expected)) wrong.push(`standing ${standing(log)}, typed ${standing(expected)}`);
    if (!failing) {
      if (lost.size) wrong.push(`${lost.size} were lost`);
      if (actions.position !== place) wrong.push(`the next key is for ${actions.position}, not ${place}`);
    }
    if (visible !== actions.position) wrong.push(`${visible} is shown, ${actions.position} is framed`);
    return { wrong: wrong.map((text) => `sequence ${seed} (${kind}): ${text}`), pressed, ignored, recorded: log.length, lost: lost.size };
  }

  const all = { wrong: [], pressed: 0, ignored: 0, recorded: 0, lost: 0 };
  for (let seed = first; seed < first + count; seed++) {
    const found = await one(seed);
    all.wrong.push(...found.wrong);
    for (const key of ["pressed", "ignored", "recorded", "lost"]) all[key] += found[key];
  }
  return all;
}
