/** Saved stores as bytes in memory: written, read, taken apart, and signed anew after a change. */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { Oid } from '../../src/zcache/index.ts';
import { decodeBlock, decodeBlockHead } from '../../src/zcache/save/block.ts';
import type { SavedClient, SavedPage, SavedPool, SavedStore } from '../../src/zcache/save/format.ts';
import { type ByteSource, SavedStoreReader } from '../../src/zcache/save/reader.ts';
import { SavedStoreWriter } from '../../src/zcache/save/writer.ts';

export interface Saved {
  readonly store: SavedStore;
  readonly pages: readonly SavedPage[];
}

export async function written({ store, pages }: Saved): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  const writer = new SavedStoreWriter({
    async write(bytes) {
      parts.push(Buffer.from(bytes));
    },
  });
  await writer.begin(store);
  for (const page of pages) await writer.add(page);
  await writer.end();
  return Buffer.concat(parts);
}

/** A source of bytes that remembers the most it was asked for at once. */
export class BufferSource implements ByteSource {
  askedMax = 0;
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  async read(length: number): Promise<Buffer> {
    this.askedMax = Math.max(this.askedMax, length);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

export async function readAll(source: ByteSource): Promise<Saved> {
  const reader = new SavedStoreReader(source);
  const store = await reader.begin();
  const pages: SavedPage[] = [];
  for await (const block of reader.pages(store)) {
    pages.push(...block.map((page) => ({ ...page, bytes: Buffer.from(page.bytes) })));
  }
  return { store, pages };
}

export const HEAD_BYTES = 16;
export const BLOCK_HEAD_BYTES = 20;
const DIGEST_BYTES = 32;

/** A block taken apart: its head, and its content unpacked. */
export interface BlockParts {
  readonly head: Buffer;
  content: Buffer;
}

export async function blocksOf(file: Buffer): Promise<BlockParts[]> {
  const blocks: BlockParts[] = [];
  for (let at = HEAD_BYTES; at < file.length - DIGEST_BYTES; ) {
    const head = Buffer.from(file.subarray(at, at + BLOCK_HEAD_BYTES));
    const described = decodeBlockHead(head);
    const stored = file.subarray(at + BLOCK_HEAD_BYTES, at + BLOCK_HEAD_BYTES + described.storedBytes);
    blocks.push({ head, content: Buffer.from(await decodeBlock(described, head, stored)) });
    at += BLOCK_HEAD_BYTES + described.storedBytes;
  }
  return blocks;
}

/** A block of these stored bytes, with a checksum that is right. */
export function signedBlock(head: Buffer, stored: Buffer): Buffer {
  const signed = Buffer.from(head);
  signed.writeUInt32LE(crc32(stored, crc32(signed.subarray(0, 16))), 16);
  return Buffer.concat([signed, stored]);
}

/** The block with its content as it is, not compressed. */
export function plainBlock({ head, content }: BlockParts): Buffer {
  const plain = Buffer.from(head);
  plain.writeUInt8(0, 1);
  plain.writeUInt32LE(content.length, 8);
  plain.writeUInt32LE(content.length, 12);
  return signedBlock(plain, content);
}

/** A file of these blocks, with a digest that is right. */
export function signedFile(fileHead: Buffer, blocks: readonly Buffer[]): Buffer {
  const content = Buffer.concat([fileHead.subarray(0, HEAD_BYTES), ...blocks]);
  return Buffer.concat([content, createHash('sha256').update(content).digest()]);
}

export const page = (pool: number, object: number, index: number, bytes: Uint8Array): SavedPage => ({
  ...{ pool, index, bytes },
  oid: Oid.fromNumbers(object),
});

export const pool = (about: Partial<SavedPool> = {}): SavedPool => ({
  ...{ client: 0, name: 'pool', kind: 'persistent', codec: 'lz4', pam: 'zv', shared: null, granted: [] },
  ...{ limitPages: null, demoteTo: null },
  ...about,
});

export const client = (about: Partial<SavedClient> = {}): SavedClient => ({
  ...{ name: 'client', weight: 100, capBytes: null, frozen: false },
  ...about,
});

/** Two clients; a pool of each kind, one of them shared; pages short, long, compressible and not. */
export const smallSaved: Saved = {
  store: {
    ...{ name: 'small', frozen: false, ephemeral: true, settings: { memory: 16 * 2 ** 20, threads: 2 } },
    clients: [client({ name: 'a', weight: 3 }), client({ name: 'b', capBytes: 2 ** 20, frozen: true })],
    pools: [
      pool({ name: 'kept' }),
      pool({
        ...{ name: 'cache', kind: 'ephemeral', pam: 'zbud', codec: 'lzo', client: 1, granted: [0] },
        shared: 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6',
      }),
      pool({
        ...{ name: 'hot', kind: 'ephemeral', pam: 'raw', codec: 'none' },
        ...{ client: 1, limitPages: 10, demoteTo: 1 },
      }),
    ],
  },
  pages: [
    page(0, 1, 0, Buffer.from('a page')),
    page(0, 1, 0xffff_ffff, Buffer.alloc(200, 'again ')),
    page(1, 2, 7, Buffer.from([0])),
    page(2, 2, 8, Buffer.from('hot')),
  ],
};

const name = fc
  .string({ minLength: 1, maxLength: 16, unit: 'grapheme' })
  .filter((text) => Buffer.byteLength(text) <= 64 && text.isWellFormed())
  // biome-ignore lint/suspicious/noControlCharactersInRegex: names may not have them
  .filter((text) => !/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text));

const bytes = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 4096 }),
  fc
    .tuple(fc.integer({ min: 1, max: 4096 }), fc.nat(255))
    .map(([length, value]) => Buffer.alloc(length, value)),
);

const settings = fc.dictionary(
  fc.stringMatching(/^[a-z]{1,12}$/),
  fc.oneof(fc.nat(), fc.boolean(), fc.string({ unit: 'grapheme' })),
  { maxKeys: 8 },
);

function poolIn(clients: number): fc.Arbitrary<SavedPool> {
  return fc
    .record({
      client: fc.nat(clients - 1),
      kind: fc.constantFrom('ephemeral', 'persistent'),
      codec: fc.constantFrom('lz4', 'lzo', 'none'),
      pam: fc.constantFrom('zbud', 'zv', 'raw'),
      shared: fc.option(fc.uuid()),
      granted: fc.uniqueArray(fc.nat(clients - 1), { maxLength: 4 }),
      limitPages: fc.option(fc.integer({ min: 1, max: 2 ** 32 - 1 })),
    } as const)
    .map((about) =>
      pool({
        ...about,
        codec:
          about.pam === 'raw' ? 'none' : about.pam === 'zbud' && about.codec === 'none' ? 'lzo' : about.codec,
        granted: about.shared === null ? [] : about.granted.sort((a, b) => a - b),
        limitPages: about.pam === 'raw' && about.kind === 'ephemeral' ? about.limitPages : null,
      }),
    );
}

/** Any description whose names are unique; pools in their order, some demoting to one before them. */
const anyStore: fc.Arbitrary<SavedStore> = fc
  .uniqueArray(name, { minLength: 1, maxLength: 5 })
  .chain((names) =>
    fc.record({
      ...{
        name: fc.stringMatching(/^[a-z][a-z0-9._-]{0,20}$/),
        frozen: fc.boolean(),
        ephemeral: fc.boolean(),
        settings,
      },
      clients: fc.tuple(
        ...names.map((name) =>
          fc.record({
            name: fc.constant(name),
            weight: fc.integer({ min: 1, max: 1_000_000 }),
            capBytes: fc.option(fc.integer({ min: 4096, max: 64 * 4 * 2 ** 30 })),
            frozen: fc.boolean(),
          }),
        ),
      ),
      pools: fc
        .tuple(
          fc.array(poolIn(names.length), { maxLength: 6 }),
          fc.uniqueArray(name, { minLength: 6, maxLength: 6 }),
        )
        .map(([pools, names]) => inOrder(pools.map((pool, i) => ({ ...pool, name: names[i] })))),
    }),
  );

function inOrder(pools: readonly SavedPool[]): SavedPool[] {
  const ordered = [...pools].sort((a, b) => Number(a.kind === 'ephemeral') - Number(b.kind === 'ephemeral'));
  return ordered.map((pool, i) => ({
    ...pool,
    demoteTo: pool.limitPages === null || i === 0 ? null : i - 1,
  }));
}

export const anySaved: fc.Arbitrary<Saved> = anyStore.chain((store): fc.Arbitrary<Saved> => {
  const taking = store.pools.flatMap(({ kind }, i) => (store.ephemeral || kind === 'persistent' ? [i] : []));
  if (taking.length === 0) return fc.constant({ store, pages: [] });
  const onePage = fc
    .tuple(fc.constantFrom(...taking), fc.bigInt(0n, 2n ** 64n - 1n), fc.nat(0xffff_ffff), bytes)
    .map(([pool, object, index, bytes]) => ({ pool, oid: Oid.fromNumbers(object, 1), index, bytes }));
  return fc
    .array(onePage, { maxLength: 300, size: 'large' })
    .map((pages) => ({ store, pages: pages.sort((a, b) => a.pool - b.pool) }));
});

/** For comparison: an oid and a page as text. */
export function comparable({ store, pages }: Saved) {
  return {
    store,
    pages: pages.map(({ oid, bytes, ...at }) => ({
      ...at,
      oid: oid.toString(),
      bytes: Buffer.from(bytes).toString('hex'),
    })),
  };
}
