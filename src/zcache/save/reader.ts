/**
 * Reads a saved store, a block at a time, and checks all of it on the way: checksums, order, counts, digest, and that
 * nothing follows. Knows no files. Only when `pages` has ended is what it gave known to be what was saved.
 */

import { createHash, type Hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { decodeBlock, decodeBlockHead } from './block.ts';
import { Cursor } from './cursor.ts';
import {
  BLOCK_HEAD_BYTES,
  type BlockKind,
  DIGEST,
  DIGEST_BYTES,
  FORMAT_VERSION,
  HEAD_BYTES,
  MAGIC,
  refused,
  type SavedClient,
  type SavedCounts,
  type SavedPage,
  type SavedPool,
  type SavedStore,
} from './format.ts';
import { decodeClient, decodePage, decodePool, decodeSettings } from './records.ts';

export interface ByteSource {
  /** The next `length` bytes (at most 1 MiB); fewer only when there are no more. */
  read(length: number): Promise<Buffer>;
}

interface Block {
  readonly kind: BlockKind;
  readonly records: number;
  readonly cursor: Cursor;
}

export class SavedStoreReader {
  readonly #source: ByteSource;
  readonly #digest: Hash = createHash(DIGEST);
  #blocks = 0;
  #pages = 0;
  #pageBytes = 0;
  #fileDigest = '';

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** What has been read so far. */
  get counts(): SavedCounts {
    return { pages: this.#pages, pageBytes: this.#pageBytes, blocks: this.#blocks };
  }

  /** Names exactly this content; empty until `pages` has ended. */
  get digest(): string {
    return this.#fileDigest;
  }

  /** The description. */
  async begin(): Promise<SavedStore> {
    checkHead(await this.#source.read(HEAD_BYTES), this.#digest);
    const head = await this.#oneRecord('settings', decodeSettings);
    const clients: SavedClient[] = [];
    await this.#records('clients', head.clients, (cursor) => clients.push(decodeClient(cursor)));
    const pools: SavedPool[] = [];
    await this.#records('pools', head.pools, (cursor) =>
      pools.push(decodePool(cursor, pools.length, clients.length)),
    );
    checkNames(clients, pools);
    return { ...head, clients, pools };
  }

  /** All pages, a block at a time. The pages' bytes are good until the next block is asked for. */
  async *pages({ pools, ephemeral }: SavedStore): AsyncGenerator<readonly SavedPage[]> {
    let last = 0;
    for (;;) {
      const { kind, records, cursor } = await this.#block();
      if (kind === 'end') return await this.#end(cursor);
      if (kind !== 'pages') throw refused(`a block of ${kind} stands where pages belong`);
      const pages: SavedPage[] = [];
      while (cursor.left > 0) {
        const page = decodePage(cursor);
        if (page.pool < last || page.pool >= pools.length) throw refused('pages are out of order');
        if (!ephemeral && pools[page.pool].kind === 'ephemeral')
          throw refused('it has pages it says it has not');
        last = page.pool;
        pages.push(page);
        this.#pageBytes += page.bytes.length;
      }
      if (pages.length !== records) throw refused(`a block has ${pages.length} of ${records} pages`);
      this.#pages += records;
      yield pages;
    }
  }

  /** Counts, digest, and the end of the file. */
  async #end(cursor: Cursor): Promise<void> {
    const saved = { pages: cursor.u64(), pageBytes: cursor.u64(), blocks: cursor.u64() };
    const read = { ...this.counts, blocks: this.#blocks - 1 };
    const isSame =
      saved.pages === read.pages && saved.pageBytes === read.pageBytes && saved.blocks === read.blocks;
    if (!isSame || cursor.left > 0) throw refused(`${saved.pages} pages were saved, ${read.pages} are there`);
    const computed = this.#digest.digest();
    const stored = await this.#source.read(DIGEST_BYTES);
    if (stored.length < DIGEST_BYTES) throw truncated();
    if (!stored.equals(computed)) throw refused('its digest is wrong: it was altered');
    if ((await this.#source.read(1)).length > 0) throw refused('something follows its end');
    this.#fileDigest = computed.toString('hex');
  }

  async #oneRecord<T>(kind: BlockKind, decode: (cursor: Cursor) => T): Promise<T> {
    let record: T | undefined;
    await this.#records(kind, 1, (cursor) => {
      record = decode(cursor);
    });
    return record as T;
  }

  /** Decodes `count` records from as many blocks of a kind as they take. */
  async #records(kind: BlockKind, count: number, decode: (cursor: Cursor) => void): Promise<void> {
    for (let done = 0; done < count; ) {
      const block = await this.#block();
      if (block.kind !== kind) throw refused(`a block of ${block.kind} stands where ${kind} belong`);
      if (block.records === 0 || block.records > count - done)
        throw refused(`the number of ${kind} is wrong`);
      for (let i = 0; i < block.records; i++) decode(block.cursor);
      if (block.cursor.left > 0) throw refused(`something follows the ${kind} of a block`);
      done += block.records;
    }
  }

  async #block(): Promise<Block> {
    const head = await this.#source.read(BLOCK_HEAD_BYTES);
    if (head.length < BLOCK_HEAD_BYTES) throw truncated();
    const described = decodeBlockHead(head);
    const stored = await this.#source.read(described.storedBytes);
    if (stored.length < described.storedBytes) throw truncated();
    const content = await decodeBlock(described, head, stored);
    this.#digest.update(head).update(stored);
    this.#blocks++;
    return { kind: described.kind, records: described.records, cursor: new Cursor(content) };
  }
}

function checkHead(head: Buffer, digest: Hash): void {
  if (head.length < HEAD_BYTES || !head.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw refused('this is no file that tmem save wrote');
  }
  if (head.readUInt32LE(12) !== crc32(head.subarray(0, 12))) throw refused('its head is damaged');
  const version = head.readUInt32LE(8);
  if (version !== FORMAT_VERSION) {
    throw refused(`it has format ${version}, and this version of the package reads ${FORMAT_VERSION}`);
  }
  digest.update(head);
}

/** Clients and pools go by their names, so none may be there twice; and persistent pools come first. */
function checkNames(clients: readonly SavedClient[], pools: readonly SavedPool[]): void {
  const uuids = pools.flatMap(({ shared }) => shared ?? []);
  const isUnique = (keys: readonly string[]) => new Set(keys).size === keys.length;
  const isNamed =
    isUnique(clients.map(({ name }) => name)) &&
    isUnique(pools.map(({ client, name }) => `${client}/${name}`)) &&
    isUnique(uuids);
  if (!isNamed) throw refused('a client or pool is there twice');
  const isOrdered = pools.every(
    ({ kind }, i) => kind === 'ephemeral' || pools[Math.max(i - 1, 0)].kind === kind,
  );
  if (!isOrdered) throw refused('its pools are out of order');
}

function truncated(): Error {
  return refused('it ends too early: it was truncated');
}
