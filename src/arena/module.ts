/** The compiled arena, release and debug build, compiled at most once a thread each. */

import { readFileSync } from 'node:fs';

const compiled: { release?: WebAssembly.Module; debug?: WebAssembly.Module } = {};

/** Build outputs lie beside the compiled package; from src/ and from dist/ the way there is the same. */
function fileOf(build: 'release' | 'debug'): URL {
  return new URL(`../../dist/arena.${build}.wasm`, import.meta.url);
}

export function arenaModule(debug: boolean): WebAssembly.Module {
  const build = debug ? 'debug' : 'release';
  compiled[build] ??= new WebAssembly.Module(readFileSync(fileOf(build)));
  return compiled[build];
}
