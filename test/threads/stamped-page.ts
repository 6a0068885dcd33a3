// Pages that say which put they come from, in every byte: so a get tells exactly what it saw, and a torn page shows.
//
//   mixed      u32 words: id ^ MAGIC | id | handle | length | patch | ~patch | noise, then a short period
//   repeated   {id | TOP, handle} over and over: a page of one 64-bit value
//   filled     one byte over and over: byte and length are the id
//
// Ids are unique among the puts of a test. `patch` is the part that write at changes (mixed pages only).

export const PAGE_BYTES = 4096;
export const PATCH_OFFSET = 16;
/** Ids are below this; those of filled pages are fewer, because 256 bytes times 4096 lengths must tell them apart. */
export const IDS = 2 ** 22;
const FILLED_IDS = 2 ** 20;
const MAGIC = 0x5eed_5eed;
const TOP = 0x5a00_0000;
const HEADER_WORDS = 6;
/** More noise than this does not compress to what zbud and zv take: a few pages are refused. */
const NOISE_WORDS_MAX = 1010;

export interface Stamp {
  readonly id: number;
  readonly patch: number;
}

function mix(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x21f0aaad);
  hash = Math.imul(hash ^ (hash >>> 15), 0x735a2d97);
  return (hash ^ (hash >>> 15)) >>> 0;
}

type Kind = 'mixed' | 'repeated' | 'filled';

function kindOf(id: number, onlyMixed: boolean): Kind {
  const draw = mix(id) % 8;
  if (onlyMixed || draw > 1 || (draw === 0 && id >= FILLED_IDS)) return 'mixed';
  return draw === 0 ? 'filled' : 'repeated';
}

function lengthOf(id: number, kind: Kind): number {
  if (kind === 'filled') return (id >>> 8) + 1;
  const draw = mix(id + IDS);
  if (draw % 2 === 0) return PAGE_BYTES;
  return kind === 'repeated' ? 8 + 8 * (draw % 512) : 24 + (draw % (PAGE_BYTES - 23));
}

/** Makes pages without allocating; one of these a thread. */
export class PageStamper {
  readonly #page = new Uint8Array(PAGE_BYTES);
  readonly #words = new Uint32Array(this.#page.buffer);
  readonly #patchBytes = new Uint8Array(8);
  readonly #patchWords = new Uint32Array(this.#patchBytes.buffer);
  readonly #onlyMixed: boolean;

  constructor(onlyMixed: boolean) {
    this.#onlyMixed = onlyMixed;
  }

  /** The page of a put; valid until the next call. */
  make(id: number, handle: number, patch = 0): Uint8Array {
    const kind = kindOf(id, this.#onlyMixed);
    const length = lengthOf(id, kind);
    const words = this.#words;
    if (kind === 'filled') {
      this.#page.fill(id & 0xff);
    } else if (kind === 'repeated') {
      for (let i = 0; i < words.length; i += 2) {
        words[i] = id | TOP;
        words[i + 1] = handle;
      }
    } else {
      const noise = mix(id + 2 * IDS) % NOISE_WORDS_MAX;
      words[0] = id ^ MAGIC;
      words[1] = id;
      words[2] = handle;
      words[3] = length;
      words[4] = patch;
      words[5] = ~patch;
      for (let i = HEADER_WORDS; i < words.length; i++) {
        words[i] = i < noise ? mix(Math.imul(id, 0x9e3779b1) + i) : Math.imul(id, i & 7);
      }
    }
    return this.#page.subarray(0, length);
  }

  /** What write at stores at PATCH_OFFSET. */
  makePatch(patch: number): Uint8Array {
    this.#patchWords[0] = patch;
    this.#patchWords[1] = ~patch;
    return this.#patchBytes;
  }

  /** The patch that read at saw. @throws when it is torn */
  readPatch(bytes: Uint8Array): number {
    const [patch, inverse] = new Uint32Array(bytes.slice(0, 8).buffer) as unknown as [number, number];
    if (inverse !== ~patch >>> 0) throw new Error(`torn patch: ${patch} beside ${inverse}`);
    return patch;
  }

  /** Which put a page comes from. @throws when it is torn, or belongs to another handle */
  read(bytes: Uint8Array, handle: number): Stamp {
    const found = this.#guess(bytes);
    const expected = this.make(found.id, handle, found.patch);
    if (Buffer.compare(bytes, expected) === 0) return found;
    let at = 0;
    while (at < Math.min(bytes.length, expected.length) && bytes[at] === expected[at]) at++;
    throw new Error(
      `torn page at handle ${handle}: ${bytes.length} bytes that begin as put ${found.id} (${expected.length} bytes) ` +
        `differ from byte ${at} on; first words ${[...new Uint32Array(bytes.slice(0, 32).buffer)].join(' ')}`,
    );
  }

  #guess(bytes: Uint8Array): Stamp {
    const word = (at: number) =>
      (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
    if (!this.#onlyMixed) {
      // The first word of pages of the other kinds never has four equal bytes.
      if (bytes.length < 8 || bytes.subarray(0, 4).every((byte) => byte === bytes[0])) {
        return { id: ((bytes.length - 1) << 8) | bytes[0]!, patch: 0 };
      }
      if (word(0) >>> 24 === TOP >>> 24) return { id: word(0) & 0xff_ffff, patch: 0 };
    }
    if (bytes.length < 24) return { id: 0, patch: 0 };
    return { id: word(4), patch: word(16) };
  }
}
