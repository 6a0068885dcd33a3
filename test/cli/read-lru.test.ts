import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Handles } from '../../src/cli/read/handles.ts';
import { ByteLru } from '../../src/cli/read/lru.ts';

const BOUND = 1000;

type Step = { kind: 'get'; key: number } | { kind: 'set'; key: number; bytes: number };

const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('get' as const), key: fc.nat({ max: 9 }) }),
    fc.record({
      kind: fc.constant('set' as const),
      key: fc.nat({ max: 9 }),
      bytes: fc.integer({ min: 1, max: 1200 }),
    }),
  ),
  { maxLength: 80 },
);

/** The same, written for clearness: a list, most recent last. */
function model(done: readonly Step[]): [number, number][] {
  let held: [number, number][] = [];
  for (const step of done) {
    const known = held.find(([key]) => key === step.key);
    const others = held.filter(([key]) => key !== step.key);
    if (step.kind === 'get') held = known ? [...others, known] : others;
    else {
      held = others;
      if (step.bytes > BOUND) continue;
      held = [...others, [step.key, step.bytes]];
      while (held.reduce((sum, [, bytes]) => sum + bytes, 0) > BOUND) held = held.slice(1);
    }
  }
  return held;
}

test('holds exactly what a list of the most recently used would, and never more bytes than its bound', () => {
  fc.assert(
    fc.property(steps, (done) => {
      const lru = new ByteLru(BOUND);
      for (const step of done) {
        if (step.kind === 'get') lru.get(step.key);
        else lru.set(step.key, Buffer.alloc(step.bytes, step.key));
        expect(lru.bytes).toBeLessThanOrEqual(BOUND);
      }
      const expected = new Map(model(done));
      expect(lru.bytes).toBe([...expected.values()].reduce((sum, bytes) => sum + bytes, 0));
      for (let key = 0; key <= 9; key++) expect(lru.get(key)?.length).toBe(expected.get(key));
    }),
  );
});

test('open files are bounded, the least recently used one is closed, and all are closed at the end', async () => {
  const open = new Set<string>();
  let most = 0;
  const handles = new Handles(async (path) => {
    open.add(path);
    most = Math.max(most, open.size);
    return {
      path,
      close: async () => {
        open.delete(path);
      },
    };
  }, 3);
  for (const path of ['a', 'b', 'c', 'a', 'd']) expect((await handles.of(path)).path).toBe(path);
  expect([...open].sort()).toEqual(['a', 'c', 'd']);
  expect(most).toBe(3);
  await handles.close();
  expect(open.size).toBe(0);
});
