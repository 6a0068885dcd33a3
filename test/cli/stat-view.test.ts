import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { levels } from '../../src/cli/stat/levels.ts';
import { Changes, type Sample } from '../../src/cli/stat/sample.ts';
import { statView } from '../../src/cli/stat/view.ts';
import { lineWidth, render } from '../../src/cli/text/line.ts';
import { CLIENT_COUNTERS, CLIENT_HISTOGRAMS } from '../../src/zcache/client-counters.ts';
import type { Counter } from '../../src/zcache/counters.ts';
import { POOL_COUNTERS } from '../../src/zcache/pool-counters.ts';
import { STORE_COUNTERS } from '../../src/zcache/store-counters.ts';
import { BUSY, type ClientText, type PoolText, type StoreText, sample, storeFile } from './snapshots.ts';

const HOURS_MS = 3_600_000;
const UNBOUNDED = Number.POSITIVE_INFINITY;

/** BUSY with other counters in the first pool. */
function busyWith(counts: NonNullable<PoolText['counts']>): StoreText {
  const [web, ...others] = BUSY.clients ?? [];
  const [sessions, ...pools] = web.pools ?? [];
  const changed = { ...sessions, counts: { ...sessions.counts, ...counts } };
  return { ...BUSY, clients: [{ ...web, pools: [changed, ...pools] }, ...others] };
}

const now = sample(BUSY, { takenMs: 2000, atMs: storeFile().createdMs + 3.2 * HOURS_MS });
const before = sample(busyWith({ puts: 1_297_600, succ_gets: 955_000, failed_gets: 224_600 }));

function picture(columns: number, rows = UNBOUNDED, watched = false): string[] {
  const lines = statView(now, watched ? before : undefined, { columns, rows, watched });
  return lines.map((line) => render(line, columns, false));
}

describe('the picture of a store', () => {
  test('on 79 columns looks like this', () => {
    expect(picture(79)).toEqual([
      'web  256 MiB in /dev/shm · 2 of 64 threads attached · made 3 h 12 min ago',
      '',
      'used          ███████████████████████████▊░░░░░░░░░░░░   178 MiB   69.5 %',
      ' zbud         ██████████████████████░░░░░░░░░░░░░░░░░░   141 MiB   55.1 %',
      ' zv           ███░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  19.5 MiB    7.6 %',
      ' uncompressed █▎░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   7.8 MiB    3.1 %',
      ' index        ▊░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   4.7 MiB    1.8 %',
      ' fixed        ▊░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   4.7 MiB    1.8 %',
      'free          ████████████▎░░░░░░░░░░░░░░░░░░░░░░░░░░░  78.1 MiB   30.5 %',
      'resident      ████████████████████████████▏░░░░░░░░░░░   180 MiB   70.3 %',
      '',
      'pages         81.0k in 12.3k objects, 4100 same-filled',
      'compression    2.41 : 1, 1.7 KiB a page',
      'hits         ████████▏░ 81.3 %',
      'gets           1.2M',
      'puts           1.3M',
      'evicted        300k',
      'refused        1200  compress_poor 1100, over_cap 100',
      '',
      'zbud: 900k pages ever, by size      zv: 12.0k pages now, by size',
      '          ▂▇█▅                         █▇▇▆▅▅▄▃▃▂▁',
      '         ▃████▇                        █████████████▇▆▆▅▄▄▃▂▂▁',
      '        ▅███████▂                     ██████████████████████████',
      '▁▁▁▁▁▂▄▇█████████▅▂▁▁▁▁▁▁▁            ██████████████████████████',
      '0       1K      2K      3K 4 KiB    0       1K      2K      3K 4 KiB',
      '',
      'client / pool        kind        pages    bytes     hits  gets   puts  evicted',
      'web                  weight 100  70.0k  116 MiB   81.3 %  1.2M   1.3M     300k',
      '  sessions           eph zbud    58.0k   98 MiB   81.3 %  1.2M   1.3M     300k',
      '  spill              pers zv     12.0k   18 MiB  100.0 %  2000  14.0k        0',
      'batch jobs (frozen)  weight 20   11.0k      0 B        -     0  20.0k        0',
      '  tiles              eph zbud    11.0k      0 B        -     0  20.0k        0',
    ]);
  });

  test('of a wide terminal has levels and summary side by side, and every column', () => {
    const lines = picture(139);
    expect(lines.some((line) => /^used .*pages +81\.0k/.test(line))).toBe(true);
    expect(lines.find((line) => line.startsWith('client / pool'))?.split(/ {2,}/)).toEqual([
      ...['client / pool', 'kind', 'pages', 'bytes', 'ratio', 'hits', 'gets', 'puts', 'evicted', 'refused'],
      'memory',
    ]);
    expect(lines.find((line) => /^web +weight/.test(line))).toMatch(/ 148 MiB of 160 MiB$/);
  });

  test('that is watched shows what happens each second, of the store, a client and a pool alike', () => {
    const lines = picture(139, UNBOUNDED, true);
    expect(lines.some((line) => /hits .* 81\.3 % {2}now 98\.0 %$/.test(line))).toBe(true);
    expect(lines.some((line) => /gets +1\.2M +10\.2k\/s$/.test(line))).toBe(true);
    expect(lines.find((line) => line.startsWith('client / pool'))).toMatch(/gets\/s +puts\/s +evicted\/s/);
    for (const row of [/^web +weight/, /^ {2}sessions /]) {
      expect(lines.find((line) => row.test(line))).toMatch(/ 10\.2k +1200 +0 +0/);
    }
  });

  test('that is watched for the first time says that nothing is known yet', () => {
    const lines = statView(now, undefined, { columns: 139, rows: UNBOUNDED, watched: true });
    const text = lines.map((line) => render(line, 139, false)).join('\n');
    expect(text).toMatch(/gets +1\.2M +-\/s/);
    expect(text).toMatch(/^ {2}sessions .* - +- +- +-$/m);
  });

  test('leaves out histograms, then parts, then rows where there is too little height, and says so', () => {
    expect(picture(79, 32)).toEqual(picture(79));
    const withoutSizes = picture(79, 31);
    expect(withoutSizes).toHaveLength(25);
    expect(withoutSizes.join('\n')).not.toMatch(/by size/);
    const withoutParts = picture(79, 24);
    expect(withoutParts).toHaveLength(20);
    expect(withoutParts.join('\n')).not.toMatch(/^ zbud/m);
    expect(picture(79, 18).slice(-2)).toEqual([
      '  sessions           eph zbud    58.0k   98 MiB   81.3 %  1.2M   1.3M     300k',
      '… and 3 lines more',
    ]);
  });

  test('of a store nobody has used yet has no histograms and no table', () => {
    const empty = sample({ counts: { frames_free: 65_000, frames_fixed: 536 } });
    const text = statView(empty, undefined, { columns: 79, rows: UNBOUNDED, watched: false })
      .map((line) => render(line, 79, false))
      .join('\n');
    expect(text).not.toMatch(/by size|client \/ pool|NaN|undefined|Infinity/);
    expect(text).toMatch(/^hits +░{10} -$/m);
  });

  test('points at damaged pages, at operations that gave up and at a frozen store', () => {
    const calm = picture(79).join('\n');
    expect(calm).not.toMatch(/checksum|gave up|puts are refused/);
    const troubled = sample({
      ...busyWith({ checksum_failures: 3 }),
      ...{ frozen: true, counts: { ...BUSY.counts, lock_timeouts: 7 } },
    });
    const lines = statView(troubled, undefined, { columns: 120, rows: UNBOUNDED, watched: false });
    const shown = lines.map((line) => render(line, 120, true));
    expect(shown.at(-2)).toBe('\u001b[31m3 pages did not match their checksum: memory was damaged\u001b[39m');
    expect(shown.at(-1)).toMatch(/7 operations gave up waiting for a lock/);
    expect(shown[0]).toMatch(/frozen: puts are refused/);
  });

  test('does not let names of clients, pools or stores steer the terminal', () => {
    const evil = '\u001b[2J\u001b]0;x\u0007';
    const hostile = sample({ clients: [{ name: evil, pools: [{ name: `${evil}\n` }] }] });
    const file = storeFile({ name: evil, path: `/dev/shm/${evil}/x` });
    const lines = statView({ ...hostile, file }, undefined, {
      columns: 200,
      rows: UNBOUNDED,
      watched: false,
    });
    for (const line of lines) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      expect(render(line, 200, false)).not.toMatch(/[\u0000-\u001f\u007f]/);
    }
  });

  const countsOf = (table: readonly Counter[]) =>
    fc.dictionary(fc.constantFrom(...table.map(({ name }) => name)), fc.oneof(fc.nat(10), fc.maxSafeNat()), {
      maxKeys: table.length,
    });
  const names = fc.string({ unit: 'binary', minLength: 1, maxLength: 24 });
  const pools: fc.Arbitrary<PoolText> = fc.record({ name: names, counts: countsOf(POOL_COUNTERS) });
  const clients: fc.Arbitrary<ClientText> = fc.record({
    ...{ name: names, frozen: fc.boolean(), capBytes: fc.option(fc.maxSafeNat()) },
    counts: countsOf(CLIENT_COUNTERS),
    histograms: fc.dictionary(
      fc.constantFrom(...CLIENT_HISTOGRAMS.map(({ name }) => name)),
      fc.array(fc.nat(1e9), { maxLength: 64 }),
    ),
    pools: fc.array(pools, { maxLength: 3 }),
  });
  const samples = fc
    .record({
      memoryBytes: fc.nat(2 ** 20).map((frames) => frames * 4096),
      counts: countsOf(STORE_COUNTERS),
      clients: fc.array(clients, { maxLength: 3 }),
    })
    .chain((text) => fc.nat(1e6).map((takenMs): Sample => sample(text, { takenMs })));

  test('is never wider or higher than it may be and never shows NaN, whatever is counted', () => {
    const sizes = { columns: fc.integer({ min: 1, max: 240 }), rows: fc.integer({ min: 1, max: 60 }) };
    fc.assert(
      fc.property(
        fc.tuple(samples, fc.option(samples, { nil: undefined })),
        fc.record({ ...sizes, watched: fc.boolean() }),
        ([later, earlier], frame) => {
          const lines = statView(later, earlier, frame);
          expect(lines.length).toBeLessThanOrEqual(frame.rows);
          for (const line of lines) {
            const text = render(line, frame.columns, false);
            expect(lineWidth([{ text, style: 'plain' }])).toBeLessThanOrEqual(frame.columns);
          }
          // Uncut, so that nothing hides beyond the edge. Names may say anything.
          const figures = statView({ ...later, statistics: { ...later.statistics, clients: [] } }, earlier, {
            ...frame,
            columns: 240,
          });
          const text = figures.map((line) => render(line, 240, false)).join('\n');
          expect(text).not.toMatch(/NaN|Infinity|undefined|null/);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('levels', () => {
  test('of used memory add up to it, and used and free are everything', () => {
    const shown = new Map(levels(now).map(({ name, bytes }) => [name, bytes]));
    const parts = levels(now).filter(({ isPart }) => isPart);
    expect(parts.map(({ name }) => name)).toEqual(['zbud', 'zv', 'uncompressed', 'index', 'fixed']);
    expect(parts.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(shown.get('used'));
    expect((shown.get('used') ?? 0) + (shown.get('free') ?? 0)).toBe(2 ** 28);
    expect(shown.get('resident')).toBe(180 * 2 ** 20);
  });
});

describe('changes between two looks', () => {
  test('are differences divided by the time between', () => {
    expect(new Changes(now, before).ofStore()).toEqual({
      ...{ gets: 10_200, hits: 10_000, puts: 1200, evicted: 0, refused: 0 },
    });
  });

  test('are unknown for the first look, for no time, and for a pool that is another one now', () => {
    const [web] = now.statistics.clients;
    const [sessions] = web.pools;
    expect(new Changes(now, undefined).ofStore()).toBeUndefined();
    expect(new Changes(now, now).ofStore()).toBeUndefined();
    const renamed = { ...sessions, name: 'others' };
    expect(new Changes(now, before).ofPool(web, renamed)).toBeUndefined();
    expect(new Changes(now, before).ofClient({ ...web, id: 77 })).toBeUndefined();
    const younger = sample(busyWith({ puts: 3 }), { takenMs: 4000 });
    const [client] = younger.statistics.clients;
    expect(new Changes(younger, now).ofPool(client, client.pools[0])).toBeUndefined();
    expect(new Changes(younger, now).ofPool(client, client.pools[1])).toMatchObject({ gets: 0, puts: 0 });
  });
});
