// Compiles arena/ (AssemblyScript) to the two wasm modules that every thread instantiates on the shared memory:
//   build/arena.release.wasm   what users run: no assertions, DEBUG = 0
//   build/arena.debug.wasm     what most tests run: assertions, sentinels, DEBUG = 1; an access to address 0 traps
// Both are copied to dist/, where the code of src/ and of dist/ finds them under the same relative path.
//
// The rule kept here: a module must not write to the arena when it is instantiated, because the other threads are
// using it. The release module may hold no active data segment at all. The debug module holds the texts of its
// assertions; they are the same in each thread and must lie in the part of the memory that the layout leaves unused.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { join } from 'node:path';
import { isFresh, root } from './fresh.ts';
import { activeSegments } from './wasm-sections.ts';

const builds = ['release', 'debug'] as const;
type Build = (typeof builds)[number];

/** End of the memory that the layout leaves unused: frame 0. */
const unusedBytes = 4096;

const commonFlags = [
  ...['--runtime', 'stub', '--importMemory', '--sharedMemory', '--enable', 'threads,simd,bulk-memory'],
  ...['--initialMemory', '1', '--maximumMemory', '65536', '-O3'],
];

// safe-heap replaces each load and store by a call that compares its address: it needs env.segfault, env.alignfault and
// env.emscripten_get_sbrk_ptr, which returns the address of a word with the memory's upper bound.
const flagsOf: Record<Build, readonly string[]> = {
  release: ['--noAssert', '--use', 'DEBUG=0'],
  debug: ['--use', 'DEBUG=1', '--debug', '--runPasses', 'safe-heap'],
};

function checkDataSegments(build: Build, file: string): void {
  for (const { address, bytes } of activeSegments(readFileSync(file))) {
    if (bytes === 0 || (build === 'debug' && address + bytes <= unusedBytes)) continue;
    throw new Error(
      `arena.${build}.wasm writes ${bytes} bytes at ${address} each time it is instantiated: ` +
        `keep strings, memory.data and static arrays out of arena/`,
    );
  }
}

async function compile(build: Build, outDir: string): Promise<void> {
  const { main } = await import('assemblyscript/asc');
  const startedAt = new Date();
  // Written under a name of this process first: builds may run side by side.
  const partial = `build/arena.${build}.${process.pid}.wasm`;
  const partialPath = join(root, partial);
  try {
    const flags = [...commonFlags, ...flagsOf[build]];
    const { error, stderr } = await main([
      'arena/index.ts',
      '--baseDir',
      root,
      '--outFile',
      partial,
      ...flags,
    ]);
    const messages = stderr.toString();
    if (messages !== '') process.stderr.write(messages);
    if (error) throw new Error(`arena.${build}.wasm: ${error.message}`);
    checkDataSegments(build, partialPath);
    utimesSync(partialPath, startedAt, startedAt); // what changed while the compiler ran is compiled next time
    const name = `arena.${build}.wasm`;
    const distPartial = join(outDir, `${name}.${process.pid}`);
    copyFileSync(partialPath, distPartial);
    utimesSync(distPartial, startedAt, startedAt);
    renameSync(distPartial, join(outDir, name));
    renameSync(partialPath, join(root, 'build', name));
    console.log(`built ${name} (${(statSync(join(outDir, name)).size / 1024).toFixed(1)} KiB)`);
  } finally {
    if (existsSync(partialPath)) rmSync(partialPath);
  }
}

/** Compiles what is out of date. Throws when the compiler does, or when a module would overwrite a live arena. */
export async function buildArena(): Promise<void> {
  const inputs = ['arena', 'scripts/build-arena.ts', 'package.json'];
  const outDir = join(root, 'dist');
  for (const dir of [outDir, join(root, 'build')]) mkdirSync(dir, { recursive: true });
  for (const build of builds) {
    const name = `arena.${build}.wasm`;
    if (isFresh([join(root, 'build', name), join(outDir, name)], inputs)) continue;
    await compile(build, outDir);
  }
}

if (import.meta.main) await buildArena();
