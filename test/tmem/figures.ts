// What a store holds now, in numbers: what a recovery, which counts all of it anew, must find the same.

import type { Arena } from '../../src/arena/index.ts';
import type { Store } from '../../src/index.ts';

export function freeFrames(arenas: readonly Arena[]): number {
  const free = (arena: Arena) => arena.word(arena.layout.H_FREE_FRAMES) + arena.word(arena.layout.H_UNBACKED);
  return arenas.reduce((sum, arena) => sum + free(arena), 0);
}

/** What is true now, by client and pool; no marks and no totals of the past. */
export function figures(store: Store, arenas: readonly Arena[]) {
  return {
    free: freeFrames(arenas),
    clients: store.stats().clients.map((client) => ({
      name: client.name,
      frames: client.frames.curr_frames,
      meta: client.frames.meta_curr_pages,
      raw: client.frames.raw_curr_pages,
      zbud: [client.zbud.curr_raw_pages, client.zbud.curr_zpages, client.zbud.curr_zbytes],
      zbudLists: [client.zbud.buddied_count, ...client.zbud.unbuddied_list_counts],
      zv: [client.zv.curr_pages, client.zv.curr_zpages, client.zv.curr_zbytes],
      zvSizes: client.zv.curr_size_counts,
      pools: client.pools.map(({ name, content, index }) => ({
        name,
        pages: content.curr_pages,
        bytes: content.curr_zbytes,
        filled: content.same_filled_pages,
        objects: index.curr_obj_count,
        nodes: index.curr_objnode_count,
      })),
    })),
  };
}
