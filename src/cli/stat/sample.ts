/**
 * One look at a store, and what happened between two looks.
 */

import type { ClientStatistics, NamedStore, PoolStatistics, StoreStatistics } from '../../zcache/index.ts';
import type { PoolGroups } from '../../zcache/statistics-groups.ts';

export interface Sample {
  readonly file: NamedStore;
  readonly statistics: StoreStatistics;
  /** By a clock that is never set back; for differences. */
  readonly takenMs: number;
  /** By the calendar's clock. */
  readonly atMs: number;
}

/** What is counted of a pool, a client or the store: totals, or the same for each second. */
export interface Activity {
  readonly gets: number;
  readonly hits: number;
  readonly puts: number;
  readonly evicted: number;
  readonly refused: number;
}

export function activityOf({ traffic, refusals, moves }: PoolGroups): Activity {
  return {
    gets: traffic.succ_gets + traffic.failed_gets,
    hits: traffic.succ_gets,
    puts: traffic.puts,
    evicted: moves.evicted_zpages,
    refused: refusals.failed_eph_puts + refusals.failed_pers_puts,
  };
}

/** For each second; undefined if a counter fell, because then it is another pool or client, or no time passed. */
export function ratesBetween(before: Activity, now: Activity, elapsedMs: number): Activity | undefined {
  if (!(elapsedMs > 0)) return undefined;
  const of = (name: keyof Activity) => ((now[name] - before[name]) / elapsedMs) * 1000;
  const rates = {
    gets: of('gets'),
    hits: of('hits'),
    puts: of('puts'),
    evicted: of('evicted'),
    refused: of('refused'),
  };
  return Object.values(rates).some((rate) => rate < 0) ? undefined : rates;
}

/** What happened each second between two samples of a store. Undefined: not known. */
export class Changes {
  readonly #now: Sample;
  readonly #before: Sample | undefined;
  readonly #clients: ReadonlyMap<string, ClientStatistics>;
  readonly #pools: ReadonlyMap<string, PoolStatistics>;

  /** @param before - undefined for the first sample: then nothing is known */
  constructor(now: Sample, before: Sample | undefined) {
    this.#now = now;
    this.#before = before;
    const clients = before?.statistics.clients ?? [];
    this.#clients = new Map(clients.map((client) => [clientKey(client), client]));
    this.#pools = new Map(
      clients.flatMap((client) => client.pools.map((pool) => [poolKey(client, pool), pool])),
    );
  }

  ofStore(): Activity | undefined {
    return this.#between(this.#before?.statistics, this.#now.statistics);
  }

  ofClient(client: ClientStatistics): Activity | undefined {
    return this.#between(this.#clients.get(clientKey(client)), client);
  }

  ofPool(client: ClientStatistics, pool: PoolStatistics): Activity | undefined {
    return this.#between(this.#pools.get(poolKey(client, pool)), pool);
  }

  #between(before: PoolGroups | undefined, now: PoolGroups): Activity | undefined {
    if (before === undefined || this.#before === undefined) return undefined;
    return ratesBetween(activityOf(before), activityOf(now), this.#now.takenMs - this.#before.takenMs);
  }
}

/** Ids are used again, so the name is compared too. */
function clientKey({ id, name }: ClientStatistics): string {
  return `${id} ${name}`;
}

function poolKey(client: ClientStatistics, { id, name }: PoolStatistics): string {
  return `${id} ${clientKey(client)} ${name}`;
}
