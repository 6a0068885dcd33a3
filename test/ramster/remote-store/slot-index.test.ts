import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PAGE_ID_MAX } from '../../../src/ramster/page-id.ts';
import { SlotIndex } from '../../../src/ramster/remote-store/slot-index.ts';

const SLOTS = 24;

test('finds what a Map finds, whatever was entered and removed before', () => {
  // Few ids, so that many meet again, and with upper halves that differ only.
  const id = fc.oneof(fc.integer({ min: 1, max: 8 }), fc.constantFrom(2 ** 32 + 1, 2 ** 33 + 1, PAGE_ID_MAX));
  const step = fc.record({ enters: fc.boolean(), pool: fc.integer({ min: 0, max: 3 }), id });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const index = new SlotIndex(SLOTS);
      const model = new Map<string, number>();
      const free = Array.from({ length: SLOTS }, (_, slot) => slot);
      const nameOf = (pool: number, id: number): string => `${pool}/${id}`;
      for (const [i, { enters, pool, id }] of steps.entries()) {
        const slot = model.get(nameOf(pool, id));
        expect(index.find(pool, id)).toBe(slot);
        if (enters && slot === undefined && free.length > 0) {
          const taken = free.splice(i % free.length, 1)[0] as number;
          index.enter(taken, { pool, id }, 1 + i);
          model.set(nameOf(pool, id), taken);
          expect(index.lengthOf(taken)).toBe(1 + i);
        } else if (!enters && slot !== undefined) {
          index.remove(slot);
          model.delete(nameOf(pool, id));
          free.push(slot);
          expect(index.lengthOf(slot)).toBe(0);
        }
        expect(index.used).toBe(model.size);
      }
      for (const [name, slot] of model) {
        const page = index.pageIn(slot);
        expect(nameOf(page.pool, page.id)).toBe(name);
        expect(index.find(page.pool, page.id)).toBe(slot);
      }
    }),
    { numRuns: 200 },
  );
});
