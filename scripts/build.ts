// Makes everything that is published: the arena's wasm modules, then dist/ (JavaScript and types) from src/.
// Does nothing when the outputs are newer than the inputs, so that `npm start` and `npm test` may call it always.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { buildArena } from './build-arena.ts';
import { isFresh, root } from './fresh.ts';

const tsc = join(root, 'node_modules/typescript/bin/tsc');
const cli = join(root, 'dist/cli/main.js');
const stamp = join(root, 'build/dist.stamp');

/** Removes the outputs whose source is gone: tsc leaves them behind. */
function removeStale(): void {
  const dist = join(root, 'dist');
  for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const source = relative(dist, path).replace(/(\.d\.ts|\.js)$/, '.ts');
    if (entry.isFile() && source.endsWith('.ts') && !existsSync(join(root, 'src', source))) rmSync(path);
  }
}

function buildDist(): void {
  if (isFresh([stamp], ['src', 'tsconfig.json', 'tsconfig.build.json', 'package.json'])) return;
  const startedAt = new Date();
  const compiled = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], {
    stdio: 'inherit',
  });
  if (compiled.status !== 0) process.exit(compiled.status ?? 1);
  removeStale();
  if (existsSync(cli)) chmodSync(cli, statSync(cli).mode | 0o111);
  mkdirSync(join(root, 'build'), { recursive: true });
  writeFileSync(stamp, '');
  utimesSync(stamp, startedAt, startedAt); // what changed while the compiler ran is compiled next time
  console.log('built dist/');
}

await buildArena();
buildDist();
