// Bytes of an area read as they were written last, wherever its pages are and whoever does not answer.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MemoryDevice, type SwapDevice } from '../../src/frontswap/index.ts';
import { bench, pattern, read, type Setting, SLOT, SLOTS } from './away-bench.ts';

const REGION = 64 * SLOT;
const BLOCK = 512;
const BLOCKS = SLOT / BLOCK;

const turns = (count: number) => async () => {
  for (let i = 0; i < count; i++) await Promise.resolve();
};

const peersAway = expect.objectContaining({ code: 'TMEM_ERR_PEERS_AWAY' });

const operations = fc.array(
  fc.record({
    what: fc.constantFrom(
      ...['write', 'write', 'part', 'part', 'part', 'through', 'read', 'read', 'trim', 'zero', 'flush'],
      ...['shrink', 'send', 'send', 'send'],
    ),
    slot: fc.integer({ min: 60, max: 67 }),
    block: fc.nat(BLOCKS - 1),
    blocks: fc.integer({ min: 1, max: 2 * BLOCKS }),
    fill: fc.integer({ min: 1, max: 255 }),
    wait: fc.boolean(),
  }),
  { maxLength: 60 },
);

describe.each([
  ['no device', () => undefined, {}],
  ['a device', () => new MemoryDevice(), {}],
  ['a device written through', () => new MemoryDevice(), { writethrough: true }],
  ['a device, and a store that refuses now and then', () => new MemoryDevice(), { refuses: true }],
] as [string, () => MemoryDevice | undefined, Setting][])('with %s', (_, newDevice, setting) => {
  test('bytes read as written last, wherever pages are, in any order of things', async () => {
    const streams = [
      fc.infiniteStream(fc.constantFrom('home' as const, 'page' as const)),
      fc.infiniteStream(fc.nat(5)),
      fc.infiniteStream(fc.boolean()),
    ] as const;
    let fetches = 0;
    await fc.assert(
      fc.asyncProperty(operations, ...streams, async (todo, answers, delays, coins) => {
        const device = newDevice();
        const { store, far, swap, pool } = bench({ device, ...setting });
        far.answer = () => answers.next().value;
        far.wait = () => turns(delays.next().value)();
        const model = new Uint8Array(SLOTS * SLOT);
        const running: Promise<unknown>[] = [];
        for (const { what, slot, block, blocks, fill, wait } of todo) {
          const from = slot * SLOT + (what === 'write' || what === 'trim' ? 0 : block * BLOCK);
          // What lies in two regions is done one after the other: others may come in between.
          const most = from < REGION ? REGION - from : SLOTS * SLOT - from;
          const length = what === 'write' || what === 'trim' ? SLOT : Math.min(most, blocks * BLOCK);
          const alone = running.length === 0;
          let step: Promise<unknown> | undefined;
          if (setting.refuses && coins.next().value) store.freeze();
          else store.thaw();
          if (what === 'send') {
            far.takeSome(pool, () => coins.next().value);
          } else if (what === 'write' || what === 'part' || what === 'through') {
            const bytes = pattern(fill, length);
            model.set(bytes, from);
            step = writeAll(swap, from, bytes, what === 'through');
          } else if (what === 'trim') {
            model.fill(0, from, from + length);
            step = swap.trim(from, length);
          } else if (what === 'zero') {
            model.fill(0, from, from + length);
            step = swap.zero(from, length, fill % 2 === 0);
          } else if (what === 'read') {
            const want = model.slice(from, from + length);
            step = read(swap, 0, from, length).then((got) => {
              if (alone && wait) expect(got).toEqual(want);
            });
          } else {
            step = what === 'flush' ? swap.flush() : swap.shrink(fill % 4);
          }
          if (step !== undefined) running.push(step);
          if (wait) await Promise.all(running.splice(0));
        }
        await Promise.all(running);
        far.takeSome(pool, () => coins.next().value);
        expect(Buffer.compare(await read(swap, 0, 0, model.length), model)).toBe(0);
        store.thaw();
        far.takeSome(pool);
        await swap.flush();
        if (device !== undefined)
          expect(Buffer.compare(await read(device, 0, 0, model.length), model)).toBe(0);
        expect(Buffer.compare(await read(swap, 0, 0, model.length), model)).toBe(0);
        fetches += far.fetched.length;
        store.close();
      }),
      { numRuns: 60 },
    );
    expect(fetches).toBeGreaterThan(0);
  });

  test('what cannot be had is an error, and all else reads as written', async () => {
    const answers = fc.infiniteStream(
      fc.constantFrom('home', 'page', 'peers away', 'peers away') as fc.Arbitrary<never>,
    );
    await fc.assert(
      fc.asyncProperty(operations, answers, fc.infiniteStream(fc.boolean()), async (todo, answer, coins) => {
        const device = newDevice();
        const { store, far, swap, pool } = bench({ device, ...setting });
        far.answer = () => answer.next().value;
        // What each block may hold.
        const model = Array.from({ length: SLOTS * BLOCKS }, () => new Set([0]));
        for (const { what, slot, block, blocks, fill } of todo) {
          if (setting.refuses && coins.next().value) store.freeze();
          else store.thaw();
          if (what === 'send') far.takeSome(pool, () => coins.next().value);
          if (
            what !== 'part' &&
            what !== 'through' &&
            what !== 'trim' &&
            what !== 'shrink' &&
            what !== 'flush'
          )
            continue;
          const isTrim = what === 'trim';
          const first = slot * BLOCKS + (isTrim ? 0 : block);
          const count = isTrim ? BLOCKS : blocks;
          const value = isTrim ? 0 : fill;
          const position = first * BLOCK;
          try {
            if (isTrim) await swap.trim(position, SLOT);
            else if (what === 'shrink') await swap.shrink(fill % 4);
            else if (what === 'flush') await swap.flush();
            else await swap.write(position, pattern(fill, count * BLOCK), what === 'through' || undefined);
            if (what === 'shrink' || what === 'flush') continue;
            for (let i = first; i < first + count; i++) model[i] = new Set([value]);
          } catch (error) {
            expect(error).toEqual(peersAway);
            expect(isTrim).toBe(false);
            if (what === 'flush' || what === 'shrink') continue;
            for (let i = first; i < first + count; i++) model[i]!.add(value);
          }
        }
        far.answer = () => 'home';
        const got = await read(swap, 0, 0, SLOTS * SLOT);
        for (const [i, allowed] of model.entries()) {
          const bytes = got.subarray(i * BLOCK, (i + 1) * BLOCK);
          const fits = [...allowed].some((fill) =>
            Buffer.from(bytes).equals(fill === 0 ? Buffer.alloc(BLOCK) : pattern(fill, BLOCK)),
          );
          if (!fits)
            expect.fail(`block ${i} begins with ${bytes[0]}, allowed are ${[...allowed].join(', ')}`);
        }
        store.thaw();
        far.takeSome(pool);
        await swap.flush();
        if (device !== undefined) expect(Buffer.compare(await read(device, 0, 0, SLOTS * SLOT), got)).toBe(0);
        store.close();
      }),
      { numRuns: 60 },
    );
  });
});

/** Writes, at once what can be. */
async function writeAll(
  swap: SwapDevice,
  position: number,
  bytes: Uint8Array,
  through: boolean,
): Promise<void> {
  const done = through ? 0 : swap.writeNow(position, bytes);
  if (done < bytes.length)
    expect(await swap.write(position + done, bytes.subarray(done), through || undefined)).toBe(true);
}
