/**
 * The pages of a pool as those see them who move pages between machines: stored bytes go out as they are, a record
 * takes their place, and stored bytes come home into its place (arena/tmem/remote.ts).
 *
 * Every change asks for the token of a look: if anything happened to the handle since, nothing is done and the answer
 * is 'gone'. A put, flush or destroy never waits for anybody: it takes the record out and leaves it with the orphans.
 */

import type { Arena } from '../arena/index.ts';
import type { Arenas } from './arenas.ts';
import { PAGE_BYTES } from './checks.ts';
import type { Oid } from './oid.ts';
import { CODE, outcomeOf, type PutOutcome } from './outcome.ts';
import type { Handle } from './pool-types.ts';
import { cursorBytes, cursorOf, startOf, takeCursor, type WalkCursor } from './walk.ts';

/** Longest record, in bytes. */
export const RECORD_BYTES_MAX = 60;

const CODECS = ['raw', 'lz4', 'lzo', 'fill', 'remote'] as const;
export type StoredCodec = 'raw' | 'lz4' | 'lzo';

/** A page as it is stored. */
export interface StoredPage {
  readonly codec: StoredCodec;
  /** Length of the page, 1 to 4096. */
  readonly length: number;
  /** Checksum of the page, 32 bits. */
  readonly checksum: number;
  /** The stored bytes, 1 to 4096. */
  readonly bytes: Uint8Array;
}

interface Token {
  readonly word: number;
  readonly version: number;
}

/** What a look found. Of a tiny page (one repeated value) the store keeps less than a record. */
export type Look =
  | (Token & { readonly kind: 'stored' } & StoredPage)
  | (Token & { readonly kind: 'tiny'; readonly length: number })
  | (Token & {
      readonly kind: 'remote';
      readonly length: number;
      readonly checksum: number;
      readonly record: Uint8Array;
    });

const LOOK_STORED = 1;
const LOOK_TINY = 2;

/** Results of the arena: index, length of the record, record. */
const RESULT_BYTES = 68;

/** A handle whose page is elsewhere. */
export interface FoundRecord extends Handle {
  readonly record: Uint8Array;
}

type OidWords = readonly [number, number, number, number, number, number];

export class RemotePages {
  readonly #arenas: Arenas;
  readonly #ids: readonly number[];

  constructor(arenas: Arenas, ids: readonly number[]) {
    this.#arenas = arenas;
    this.#ids = ids;
  }

  /** What a handle holds, undefined = a miss. Its bytes are a copy. Counts nothing and is no use of the page. */
  look(oid: Oid, index: number): Look | undefined {
    const { arena, id } = this.#place(oid, index);
    const found = this.#arenas.run(arena, () => arena.wasm.pageLook(id, ...wordsOf(oid), index));
    if (found === CODE.miss) return undefined;
    const facts = arena.arguments >>> 2;
    const { words } = arena;
    const [word, version, codec, length] = [
      words[facts],
      words[facts + 1],
      words[facts + 2],
      words[facts + 3],
    ];
    if (found === LOOK_TINY) return { kind: 'tiny', word, version, length };
    const checksum = words[facts + 4];
    const bytes = arena.copyOf(words[facts + 6], words[facts + 5]);
    if (found !== LOOK_STORED) return { kind: 'remote', word, version, length, checksum, record: bytes };
    return { kind: 'stored', word, version, codec: CODECS[codec] as StoredCodec, length, checksum, bytes };
  }

  /**
   * Puts a record (1 to 60 bytes) in the place of what a look found: a page that is elsewhere by now, or another
   * record. Whatever the old record named is the caller's.
   */
  sendAway(
    oid: Oid,
    index: number,
    found: Exclude<Look, { kind: 'tiny' }>,
    record: Uint8Array,
  ): PutOutcome | 'gone' {
    const { arena, id } = this.#place(oid, index);
    const { word, version, length, checksum } = found;
    const code = this.#arenas.run(arena, () =>
      arena.wasm.pageSendAway(
        ...[id, ...wordsOf(oid), index, word, version],
        ...[length, checksum, arena.bringIn(record), record.length],
      ),
    );
    return code === CODE.miss ? 'gone' : outcomeOf(code);
  }

  /**
   * Puts a page in the place of the record that a look found. It is decoded and checked first; a frozen store takes
   * none.
   *
   * @returns 'damaged' if the bytes are not the page that the record stands for
   */
  bringHome(
    oid: Oid,
    index: number,
    found: Extract<Look, { kind: 'remote' }>,
    page: Pick<StoredPage, 'codec' | 'bytes'>,
  ): PutOutcome | 'gone' | 'damaged' {
    if (page.bytes.length < 1 || page.bytes.length > PAGE_BYTES) return 'damaged';
    const { arena, id } = this.#place(oid, index);
    const { word, version, length, checksum } = found;
    const codec = CODECS.indexOf(page.codec);
    const code = this.#arenas.run(arena, () =>
      arena.wasm.pageBringHome(
        ...[id, ...wordsOf(oid), index, word, version, codec],
        ...[length, checksum, arena.bringIn(page.bytes), page.bytes.length],
      ),
    );
    if (code === CODE.damaged) return 'damaged';
    return code === CODE.miss ? 'gone' : outcomeOf(code);
  }

  /** Removes the record that a look found; what it named is the caller's. False: it is not there any more. */
  forget(oid: Oid, index: number, found: Extract<Look, { kind: 'remote' }>): boolean {
    return this.#remove(oid, index, found, false);
  }

  /** As forget, by one who does not know what the record names: it is left with the orphans. */
  abandon(oid: Oid, index: number, found: Extract<Look, { kind: 'remote' }>): boolean {
    return this.#remove(oid, index, found, true);
  }

  /** How many pages are with peers. */
  get count(): number {
    this.#arenas.check();
    const { all } = this.#arenas;
    return all.reduce(
      (sum, arena, at) =>
        sum + (this.#arenas.run(arena, () => arena.wasm.remotePagesOf(this.#ids[at] as number)) >>> 0),
      0,
    );
  }

  /**
   * A step of a walk over the records: those among the next 64 handles at most, so there may be none before the end,
   * too. `next` undefined: that was the last step.
   */
  walkStep(cursor: WalkCursor | undefined): { records: FoundRecord[]; next: WalkCursor | undefined } {
    this.#arenas.check();
    const at = cursor?.arena ?? 0;
    const arena = this.#arenas.all[at];
    if (arena === undefined) return { records: [], next: undefined };
    const bytes = cursorBytes(cursor);
    const count = this.#arenas.run(arena, () => {
      arena.bytes.set(bytes, arena.walk);
      return arena.wasm.poolWalkRecords(this.#ids[at] as number);
    });
    if (count < 0) return { records: [], next: startOf(this.#arenas, at + 1) };
    const next = cursorOf(at, takeCursor(arena));
    const results = Buffer.alloc(count * RESULT_BYTES);
    if (count > 0) arena.takeExchanged(results, results.length);
    const records = Array.from({ length: count }, (_, i) => {
      const from = i * RESULT_BYTES;
      const index = results.readUInt32LE(from);
      const length = results.readUInt32LE(from + 4);
      return { oid: next.oid, index, record: results.subarray(from + 8, from + 8 + length) };
    });
    return { records, next };
  }

  #remove(
    oid: Oid,
    index: number,
    { word, version }: Extract<Look, { kind: 'remote' }>,
    orphaned: boolean,
  ): boolean {
    const { arena, id } = this.#place(oid, index);
    const removed = this.#arenas.run(arena, () =>
      arena.wasm.pageForget(id, ...wordsOf(oid), index, word, version, orphaned ? 1 : 0),
    );
    return removed !== 0;
  }

  #place(oid: Oid, index: number): { arena: Arena; id: number } {
    this.#arenas.check();
    const at = this.#arenas.place(oid, index);
    return { arena: this.#arenas.all[at] as Arena, id: this.#ids[at] as number };
  }
}

/** Takes up to `most` records of remote pages that left the index, whoever took them out. */
export function takeOrphans(arenas: Arenas, most: number): Uint8Array[] {
  arenas.check();
  const records: Uint8Array[] = [];
  for (const arena of arenas.all) {
    while (records.length < most) {
      const bytes = arenas.run(arena, () => arena.wasm.orphanNext());
      if (bytes === 0) break;
      const record = new Uint8Array(bytes);
      arena.takeExchanged(record, bytes);
      records.push(record);
    }
  }
  return records;
}

/** How many records there was no room for among the orphans, ever, modulo 2^32 an arena. */
export function orphansLost(arenas: Arenas): number {
  arenas.check();
  return arenas.all.reduce((sum, arena) => sum + arena.word(arena.layout.H_ORPHANS_LOST), 0);
}

/** The page that stored bytes from elsewhere stand for; undefined when they are not the page that was described. */
export function decodeStored(
  arenas: Arenas,
  { length, checksum }: Pick<StoredPage, 'length' | 'checksum'>,
  { codec, bytes }: Pick<StoredPage, 'codec' | 'bytes'>,
): Uint8Array | undefined {
  arenas.check();
  if (bytes.length < 1 || bytes.length > PAGE_BYTES) return undefined;
  const [arena] = arenas.all as [Arena];
  const isPage = arenas.run(arena, () =>
    arena.wasm.decodeStored(CODECS.indexOf(codec), length, checksum, arena.bringIn(bytes), bytes.length),
  );
  if (isPage === 0) return undefined;
  const page = Buffer.allocUnsafe(length);
  arena.takeExchanged(page, length);
  return page;
}

function wordsOf(oid: Oid): OidWords {
  return [oid.w0, oid.w1, oid.w2, oid.w3, oid.w4, oid.w5];
}
