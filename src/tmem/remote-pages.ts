/**
 * The pages of a pool as those see them who move pages between machines: stored bytes go out as they are, a record takes
 * their place, and stored bytes come home into its place (arena/tmem/remote.ts).
 *
 * Every change asks for the token of a look: if anything happened to the handle since, nothing is done and the answer is
 * 'gone'. A put, flush or destroy never waits for anybody: it takes the record out and leaves it with the orphans.
 */

import type { Arena } from '../arena/index.ts';
import type { Arenas } from './arenas.ts';
import { PAGE_BYTES } from './checks.ts';
import type { Oid } from './oid.ts';
import { CODE, outcomeOf, type PutOutcome } from './outcome.ts';

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
const FACTS = 7;

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
    const facts = Array.from({ length: FACTS }, (_, i) => arena.word(arena.arguments + i * 4) >>> 0);
    const [word, version, codec, length, checksum, count, address] = facts as [
      ...[number, number, number, number, number, number, number],
    ];
    if (found === LOOK_TINY) return { kind: 'tiny', word, version, length };
    const bytes = arena.bytes.slice(address, address + count);
    if (found !== LOOK_STORED) return { kind: 'remote', word, version, length, checksum, record: bytes };
    return { kind: 'stored', word, version, codec: CODECS[codec] as StoredCodec, length, checksum, bytes };
  }

  /**
   * Puts a record (1 to 60 bytes) in the place of what a look found: a page that is elsewhere by now, or another record.
   * Whatever the old record named is the caller's.
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
   * Puts a page in the place of the record that a look found. It is decoded and checked first; a frozen store takes none.
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
  forget(oid: Oid, index: number, { word, version }: Extract<Look, { kind: 'remote' }>): boolean {
    const { arena, id } = this.#place(oid, index);
    return (
      this.#arenas.run(arena, () => arena.wasm.pageForget(id, ...wordsOf(oid), index, word, version)) !== 0
    );
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

function wordsOf(oid: Oid): OidWords {
  return [oid.w0, oid.w1, oid.w2, oid.w3, oid.w4, oid.w5];
}
