/** Opens a client by name in every arena, or creates it. */

import type { Arena } from '../arena/index.ts';
import { type Arenas, TmemError } from '../tmem/index.ts';
import { Client, capFrames } from './client.ts';
import { publish } from './events.ts';
import { CLIENT_WEIGHT_DEFAULT, type ClientOptions, checkedName, clientOptions } from './options.ts';
import { clientsOf } from './raw.ts';
import type { StoreSettings } from './settings.ts';
import { endClient, hasLiveClientTwin } from './twins.ts';

/** Results of the arena below 0. */
const TABLE_FULL = -1;
const STALE = -4;
/** Times a client may be removed or made anew by others between two steps. */
const OPEN_TRIES_MAX = 100;

/**
 * @throws TmemError TMEM_ERR_NAME, TMEM_ERR_SETTING, TMEM_ERR_NAME_MISMATCH, TMEM_ERR_TOO_MANY_CLIENTS,
 *   TMEM_ERR_NO_MEMORY, TMEM_ERR_CLIENT_GONE
 */
export function openClient(
  arenas: Arenas,
  settings: StoreSettings,
  name: string,
  options: ClientOptions,
): Client {
  arenas.check();
  checkedName('client', name);
  const given = clientOptions(options);
  for (let tries = 0; tries < OPEN_TRIES_MAX; tries++) {
    const existed = clientsOf(arenas.all[0]).some((client) => client.name === name);
    const weight = given.weight ?? CLIENT_WEIGHT_DEFAULT;
    const frames = capFrames(given.cap ?? null, arenas.all.length);
    const ids = openIds(arenas, settings, name, weight, frames);
    if (ids === undefined) continue;
    const client = new Client(arenas, settings, name, ids);
    if (existed) client.expect(given);
    else publish('tmem:client:created', () => ({ client: name, weight, capBytes: given.cap ?? null }));
    return client;
  }
  throw new TmemError(
    'TMEM_ERR_CLIENT_GONE',
    `client '${name}': another thread removes it as often as it is opened`,
  );
}

/** The client in each arena. Undefined when others removed or made it anew meanwhile: look again. */
function openIds(
  arenas: Arenas,
  settings: StoreSettings,
  name: string,
  weight: number,
  frames: number,
): number[] | undefined {
  const [first] = arenas.all;
  const ids: number[] = [];
  for (const arena of arenas.all) {
    // What was made with the client in the first arena holds for all; a creation may have been cut short there.
    const about = ids[0] === undefined ? { weight, frames } : settingsOf(first, ids[0]);
    if (about === undefined) return undefined;
    const id = arenas.run(arena, () =>
      arena.wasm.openClient(arena.name(name), about.weight, about.frames, ids[0] ?? 0),
    );
    if (id === STALE) {
      const stale = arena.wasm.staleName();
      if (!hasLiveClientTwin(first, arena, stale) && !endClient(arenas, arena, stale)) throw busy(name);
      return undefined;
    }
    if (id < 0) throw cannotOpen(name, id, settings);
    ids.push(id);
  }
  return ids;
}

function settingsOf(arena: Arena, id: number): { weight: number; frames: number } | undefined {
  const address = arena.wasm.clientFrame(id) >>> 0;
  if (address === 0) return undefined;
  const { C_WEIGHT, C_CAP_FRAMES } = arena.layout;
  return { weight: arena.word(address + C_WEIGHT), frames: arena.word(address + C_CAP_FRAMES) };
}

function busy(name: string): TmemError {
  return new TmemError(
    'TMEM_ERR_BUSY',
    `client '${name}': it was removed, and other threads are still working in its pools; try again`,
  );
}

function cannotOpen(name: string, code: number, settings: StoreSettings): TmemError {
  return code === TABLE_FULL
    ? new TmemError(
        'TMEM_ERR_TOO_MANY_CLIENTS',
        `client '${name}': all ${settings.clients} clients are in use; remove some or raise the setting clients`,
      )
    : new TmemError(
        'TMEM_ERR_NO_MEMORY',
        `client '${name}': no frame is free for it; shrink or free pages first`,
      );
}
