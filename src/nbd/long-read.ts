/**
 * A read whose data does not fit one buffer: it is sent in pieces, each when there is room for it. Nothing else is sent
 * in between, and no request is taken.
 *
 * When it fails in the middle, a structured reply ends with an error; a simple one cannot, so the connection has to
 * end.
 */

import { errorOf } from './failures.ts';
import type { RequestHeader } from './messages.ts';
import { UNFRAGMENTED_BYTES_MAX } from './protocol.ts';
import type { Replies } from './replies.ts';
import type { Volume } from './volume.ts';

const PAGE_BYTES = 4096;

/** Ended: all was sent, or an error reply; or only the end of the connection is left. */
export type ReadEnd = 'replied' | 'broken';

export class LongRead {
  readonly #request: RequestHeader;
  readonly #volume: Volume;
  readonly #replies: Replies;
  readonly #onEnd: (end: ReadEnd) => void;
  #position: number;
  #left: number;
  #first = true;
  #reading = false;

  constructor(request: RequestHeader, volume: Volume, replies: Replies, onEnd: (end: ReadEnd) => void) {
    this.#request = request;
    this.#volume = volume;
    this.#replies = replies;
    this.#onEnd = onEnd;
    this.#position = request.position;
    this.#left = request.length;
  }

  /** Sends as many pieces as there is room for. */
  go(): void {
    const { output } = this.#replies;
    while (this.#left > 0 && !this.#reading && !output.full) {
      // So that all pieces but the first begin with a page.
      const most = UNFRAGMENTED_BYTES_MAX - (this.#position % PAGE_BYTES);
      const length = Math.min(most, this.#left);
      const at = this.#begin(length);
      let done: number;
      try {
        done = this.#volume.readNow(this.#position, output.buffer.subarray(at, at + length));
      } catch (thrown) {
        this.#replies.noData(length, this.#first);
        this.#fail(thrown);
        return;
      }
      if (done === length) {
        this.#sent(length);
      } else {
        this.#replies.noData(length, this.#first);
        this.#reading = true;
        void this.#readPiece(length);
      }
    }
    output.flush();
  }

  async #readPiece(length: number): Promise<void> {
    const bytes = Buffer.allocUnsafe(length);
    try {
      await this.#volume.read(this.#position, bytes);
    } catch (thrown) {
      this.#fail(thrown);
      return;
    }
    this.#reading = false;
    const at = this.#begin(length);
    bytes.copy(this.#replies.output.buffer, at);
    this.#sent(length);
    this.go();
  }

  #begin(length: number): number {
    return this.#replies.data(this.#request, this.#position, length, this.#first, length === this.#left);
  }

  #sent(length: number): void {
    this.#first = false;
    this.#position += length;
    this.#left -= length;
    if (this.#left === 0) this.#onEnd('replied');
  }

  #fail(thrown: unknown): void {
    this.#left = 0;
    if (this.#replies.mode !== 'simple') {
      this.#replies.failedAt(this.#request, errorOf(thrown), this.#position);
    } else if (this.#first) {
      this.#replies.plain(this.#request, errorOf(thrown));
    }
    this.#onEnd(this.#replies.mode === 'simple' && !this.#first ? 'broken' : 'replied');
  }
}
