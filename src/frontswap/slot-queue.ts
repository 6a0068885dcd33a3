/**
 * Puts asynchronous work on the slots of a device in order: one operation a slot at a time, first come first served,
 * different slots side by side.
 *
 * At most `OPERATIONS_MAX` operations run at one time; more wait, in the order they came.
 */

/** Operations side by side. Node.js has four threads for files; a few more keep them fed. */
const OPERATIONS_MAX = 16;

export class SlotQueue {
  /** The last operation asked for on each slot with one under way. */
  readonly #last = new Map<number, Promise<void>>();
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** Runs `operation` after all that were asked for on this slot before. */
  run(slot: number, operation: () => Promise<void>): Promise<void> {
    const before = this.#last.get(slot);
    const done = before === undefined ? this.#admit(operation) : before.then(() => this.#admit(operation));
    // The next one does not care whether this one failed; its caller does.
    const over = done.then(nothing, nothing).then(() => {
      if (this.#last.get(slot) === over) this.#last.delete(slot);
    });
    this.#last.set(slot, over);
    return done;
  }

  /** Ends when everything asked for before has ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#last.values());
  }

  async #admit(operation: () => Promise<void>): Promise<void> {
    if (this.#running === OPERATIONS_MAX) await new Promise<void>((go) => this.#waiting.push(go));
    else this.#running++;
    try {
      await operation();
    } finally {
      // The place goes to the next in line without becoming free in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}

function nothing(): void {}
