// A file of a store that something else wrote to: whoever opens it, checks it or works with it gets an error with a
// code, or right pages. Nobody crashes, nobody waits for ever, nobody gets a wrong page (these stores verify).

import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Damage } from './damage.ts';
import { newScene, type Scene } from './scene.ts';
import { tools } from './tools.ts';

const { codeOf, makeVictim, arenasOf, open } = tools;
const HEADER = 4096;
const PAGE_BYTES = 4096;
// Of arena/memory/layout.ts and arena/tmem/object.ts.
const SLAB_KINDS: readonly number[] = [5, 6];
const O_NEXT = 28;
const O_ROOT = 32;

/** What comes of damages, tried one after the other in a child. */
async function outcomesOf(scene: Scene, damages: readonly Damage[]): Promise<Map<string, number>> {
  const child = await scene.child();
  let last: unknown;
  child.process.on('message', (message: { told?: string }) => {
    last = message.told ?? last;
  });
  try {
    return await child.run(
      ({ tryDamages, tell }, place, path, damages) =>
        tryDamages(place, path, damages, ({ at, bytes }) =>
          tell(`${at}: ${Buffer.from(bytes).toString('hex')}`),
        ),
      scene.place,
      scene.path(),
      damages,
    );
  } catch (cause) {
    throw new Error(`after ${last}`, { cause });
  }
}

function bad(outcomes: Map<string, number>): string[] {
  return [...outcomes.keys()].filter((outcome) => outcome.startsWith('bad'));
}

function word(at: number, value: number): Damage {
  return { at, bytes: new Uint8Array(Uint32Array.of(value).buffer) };
}

/** Numbers that are the same in every run. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) >>> 0;
    return (state >>> 3) % below;
  };
}

describe('a header', () => {
  test('with any of its words overwritten is refused, or the store works', async () => {
    const scene = newScene();
    makeVictim(scene.place);
    const bytes = readFileSync(scene.path());
    const damages: Damage[] = [];
    for (let at = HEADER; at < HEADER + 248; at += 4) {
      const now = bytes.readUInt32LE(at);
      for (const value of [0, (now + 1) >>> 0, 0xffff_f000]) {
        if (value !== now) damages.push(word(at, value));
      }
    }
    const outcomes = await outcomesOf(scene, damages);
    expect(bad(outcomes)).toEqual([]);
    expect(outcomes.get('TMEM_ERR_DAMAGED')).toBeGreaterThan(50);
    expect(outcomes.get('TMEM_ERR_LAYOUT')).toBe(3);
    expect(outcomes.get('works')).toBeGreaterThan(50);
  });

  test('with other settings than its tables, or none, is refused', () => {
    const scene = newScene();
    makeVictim(scene.place);
    const bytes = readFileSync(scene.path());
    const { layout } = arenasOf(scene.open()).all[0];
    const length = bytes.readUInt32LE(layout.H_SETTINGS_BYTES);
    const text = bytes.toString('utf8', layout.H_SETTINGS, layout.H_SETTINGS + length);
    const tellsOf = (changed: string) => {
      bytes.fill(0, layout.H_SETTINGS, layout.H_SETTINGS + layout.SETTINGS_BYTES_MAX);
      bytes.write(changed, layout.H_SETTINGS);
      bytes.writeUInt32LE(Buffer.byteLength(changed), layout.H_SETTINGS_BYTES);
      writeFileSync(scene.path(), bytes);
      return codeOf(() => open(scene.place).close());
    };
    expect(tellsOf(text)).toBe(undefined);
    for (const changed of [
      '',
      '{}',
      'null',
      '[]',
      '7',
      text.slice(0, -1),
      text.replace('"threads":3', '"threads":4'),
      text.replace('"pools":4', '"pools":5'),
      text.replace('"memory":8388608', '"memory":16777216'),
      text.replace('"arenas":1', '"arenas":2'),
      text.replace('"codec":"lz4"', '"codec":"zip"'),
      text.replace('"clients":3', '"clients":"3"'),
    ]) {
      expect([changed, tellsOf(changed)]).toEqual([changed, 'TMEM_ERR_DAMAGED']);
    }
    expect(tellsOf(text.replace(/}$/, ',"ofALaterVersion":1}'))).toBe(undefined);
  });
});

describe('a file', () => {
  test.each([
    ['cut to nothing', 0],
    ['cut within the header', 6000],
    ['cut in the middle of a frame', 3 * 2 ** 20 + 77],
    ['cut by one frame', 8 * 2 ** 20 - PAGE_BYTES],
    ['longer by a byte', 8 * 2 ** 20 + 1],
    ['longer by an arena', 16 * 2 ** 20],
  ])('%s is refused, and left as it is', (_what, bytes) => {
    const scene = newScene();
    makeVictim(scene.place);
    truncateSync(scene.path(), bytes);
    expect(codeOf(() => scene.open())).toBe('TMEM_ERR_DAMAGED');
    expect(codeOf(() => scene.open({ memory: '8 MiB' }))).toBe('TMEM_ERR_DAMAGED');
    expect(tools.checkStore(scene.name)).toMatchObject({ sound: false });
    expect(tools.listStores().find(({ name }) => name === scene.name)?.state).toBe('damaged');
    expect(statSync(scene.path()).size).toBe(bytes);
    tools.removeStore(scene.name);
    expect(scene.open({ memory: '8 MiB' }).isNew).toBe(true);
  });

  test('of garbage is refused', () => {
    const scene = newScene();
    const next = numbersFrom(5);
    for (const bytes of [1, 100, 8192, 2 ** 20]) {
      writeFileSync(
        scene.path(),
        Uint8Array.from({ length: bytes }, () => next(256)),
        { mode: 0o600 },
      );
      expect(codeOf(() => scene.open({ memory: '8 MiB' }))).toBe('TMEM_ERR_DAMAGED');
      expect(tools.checkStore(scene.name)).toMatchObject({ sound: false });
    }
  });
});

describe('the rest of a file', () => {
  test('overwritten in its tables gives errors, or works without a wrong page', async () => {
    const scene = newScene();
    makeVictim(scene.place);
    const { words, layout } = arenasOf(scene.open()).all[0];
    const next = numbersFrom(11);
    const tables = [layout.H_SLOTS, layout.H_FRAME_TABLE, layout.H_FREE_BITS, layout.H_POOL_TABLE].map(
      (header) => words[header >>> 2]!,
    );
    const LOCKS = 2 * PAGE_BYTES;
    const damages: Damage[] = [];
    for (const table of [LOCKS, LOCKS + 64 * 768, ...tables]) {
      for (let i = 0; i < 24; i++) {
        const value = [0, 1, 0xffff_ffff, next(2 ** 29), 0x0102_0304][i % 5]!;
        damages.push(word(table + 4 * next(i < 12 ? 64 : 1024), value));
      }
    }
    expect(bad(await outcomesOf(scene, damages))).toEqual([]);
  });

  test('overwritten in the frames of pools, index and pages gives errors, or works without a wrong page', async () => {
    const scene = newScene();
    makeVictim(scene.place);
    const bytes = readFileSync(scene.path());
    const { words, layout } = arenasOf(scene.open()).all[0];
    const next = numbersFrom(13);
    const frames: number[] = [];
    for (let at = words[layout.H_FIRST_FRAME >>> 2]! * PAGE_BYTES; at < bytes.length; at += PAGE_BYTES) {
      if (bytes.subarray(at, at + PAGE_BYTES).some((byte) => byte !== 0)) frames.push(at);
    }
    expect(frames.length).toBeGreaterThan(100);
    const some = frames.filter(() => next(2) === 0);
    const damages = some.map((frame, i) =>
      i % 2 === 0
        ? word(frame + 4 * next(1024), [0, 0xffff_ffff, 0x1234_5678, next(2 ** 31)][next(4)]!)
        : { at: frame + next(4000), bytes: Uint8Array.from({ length: 1 + next(90) }, () => next(256)) },
    );
    expect(bad(await outcomesOf(scene, damages))).toEqual([]);
  });

  test('with words of the index in each other’s places gives errors, or works without a wrong page', async () => {
    const scene = newScene();
    makeVictim(scene.place);
    const bytes = readFileSync(scene.path());
    const { words, layout } = arenasOf(scene.open()).all[0];
    const next = numbersFrom(17);
    const table = words[layout.H_FRAME_TABLE >>> 2]!;
    const index: number[] = [];
    for (let frame = 0; frame < words[layout.H_FRAMES >>> 2]!; frame++) {
      if (!SLAB_KINDS.includes(words[(table >>> 2) + 2 * frame]! & 15)) continue;
      for (let at = frame * PAGE_BYTES; at < (frame + 1) * PAGE_BYTES; at += 4) {
        if (bytes.readUInt32LE(at) !== 0) index.push(at);
      }
    }
    // Addresses among them make circles.
    const any = () => index[next(index.length)]!;
    const damages = Array.from({ length: 120 }, () => word(any(), bytes.readUInt32LE(any())));
    expect(bad(await outcomesOf(scene, damages))).toEqual([]);
  });

  test('with objects that follow themselves gives an error to all who look for one', () => {
    const scene = newScene();
    makeVictim(scene.place);
    const store = scene.open();
    const pool = tools.poolOf(store);
    const [arena] = arenasOf(store).all;
    const { w0, w1 } = tools.oidOf(0);
    // One in each pool.
    const objects = [...arena.words.keys()].filter(
      (at) => arena.words[at] === w0 && arena.words[at + 1] === w1 && arena.words[at + O_ROOT / 4] !== 0,
    );
    for (const object of objects) arena.words[object + O_NEXT / 4] = object * 4;
    expect(tools.getPages(pool, 0, 1)).toEqual({ right: 1, missing: 0, wrong: 0 });
    expect(codeOf(() => [...pool.walk()])).toBe('TMEM_ERR_DAMAGED');
    expect(tools.checkStore(scene.name)).toMatchObject({ sound: false });
  });
});
