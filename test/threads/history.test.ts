// The checker itself: it accepts what can happen, and rejects each kind of lie.

import { describe, expect, test } from 'vitest';
import { contradiction, type Effect, type Operation, PATCHES } from './history.ts';

const A = 1 * PATCHES;
const B = 2 * PATCHES;

/** One line an operation: its thread, when it starts and ends, and what it did. */
function history(...lines: [thread: number, start: number, end: number, effect: Effect, optional?: true][]) {
  return lines.map(
    ([thread, start, end, effect, optional = false]): Operation => ({ thread, start, end, effect, optional }),
  );
}

const put = (value: number): Effect => ({ kind: 'set', value });
const flush: Effect = put(0);
const see = (value: number): Effect => ({ kind: 'see', value });
const take = (value: number): Effect => ({ kind: 'take', value });
const swap = (old: number, value: number): Effect => ({ kind: 'swap', old, value });
const patch = (patch: number): Effect => ({ kind: 'patch', patch });
const seePatch = (patch: number): Effect => ({ kind: 'see-patch', patch });

const persistent = (...lines: Parameters<typeof history>) =>
  contradiction(history(...lines), { ephemeral: false });
const ephemeral = (...lines: Parameters<typeof history>) =>
  contradiction(history(...lines), { ephemeral: true });

describe('what one thread did', () => {
  test('is accepted when every get gives the last put', () => {
    expect(
      persistent([0, 1, 2, see(0)], [0, 3, 4, put(A)], [0, 5, 6, see(A)], [0, 7, 8, see(A)]),
    ).toBeUndefined();
    expect(
      persistent([0, 1, 2, put(A)], [0, 3, 4, put(B)], [0, 5, 6, take(B)], [0, 7, 8, see(0)]),
    ).toBeUndefined();
    expect(persistent([0, 1, 2, put(A)], [0, 3, 4, swap(A, B)], [0, 5, 6, see(B)])).toBeUndefined();
    expect(persistent([0, 1, 2, put(A)], [0, 3, 4, swap(A, 0)], [0, 5, 6, see(0)])).toBeUndefined();
  });

  test('is rejected when a get gives an older page, in pools of both kinds', () => {
    for (const check of [persistent, ephemeral]) {
      expect(check([0, 1, 2, put(A)], [0, 3, 4, put(B)], [0, 5, 6, see(A)])).toContain(
        '5-6 thread 0 see value 1+0',
      );
      expect(check([0, 1, 2, put(A)], [0, 3, 4, flush], [0, 5, 6, see(A)])).toBeDefined();
      expect(check([0, 1, 2, put(A)], [0, 3, 4, take(A)], [0, 5, 6, take(A)])).toBeDefined();
      expect(check([0, 1, 2, put(A)], [0, 3, 4, swap(A, B)], [0, 5, 6, see(A)])).toBeDefined();
      expect(check([0, 1, 2, put(A)], [0, 3, 4, put(B)], [0, 5, 6, swap(A, 0)])).toBeDefined();
      expect(check([0, 1, 2, see(A)])).toBeDefined();
      expect(check([0, 1, 2, { kind: 'remove-some' }])).toBeDefined();
    }
  });

  test('is rejected when a page is gone that had to stay, and accepted when it could be evicted', () => {
    const lost: Parameters<typeof history> = [
      [0, 1, 2, put(A)],
      [0, 3, 4, see(0)],
    ];
    expect(persistent(...lost)).toBeDefined();
    expect(ephemeral(...lost)).toBeUndefined();
    expect(ephemeral(...lost, [0, 5, 6, see(A)])).toBeDefined();
    expect(persistent([0, 1, 2, put(A)], [0, 3, 4, swap(0, B)])).toBeDefined();
    expect(ephemeral([0, 1, 2, put(A)], [0, 3, 4, swap(0, B)], [0, 5, 6, see(B)])).toBeUndefined();
  });

  test('is rejected when a part of a page goes back, or is another page', () => {
    expect(persistent([0, 1, 2, put(A)], [0, 3, 4, patch(7)], [0, 5, 6, see(A + 7)])).toBeUndefined();
    expect(persistent([0, 1, 2, put(A)], [0, 3, 4, patch(7)], [0, 5, 6, seePatch(7)])).toBeUndefined();
    expect(persistent([0, 1, 2, put(A)], [0, 3, 4, patch(7)], [0, 5, 6, see(A)])).toBeDefined();
    expect(
      persistent([0, 1, 2, put(A)], [0, 3, 4, patch(7)], [0, 5, 6, put(B)], [0, 7, 8, see(B + 7)]),
    ).toBeDefined();
    expect(persistent([0, 1, 2, patch(7)])).toBeDefined();
    expect(ephemeral([0, 1, 2, put(A)], [0, 3, 4, patch(7)], [0, 5, 6, seePatch(0)])).toBeDefined();
  });
});

describe('what threads did at the same time', () => {
  test('may have happened in either order, but in one for all', () => {
    const puts: Parameters<typeof history> = [
      [0, 1, 4, put(A)],
      [1, 2, 3, put(B)],
    ];
    expect(persistent(...puts, [0, 5, 6, see(A)])).toBeUndefined();
    expect(persistent(...puts, [0, 5, 6, see(B)])).toBeUndefined();
    expect(persistent(...puts, [0, 5, 6, see(A)], [1, 7, 8, see(B)])).toBeDefined();
    expect(ephemeral(...puts, [0, 5, 6, see(A)], [1, 7, 8, see(B)])).toBeDefined();
    expect(persistent(...puts, [0, 5, 6, see(0)])).toBeDefined();
  });

  test('is seen by nobody before it starts, and by everybody after it ends', () => {
    expect(persistent([0, 3, 4, put(A)], [1, 1, 2, see(A)])).toBeDefined();
    expect(persistent([0, 1, 5, put(A)], [1, 2, 3, see(A)], [2, 4, 6, see(0)])).toBeDefined();
    expect(persistent([0, 1, 6, put(A)], [1, 2, 3, see(0)], [2, 4, 5, see(A)])).toBeUndefined();
  });

  test('gives a page that is taken to one of them only', () => {
    const both: Parameters<typeof history> = [
      [0, 1, 2, put(A)],
      [1, 3, 6, take(A)],
      [2, 4, 5, take(A)],
    ];
    expect(ephemeral(...both)).toBeDefined();
    expect(persistent([0, 1, 2, put(A)], [1, 3, 6, take(A)], [2, 4, 5, take(0)])).toBeUndefined();
  });

  test('is rejected when one put took effect twice', () => {
    expect(
      ephemeral(
        [0, 1, 10, put(A)],
        [1, 2, 3, see(A)],
        [1, 4, 5, put(B)],
        [1, 6, 7, see(B)],
        [1, 8, 9, see(A)],
      ),
    ).toBeDefined();
  });
});

describe('an operation that was cut short', () => {
  test('may have happened or not, until it was cleaned up', () => {
    const killed: Parameters<typeof history> = [
      [0, 1, 2, put(A)],
      [1, 3, 6, put(B), true],
    ];
    expect(persistent(...killed, [0, 7, 8, see(A)])).toBeUndefined();
    expect(persistent(...killed, [0, 7, 8, see(B)])).toBeUndefined();
    expect(persistent(...killed, [0, 4, 5, see(A)], [0, 7, 8, see(B)])).toBeUndefined();
    expect(persistent(...killed, [0, 7, 8, see(A)], [0, 9, 10, see(B)])).toBeDefined();
    expect(persistent(...killed, [0, 4, 5, see(B)], [0, 7, 8, see(A)])).toBeDefined();
    expect(persistent(...killed, [0, 7, 8, see(0)])).toBeDefined();
    expect(
      persistent([0, 1, 2, put(A)], [1, 3, 6, { kind: 'set-or-empty', value: B }, true], [0, 7, 8, see(0)]),
    ).toBeUndefined();
  });

  test('may have changed a part of the page that was there', () => {
    const killed: Parameters<typeof history> = [
      [0, 1, 2, put(A)],
      [1, 3, 6, { kind: 'patch-if-any', patch: 7 }, true],
    ];
    expect(persistent(...killed, [0, 7, 8, see(A)])).toBeUndefined();
    expect(persistent(...killed, [0, 7, 8, see(A + 7)])).toBeUndefined();
    expect(persistent(...killed, [0, 7, 8, see(B + 7)])).toBeDefined();
  });
});

test('a long history of four threads is checked in one pass', () => {
  const operations: Operation[] = [];
  let tick = 1;
  for (let round = 0; round < 5000; round++) {
    const start = tick;
    for (let thread = 0; thread < 4; thread++) {
      const value = (round * 4 + thread + 1) * PATCHES;
      operations.push({ thread, start: start + thread, end: start + 8 - thread, effect: put(value) });
    }
    tick += 20;
    operations.push({
      thread: 0,
      start: tick++,
      end: tick++,
      effect: see((round * 4 + 1 + (round % 4)) * PATCHES),
    });
  }
  expect(contradiction(operations, { ephemeral: false })).toBeUndefined();
  operations.push({ thread: 1, start: tick++, end: tick++, effect: see(PATCHES) });
  expect(contradiction(operations, { ephemeral: false })).toBeDefined();
});
