/**
 * What a connection's requests wait for: how many, with how many bytes, and the order of what is sent after.
 *
 * While a reply is sent in pieces (`holdBack`), what others have to send waits until its last piece.
 */

import { errorOf } from './failures.ts';
import { ERROR } from './protocol.ts';

/** Requests of one connection that may wait at one time: beyond any client's usual depth. */
const REQUESTS_MAX = 256;

/** Bytes of data they may hold; one more request may go above it. */
const BYTES_MAX = 8 * 2 ** 20;

export class Waiting {
  readonly #onDone: () => void;
  readonly #late: (() => void)[] = [];
  #requests = 0;
  #bytes = 0;
  #holding = false;

  /** `onDone` is called after each thing that ended. */
  constructor(onDone: () => void) {
    this.#onDone = onDone;
  }

  get none(): boolean {
    return this.#requests === 0;
  }

  get full(): boolean {
    return this.#requests >= REQUESTS_MAX || this.#bytes >= BYTES_MAX;
  }

  /** Calls `then` when `work` has ended: with 0, or the error to reply with. `work` that ends in false is "full". */
  add(bytes: number, work: Promise<unknown>, then: (error: number) => void): void {
    this.#requests++;
    this.#bytes += bytes;
    const end = (error: number): void => {
      this.#requests--;
      this.#bytes -= bytes;
      this.send(() => then(error));
      this.#onDone();
    };
    work.then(
      (result) => end(result === false ? ERROR.ENOSPC : 0),
      (thrown) => end(errorOf(thrown)),
    );
  }

  /** Sends something, now or after the reply that is under way. */
  send(action: () => void): void {
    if (this.#holding) this.#late.push(action);
    else action();
  }

  holdBack(): void {
    this.#holding = true;
  }

  goOn(): void {
    this.#holding = false;
    for (const action of this.#late.splice(0)) action();
  }
}
