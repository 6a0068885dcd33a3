// A volume that waits, stops half-way and fails at random. Its bytes are known at every position, so that data on the
// way in and out can be checked; what it is asked for and must not be, it notes.

import type { Volume } from '../../../src/nbd/index.ts';

export type Random = (below: number) => number;

/** Beyond the largest piece of a reply, and no multiple of anything. */
export const SIZE = 300_001;

/** What is at each position, and what is written there. */
export const CONTENT = Buffer.from(
  Uint8Array.from({ length: SIZE }, (_, at) => (at * 31 + (at >> 8) * 7 + (at >> 16)) & 0xff),
);

export class FickleVolume implements Volume {
  readonly size = SIZE;
  readonly readOnly: boolean;
  readonly durable: boolean;
  readonly zeroesFast: boolean;
  /** What must not have happened. */
  readonly wrong: string[] = [];
  calls = 0;
  writtenBytes = 0;
  readonly #random: Random;

  constructor(random: Random, readOnly: boolean) {
    this.#random = random;
    this.readOnly = readOnly;
    this.durable = random(2) === 0;
    this.zeroesFast = random(2) === 0;
  }

  readNow(position: number, out: Uint8Array): number {
    this.#asked('readNow', position, out.length);
    this.#maybeFail(200);
    const now = this.#random(3) === 0 ? this.#random(out.length + 1) : out.length;
    out.set(CONTENT.subarray(position, position + now));
    return now;
  }

  async read(position: number, out: Uint8Array): Promise<void> {
    this.#asked('read', position, out.length);
    await this.#wait();
    out.set(CONTENT.subarray(position, position + out.length));
  }

  writeNow(position: number, bytes: Uint8Array): number {
    this.#changed('writeNow', position, bytes.length);
    this.#maybeFail(200);
    const now = this.#random(3) === 0 ? this.#random(bytes.length + 1) : bytes.length;
    this.#written(position, bytes.subarray(0, now));
    return now;
  }

  async write(position: number, bytes: Uint8Array): Promise<boolean> {
    this.#changed('write', position, bytes.length);
    await this.#wait();
    this.#written(position, bytes);
    return this.#random(40) !== 0;
  }

  async zero(position: number, length: number): Promise<boolean> {
    this.#changed('zero', position, length);
    await this.#wait();
    return this.#random(40) !== 0;
  }

  async trim(position: number, length: number): Promise<void> {
    this.#changed('trim', position, length);
    await this.#wait();
  }

  async cache(position: number, length: number): Promise<void> {
    this.#asked('cache', position, length);
    await this.#wait();
  }

  flush(): Promise<void> {
    return this.#wait();
  }

  sync(): Promise<void> {
    return this.#wait();
  }

  allocation(position: number, length: number, extentsMax: number) {
    this.#asked('allocation', position, length);
    if (extentsMax === 1 || length === 1) return [{ bytes: length, hole: true }];
    return [
      { bytes: 1, hole: false },
      { bytes: length - 1, hole: true },
    ];
  }

  #asked(call: string, position: number, length: number): void {
    this.calls++;
    const within = Number.isSafeInteger(position) && position >= 0 && length > 0 && position + length <= SIZE;
    if (!within) this.wrong.push(`${call}: ${length} bytes at ${position}`);
  }

  #changed(call: string, position: number, length: number): void {
    this.#asked(call, position, length);
    if (this.readOnly) this.wrong.push(`${call}, but read-only`);
  }

  #written(position: number, bytes: Uint8Array): void {
    this.writtenBytes += bytes.length;
    if (CONTENT.compare(bytes, 0, bytes.length, position, position + bytes.length) !== 0) {
      this.wrong.push(`other bytes than were sent: ${bytes.length} at ${position}`);
    }
  }

  async #wait(): Promise<void> {
    for (let turns = this.#random(4); turns > 0; turns--) await Promise.resolve();
    this.#maybeFail(40);
  }

  #maybeFail(seldom: number): void {
    if (this.#random(seldom) === 0) throw Object.assign(new Error('fickle'), { code: 'EIO' });
  }
}
