// Records, page ids and seals: what a node keeps of a page that is away.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Sealer } from '../../../src/ramster/owner/seal.ts';
import { INCARNATION_MAX, PAGE_ID_MAX, PageIds } from '../../../src/ramster/page-id.ts';
import { decodeRecord, encodeRecord, PLACES_MAX, TAG_BYTES } from '../../../src/ramster/record.ts';
import { Oid, RECORD_BYTES_MAX } from '../../../src/zcache/index.ts';

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const place = fc.record({ node: u32, memory: u32 });
const record = fc.record({
  pool: u32,
  id: fc.integer({ min: 1, max: PAGE_ID_MAX }),
  kind: fc.constantFrom('persistent' as const, 'ephemeral' as const),
  codec: fc.constantFrom('raw' as const, 'lz4' as const, 'lzo' as const),
  bytes: fc.integer({ min: 1, max: 4096 }),
  tag: fc.option(fc.uint8Array({ minLength: TAG_BYTES, maxLength: TAG_BYTES }), { nil: undefined }),
  lost: fc.boolean(),
  places: fc.array(place, { maxLength: PLACES_MAX }),
});

describe('a record', () => {
  test('is read as it was written, and fits into the index', () => {
    fc.assert(
      fc.property(record, (written) => {
        const bytes = encodeRecord(written);
        expect(bytes.length).toBeLessThanOrEqual(RECORD_BYTES_MAX);
        expect(decodeRecord(bytes)).toEqual(written);
      }),
    );
  });

  test('of any other length, format, codec or id is none', () => {
    const good = encodeRecord({
      ...{ pool: 1, id: 1, kind: 'persistent', codec: 'raw', bytes: 1, tag: undefined, lost: false },
      places: [{ node: 1, memory: 2 }],
    });
    const changed = (at: number, value: number): Uint8Array => {
      const bytes = Uint8Array.from(good);
      bytes[at] = value;
      return bytes;
    };
    expect(decodeRecord(good)).toBeDefined();
    for (const length of [0, 1, 31, 33, 39]) expect(decodeRecord(good.subarray(0, length))).toBeUndefined();
    expect(decodeRecord(new Uint8Array(32 + 8 * (PLACES_MAX + 1)).fill(1))).toBeUndefined();
    expect(decodeRecord(changed(0, 2))).toBeUndefined();
    expect(decodeRecord(changed(1, 3))).toBeUndefined();
    expect(decodeRecord(changed(8, 0))).toBeUndefined();
    expect(decodeRecord(changed(15, 0xff))).toBeUndefined();
  });

  test('that is any bytes at all is read or none, without an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const read = decodeRecord(bytes);
        if (read !== undefined) expect(decodeRecord(encodeRecord(read))).toEqual(read);
      }),
    );
  });
});

describe('page ids', () => {
  test('grow, and those of a later start are above all of an earlier one', () => {
    const early = new PageIds(1);
    const first = early.take() as number;
    expect(early.take()).toBe(first + 1);
    expect(early.next).toBe(first + 2);
    expect(new PageIds(2).next).toBe(first + 2 ** 32);
  });

  test('are exact numbers up to the last start', () => {
    const last = new PageIds(INCARNATION_MAX).take() as number;
    expect(last + 2 ** 32 - 1).toBe(PAGE_ID_MAX);
  });
});

describe('a seal', () => {
  const page = { pool: 3, oid: Oid.fromWords([1, 2, 3, 4, 5, 6]), index: 9 };
  const sealer = new Sealer(new Uint8Array(32).fill(7));
  const bytes = Uint8Array.from({ length: 500 }, (_, i) => i);

  test('opens to what was sealed, and hides it', () => {
    const sealed = sealer.seal(page, 77, bytes);
    expect(sealed.bytes).toHaveLength(bytes.length);
    expect(Buffer.compare(sealed.bytes, bytes)).not.toBe(0);
    expect(Uint8Array.from(sealer.open(page, 77, sealed) as Uint8Array)).toEqual(bytes);
  });

  test('does not open for another handle, id or key, nor after any change', () => {
    const sealed = sealer.seal(page, 77, bytes);
    const others = [
      { ...page, pool: 4 },
      { ...page, index: 10 },
      ...[0, 1, 2, 3, 4, 5].map((at) => {
        const words = [1, 2, 3, 4, 5, 6] as [number, number, number, number, number, number];
        words[at] = 99;
        return { ...page, oid: Oid.fromWords(words) };
      }),
    ];
    for (const other of others) expect(sealer.open(other, 77, sealed)).toBeUndefined();
    expect(sealer.open(page, 78, sealed)).toBeUndefined();
    expect(sealer.open(page, 77 + 2 ** 32, sealed)).toBeUndefined();
    expect(new Sealer(new Uint8Array(32)).open(page, 77, sealed)).toBeUndefined();
    for (const at of [0, 250, 499]) {
      const changed = Uint8Array.from(sealed.bytes);
      changed[at] = (changed[at] as number) ^ 1;
      expect(sealer.open(page, 77, { ...sealed, bytes: changed })).toBeUndefined();
    }
    const tag = Uint8Array.from(sealed.tag);
    tag[0] = (tag[0] as number) ^ 1;
    expect(sealer.open(page, 77, { ...sealed, tag })).toBeUndefined();
    expect(sealer.open(page, 77, { ...sealed, bytes: sealed.bytes.subarray(1) })).toBeUndefined();
  });

  test('is another one for every id: no nonce is used twice', () => {
    const seen = new Set<string>();
    for (const id of [1, 2, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 52 + 1]) {
      seen.add(Buffer.from(sealer.seal(page, id, bytes).bytes).toString('hex'));
    }
    expect(seen.size).toBe(6);
  });
});
