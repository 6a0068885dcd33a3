// The shrinker's policy: promises about any sequence of readings, and about a small model of a machine.
import fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { type Decision, decide, INITIAL_STATE, type PolicyState } from '../../src/zcache/pressure/policy.ts';
import type { ScopeReading } from '../../src/zcache/pressure/reading.ts';
import { type ShrinkerSettings, shrinkerSchema } from '../../src/zcache/pressure/shrinker-settings.ts';
import { watermarks } from '../../src/zcache/pressure/watermark.ts';
import { GIB, MIB } from './pressure-tree.ts';

const FRAME = 4096;
const DEFAULTS = v.parse(shrinkerSchema, {});

const anySettings: fc.Arbitrary<ShrinkerSettings> = fc
  .record({
    lowPercent: fc.integer({ min: 1, max: 50 }),
    gapPercent: fc.integer({ min: 1, max: 25 }),
    stallPercent: fc.integer({ min: 1, max: 100 }),
    nearIntervalMs: fc.integer({ min: 10, max: 1000 }),
    moreMs: fc.integer({ min: 0, max: 5000 }),
  })
  .map(({ lowPercent, gapPercent, stallPercent, nearIntervalMs, moreMs }) => ({
    enabled: true,
    lowPercent,
    highPercent: lowPercent + gapPercent,
    stallPercent,
    nearIntervalMs,
    idleIntervalMs: Math.max(50, nearIntervalMs + moreMs),
  }));
const anySize = fc.oneof(
  fc.integer({ min: 4 * MIB, max: 4 * GIB }),
  fc.integer({ min: 4 * GIB, max: 1024 * GIB }),
);
const anyShare = fc.double({ min: 0, max: 1, noNaN: true });

const machine = (sizeBytes: number, availableBytes: number): ScopeReading => ({
  name: 'machine',
  memory: { sizeBytes, availableBytes: Math.max(0, Math.floor(availableBytes)) },
});

function decideOn(
  scopes: readonly ScopeReading[],
  settings = DEFAULTS,
  state: PolicyState = INITIAL_STATE,
  timeMs = 0,
): Decision {
  return decide(state, { timeMs, scopes }, settings);
}

describe('watermarks', () => {
  test('are as the percentages say, but for tiny and huge scopes', () => {
    expect(watermarks(10 * GIB, DEFAULTS)).toEqual({ lowBytes: GIB, highBytes: 1.5 * GIB });
    expect(watermarks(1024 * GIB, DEFAULTS)).toEqual({ lowBytes: 2 * GIB, highBytes: 3 * GIB });
    expect(watermarks(512 * MIB, DEFAULTS)).toEqual({ lowBytes: 64 * MIB, highBytes: 96 * MIB });
    expect(watermarks(64 * MIB, DEFAULTS)).toEqual({ lowBytes: 16 * MIB, highBytes: 24 * MIB });
  });

  test('lie in order within any scope', () => {
    fc.assert(
      fc.property(anySize, anySettings, (size, settings) => {
        const { lowBytes, highBytes } = watermarks(size, settings);
        expect(lowBytes).toBeGreaterThan(0);
        expect(highBytes).toBeGreaterThan(lowBytes);
        expect(highBytes).toBeLessThanOrEqual(size);
      }),
    );
  });
});

describe('little available', () => {
  test('starts below the low watermark and wants what is missing up to the high one', () => {
    const { lowBytes, highBytes } = watermarks(GIB, DEFAULTS);
    expect(decideOn([machine(GIB, lowBytes)])).toMatchObject({ frames: 0, pressure: undefined });
    expect(decideOn([machine(GIB, lowBytes - 1)])).toMatchObject({
      frames: Math.ceil((highBytes - lowBytes + 1) / FRAME),
      pressure: { scope: 'machine', cause: 'low', availableBytes: lowBytes - 1 },
    });
  });

  test('goes on between the watermarks once it started, and ends at the high one', () => {
    const { lowBytes, highBytes } = watermarks(GIB, DEFAULTS);
    const started = decideOn([machine(GIB, lowBytes - 1)]).state;
    const between = decideOn([machine(GIB, highBytes - FRAME)], DEFAULTS, started);
    expect(between.frames).toBe(1);
    const ended = decideOn([machine(GIB, highBytes)], DEFAULTS, between.state);
    expect(ended).toMatchObject({ frames: 0, pressure: undefined });
    expect(decideOn([machine(GIB, lowBytes)], DEFAULTS, ended.state).frames).toBe(0);
  });

  test('wants no fewer frames, and looks no later, the less is available', () => {
    fc.assert(
      fc.property(anySize, anyShare, anyShare, anySettings, (size, a, b, settings) => {
        const less = decideOn([machine(size, size * Math.min(a, b))], settings);
        const more = decideOn([machine(size, size * Math.max(a, b))], settings);
        expect(less.frames).toBeGreaterThanOrEqual(more.frames);
        expect(less.nextLookMs).toBeLessThanOrEqual(more.nextLookMs);
      }),
    );
  });

  test('is judged for each scope alone, and the one that wants most decides', () => {
    const scopes = fc.array(fc.tuple(anySize, anyShare), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(scopes, (pairs) => {
        const readings = pairs.map(([size, share], i) => ({ ...machine(size, size * share), name: `${i}` }));
        const alone = readings.map((reading) => decideOn([reading]));
        const together = decideOn(readings);
        expect(together.frames).toBe(Math.max(...alone.map(({ frames }) => frames)));
        expect(together.nextLookMs).toBe(Math.min(...alone.map(({ nextLookMs }) => nextLookMs)));
        if (together.pressure) {
          expect(alone[Number(together.pressure.scope)]?.frames).toBe(together.frames);
        }
      }),
    );
  });

  test('nothing known means nothing to do, and a look at the idle interval', () => {
    expect(decideOn([])).toMatchObject({ frames: 0, pressure: undefined, nextLookMs: 1000 });
  });
});

/** A machine filled by a store: what others use is given for each look, the store gives back what is asked for. */
function live(size: number, others: readonly number[], settings: ShrinkerSettings) {
  let state = INITIAL_STATE;
  let storeBytes = size - (others[0] ?? 0);
  let spells = 0;
  let wasPressed = false;
  const looks = others.map((used, i) => {
    const available = size - used - storeBytes;
    const decision = decideOn([machine(size, available)], settings, state, i * 50);
    state = decision.state;
    const isPressed = decision.pressure !== undefined;
    if (isPressed && !wasPressed) spells++;
    wasPressed = isPressed;
    storeBytes -= Math.min(storeBytes, decision.frames * FRAME);
    return { decision, available, left: size - used - storeBytes, storeBytes };
  });
  return { looks, spells };
}

describe('against a model of a machine', () => {
  test('with constant use by others one look is enough, and takes no frame too many', () => {
    fc.assert(
      fc.property(anySize, anyShare, anySettings, (size, share, settings) => {
        const used = Math.floor(size * share);
        const { lowBytes, highBytes } = watermarks(size, settings);
        const { looks } = live(size, [used, used, used], settings);
        const [first, ...later] = looks;
        if (first!.storeBytes > 0) {
          expect(first!.left).toBeGreaterThanOrEqual(lowBytes);
          expect(first!.left).toBeLessThan(highBytes + FRAME);
          expect(later.map(({ decision }) => decision.frames)).toEqual([0, 0]);
        }
      }),
    );
  });

  test('it does not oscillate: each spell after the first needs others to take a whole gap', () => {
    const walk = fc.array(anyShare, { minLength: 2, maxLength: 60 });
    fc.assert(
      fc.property(anySize, walk, anySettings, (size, shares, settings) => {
        const others = shares.map((share) => Math.floor((size * share) / 2));
        const taken = others.slice(1).reduce((sum, used, i) => sum + Math.max(0, used - others[i]!), 0);
        const { lowBytes, highBytes } = watermarks(size, settings);
        const { spells } = live(size, others, settings);
        expect(spells).toBeLessThanOrEqual(1 + taken / (highBytes - lowBytes));
      }),
    );
  });

  test('no look finds less than the margin, but for what was taken within one near interval', () => {
    // Up to the rate at which the kernel can clear memory, from any state without pressure.
    const anyRate = fc.integer({ min: 1, max: 8 * MIB });
    fc.assert(
      fc.property(anySize, anyShare, anyRate, anySettings, (size, share, bytesPerMs, settings) => {
        const { lowBytes } = watermarks(size, settings);
        let available = lowBytes + (size - lowBytes) * share;
        let decision = decideOn([machine(size, available)], settings);
        for (let looks = 0; decision.pressure === undefined && looks < 100; looks++) {
          available -= bytesPerMs * decision.nextLookMs;
          decision = decideOn([machine(size, available)], settings, decision.state);
        }
        expect(available).toBeGreaterThanOrEqual(lowBytes - bytesPerMs * settings.nearIntervalMs - MIB);
      }),
    );
  });

  test('an allocator of 1 GB/s is met before the end in any scope of 256 MiB or more', () => {
    fc.assert(
      fc.property(fc.integer({ min: 256 * MIB, max: 64 * GIB }), anyShare, (size, share) => {
        const { lowBytes } = watermarks(size, DEFAULTS);
        let available = lowBytes + (size - lowBytes) * share;
        let decision = decideOn([machine(size, available)]);
        while (decision.pressure === undefined) {
          available -= 1e6 * decision.nextLookMs;
          decision = decideOn([machine(size, available)], DEFAULTS, decision.state);
        }
        expect(available).toBeGreaterThan(0);
        expect(decision.frames).toBeGreaterThan(0);
      }),
      { numRuns: 50 },
    );
  });

  test('the next look comes within the intervals, and at the near one under pressure', () => {
    fc.assert(
      fc.property(anySize, anyShare, anySettings, (size, share, settings) => {
        const { nextLookMs, pressure } = decideOn([machine(size, size * share)], settings);
        expect(nextLookMs).toBeGreaterThanOrEqual(settings.nearIntervalMs);
        expect(nextLookMs).toBeLessThanOrEqual(settings.idleIntervalMs);
        if (pressure) expect(nextLookMs).toBe(settings.nearIntervalMs);
      }),
    );
  });
});

describe('tasks that stand still', () => {
  const size = 4 * GIB;
  const { lowBytes, highBytes } = watermarks(size, DEFAULTS);
  const stepFrames = Math.ceil((highBytes - lowBytes) / 8 / FRAME);
  const stalled = (some10Percent: number, totalUs: number, available = size * 0.4): ScopeReading => ({
    ...machine(size, available),
    stall: { some10Percent, totalUs },
  });
  /** Frames at each look; looks are `stepMs` apart. */
  function framesAt(readings: readonly ScopeReading[], stepMs: number): number[] {
    let state = INITIAL_STATE;
    return readings.map((reading, i) => {
      const decision = decideOn([reading], DEFAULTS, state, i * stepMs);
      state = decision.state;
      return decision.frames;
    });
  }

  test('make small steps while they go on, not for the tail of the average', () => {
    const readings = [
      stalled(12, 100),
      stalled(12, 200),
      stalled(12, 300),
      stalled(11, 300),
      stalled(10, 300),
    ];
    expect(framesAt(readings, 500)).toEqual([0, stepFrames, stepFrames, 0, 0]);
  });

  test('make at most two steps a second', () => {
    const readings = Array.from({ length: 21 }, (_, i) => stalled(50, i));
    const frames = framesAt(readings, 50);
    expect(frames.filter((count) => count > 0)).toEqual([stepFrames, stepFrames]);
  });

  test('count from stallPercent on, and then down to half of it', () => {
    const readings = [
      stalled(9, 1),
      stalled(9, 2),
      stalled(10, 3),
      stalled(5, 4),
      stalled(4, 5),
      stalled(9, 6),
    ];
    expect(framesAt(readings, 1000).map((frames) => frames > 0)).toEqual([
      false,
      false,
      true,
      true,
      false,
      false,
    ]);
  });

  test('count for nothing while half of the scope is available', () => {
    expect(framesAt([stalled(90, 1, size / 2), stalled(90, 2, size / 2)], 1000)).toEqual([0, 0]);
  });

  test('are pressure also between two steps, and where no size is known', () => {
    const unknown = (totalUs: number): ScopeReading => ({
      name: 'machine',
      stall: { some10Percent: 30, totalUs },
    });
    expect(decideOn([unknown(1)])).toMatchObject({
      frames: 0,
      nextLookMs: 50,
      pressure: { scope: 'machine', cause: 'stall', availableBytes: undefined },
    });
    expect(framesAt([unknown(1), unknown(2)], 1000)).toEqual([0, 1024]);
  });
});

describe('a limit that made the kernel look for something to kill', () => {
  const size = GIB;
  const { lowBytes, highBytes } = watermarks(size, DEFAULTS);
  const group = (ooms: number, available: number): ScopeReading => ({ ...machine(size, available), ooms });

  test('is worth the whole gap, once, whatever seems available', () => {
    const before = decideOn([group(3, size * 0.4)]);
    expect(before.frames).toBe(0);
    const after = decideOn([group(4, size * 0.4)], DEFAULTS, before.state);
    expect(after).toMatchObject({
      frames: Math.ceil((highBytes - lowBytes) / FRAME),
      pressure: { cause: 'oom' },
    });
    expect(decideOn([group(4, size * 0.4)], DEFAULTS, after.state).frames).toBe(0);
  });

  test('counts for nothing while half of it is available', () => {
    const before = decideOn([group(3, size * 0.6)]);
    expect(decideOn([group(4, size * 0.6)], DEFAULTS, before.state).frames).toBe(0);
  });
});
