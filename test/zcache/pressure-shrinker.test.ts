// The shrinker's driver, on a clock of its own and a store that only counts.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TmemError } from '../../src/errors.ts';
import { shrinkerContradictions } from '../../src/zcache/pressure/index.ts';
import { MIB } from './pressure-tree.ts';
import { FRAME, HIGH, LOW, makeWorld, SETTINGS, SIZE, World } from './pressure-world.ts';

describe('without pressure', () => {
  test('it looks ten times a second at a machine of 1 GiB, evicts nothing and says nothing', () => {
    const world = makeWorld({ ephemeral: 1000 });
    world.shrinker.start();
    world.timer.pass(10_000);
    expect(world.reads).toBeGreaterThan(80);
    expect(world.reads).toBeLessThan(100);
    expect(world.shrinker.pressed).toBe(false);
    expect([world.evicted, world.events]).toEqual([0, []]);
  });
});

describe('under pressure', () => {
  test('frames are given back up to the high watermark, and no further', () => {
    const world = makeWorld({ ephemeral: 100_000 });
    world.leave(LOW - FRAME);
    world.shrinker.start();
    world.timer.pass(5000);
    expect(world.available).toBeGreaterThanOrEqual(HIGH);
    expect(world.available).toBeLessThan(HIGH + FRAME);
    expect(world.shrinker.pressed).toBe(false);
    const frames = Math.ceil((HIGH - LOW + FRAME) / FRAME);
    expect(world.events).toEqual([
      {
        name: 'tmem:shrinker:pressure',
        event: { scope: 'machine', cause: 'low', availableBytes: LOW - FRAME, frames },
      },
      {
        name: 'tmem:shrinker:idle',
        event: { durationMs: expect.any(Number), evictedFrames: frames, returnedFrames: frames },
      },
    ]);
  });

  test('frames that are free already go before any page', () => {
    const world = makeWorld({ ephemeral: 50_000, free: 50_000 });
    world.leave(LOW - FRAME);
    world.shrinker.start();
    world.timer.pass(5000);
    expect(world.available).toBeGreaterThanOrEqual(HIGH);
    expect(world.evicted).toBe(0);
  });

  test('a persistent page is never asked for, and pages that come later are found', () => {
    const world = makeWorld({ ephemeral: 10, persistent: 50_000 });
    world.leave(LOW - FRAME);
    world.shrinker.start();
    world.timer.pass(5000);
    expect([world.ephemeral, world.persistent, world.evicted]).toEqual([0, 50_000, 10]);
    expect(world.named('exhausted')).toEqual([{ reason: 'nothing to evict' }]);
    expect(world.shrinker.pressed).toBe(true);
    world.persistent -= 20_000;
    world.ephemeral += 20_000;
    world.timer.pass(5000);
    expect(world.available).toBeGreaterThanOrEqual(HIGH);
    expect(world.named('idle')).toHaveLength(1);
  });

  test('with nothing to give back the looks become as rare as when idle', () => {
    const world = makeWorld({ persistent: 1000 });
    world.leave(0);
    world.shrinker.start();
    world.timer.pass(5000);
    const reads = world.reads;
    world.timer.pass(10_000);
    expect(world.reads - reads).toBeLessThanOrEqual(10);
    expect(world.named('exhausted')).toHaveLength(1);
  });

  test('a system that takes no frames back costs hardly any pages', () => {
    const world = makeWorld({ ephemeral: 100_000 });
    world.canGiveBack = false;
    world.leave(0);
    world.shrinker.start();
    world.timer.pass(60_000);
    expect(world.evicted).toBeLessThan(1000);
    expect(world.named('exhausted')).toEqual([{ reason: 'system takes no frames' }]);
  });

  test.each([1, 5, 20, 100])(
    'with %i µs a frame no slice holds up the loop for more than 2 ms after the first',
    (us) => {
      const world = makeWorld({ ephemeral: 100_000 });
      world.frameUs = us / 2;
      world.leave(LOW - FRAME);
      world.shrinker.start();
      world.timer.pass(20);
      world.longestSliceMs = 0;
      world.timer.pass(60_000);
      expect(world.available).toBeGreaterThanOrEqual(HIGH);
      expect(world.longestSliceMs).toBeLessThanOrEqual(2);
    },
  );

  test('work takes at most 50 ms and a slice before there is a new look', () => {
    const world = makeWorld({ ephemeral: 200_000 });
    world.leave(0);
    world.shrinker.start();
    world.timer.pass(5);
    let longestMs = 0;
    let lookMs = world.timer.ms;
    for (let steps = 0; world.available < HIGH && steps < 5000; steps++) {
      const reads = world.reads;
      world.timer.pass(1);
      if (world.reads === reads) continue;
      longestMs = Math.max(longestMs, world.timer.ms - lookMs);
      lookMs = world.timer.ms;
    }
    expect(world.available).toBeGreaterThanOrEqual(HIGH);
    expect(longestMs).toBeGreaterThan(0);
    expect(longestMs).toBeLessThanOrEqual(60);
  });

  test('an allocator of 1 GB/s takes 200 MiB and none of it is lacking', () => {
    const world = makeWorld({ ephemeral: 200_000 });
    // 1 µs to evict a frame and 1 to return it: the store can give 2 GB/s, half of the time.
    world.frameUs = 1;
    world.leave(2 * LOW);
    world.shrinker.start();
    world.timer.pass(100);
    for (let ms = 0; ms < 200; ms++) {
      world.others += MIB;
      world.timer.pass(1);
      expect(world.available).toBeGreaterThan(0);
    }
  });

  test('whatever others do, it comes to rest within the watermarks or with nothing left', () => {
    const moves = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(moves, fc.nat(100_000), fc.nat(20_000), (shares, ephemeral, free) => {
        const world = Object.assign(new World(), { ephemeral, free });
        world.shrinker.start();
        for (const share of shares) {
          world.others = Math.floor(share * SIZE);
          world.timer.pass(500);
        }
        world.timer.pass(10_000);
        if (world.shrinker.pressed) expect(world.ephemeral + world.free).toBe(0);
        else expect(world.available).toBeGreaterThanOrEqual(LOW);
        const evicted = world.evicted;
        world.timer.pass(10_000);
        expect(world.evicted).toBe(evicted);
        world.shrinker.stop();
      }),
      { numRuns: 50 },
    );
  });
});

describe('growth of the store', () => {
  test('is forbidden while memory is short, and allowed before and after', () => {
    const world = makeWorld({ ephemeral: 100_000 });
    world.shrinker.start();
    world.timer.pass(500);
    expect(world.growth).toBe(true);
    world.leave(LOW - FRAME);
    const atWork = new Set<unknown>();
    world.onShrink = () => atWork.add(world.growth);
    world.timer.pass(5000);
    expect([...atWork]).toEqual([false]);
    expect(world.growth).toBe(true);
  });

  test('that a killed leader forbade is allowed by the next one, if memory is not short', () => {
    const world = makeWorld({ ephemeral: 100 });
    world.isLeader = false;
    world.growth = false;
    world.shrinker.start();
    world.timer.pass(5000);
    expect(world.growth).toBe(false);
    world.isLeader = true;
    world.timer.pass(300);
    expect(world.growth).toBe(true);
  });

  test('is allowed by a leader that stops', () => {
    const world = makeWorld({ persistent: 100 });
    world.leave(0);
    world.shrinker.start();
    world.timer.pass(1000);
    expect(world.growth).toBe(false);
    world.shrinker.stop();
    expect(world.growth).toBe(true);
  });
});

describe('leadership', () => {
  test('who does not lead reads nothing and evicts nothing', () => {
    const world = makeWorld({ ephemeral: 1000 });
    world.isLeader = false;
    world.leave(0);
    world.shrinker.start();
    world.timer.pass(10_000);
    expect([world.reads, world.evicted, world.shrinker.pressed]).toEqual([0, 0, false]);
  });

  test('it is taken over within a quarter of a second when the leader is gone', () => {
    const world = makeWorld({ ephemeral: 100_000 });
    world.isLeader = false;
    world.leave(LOW - FRAME);
    world.shrinker.start();
    world.timer.pass(10_000);
    world.isLeader = true;
    world.timer.pass(260);
    expect(world.evicted).toBeGreaterThan(0);
  });
});

describe('start and stop', () => {
  test('after stop nothing is planned and nothing evicted; start goes on', () => {
    const world = makeWorld({ ephemeral: 200_000 });
    world.leave(LOW - FRAME);
    world.shrinker.start();
    world.shrinker.start();
    expect(world.timer.planned).toHaveLength(1);
    world.timer.pass(3);
    expect(world.shrinker.pressed).toBe(true);
    world.shrinker.stop();
    expect([world.timer.planned, world.shrinker.pressed]).toEqual([[], false]);
    const evicted = world.evicted;
    world.timer.pass(1000);
    expect(world.evicted).toBe(evicted);
    world.leave(LOW - FRAME);
    world.shrinker.start();
    world.timer.pass(1000);
    expect(world.available).toBeGreaterThanOrEqual(HIGH);
  });

  test.each(['pressure', 'idle', 'exhausted'] as const)('a listener of %s may stop it', (name) => {
    const world = makeWorld({ ephemeral: name === 'exhausted' ? 0 : 100_000 });
    const stop = () => world.shrinker.stop();
    subscribe(`tmem:shrinker:${name}`, stop);
    try {
      world.leave(LOW - FRAME);
      world.shrinker.start();
      world.timer.pass(5000);
    } finally {
      unsubscribe(`tmem:shrinker:${name}`, stop);
    }
    expect(world.named(name)).toHaveLength(1);
    expect(world.timer.planned).toEqual([]);
  });

  test.each([undefined, new TmemError('TMEM_ERR_CLOSED', 'closed')])(
    'stopped in the middle of a slice it plans nothing and says nothing, even if what follows throws %s',
    (error) => {
      const world = makeWorld({ ephemeral: 100_000 });
      world.leave(LOW - FRAME);
      world.onShrink = () => {
        world.shrinker.stop();
        if (error !== undefined) throw error;
      };
      world.shrinker.start();
      world.timer.pass(5000);
      expect(world.evicted).toBeGreaterThan(0);
      expect(world.timer.planned).toEqual([]);
      expect(world.named('failed')).toEqual([]);
    },
  );

  test('switched off, it never looks', () => {
    const world = makeWorld({ ephemeral: 1000 }, { ...SETTINGS, enabled: false });
    world.leave(0);
    world.shrinker.start();
    world.timer.pass(5000);
    expect([world.reads, world.timer.planned]).toEqual([0, []]);
  });
});

describe('errors', () => {
  test('a busy store is tried again', () => {
    const world = makeWorld({ ephemeral: 100_000 });
    world.leave(LOW - FRAME);
    world.failure = new TmemError('TMEM_ERR_BUSY', 'busy');
    world.shrinker.start();
    world.timer.pass(500);
    expect(world.named('failed')).toEqual([{ error: world.failure, stopped: false }]);
    world.failure = undefined;
    world.timer.pass(5000);
    expect(world.available).toBeGreaterThanOrEqual(HIGH);
  });

  test('any other error stops it, and is told', () => {
    const world = makeWorld({ ephemeral: 1000 });
    world.leave(0);
    world.failure = new Error('unexpected');
    world.shrinker.start();
    world.timer.pass(5000);
    expect(world.named('failed')).toEqual([{ error: world.failure, stopped: true }]);
    expect(world.timer.planned).toEqual([]);
  });
});

describe('settings', () => {
  test('are complete by default and without contradictions', () => {
    expect(SETTINGS).toEqual({
      enabled: true,
      lowPercent: 10,
      highPercent: 15,
      stallPercent: 10,
      idleIntervalMs: 1000,
      nearIntervalMs: 50,
    });
    expect(shrinkerContradictions(SETTINGS)).toEqual([]);
  });

  test('that contradict each other are both named', () => {
    const found = shrinkerContradictions({ ...SETTINGS, highPercent: 10, nearIntervalMs: 1001 });
    expect(found).toEqual([
      'shrinker.highPercent: got 10, allowed is more than lowPercent (10)',
      'shrinker.nearIntervalMs: got 1001, allowed is at most idleIntervalMs (1000)',
    ]);
  });
});
