/**
 * A write whose data is coming in.
 *
 * Whole pages are stored straight from where they were received, as soon as they are there: so a request of 32 MiB
 * needs no more memory than one of 4 KiB. Only a page that is cut by the end of what was received waits in a buffer,
 * and what cannot be stored at once is copied.
 */

import { errorOf } from './failures.ts';
import type { RequestHeader } from './messages.ts';
import { ERROR } from './protocol.ts';
import type { Volume } from './volume.ts';
import type { Waiting } from './waiting.ts';

const PAGE_BYTES = 4096;

export class WriteRequest {
  readonly #volume: Volume;
  readonly #lasting: boolean;
  readonly #waiting: Waiting;
  readonly #reply: (error: number) => void;
  /** Where the next byte that is not written yet belongs. */
  #position: number;
  #left: number;
  #page: Buffer | undefined;
  #pageBytes = 0;
  #pieces = 0;
  #error = 0;

  /** `lasting`: it has to be on the device before `reply` is called. */
  constructor(
    request: RequestHeader,
    volume: Volume,
    lasting: boolean,
    waiting: Waiting,
    reply: (error: number) => void,
  ) {
    this.#volume = volume;
    this.#lasting = lasting;
    this.#waiting = waiting;
    this.#reply = reply;
    this.#position = request.position;
    this.#left = request.length;
  }

  /** Whether all data has come. */
  get complete(): boolean {
    return this.#left === 0;
  }

  /** Takes data from `bytes` at index `at` on; how many bytes. */
  take(bytes: Buffer, at: number): number {
    const available = Math.min(this.#left, bytes.length - at);
    const taken = this.#pageBytes > 0 ? this.#fill(bytes, at, available) : this.#piece(bytes, at, available);
    if (this.#left === 0) this.#finish();
    return taken;
  }

  /** Goes on with the page that was cut. */
  #fill(bytes: Buffer, at: number, available: number): number {
    const room = PAGE_BYTES - (this.#position % PAGE_BYTES) - this.#pageBytes;
    const copied = Math.min(room, available);
    const page = this.#page as Buffer;
    bytes.copy(page, this.#pageBytes, at, at + copied);
    this.#pageBytes += copied;
    this.#left -= copied;
    if (copied === room || this.#left === 0) {
      this.#write(page.subarray(0, this.#pageBytes));
      this.#pageBytes = 0;
    }
    return copied;
  }

  /** Writes up to the last page that ends within what there is, or begins a page that is cut. */
  #piece(bytes: Buffer, at: number, available: number): number {
    const cut = available === this.#left ? 0 : (this.#position + available) % PAGE_BYTES;
    const whole = available - cut;
    if (whole <= 0) {
      this.#page ??= Buffer.allocUnsafe(PAGE_BYTES);
      this.#pageBytes = bytes.copy(this.#page, 0, at, at + available);
      this.#left -= available;
      return available;
    }
    this.#left -= whole;
    this.#write(bytes.subarray(at, at + whole));
    return whole;
  }

  #write(bytes: Buffer): void {
    const position = this.#position;
    this.#position += bytes.length;
    // The export may have become smaller since the request began.
    if (position + bytes.length > this.#volume.size) this.#error ||= ERROR.ENOSPC;
    if (this.#error !== 0) return; // the rest is only taken off the connection
    let done = 0;
    if (!this.#lasting) {
      try {
        done = this.#volume.writeNow(position, bytes);
      } catch (thrown) {
        this.#error = errorOf(thrown);
        return;
      }
    }
    if (done === bytes.length) return;
    const rest = Buffer.from(bytes.subarray(done));
    this.#pieces++;
    this.#waiting.add(rest.length, this.#volume.write(position + done, rest, this.#lasting), (error) => {
      this.#pieces--;
      this.#error ||= error;
      if (this.#left === 0) this.#finish();
    });
  }

  #finish(): void {
    if (this.#pieces > 0) return;
    if (this.#lasting && this.#error === 0) this.#waiting.add(0, this.#volume.sync(), this.#reply);
    else this.#reply(this.#error);
  }
}
