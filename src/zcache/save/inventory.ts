/**
 * What a store consists of, by name, with every setting: its clients (but not its part in a cluster), and its pools as
 * they can be used. Opens nothing
 * that is not there; reads while others change it, so what comes or goes meanwhile is left out.
 */

import type { Arena } from '../../arena/index.ts';
import type { Arenas } from '../../tmem/index.ts';
import type { Client } from '../client.ts';
import type { ClientPool } from '../pool.ts';
import { isClusterClient } from '../reserved-clients.ts';
import { arenasOf, type Store } from '../store.ts';
import type { SavedClient, SavedPool } from './format.ts';

const FRAME_BYTES = 4096;
const NO_TARGET = 0;

export interface Inventory {
  readonly frozen: boolean;
  readonly clients: readonly SavedClient[];
  /** Persistent ones first, and each after the one it demotes to. */
  readonly pools: readonly { readonly about: SavedPool; readonly pool: ClientPool }[];
}

interface NumberedPool {
  readonly client: number;
  readonly pool: ClientPool;
}

export function inventoryOf(store: Store): Inventory {
  const arenas = arenasOf(store);
  const [first] = arenas.all;
  const clients = store.clients().filter(({ name }) => !isClusterClient(name));
  const pools = inOrder(
    arenas,
    clients.flatMap((client, number) => client.pools().map((pool) => ({ client: number, pool }))),
  );
  return {
    frozen: first.word(first.layout.H_FROZEN) !== 0,
    clients: clients.map((client) => describeClient(arenas, client)),
    pools: pools.map(({ client, pool }) => ({
      about: describePool(arenas, clients, pools, client, pool),
      pool,
    })),
  };
}

function describeClient(arenas: Arenas, { name, ids }: Client): SavedClient {
  const words = (offset: (arena: Arena) => number) =>
    arenas.all.map((arena, at) => arena.word((arena.wasm.clientFrame(ids[at]) >>> 0) + offset(arena)));
  const capFrames = sum(words(({ layout }) => layout.C_CAP_FRAMES));
  return {
    name,
    weight: words(({ layout }) => layout.C_WEIGHT)[0],
    capBytes: capFrames === 0 ? null : capFrames * FRAME_BYTES,
    frozen: words(({ layout }) => layout.C_FROZEN)[0] !== 0,
  };
}

function describePool(
  arenas: Arenas,
  clients: readonly Client[],
  pools: readonly NumberedPool[],
  client: number,
  pool: ClientPool,
): SavedPool {
  const { name, kind, codec, pam, shared, arenaIds } = pool;
  const [first] = arenas.all;
  const limitPages = sum(
    arenas.all.map((arena, at) => poolWord(arena, arenaIds[at], ({ layout }) => layout.P_LIMIT_PAGES)),
  );
  const isGranted = (other: Client) =>
    arenas.run(first, () => first.wasm.isGranted(arenaIds[0], other.ids[0])) === 1;
  const others = shared === null ? [] : [...clients.keys()].filter((other) => other !== client);
  const targetId = limitPages === 0 ? NO_TARGET : targetOf(first, pool);
  const target = targetId === NO_TARGET ? -1 : pools.findIndex((other) => other.pool.id === targetId);
  return {
    ...{ client, name, kind, codec, pam, shared },
    granted: others.filter((other) => isGranted(clients[other])),
    limitPages: limitPages === 0 ? null : limitPages,
    demoteTo: target === -1 ? null : target,
  };
}

/** Persistent pools demote to none, and a pool can only demote to one that was there before it: there is no circle. */
function inOrder({ all: [first] }: Arenas, pools: readonly NumberedPool[]): NumberedPool[] {
  const byId = new Map(pools.map(({ pool }) => [pool.id, pool]));
  const depthOf = (pool: ClientPool): number => {
    let depth = 0;
    let target = byId.get(targetOf(first, pool));
    for (; target !== undefined && depth < pools.length; depth++) target = byId.get(targetOf(first, target));
    return depth;
  };
  return pools
    .map((numbered) => ({
      numbered,
      order: numbered.pool.kind === 'persistent' ? -1 : depthOf(numbered.pool),
    }))
    .sort((a, b) => a.order - b.order)
    .map(({ numbered }) => numbered);
}

/** Name in the first arena of the pool that takes what goes over the limit. */
function targetOf(first: Arena, pool: ClientPool): number {
  return poolWord(first, pool.id, ({ layout }) => layout.P_DEMOTE_TO);
}

function poolWord(arena: Arena, id: number, offset: (arena: Arena) => number): number {
  const address = arena.wasm.poolFrame(id) >>> 0;
  return address === 0 ? 0 : arena.word(address + offset(arena));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
