// The two bitmaps, against a plain array; and swizzled places, there and back.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CLEAN, DIRTY, EMPTY, MOVING, SlotMap, type SlotState } from '../../src/frontswap/slot-map.ts';
import { Swizzle } from '../../src/frontswap/swizzle.ts';
import { Oid } from '../../src/zcache/index.ts';

const state = fc.constantFrom<SlotState>(EMPTY, CLEAN, MOVING, DIRTY);
const isAccepted = (found: SlotState) => found === CLEAN || found === DIRTY;

test('the map is an array of states that counts the accepted ones', () => {
  const change = fc.record({ slot: fc.nat(99), from: fc.option(state), to: state });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 200 }), (changes) => {
      const map = new SlotMap(100);
      const other = new SlotMap(100, map.memory);
      const model: SlotState[] = new Array(100).fill(EMPTY);
      for (const { slot, from, to } of changes) {
        if (from === null) expect(map.set(slot, to)).toBe(model[slot]);
        else expect(map.change(slot, from, to)).toBe(model[slot] === from);
        if (from === null || model[slot] === from) model[slot] = to;
      }
      expect(model.map((_, slot) => other.get(slot))).toEqual(model);
      expect(other.pages).toBe(model.filter(isAccepted).length);
      for (const start of [0, 1, 15, 16, 17, 50, 99]) {
        const next = (matches: (found: SlotState) => boolean) =>
          model.findIndex((found, slot) => slot >= start && matches(found));
        expect(map.nextAccepted(start)).toBe(next(isAccepted));
        expect(map.nextClean(start)).toBe(next((found) => found === CLEAN));
        expect(map.nextDirty(start)).toBe(next((found) => found === DIRTY));
      }
      map.clear();
      expect([other.pages, other.nextAccepted(0)]).toEqual([0, -1]);
    }),
  );
});

test('dirty slots are found wherever they are, and none that was dirty once', () => {
  const change = fc.record({ slot: fc.nat(40_000), to: state });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), fc.nat(40_000), (changes, start) => {
      const map = new SlotMap(40_001);
      for (const { slot, to } of changes) map.set(slot, to);
      const last = new Map(changes.map(({ slot, to }) => [slot, to]));
      const dirty = [...last].filter(([, to]) => to === DIRTY).map(([slot]) => slot);
      const found: number[] = [];
      for (let slot = map.nextDirty(0); slot !== -1; slot = map.nextDirty(slot + 1)) found.push(slot);
      expect(found).toEqual(dirty.sort((a, b) => a - b));
      const end = Math.min(start + 5000, map.slots);
      expect(map.nextDirty(start, end)).toBe(dirty.find((slot) => slot >= start && slot < end) ?? -1);
    }),
  );
});

test('ranges become dirty as one slot after the other would', () => {
  const change = fc.record({ slot: fc.nat(9000), to: state });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), fc.nat(9000), fc.nat(9000), (changes, a, b) => {
      const [map, model] = [new SlotMap(9001), new SlotMap(9001)];
      for (const { slot, to } of changes) for (const each of [map, model]) each.set(slot, to);
      const [from, end] = [Math.min(a, b), Math.max(a, b)];
      map.setDirty(from, end);
      for (let slot = from; slot < end; slot++) model.set(slot, DIRTY);
      expect(new Uint8Array(map.memory)).toEqual(new Uint8Array(model.memory));
    }),
  );
});

test('a map of any size takes its first and its last slot', () => {
  for (const slots of [1, 16, 17, 2 ** 20]) {
    const map = new SlotMap(slots);
    map.set(0, DIRTY);
    map.set(slots - 1, DIRTY);
    expect(map.nextDirty(1)).toBe(slots === 1 ? -1 : slots - 1);
    expect(map.pages).toBe(Math.min(slots, 2));
  }
});

test('every slot has a place of its own, with an index in 32 bits, and is found again from it', () => {
  fc.assert(
    fc.property(fc.nat(16), fc.nat(1000), fc.nat(2 ** 32 - 1), (bits, type, offset) => {
      const swizzle = new Swizzle(type, bits);
      const oid = swizzle.oid(offset);
      const index = swizzle.index(offset);
      expect(oid.w0).toBe(type * 2 ** bits + (offset % 2 ** bits));
      expect(oid.equals(Oid.fromNumbers(oid.w0))).toBe(true);
      expect(index).toBe(Math.floor(offset / 2 ** bits));
      expect(index >>> 0).toBe(index);
      expect(swizzle.offset(oid, index)).toBe(offset);
    }),
  );
});

test('neighbours get different oids', () => {
  const swizzle = new Swizzle(1, 4);
  expect(new Set(Array.from({ length: 16 }, (_, offset) => swizzle.oid(offset).w0)).size).toBe(16);
});

test('a place of another area is no slot', () => {
  const swizzle = new Swizzle(2, 4);
  expect(swizzle.offset(Oid.fromNumbers(31), 0)).toBe(-1);
  expect(swizzle.offset(Oid.fromNumbers(48), 0)).toBe(-1);
  expect(swizzle.offset(Oid.fromNumbers(32, 1), 0)).toBe(-1);
});
