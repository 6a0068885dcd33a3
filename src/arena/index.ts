export { ArenaAbort } from './abort.ts';
export { Arena, type ArenaSizes } from './arena.ts';
export { arenaModule } from './module.ts';
