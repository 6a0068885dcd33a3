/** A pool as a client of the host holds it: the core's operations, with settings, sharing and statistics. */

import type { Arenas, PoolCodec } from '../tmem/index.ts';
import { Pool, type PoolDescription, TmemError } from '../tmem/index.ts';
import type { Client } from './client.ts';
import { publish } from './events.ts';
import { rawPool } from './raw.ts';
import { type PoolStatistics, poolStatistics } from './statistics.ts';
import { isLive } from './twins.ts';

const CODEC_IDS = { none: 0, lz4: 1, lzo: 2 } as const;
/** Steps of freeing a destroyed pool's pages between two turns of the event loop: some 100 us. */
const DRAIN_STEPS = 256;
const DRAIN_PAUSE_MS = 1;
/** How long a turn waits for a recovery; the next put goes on where it stops. */
const DRAIN_WAIT_MS = 20;

export class ClientPool extends Pool {
  readonly client: Client;

  constructor(arenas: Arenas, ids: readonly number[], about: PoolDescription, client: Client) {
    super(arenas, ids, about);
    this.client = client;
  }

  /** Lets another client join this shared pool by its UUID. Nobody but the creator may without it. */
  grant(client: Client): void {
    this.#setGrant(client, true);
  }

  /** Takes a grant back; who has joined already keeps its view. */
  revoke(client: Client): void {
    this.#setGrant(client, false);
  }

  #setGrant(client: Client, granted: boolean): void {
    this.checkUsable();
    if (this.shared === null) {
      throw new TmemError('TMEM_ERR_NOT_GRANTED', `pool '${this.name}' is not shared; create it with a UUID`);
    }
    for (const [at, arena] of this.arenas.all.entries()) {
      this.arenas.run(arena, () => arena.wasm.grant(this.ids[at], client.ids[at], granted ? 1 : 0));
    }
  }

  /** Codec of pages put from now on, in all threads; pages that are there keep theirs and stay readable. */
  setCodec(codec: PoolCodec): void {
    this.checkUsable();
    const id = CODEC_IDS[codec];
    const isPossible = codec === 'none' ? this.pam !== 'zbud' : this.pam !== 'raw';
    if (id === undefined || !isPossible) {
      throw new TmemError(
        'TMEM_ERR_SETTING',
        `codec: got ${String(codec)}, allowed are lz4 and lzo except with pam 'raw', and none except with pam 'zbud'`,
      );
    }
    for (const [at, arena] of this.arenas.all.entries()) {
      this.arenas.run(arena, () => arena.wasm.setCodec(this.ids[at], id));
    }
  }

  /** Whether the pool is there still; another thread may have destroyed it. */
  get isThere(): boolean {
    this.arenas.check();
    return isLive(this.arenas.all[0], this.ids[0]);
  }

  /** Id of the pool in each arena. */
  get arenaIds(): readonly number[] {
    return this.ids;
  }

  override destroy(): void {
    const pages = this.pages;
    super.destroy();
    publish('tmem:pool:destroyed', () => ({ client: this.client.name, pool: this.name, pages }));
    drainLater(this.arenas);
  }

  stats(): PoolStatistics {
    this.checkUsable();
    const raw = rawPool(this.arenas, this.ids, this.name, this.client.name);
    if (raw === undefined) {
      throw new TmemError('TMEM_ERR_POOL_GONE', `pool '${this.name}' was destroyed; open it again by name`);
    }
    return poolStatistics(raw);
  }
}

/** Frees the pages of destroyed pools, a little in each turn of the event loop; puts help, too. */
function drainLater(arenas: Arenas): void {
  const step = (): void => {
    try {
      if (arenas.closed || drained(arenas)) return;
    } catch (error) {
      // Nobody could catch it here. Who is busy now lets puts do it later; damage shows itself to those who meet it.
      if (TmemError.is(error)) return;
      throw error;
    }
    setTimeout(step, DRAIN_PAUSE_MS).unref();
  };
  // A timer, because an immediate that is not referenced waits for the loop to have other work.
  setTimeout(step, 0).unref();
}

/** One turn of it; whether nothing is left to do here. */
function drained(arenas: Arenas): boolean {
  if (!arenas.tryRecover(DRAIN_WAIT_MS)) return true;
  let done = true;
  for (const arena of arenas.all) {
    arenas.run(arena, () => arena.wasm.drainSteps(DRAIN_STEPS));
    // Also when no step was left: a pool that another thread still works on ends only later.
    if (arena.word(arena.layout.H_DOOMED_POOLS) !== 0) done = false;
  }
  return done;
}
