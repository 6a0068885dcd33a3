// Surveys, sweeps and counts, whatever happens in between.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Owner } from '../../../src/ramster/owner/owner.ts';
import { survey } from '../../../src/ramster/owner/survey.ts';
import { Sweep } from '../../../src/ramster/owner/sweep.ts';
import { TmemError } from '../../../src/zcache/index.ts';
import type { HeldStore } from './held-store.ts';
import { made, missing, START_MS, TICK_MS, unnamed } from './owner-bench.ts';
import { contentOf, OBJECT } from './scene.ts';

describe('a sweep', () => {
  test('frees what no record names, and nothing else', async () => {
    const { scene, a, b, send, orphan } = made(2);
    for (let i = 0; i < 20; i++) await send(i);
    const before = [...a.pages.keys()];
    for (const id of [3, 5, 7]) orphan(a, id);
    a.listMost = 4;
    const found = await scene.until(survey(scene.parts));
    expect(await scene.until(new Sweep(scene.parts).sweep(a, found, () => false))).toBe(true);
    scene.parts.releases.step();
    await scene.run(1);
    expect([...a.pages.keys()]).toEqual(before);
    expect(b.pages.size).toBe(20);
    expect(scene.parts.statistics.orphans_swept).toBe(3);
  });

  test('leaves alone what was on its way at any time since the survey began, and ids given since', async () => {
    const { scene, a, orphan } = made(1);
    const { unsettled, ids } = scene.parts;
    const [early, late, later] = [ids.take(), ids.take(), ids.take()] as [number, number, number];
    unsettled.begin(early);
    const found = await scene.until(survey(scene.parts));
    unsettled.end(early);
    unsettled.begin(late);
    unsettled.end(late);
    const given = ids.take() as number;
    for (const id of [early, late, later, given]) orphan(a, id);
    await scene.until(new Sweep(scene.parts).sweep(a, found, () => false));
    expect(scene.parts.releases.nodesOf(later)).toEqual([a.node]);
    for (const id of [early, late, given]) expect(scene.parts.releases.nodesOf(id)).toEqual([]);
    found.end();
    const next = await scene.until(survey(scene.parts));
    await scene.until(new Sweep(scene.parts).sweep(a, next, () => false));
    for (const id of [early, late, given]) expect(scene.parts.releases.nodesOf(id)).toEqual([a.node]);
  });

  test('frees nothing in a memory that came in the place of the one that was listed', async () => {
    const { scene, a, orphan } = made(1);
    orphan(a, 3);
    const found = await scene.until(survey(scene.parts));
    a.before = () => {
      a.memory = 99;
    };
    expect(await scene.until(new Sweep(scene.parts).sweep(a, found, () => false))).toBe(false);
    expect(scene.parts.releases.isEmpty).toBe(true);
  });

  test('that has to end goes on there the next time, and is whole when it was read from the start', async () => {
    const { scene, a, orphan } = made(1);
    for (let id = 1; id <= 30; id++) orphan(a, id);
    a.listMost = 10;
    const found = await scene.until(survey(scene.parts));
    const sweep = new Sweep(scene.parts);
    expect(await sweep.sweep(a, found, () => true)).toBe(false);
    expect(await sweep.sweep(a, found, () => true)).toBe(false);
    expect(scene.parts.statistics.orphans_swept).toBe(20);
    expect(await sweep.sweep(a, found, () => true)).toBe(false);
    expect(scene.parts.statistics.orphans_swept).toBe(30);
    expect(a.calls.filter((call) => call === 'list')).toHaveLength(3);
    expect(await sweep.sweep(a, found, () => false)).toBe(true);
  });

  test('of a holder whose list never ends does end', async () => {
    const { scene, a } = made(1);
    let lists = 0;
    a.list = async () => {
      lists++;
      return { pages: [], next: new Uint8Array(1) };
    };
    const found = await scene.until(survey(scene.parts));
    expect(await new Sweep(scene.parts).sweep(a, found, () => false)).toBe(false);
    expect(lists).toBe(20_000);
  });
});

describe('an owner', () => {
  test('sweeps every sweepIntervalMs without any other reason', async () => {
    const { scene, a, owner, orphan } = made(2, { settings: { sweepIntervalMs: 60_000 } });
    owner.start();
    await scene.run(START_MS);
    orphan(a, 3);
    await scene.run(30_000);
    expect(a.pages.size).toBe(1);
    await scene.run(35_000);
    expect(a.pages.size).toBe(0);
    owner.stop();
  });

  test('repairs pages although another holder takes for ever to list what it has', async () => {
    const { scene, a, b, c, owner, send } = made(3, { settings: { sweepIntervalMs: 3_600_000 } });
    owner.start();
    c.freeBytes = 0;
    const page = await send(1);
    c.freeBytes = 2 ** 30;
    await scene.run(START_MS);
    c.list = async () => {
      await scene.sleep(400);
      return { pages: [], next: new Uint8Array(1) };
    };
    owner.surveyWithin(0, true);
    await scene.run(1000);
    a.lose();
    a.freeBytes = 0;
    owner.surveyWithin(0, true);
    await scene.run(15_000);
    expect(
      scene
        .record(page)
        ?.places.map(({ node }) => node)
        .sort(),
    ).toEqual([b.node, c.node].sort());
    owner.stop();
  });

  test('frees what a holder kept that was late when its pool was destroyed', async () => {
    const { scene, a, b, owner, send } = made(2, { settings: { sweepIntervalMs: 3_600_000 } });
    owner.start();
    for (let i = 0; i < 40; i++) await send(i);
    await scene.run(START_MS);
    a.state = 'suspect';
    scene.local.destroyPool(scene.pools.persistent);
    await scene.run(3000);
    expect(b.pages.size).toBe(0);
    a.state = 'up';
    await scene.run(5000);
    expect(a.pages.size).toBe(0);
    expect(scene.parts.statistics).toMatchObject({ remote_pers_pages: 0, curr_flush_queue: 0 });
    owner.stop();
  });

  test('repairs more pages than it remembers at a time, without waiting for the next interval', async () => {
    // Repairs begin at once.
    const settings = { heartbeatMs: 10, suspectMs: 20, downMs: 30, repairDelayMs: 0 };
    const { scene, a, owner } = made(2, { settings });
    // So many pages that are short, and all of which turn out to be whole when they are looked at.
    let walks = 0;
    const record = await (async () => {
      const page = scene.put(1);
      await scene.until(owner.send(page));
      return (scene.local.look(page) as { record: Uint8Array }).record;
    })();
    const pages = Array.from({ length: 65_537 }, (_, index) => ({
      page: { pool: scene.pools.persistent, oid: OBJECT, index: 1000 + index },
      record,
    }));
    scene.local.records = () => {
      walks++;
      return { pages, next: undefined };
    };
    a.lose();
    owner.start();
    await scene.run(2_500);
    const before = walks;
    await scene.run(2_500);
    expect(walks - before).toBeGreaterThanOrEqual(1);
    owner.stop();
  });

  test('does not walk through its records all the time when something cannot be mended', async () => {
    const { scene, owner, statistics } = made(2);
    const steps = 500;
    let walks = 0;
    scene.local.records = (cursor) => {
      const step = (cursor as number | undefined) ?? 0;
      if (step === 0) walks++;
      return { pages: [], next: step + 1 < steps ? step + 1 : undefined };
    };
    // A walk takes half a second.
    const slow = {
      now: () => scene.clock.now(),
      after: (ms: number, task: () => void) => scene.clock.after(ms || 1, task),
    };
    const other = new Owner({ ...scene.parts, clock: slow, holders: () => {} });
    other.start();
    owner.stop();
    // Orphans get lost all the time.
    let lost = 0;
    Object.defineProperty(scene.local, 'orphansLost', { get: () => lost++ });
    await scene.run(60_000);
    expect(walks).toBeGreaterThan(5);
    expect(walks).toBeLessThanOrEqual(15);
    expect(statistics.remote_pers_pages).toBe(0);
    other.stop();
  });

  test('outlives a store that fails at everything, and goes on when it does not any more', async () => {
    const { scene, owner, send } = made(2);
    await send(1);
    const { takeOrphans, records, room } = scene.local;
    const fail = (): never => {
      throw new TmemError('TMEM_ERR_BUSY', 'the store is busy');
    };
    Object.assign(scene.local, { takeOrphans: fail, records: fail, room: fail });
    owner.start();
    await scene.run(30_000);
    Object.assign(scene.local, { takeOrphans, records, room });
    await scene.run(5_000);
    expect(scene.parts.away.isCounted).toBe(true);
    expect(scene.parts.statistics.remote_pers_pages).toBe(1);
    owner.stop();
  });

  test('tells which nodes hold pages, and those that are to free some', async () => {
    const { scene, a, b, owner, holders, send } = made(2);
    const page = await send(1);
    owner.start();
    await scene.run(100);
    expect(holders.at(-1)).toEqual(new Set([a.node, b.node]));
    a.frees = 'fails';
    scene.local.flush(page);
    await scene.run(200);
    owner.surveyWithin(0, false);
    await scene.run(200);
    expect(holders.at(-1)).toEqual(new Set([a.node]));
    a.frees = 'yes';
    await scene.run(200);
    owner.surveyWithin(0, false);
    await scene.run(200);
    expect(holders.at(-1)).toEqual(new Set());
    owner.stop();
  });
});

describe('whatever happens in between', () => {
  type Step =
    | { readonly do: 'put' | 'send' | 'flush' | 'fetch'; readonly index: number }
    | { readonly do: 'lose' | 'flap' | 'lostPuts' | 'lateFrees'; readonly store: number }
    | { readonly do: 'survey' }
    | { readonly do: 'wait'; readonly ms: number };
  const index = fc.integer({ min: 0, max: 11 });
  const store = fc.integer({ min: 0, max: 3 });
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('send' as const), index }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('put', 'flush', 'fetch'), index }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constantFrom('lose', 'flap', 'lostPuts', 'lateFrees'), store }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('survey' as const) }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 120 }) }),
    },
  ) as fc.Arbitrary<Step>;

  async function play(steps: readonly Step[], seed: number): Promise<void> {
    const { scene, stores, owner } = made(4, { seed, settings: { tickMs: 20, homeIntervalMs: 1000 } });
    let lost = 0;
    const running: Promise<unknown>[] = [];
    for (const each of stores) each.before = (call) => (call === 'free' ? scene.sleep(5) : scene.sleep(10));
    owner.start();
    await scene.run(START_MS);
    for (const each of steps) {
      if (each.do === 'wait') await scene.run(each.ms);
      else if (each.do === 'survey') owner.surveyWithin(0, true);
      else if ('store' in each) {
        const target = stores[each.store] as HeldStore;
        // No more than one memory is lost: two copies survive that.
        if (each.do === 'lose' && lost++ === 0) target.lose();
        else if (each.do === 'flap') target.state = target.state === 'up' ? 'down' : 'up';
        else if (each.do === 'lostPuts') target.puts = target.puts === 'yes' ? 'lost' : 'yes';
        else if (each.do === 'lateFrees') target.before = (call) => scene.sleep(call === 'free' ? 90 : 10);
        if (each.do !== 'lateFrees') owner.surveyWithin(0, true);
      } else {
        const page = scene.page(each.index);
        if (each.do === 'put') scene.put(each.index);
        else if (each.do === 'flush') scene.local.flush(page);
        else if (each.do === 'send') {
          if (scene.local.look(page) === undefined) scene.put(each.index);
          running.push(owner.send(page));
        } else if (each.do === 'fetch') running.push(owner.fetch(page).catch(() => {}));
      }
    }
    for (const each of stores) Object.assign(each, { state: 'up', puts: 'yes', before: () => {} });
    owner.surveyWithin(0, true);
    await scene.until(Promise.all(running), 10_000);
    await scene.run(10_000);
    owner.surveyWithin(0, true);
    await scene.run(5_000);
    expect(missing(scene, stores)).toEqual([]);
    for (const each of stores) expect(unnamed(scene, each)).toEqual([]);
    expect(scene.lost).toEqual([]);
    expect(scene.parts.statistics).toMatchObject({
      ...{ remote_pers_pages: scene.countAway(), curr_flush_queue: 0, replicas_short: 0 },
    });
    for (let i = 0; i < 12; i++) {
      const page = scene.page(i);
      const kind = scene.local.look(page)?.kind;
      if (kind === undefined) continue;
      expect(await scene.until(owner.fetch(page))).toBe('local');
      expect(scene.local.get(page)).toEqual(contentOf(i));
    }
    owner.stop();
  }

  test('no copy is freed that a record names, none is left, and the count is exact', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 5, maxLength: 60 }),
        fc.integer({ min: 1, max: 1e6 }),
        play,
      ),
      { numRuns: 60 },
    );
  });

  test('the count is exact after a survey during which pages came and went', async () => {
    const { scene, owner, statistics } = made(3);
    for (let i = 0; i < 600; i++) scene.put(i);
    for (let i = 0; i < 600; i++) await scene.until(owner.send(scene.page(i)));
    const random = scene.parts.random;
    scene.local.takeOrphans(1e9);
    const running: Promise<unknown>[] = [];
    const { records } = scene.local;
    // Between any two steps of the walk.
    scene.local.records = (cursor, most) => {
      const batch = records.call(scene.local, cursor, Math.min(most, 100));
      for (let i = 0; i < 3; i++) {
        const page = scene.page(Math.floor(random() * 600));
        const kind = scene.local.look(page)?.kind;
        if (kind === 'stored') running.push(owner.send(page));
        else if (i === 0) scene.local.flush(page);
        else if (i === 1) running.push(owner.fetch(page));
        else scene.put(page.index);
      }
      return batch;
    };
    owner.start();
    await scene.run(TICK_MS - 1);
    expect(scene.parts.away.isCounted).toBe(true);
    scene.local.records = records;
    await scene.until(Promise.all(running));
    await scene.run(2 * TICK_MS);
    expect(statistics.remote_pers_pages).toBe(scene.countAway());
    owner.stop();
  });
});
