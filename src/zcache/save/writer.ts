/**
 * Writes a saved store, a block at a time: begin, pages in ascending order of their pools, end. Knows no files; what it
 * makes goes to a sink, and no more than one block is held.
 */

import { createHash, type Hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { encodeBlock } from './block.ts';
import {
  BLOCK_CONTENT_BYTES_MAX,
  type BlockKind,
  DIGEST,
  FORMAT_VERSION,
  HEAD_BYTES,
  MAGIC,
  PAGE_HEAD_BYTES,
  type SavedCounts,
  type SavedPage,
  type SavedStore,
} from './format.ts';
import { encodeClient, encodePage, encodePool, encodeSettings } from './records.ts';

export interface ByteSink {
  /** Takes all the bytes before it resolves. */
  write(bytes: Uint8Array): Promise<void>;
}

export class SavedStoreWriter {
  readonly #sink: ByteSink;
  readonly #digest: Hash = createHash(DIGEST);
  readonly #content = Buffer.alloc(BLOCK_CONTENT_BYTES_MAX);
  #used = 0;
  #records = 0;
  #pages = 0;
  #pageBytes = 0;
  #blocks = 0;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  /** Head and description. */
  async begin(store: SavedStore): Promise<void> {
    await this.#put(fileHead());
    await this.#addRecord('settings', encodeSettings(store));
    await this.#flush('settings');
    for (const client of store.clients) await this.#addRecord('clients', encodeClient(client));
    await this.#flush('clients');
    for (const pool of store.pools) await this.#addRecord('pools', encodePool(pool));
    await this.#flush('pools');
  }

  /** The page's bytes are copied before this resolves. */
  async add(page: SavedPage): Promise<void> {
    const bytes = PAGE_HEAD_BYTES + page.bytes.length;
    if (this.#used + bytes > BLOCK_CONTENT_BYTES_MAX) await this.#flush('pages');
    encodePage(this.#content, this.#used, page);
    this.#used += bytes;
    this.#records++;
    this.#pages++;
    this.#pageBytes += page.bytes.length;
  }

  /** Counts and digest: without them the file is a truncated one. */
  async end(): Promise<SavedCounts> {
    await this.#flush('pages');
    const counts = { pages: this.#pages, pageBytes: this.#pageBytes, blocks: this.#blocks };
    const content = Buffer.alloc(24);
    content.writeBigUInt64LE(BigInt(counts.pages), 0);
    content.writeBigUInt64LE(BigInt(counts.pageBytes), 8);
    content.writeBigUInt64LE(BigInt(counts.blocks), 16);
    await this.#addRecord('end', content);
    await this.#flush('end');
    await this.#sink.write(this.#digest.digest());
    return counts;
  }

  async #addRecord(kind: BlockKind, record: Buffer): Promise<void> {
    if (this.#used + record.length > BLOCK_CONTENT_BYTES_MAX) await this.#flush(kind);
    record.copy(this.#content, this.#used);
    this.#used += record.length;
    this.#records++;
  }

  /** Writes what was added, if anything, as a block. */
  async #flush(kind: BlockKind): Promise<void> {
    if (this.#records === 0) return;
    await this.#put(await encodeBlock(kind, this.#records, this.#content.subarray(0, this.#used)));
    this.#used = 0;
    this.#records = 0;
    this.#blocks++;
  }

  async #put(bytes: Buffer): Promise<void> {
    this.#digest.update(bytes);
    await this.#sink.write(bytes);
  }
}

function fileHead(): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  MAGIC.copy(head);
  head.writeUInt32LE(FORMAT_VERSION, 8);
  head.writeUInt32LE(crc32(head.subarray(0, 12)), 12);
  return head;
}
