// The arena in a build with assertions that calls out before every load and store.

import asc from 'assemblyscript/asc';

const ROOT = decodeURIComponent(new URL('../../', import.meta.url).pathname);
/** Compiles the module. Takes some seconds. */
export async function instrumentedBinary(): Promise<Uint8Array<ArrayBuffer>> {
  const outputs = new Map<string, Uint8Array>();
  const flags = [
    ['--runtime', 'stub', '--importMemory', '--sharedMemory', '--enable', 'threads,simd,bulk-memory'],
    ['--initialMemory', '1', '--maximumMemory', '65536', '-O1', '--noAssert', '--use', 'DEBUG=1'],
    ['--runPasses', 'instrument-memory', '--baseDir', ROOT, '--outFile', 'arena.wasm'],
  ].flat();
  const { error, stderr } = await asc.main(['arena/index.ts', 'arena/memory/layout.ts', ...flags], {
    writeFile: (name, content) => {
      if (typeof content !== 'string') outputs.set(name, content);
    },
  });
  const binary = outputs.get('arena.wasm');
  if (error || !binary) throw new Error(`asc failed: ${error?.message}\n${stderr}`);
  return binary.slice();
}
