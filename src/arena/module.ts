/**
 * The compiled arena, release and debug build, compiled at most once a thread each.
 *
 * Types that leave this package must name nothing that TypeScript declares for browsers only, as WebAssembly is; so a
 * module and a memory have names of our own.
 */

import { readFileSync } from 'node:fs';

/** A WebAssembly.Module of the arena; may be sent to another thread. */
export type ArenaModule = object;

/** A shared WebAssembly.Memory; may be sent to another thread. */
export interface ArenaMemory {
  readonly buffer: SharedArrayBuffer;
}

const compiled: { release?: ArenaModule; debug?: ArenaModule } = {};

/** Build outputs lie beside the compiled package; from src/ and from dist/ the way there is the same. */
function fileOf(build: 'release' | 'debug'): URL {
  return new URL(`../../dist/arena.${build}.wasm`, import.meta.url);
}

export function arenaModule(debug: boolean): ArenaModule {
  const build = debug ? 'debug' : 'release';
  compiled[build] ??= new WebAssembly.Module(readFileSync(fileOf(build)));
  return compiled[build];
}
