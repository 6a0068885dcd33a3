// A recovery that was unwound in the middle is begun again, and nobody works in the arena before one ended.

import { describe, expect, test } from 'vitest';
import type { Arena } from '../../src/arena/index.ts';
import type { Store } from '../../src/index.ts';
import { newScene, type Scene } from './scene.ts';
import { tools } from './tools.ts';

const { poolOf, putPages, getPages, arenasOf, codeOf } = tools;
const ROOTS_AT = 256;
/** A word that leads behind the end of the arena. */
const NOWHERE = 0x1fff_ffff;

/** A store whose thread stopped in the middle of a recovery that only it knew to be needed. */
function halfDone(scene: Scene): { store: Store; arena: Arena; heal: () => void } {
  const store = scene.open({ memory: '16 MiB', lockTimeoutMs: 50 });
  const pool = poolOf(store);
  putPages(pool, 0, 100);
  const [arena] = arenasOf(store).all;
  const [frame] = [...Array(arena!.word(arena!.layout.H_POOLS_MAX)).keys()]
    .map((id) => arena!.word(arena!.word(arena!.layout.H_POOL_TABLE) + 8 * id))
    .filter((number) => number !== 0);
  const roots = frame! * 4096 + ROOTS_AT;
  const at = [...Array(64).keys()].map((i) => roots + 4 * i).find((address) => arena!.word(address) !== 0)!;
  const word = arena!.word(at);
  arena!.wasm.abandonOperation();
  arena!.setWord(at, NOWHERE);
  expect(() => arena!.recover(0)).toThrow(/401/);
  return { store, arena: arena!, heal: () => arena!.setWord(at, word) };
}

describe('a recovery that was unwound in the middle', () => {
  test('is done again by its thread', () => {
    const { store, arena, heal } = halfDone(newScene());
    heal();
    arena.recover(0);
    expect(store.stats().store.threads_recovered).toBe(1);
    expect(getPages(poolOf(store), 0, 100)).toEqual({ right: 100, missing: 0, wrong: 0 });
  });

  test('is done by the next who attaches, when its thread closed the store', () => {
    const scene = newScene();
    const { store, heal } = halfDone(scene);
    heal();
    store.close();
    const next = scene.open();
    expect(next.stats().store.threads_recovered).toBe(1);
    expect(getPages(poolOf(next), 0, 100)).toEqual({ right: 100, missing: 0, wrong: 0 });
  });
});

test('a pool that a recovery ended leaves a frame that keeps its memory: others may be looking at it', () => {
  const store = newScene().open({ memory: '16 MiB' });
  const pool = poolOf(store);
  putPages(pool, 0, 100);
  const [arena] = arenasOf(store).all;
  pool.destroy();
  arena!.wasm.recoverNow(1, 100);
  expect(codeOf(() => store.giveBack(4096))).toBeUndefined();
  expect(arena!.word(arena!.layout.H_FREE_FRAMES)).toBe(1);
});
