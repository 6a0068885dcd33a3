/** The arena as TypeScript sees it: memory, wasm code and this thread's slot. */

export { ArenaAbort } from './abort.ts';
export { Arena, type ArenaSizes } from './arena.ts';
export { type ArenaMemory, type ArenaModule, arenaModule } from './module.ts';
