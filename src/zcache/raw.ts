/** Reads the figures and descriptions of pools and clients out of the arenas, for statistics and for tools. */

import type { Arena } from '../arena/index.ts';
import { type Arenas, TmemError } from '../tmem/index.ts';
import { CLIENT_COUNTERS, CLIENT_HISTOGRAMS, type ClientHistogramName } from './client-counters.ts';
import { emptyRow, foldRows, type Row } from './counters.ts';
import { NAME_BYTES_MAX } from './options.ts';
import { POOL_COUNTERS } from './pool-counters.ts';
import type { StoreSettings } from './settings.ts';
import type { RawClient, RawPool, RawStore } from './statistics.ts';
import { STORE_COUNTERS } from './store-counters.ts';

const FRAME_BYTES = 4096;
const FRAME_SHIFT = 12;
const CELL_BYTES = 8;
const ENTRY_BYTES = 8;
/** A name in the arena: the id below, the generation of its entry above. */
const GENERATION_SHIFT = 16;
const ID_MASK = 0xffff;
const POOL_LIVE = 1;
const FLAG_PERSISTENT = 1;
const FLAG_SHARED = 2;
const CODECS = ['none', 'lz4', 'lzo'] as const;
const PAMS = ['zbud', 'zv', 'raw'] as const;

/** An entry of the pool or client table: its frame's address (0 = empty) and its name in the arena. */
function tableEntry(arena: Arena, table: number, id: number): { address: number; name: number } {
  const at = arena.word(table) + ENTRY_BYTES * id;
  return {
    address: (arena.word(at) << FRAME_SHIFT) >>> 0,
    name: id | (arena.word(at + 4) << GENERATION_SHIFT),
  };
}

/**
 * What `read` finds at an entry of a table. Undefined when it is empty, or another's than when it was looked up:
 * nothing holds it while it is read.
 */
function readEntry<About>(
  arena: Arena,
  table: number,
  id: number,
  read: (address: number) => About | undefined,
): (About & { id: number; address: number }) | undefined {
  const { address, name } = tableEntry(arena, table, id);
  if (address === 0) return undefined;
  const about = read(address);
  const after = tableEntry(arena, table, id);
  if (about === undefined || after.address !== address || after.name !== name) return undefined;
  return { id: name, address, ...about };
}

/** Undefined when its length cannot be: then something else is there by now. */
function nameAt(arena: Arena, at: number, lengthAt: number): string | undefined {
  const length = arena.word(lengthAt);
  return length <= NAME_BYTES_MAX ? arena.text(at, length) : undefined;
}

function checkedName(name: string | undefined): string {
  if (name !== undefined) return name;
  throw new TmemError('TMEM_ERR_DAMAGED', `a client or pool has a name of more than ${NAME_BYTES_MAX} bytes`);
}

interface Named {
  /** Name in the arena: id and generation. */
  readonly id: number;
  readonly address: number;
  readonly name: string;
}

export function clientsOf(arena: Arena): Named[] {
  const { H_CLIENT_TABLE, H_CLIENTS_MAX, C_NAME, C_NAME_LENGTH } = arena.layout;
  const found: Named[] = [];
  for (let id = 1; id < arena.word(H_CLIENTS_MAX); id++) {
    const client = readEntry(arena, H_CLIENT_TABLE, id, (address) => ({
      name: nameAt(arena, address + C_NAME, address + C_NAME_LENGTH),
    }));
    if (client !== undefined) found.push({ ...client, name: checkedName(client.name) });
  }
  return found;
}

export interface FoundPool extends Named {
  readonly about: Pick<RawPool, 'kind' | 'codec' | 'pam' | 'shared'>;
}

/** Live pools, of one client or of all. */
export function poolsOf(arena: Arena, clientId?: number): FoundPool[] {
  const { H_POOL_TABLE, H_POOLS_MAX, P_STATE, P_CLIENT, P_NAME, P_NAME_LENGTH } = arena.layout;
  const found: FoundPool[] = [];
  for (let id = 0; id < arena.word(H_POOLS_MAX); id++) {
    const pool = readEntry(arena, H_POOL_TABLE, id, (address) => {
      if (arena.word(address + P_STATE) !== POOL_LIVE) return undefined;
      if (clientId !== undefined && arena.word(address + P_CLIENT) !== (clientId & ID_MASK)) return undefined;
      const name = nameAt(arena, address + P_NAME, address + P_NAME_LENGTH);
      return { name, about: aboutPool(arena, address) };
    });
    if (pool !== undefined) found.push({ ...pool, name: checkedName(pool.name) });
  }
  return found;
}

/** What the pool of this name in the arena was made as; undefined when it is gone. */
export function describePool(arena: Arena, id: number): FoundPool['about'] | undefined {
  const address = arena.wasm.poolFrame(id) >>> 0;
  if (address === 0) return undefined;
  const about = aboutPool(arena, address);
  // Looked at again: what was read while the pool ended may be another's.
  return arena.wasm.poolFrame(id) >>> 0 === address ? about : undefined;
}

function aboutPool(arena: Arena, address: number): FoundPool['about'] {
  const { P_FLAGS, P_CODEC, P_PAM, P_UUID } = arena.layout;
  const flags = arena.word(address + P_FLAGS);
  return {
    kind: (flags & FLAG_PERSISTENT) !== 0 ? 'persistent' : 'ephemeral',
    codec: CODECS[arena.word(address + P_CODEC)],
    pam: PAMS[arena.word(address + P_PAM)],
    shared: (flags & FLAG_SHARED) !== 0 ? uuidAt(arena, address + P_UUID) : null,
  };
}

function uuidAt(arena: Arena, address: number): string {
  const hex = Buffer.from(arena.bytes.slice(address, address + 16)).toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function poolRow(arenas: Arenas, arena: Arena, id: number): Row {
  const at = arenas.run(arena, () => arena.wasm.poolStatistics(id)) >>> 0;
  return at === 0 ? emptyRow(POOL_COUNTERS) : arena.cells(at, POOL_COUNTERS.length);
}

interface ClientRows {
  readonly row: Row;
  readonly histograms: Readonly<Record<ClientHistogramName, Row>>;
  readonly retired: Row;
}

function clientRows(arenas: Arenas, arena: Arena, id: number): ClientRows {
  const at = arenas.run(arena, () => arena.wasm.clientStatistics(id)) >>> 0;
  const { CLIENT_COUNTER_WORDS, HISTOGRAM_BINS } = arena.layout;
  const histogramsAt = at + CLIENT_COUNTER_WORDS * CELL_BYTES;
  const binBytes = HISTOGRAM_BINS * CELL_BYTES;
  const histograms = CLIENT_HISTOGRAMS.map(({ name }, i) => [
    name,
    arena.cells(histogramsAt + i * binBytes, HISTOGRAM_BINS),
  ]);
  return {
    row: arena.cells(at, CLIENT_COUNTERS.length),
    histograms: Object.fromEntries(histograms),
    retired: arena.cells(histogramsAt + CLIENT_HISTOGRAMS.length * binBytes, POOL_COUNTERS.length),
  };
}

/** A pool, its figures summed over the arenas; undefined when it is gone. */
export function rawPool(
  arenas: Arenas,
  ids: readonly number[],
  name: string,
  client: string,
): RawPool | undefined {
  const rows = arenas.all.map((arena, i) => poolRow(arenas, arena, ids[i]));
  const about = describePool(arenas.all[0], ids[0]);
  return about && { id: ids[0], name, client, ...about, row: foldRows(POOL_COUNTERS, rows) };
}

/** A client and its pools, their figures summed over the arenas. */
export function rawClient(arenas: Arenas, name: string): RawClient | undefined {
  const perArena = arenas.all.map((arena) => ({
    arena,
    client: clientsOf(arena).find((candidate) => candidate.name === name),
  }));
  const [{ arena: first, client }] = perArena;
  if (client === undefined) return undefined;
  const present = perArena.flatMap(({ arena, client }) => (client === undefined ? [] : [{ arena, client }]));
  const rows = present.map(({ arena, client }) => clientRows(arenas, arena, client.id));
  const pools = present.map(({ arena, client }) => poolsOf(arena, client.id));
  const { C_WEIGHT, C_FROZEN, C_CAP_FRAMES } = first.layout;
  const capFrames = present.reduce(
    (sum, { arena, client }) => sum + arena.word(client.address + C_CAP_FRAMES),
    0,
  );
  return {
    id: client.id,
    name,
    weight: first.word(client.address + C_WEIGHT),
    capBytes: capFrames === 0 ? null : capFrames * FRAME_BYTES,
    frozen: first.word(client.address + C_FROZEN) !== 0,
    row: foldRows(
      CLIENT_COUNTERS,
      rows.map((part) => part.row),
    ),
    histograms: Object.fromEntries(
      CLIENT_HISTOGRAMS.map(({ name }) => [name, addCells(rows.map((part) => part.histograms[name]))]),
    ) as unknown as RawClient['histograms'],
    pools: pools[0].flatMap((pool) => {
      const ids = pools.map((of) => of.find((other) => other.name === pool.name)?.id ?? -1);
      return rawPool(arenas, ids, pool.name, name) ?? [];
    }),
    retiredPools: foldRows(
      POOL_COUNTERS,
      rows.map((part) => part.retired),
    ),
  };
}

function addCells(rows: readonly Row[]): BigUint64Array {
  return BigUint64Array.from({ length: rows[0].length }, (_, i) =>
    rows.reduce((sum, row) => sum + row[i], 0n),
  );
}

export function rawStore(arenas: Arenas, settings: StoreSettings): RawStore {
  const [first] = arenas.all;
  const names = clientsOf(first).map((client) => client.name);
  const clients = names.flatMap((name) => rawClient(arenas, name) ?? []);
  const retired = arenas.all.map((arena) => arena.cells(arena.layout.H_RETIRED_STORE, POOL_COUNTERS.length));
  return {
    memoryBytes: settings.memory,
    frozen: first.word(first.layout.H_FROZEN) !== 0,
    row: foldRows(
      STORE_COUNTERS,
      arenas.all.map((arena, at) => storeRow(arena, at === 0)),
    ),
    clients,
    retiredPools: foldRows(POOL_COUNTERS, retired),
    retiredClients: emptyRow(CLIENT_COUNTERS),
  };
}

/** In the order of STORE_COUNTERS. A thread has a slot in every arena, and is counted in the first. */
function storeRow(arena: Arena, isFirst: boolean): Row {
  const { layout } = arena;
  const frames = arena.word(layout.H_FRAMES);
  const values = [
    frames,
    arena.word(layout.H_FIRST_FRAME) + 1,
    arena.word(layout.H_FREE_FRAMES) + arena.word(layout.H_UNBACKED),
    arena.word(layout.H_UNBACKED),
    Number(arena.cells(layout.H_GIVEN_BACK, 1)[0]),
    arena.word(layout.H_SHRINKS),
    isFirst ? attachedThreads(arena) : 0,
    arena.word(layout.H_RECOVERIES),
    arena.word(layout.H_LOCK_WAITS),
    arena.word(layout.H_LOCK_TIMEOUTS),
    arena.word(layout.H_DEBUG_MAX_SLOTS_LOCKED),
  ];
  return BigUint64Array.from(values, BigInt);
}

function attachedThreads(arena: Arena): number {
  const { H_THREADS, H_SLOTS, H_SLOT_BYTES, S_STATE } = arena.layout;
  const slots = arena.word(H_SLOTS);
  const bytes = arena.word(H_SLOT_BYTES);
  let attached = 0;
  for (let i = 0; i < arena.word(H_THREADS); i++) {
    if ((arena.word(slots + i * bytes + S_STATE) & 0xff) !== 0) attached++;
  }
  return attached;
}
