// The bytes of a saved store: what was written comes back, and nothing else is believed.
import { constants, crc32, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BLOCK_CONTENT_BYTES_MAX, POOLS_MAX } from '../../src/zcache/save/format.ts';
import { SavedStoreWriter } from '../../src/zcache/save/writer.ts';
import {
  anySaved,
  BufferSource,
  blocksOf,
  client,
  comparable,
  page,
  plainBlock,
  pool,
  readAll,
  type Saved,
  signedBlock,
  signedFile,
  smallSaved,
  written,
} from './saved-bytes.ts';

const read = (file: Buffer): Promise<Saved> => readAll(new BufferSource(file));

/** What became of reading the file: null when it was read, else the code of the error. */
async function refusal(file: Buffer): Promise<unknown> {
  return await read(file).then(
    () => null,
    (error) => error.code ?? error,
  );
}

test('what was saved comes back, whatever it is', async () => {
  await fc.assert(
    fc.asyncProperty(anySaved, async (saved) => {
      expect(comparable(await read(await written(saved)))).toEqual(comparable(saved));
    }),
    { numRuns: 60 },
  );
});

test('the empty store comes back', async () => {
  const empty = { store: { ...smallSaved.store, clients: [], pools: [] }, pages: [] };
  expect(await read(await written(empty))).toEqual(empty);
});

test('pages and descriptions of several blocks come back, and no block is larger than its bound', async () => {
  const names = Array.from({ length: POOLS_MAX }, (_, i) => `${'long name '.repeat(5)}${i}`);
  const random = Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * i * 31 + (i >> 3)) & 0xff));
  const saved: Saved = {
    store: {
      ...{ ...smallSaved.store, clients: [client()] },
      pools: names.map((name) => pool({ name })),
    },
    pages: Array.from({ length: 600 }, (_, i) => page(i < 300 ? 0 : POOLS_MAX - 1, 5, i, random)),
  };
  let largest = 0;
  const parts: Buffer[] = [];
  const writer = new SavedStoreWriter({
    async write(bytes) {
      largest = Math.max(largest, bytes.length);
      parts.push(Buffer.from(bytes));
    },
  });
  await writer.begin(saved.store);
  for (const page of saved.pages) await writer.add(page);
  const counts = await writer.end();
  expect(largest).toBeLessThanOrEqual(BLOCK_CONTENT_BYTES_MAX + 20);
  expect(counts.blocks).toBeGreaterThan(8);
  const source = new BufferSource(Buffer.concat(parts));
  const back = await readAll(source);
  expect(source.askedMax).toBeLessThanOrEqual(BLOCK_CONTENT_BYTES_MAX);
  expect(back.store.pools.map(({ name }) => name)).toEqual(names);
  expect(back.pages.length).toBe(600);
  expect(back.pages.every(({ bytes }) => random.equals(bytes))).toBe(true);
});

test('a file with any one bit flipped is refused', async () => {
  const file = await written(smallSaved);
  for (let bit = 0; bit < 8 * file.length; bit++) {
    const altered = Buffer.from(file);
    altered[bit >> 3] ^= 1 << (bit & 7);
    expect(await refusal(altered), `bit ${bit}`).toBe('TMEM_ERR_SAVED_FILE');
  }
});

test('a file cut off anywhere, or longer by a byte, is refused', async () => {
  const file = await written(smallSaved);
  for (let length = 0; length < file.length; length++) {
    expect(await refusal(file.subarray(0, length)), `${length} bytes`).toBe('TMEM_ERR_SAVED_FILE');
  }
  expect(await refusal(Buffer.concat([file, Buffer.alloc(1)]))).toBe('TMEM_ERR_SAVED_FILE');
});

test('a file with blocks left out, doubled or exchanged is refused, even when its digest is made to fit', async () => {
  const file = await written(smallSaved);
  const blocks = (await blocksOf(file)).map(plainBlock);
  expect(await refusal(signedFile(file, blocks))).toBe(null);
  for (const [i, block] of blocks.entries()) {
    expect(await refusal(signedFile(file, blocks.toSpliced(i, 1)))).toBe('TMEM_ERR_SAVED_FILE');
    expect(await refusal(signedFile(file, blocks.toSpliced(i, 0, block)))).toBe('TMEM_ERR_SAVED_FILE');
    const exchanged = blocks.with(i, blocks[(i + 1) % blocks.length]).with((i + 1) % blocks.length, block);
    expect(await refusal(signedFile(file, exchanged))).toBe('TMEM_ERR_SAVED_FILE');
  }
});

test('a file of another format version is refused by its version', async () => {
  const file = await written(smallSaved);
  file.writeUInt32LE(2, 8);
  file.writeUInt32LE(crc32(file.subarray(0, 12)), 12);
  await expect(read(file)).rejects.toThrow(/format 2/);
});

test('records forged with checksums that fit are refused or make sense, and ask for no more than a block', async () => {
  const file = await written(smallSaved);
  const original = await blocksOf(file);
  const change = fc.record({
    block: fc.nat(original.length - 1),
    at: fc.nat(10_000),
    inHead: fc.boolean(),
    bytes: fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 8 }), fc.constant(Buffer.alloc(4, 0xff))),
  });
  let readable = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
      const blocks = original.map(({ head, content }) => ({
        head: Buffer.from(head),
        content: Buffer.from(content),
      }));
      for (const { block, at, inHead, bytes } of changes) {
        const { head, content } = blocks[block];
        const target = inHead ? head.subarray(0, 16) : content;
        for (const [i, byte] of bytes.entries()) target[(at + i) % target.length] = byte;
      }
      const signed = blocks.map((block, i) =>
        changes.some((change) => change.inHead && change.block === i)
          ? signedBlock(block.head, block.content)
          : plainBlock(block),
      );
      const source = new BufferSource(signedFile(file, signed));
      const outcome = await readAll(source).then(
        (saved) => saved,
        (error) => error,
      );
      expect(source.askedMax).toBeLessThanOrEqual(BLOCK_CONTENT_BYTES_MAX);
      if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'TMEM_ERR_SAVED_FILE' });
      else {
        // What is believed could have been saved.
        expect(comparable(await read(await written(outcome)))).toEqual(comparable(outcome));
        readable++;
      }
    }),
    { numRuns: 1500 },
  );
  expect(readable).toBeGreaterThan(0);
});

test('a block that would unpack to more than it says, or needs a larger window, is refused', async () => {
  const file = await written(smallSaved);
  const blocks = await blocksOf(file);
  const withPages = (contentBytes: number, stored: Buffer): Buffer => {
    const head = Buffer.from(blocks[3].head);
    head.writeUInt8(1, 1);
    head.writeUInt32LE(contentBytes, 8);
    head.writeUInt32LE(stored.length, 12);
    return signedFile(file, [
      ...blocks.slice(0, 3).map(plainBlock),
      signedBlock(head, stored),
      plainBlock(blocks[4]),
    ]);
  };
  const { content } = blocks[3];
  const fits = zstdCompressSync(content);
  expect(await refusal(withPages(content.length, fits))).toBe(null);
  expect(await refusal(withPages(content.length + 1, fits))).toBe('TMEM_ERR_SAVED_FILE');
  expect(await refusal(withPages(content.length - 1, fits))).toBe('TMEM_ERR_SAVED_FILE');
  const bomb = zstdCompressSync(Buffer.alloc(2 ** 26), { params: { [constants.ZSTD_c_windowLog]: 20 } });
  expect(await refusal(withPages(BLOCK_CONTENT_BYTES_MAX, bomb))).toBe('TMEM_ERR_SAVED_FILE');
  // A frame of 100 zeroes: magic, no flags, window, one block that repeats a byte.
  const zeroes = (windowLog: number) =>
    Buffer.from([
      0x28,
      0xb5,
      0x2f,
      0xfd,
      0,
      (windowLog - 10) << 3,
      1 | (1 << 1) | ((100 << 3) & 0xff),
      100 >> 5,
      0,
      0,
    ]);
  await expect(read(withPages(100, zeroes(20)))).rejects.toThrow(/a page of 0 bytes/);
  await expect(read(withPages(100, zeroes(21)))).rejects.toThrow(/does not decompress/);
});

test.each([
  ['a client twice', { clients: [client(), client()] }],
  ['a pool twice', { clients: [client()], pools: [pool(), pool()] }],
  ['a pool of no client', { clients: [client()], pools: [pool({ client: 1 })] }],
  ['a grant to no client', { clients: [client()], pools: [pool({ shared: uuid(), granted: [1] })] }],
  ['grants of a private pool', { clients: [client()], pools: [pool({ granted: [0] })] }],
  [
    'an ephemeral pool before a persistent one',
    {
      clients: [client()],
      pools: [pool({ kind: 'ephemeral', name: 'e' }), pool()],
    },
  ],
  [
    'a pool that demotes to itself',
    {
      clients: [client()],
      pools: [pool({ kind: 'ephemeral', pam: 'raw', limitPages: 1, demoteTo: 0 })],
    },
  ],
  ['a limit where none can be', { clients: [client()], pools: [pool({ limitPages: 1 })] }],
  ['a name with control characters', { clients: [client({ name: 'a\nb' })] }],
  ['a weight of 0', { clients: [client({ weight: 0 })] }],
])('%s is refused', async (_, parts) => {
  const file = await written({ store: { ...smallSaved.store, pools: [], ...parts }, pages: [] });
  expect(await refusal(file)).toBe('TMEM_ERR_SAVED_FILE');
});

test('pages out of order, of no pool, or of a kind that was not saved are refused', async () => {
  const [kept, , cached] = smallSaved.pages;
  const { store } = smallSaved;
  for (const saved of [
    { store, pages: [cached, kept] },
    { store, pages: [{ ...kept, pool: 3 }] },
    { store: { ...store, ephemeral: false }, pages: [kept, cached] },
  ]) {
    expect(await refusal(await written(saved))).toBe('TMEM_ERR_SAVED_FILE');
  }
});

function uuid(): string {
  return 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6';
}
