/**
 * A plain least-recently-used cache of Buffers, bounded in bytes: what a Node program would use without a store.
 *
 * A Map keeps insertion order, so its first key is the least recently used one if every hit is inserted anew. Only
 * the bytes of the Buffers count; what the entries cost on the JavaScript heap is not held against it.
 */
export class ByteLru {
  readonly #entries = new Map<number, Buffer>();
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes held now; never more than the bound. */
  get bytes(): number {
    return this.#bytes;
  }

  get(key: number): Buffer | undefined {
    const found = this.#entries.get(key);
    if (found !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, found);
    }
    return found;
  }

  /** Holds `value`, dropping the least recently used others. A value above the bound is not held. */
  set(key: number, value: Buffer): void {
    this.#drop(key);
    if (value.length > this.#bytesMax) return;
    while (this.#bytes + value.length > this.#bytesMax) this.#dropOldest();
    this.#entries.set(key, value);
    this.#bytes += value.length;
  }

  #dropOldest(): void {
    for (const oldest of this.#entries.keys()) {
      this.#drop(oldest);
      return;
    }
  }

  #drop(key: number): void {
    const held = this.#entries.get(key);
    if (held === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= held.length;
  }
}
