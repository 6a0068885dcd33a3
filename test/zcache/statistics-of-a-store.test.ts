// Counters of a real store move as documented, and every way to read them says the same.

import { describe, expect, test } from 'vitest';
import { Oid, prometheusText } from '../../src/index.ts';
import { POOL_COUNTERS } from '../../src/zcache/pool-counters.ts';
import { filled, halfNoise, noise, numbered, PAGE_BYTES, repeated } from '../tmem/page-content.ts';
import { drain, expectAccounted, expectNothingLeft, withStore } from '../tmem/small-store.ts';

const oid = Oid.fromNumbers(6);
const out = new Uint8Array(PAGE_BYTES);
const good = halfNoise(PAGE_BYTES, 600, 1);

describe('traffic counters', () => {
  test('each operation moves its own', () => {
    withStore({}, (small) => {
      const pool = small.store.client('c').pool('p', { kind: 'persistent' });
      const traffic = () => pool.stats().traffic;
      pool.put(oid, 0, good);
      expect(traffic()).toMatchObject({ puts: 1, put_stored: 1, put_replaced: 0 });
      pool.put(oid, 0, good);
      expect(traffic()).toMatchObject({ puts: 2, put_stored: 2, put_replaced: 1 });
      pool.get(oid, 0, out);
      pool.getAndKeep(oid, 0, out);
      pool.readAt(oid, 0, 5, out.subarray(0, 7));
      expect(traffic()).toMatchObject({ succ_gets: 3, failed_gets: 0, hit_ratio: 1 });
      pool.get(oid, 1, out);
      pool.getAndFree(oid, 1, out);
      pool.readAt(oid, 1, 0, out);
      expect(traffic()).toMatchObject({ succ_gets: 3, failed_gets: 3, hit_ratio: 0.5 });
      pool.writeAt(oid, 0, 0, good.subarray(0, 50));
      expect(traffic()).toMatchObject({ puts: 3, put_stored: 3, put_replaced: 2 });
      expect(pool.writeAt(oid, 1, 0, good)).toBe('miss');
      expect(traffic()).toMatchObject({ puts: 3, put_stored: 3 });
      pool.exchange(oid, 0, good, out);
      pool.exchange(oid, 1, good, out);
      expect(traffic()).toMatchObject({
        puts: 5,
        put_stored: 5,
        put_replaced: 3,
        succ_gets: 4,
        failed_gets: 4,
      });
      pool.flushPage(oid, 0);
      pool.flushPage(oid, 0);
      expect(traffic()).toMatchObject({ flush_total: 2, flush_found: 1 });
      pool.flushObject(oid);
      pool.flushObject(oid);
      expect(traffic()).toMatchObject({ flobj_total: 2, flobj_found: 1 });
      for (const range of [new Uint8Array(3 * PAGE_BYTES), small.store.staging.subarray(0, 3 * PAGE_BYTES)]) {
        const before = traffic();
        pool.put(oid, 101, good);
        expect(pool.getRange(oid, 100, range)).toBe(1);
        expect(traffic().succ_gets).toBe(before.succ_gets + 1);
        expect(traffic().failed_gets).toBe(before.failed_gets + 2);
        expect(pool.putRange(oid, 200, range.fill(0))).toBe(3);
        expect(traffic().put_stored).toBe(before.put_stored + 4);
      }
      pool.flush();
      expect(pool.put(oid, 0, noise(PAGE_BYTES, 1))).toBe('compresses-poorly');
      expect(pool.stats().refusals).toMatchObject({
        failed_pers_puts: 1,
        failed_eph_puts: 0,
        compress_poor: 1,
      });
      expect(traffic().put_to_flush).toBe(0); // there was nothing to flush
    });
  });

  test('every put has one outcome, and every refusal one cause', () => {
    withStore({ persistentLimitPercent: 4, zvMaxMeanBytes: 1500 }, (small) => {
      const client = small.store.client('c', { cap: '60 KiB' });
      const pools = [
        client.pool('e', { kind: 'ephemeral' }),
        client.pool('z', { kind: 'ephemeral', pam: 'zv' }),
        client.pool('p', { kind: 'persistent' }),
        small.store.client('d').pool('p', { kind: 'persistent', pam: 'raw' }),
        small.store.client('d').pool('e', { kind: 'ephemeral' }),
      ];
      for (let i = 0; i < 500; i++) {
        const pool = pools[i % pools.length]!;
        if (i === 400) client.freeze();
        pool.put(Oid.fromNumbers(i), i, i % 7 === 0 ? noise(PAGE_BYTES, i) : numbered(i, (i * 37) % 3000));
        pool.exchange(Oid.fromNumbers(i % 50), i, numbered(i, (i * 91) % 3000), out);
        pool.writeAt(Oid.fromNumbers(i % 50), i, 100, numbered(i, 3000).subarray(0, 3000));
      }
      const seen = new Set<string>();
      for (const pool of pools) {
        const { traffic, refusals } = pool.stats();
        const { failed_eph_puts, failed_pers_puts, ...causes } = refusals;
        expect(traffic.put_stored + failed_eph_puts + failed_pers_puts).toBe(traffic.puts);
        const sum = Object.values(causes).reduce((total, count) => total + count, 0);
        expect(sum).toBe(failed_eph_puts + failed_pers_puts);
        expect(pool.kind === 'ephemeral' ? failed_pers_puts : failed_eph_puts).toBe(0);
        for (const [cause, count] of Object.entries(causes)) if (count > 0) seen.add(cause);
      }
      expect([...seen].sort()).toEqual(
        expect.arrayContaining([
          'compress_poor',
          'frozen',
          'mean_compress_poor',
          'over_cap',
          'policy_percent_exceeded',
        ]),
      );
      client.thaw();
      expectAccounted(small);
    });
  });
});

describe('content counters', () => {
  test('tell pages, bytes and same-filled pages', () => {
    withStore({}, (small) => {
      const client = small.store.client('c');
      const pool = client.pool('p', { kind: 'persistent' });
      pool.put(oid, 0, filled(PAGE_BYTES, 0));
      pool.put(oid, 1, filled(100, 7));
      pool.put(oid, 2, repeated(PAGE_BYTES, 5));
      const { content } = pool.stats();
      expect(content).toMatchObject({
        ...{ curr_pages: 3, same_filled_pages: 3, curr_zbytes: 0, cumul_zpages: 0 },
        bytes_in: 2 * PAGE_BYTES + 100,
      });
      expect(client.stats().frames).toMatchObject({ raw_curr_pages: 0 });
      pool.put(oid, 3, good);
      const after = pool.stats();
      expect(after.content.curr_zbytes).toBeGreaterThan(600);
      expect(after.content.curr_zbytes).toBeLessThan(900);
      expect(after.content.mean_zsize).toBe(after.content.curr_zbytes);
      expect(after.index).toMatchObject({ curr_obj_count: 1, curr_obj_count_max: 1 });
      pool.flush();
      expect(pool.stats().content).toMatchObject({
        ...{ curr_pages: 0, curr_pages_max: 4, same_filled_pages: 0, curr_zbytes: 0, cumul_zpages: 1 },
        curr_zbytes_max: after.content.curr_zbytes,
      });
      expect(pool.stats().index).toMatchObject({ curr_obj_count: 0, curr_objnode_count: 0 });
    });
  });

  test('of zbud and zv agree with those of the pools', () => {
    withStore({}, (small) => {
      const client = small.store.client('c');
      const pools = [
        client.pool('e', { kind: 'ephemeral' }),
        client.pool('p', { kind: 'persistent' }),
        client.pool('q', { kind: 'persistent', pam: 'zbud' }),
      ] as const;
      for (let i = 0; i < 60; i++) {
        for (const pool of pools) expect(pool.put(oid, i, numbered(i, 100 + i * 30))).toBe('stored');
      }
      const [e, p, q] = pools.map((pool) => pool.stats().content) as [never, never, never] as {
        curr_zbytes: number;
        curr_pages: number;
      }[];
      const { zbud, zv } = client.stats();
      expect(zbud.curr_zbytes).toBe(e!.curr_zbytes + q!.curr_zbytes);
      expect(zbud.curr_zpages).toBe(120);
      expect(zbud.cumul_chunk_counts.reduce((sum, count) => sum + count, 0)).toBe(120);
      const unbuddied = zbud.unbuddied_list_counts.reduce((sum, count) => sum + count, 0);
      expect(2 * zbud.buddied_count + unbuddied).toBe(zbud.curr_zpages);
      expect(zbud.buddied_count + unbuddied + zbud.unused_list_count).toBe(zbud.curr_raw_pages);
      expect(zv.curr_zbytes).toBe(p!.curr_zbytes);
      expect(zv.curr_zpages).toBe(60);
      expect(zv.curr_size_counts.reduce((sum, count) => sum + count, 0)).toBe(60);
      expect(zv.curr_size_counts).toEqual(zv.cumul_size_counts);
      expect(zv.density).toBeGreaterThan(0.7);
      expect(zbud.at_most_21_chunks).toBeLessThan(zbud.at_most_42_chunks);
    });
  });
});

describe('totals', () => {
  test('of counters never go down: destroyed pools and removed clients go on counting', () => {
    withStore({}, (small) => {
      const { store } = small;
      const keeper = store.client('keeper');
      const client = store.client('c');
      for (let i = 0; i < 3; i++) {
        const pool = (i === 0 ? keeper : client).pool(`pool ${i}`, { kind: 'persistent' });
        for (let n = 0; n < 10; n++) pool.put(oid, n, good);
        for (let n = 0; n < 4; n++) pool.get(oid, n, out);
      }
      const counters = POOL_COUNTERS.filter(({ kind }) => kind === 'counter').map(({ name }) => name);
      const totals = () => {
        const { traffic, refusals, content, moves } = store.stats();
        const values: Record<string, number> = { ...traffic, ...refusals, ...content, ...moves };
        return counters.map((name) => [name, values[name]]);
      };
      const before = totals();
      expect(Object.fromEntries(before)).toMatchObject({ puts: 30, succ_gets: 12 });
      client.pool('pool 1', { kind: 'persistent' }).destroy();
      expect(totals(), 'while its pages wait to be freed').toEqual(before);
      drain(small);
      expect(client.stats().traffic.puts).toBe(20);
      expect(totals()).toEqual(before);
      client.remove();
      expect(totals()).toEqual(before);
      expect(store.stats().content.curr_pages).toBe(10);
      expectNothingLeft(small, [keeper]);
      expect(totals()).toEqual(before);
    });
  });

  test('are the sums of the clients, and Prometheus text says the same as stats()', () => {
    withStore({}, (small) => {
      for (const name of ['a', 'b "quoted"']) {
        const client = small.store.client(name, { weight: 7, cap: '4 MiB' });
        for (const kind of ['ephemeral', 'persistent'] as const) {
          const pool = client.pool(`pool ${kind}`, { kind });
          for (let i = 0; i < 9; i++) pool.put(oid, i, numbered(i, 700));
          for (let i = 7; i < 11; i++) pool.get(oid, i, out);
        }
      }
      const stats = small.store.stats();
      expect(stats.traffic.puts).toBe(36);
      expect(stats.index.curr_eph_pampd_count).toBe(14);
      expect(stats.index.curr_pers_pampd_count).toBe(18);
      const text = prometheusText(stats);
      const samples = new Map(
        text
          .split('\n')
          .filter((line) => line !== '' && !line.startsWith('#'))
          .map((line) => {
            const at = line.lastIndexOf(' ');
            return [line.slice(0, at), Number(line.slice(at + 1))] as const;
          }),
      );
      let compared = 0;
      for (const client of stats.clients) {
        const label = client.name.replaceAll('"', '\\"');
        expect(samples.get(`tmem_client_curr_frames{client="${label}"}`)).toBe(client.frames.curr_frames);
        expect(samples.get(`tmem_client_cap_bytes{client="${label}"}`)).toBe(4 * 2 ** 20);
        for (const pool of client.pools) {
          const labels = `{client="${label}",pool="${pool.name}",kind="${pool.kind}"}`;
          const groups = { ...pool.traffic, ...pool.refusals, ...pool.index, ...pool.content, ...pool.moves };
          const values: Record<string, number> = groups;
          for (const { name, kind } of POOL_COUNTERS) {
            const suffix = kind === 'counter' ? '_total' : '';
            expect(samples.get(`tmem_pool_${name}${suffix}${labels}`), name).toBe(values[name]);
            compared++;
          }
        }
      }
      expect(compared).toBe(4 * POOL_COUNTERS.length);
      expect(samples.get('tmem_store_frames_free')).toBe(stats.store.frames_free);
      expect(samples.get('tmem_store_memory_bytes')).toBe(8 * 2 ** 20);
    });
  });

  test('a snapshot is plain data', () => {
    withStore({}, (small) => {
      small.store.client('c').pool('p', { kind: 'ephemeral' }).put(oid, 0, good);
      const stats = small.store.stats();
      expect(structuredClone(stats)).toEqual(stats);
      expect(JSON.parse(JSON.stringify(stats))).toEqual(stats);
    });
  });
});
