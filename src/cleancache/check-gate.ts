/**
 * Lets many readers share one look at a source.
 *
 * Rule: a look answers only those who asked before it began; it may have seen the source as it was before a later
 * question. So at most one look is under way and one waits, however many ask.
 */

export class CheckGate<T> {
  readonly #look: () => Promise<T>;
  #running: Promise<T> | undefined;
  #next: Promise<T> | undefined;

  constructor(look: () => Promise<T>) {
    this.#look = look;
  }

  /** The result of a look that began after this call. */
  ask(): Promise<T> {
    if (this.#running === undefined) return this.#start();
    this.#next ??= this.#running.then(this.#startNext, this.#startNext);
    return this.#next;
  }

  readonly #startNext = (): Promise<T> => {
    this.#next = undefined;
    return this.#start();
  };

  #start(): Promise<T> {
    const look = this.#look();
    this.#running = look;
    look.then(this.#ended, this.#ended);
    return look;
  }

  readonly #ended = (): void => {
    if (this.#next === undefined) this.#running = undefined;
  };
}
