// The packed tarball, installed into an empty project as a user would: what is in it, what comes with it, and that it
// works on each supported Node, in the main thread and in a worker, and for the type checker.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { manifest, root } from './repository.ts';

/** The oldest supported line; the newest is the one that runs this test. */
const oldNodeVersion = '22.23.3';
const installTimeoutMs = 300_000;

const place = mkdtempSync(join(tmpdir(), 'tmem-tarball-'));
const app = join(place, 'app');
const tarball = join(place, `tmem-${manifest.version}.tgz`);
const nodes: Record<string, string> = {
  [`v${oldNodeVersion}`]: join(place, 'old-node/node_modules/node/bin/node'),
  [process.version]: process.execPath,
};

function run(cwd: string, command: string, ...args: string[]): string {
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Installs into a new directory; the packages come from npm's cache as far as it has them. */
function install(name: string, project: object): void {
  const dir = join(place, name);
  mkdirSync(dir);
  writeFileSync(
    join(dir, 'package.json'),
    JSON.stringify({ name, private: true, type: 'module', ...project }),
  );
  run(dir, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error');
}

beforeAll(() => {
  run(root, 'npm', 'pack', '--silent', '--pack-destination', place);
  install('app', { dependencies: { tmem: `file:${tarball}` } });
  install('old-node', { dependencies: { node: oldNodeVersion }, allowScripts: { node: true } });
  cpSync(join(root, 'test/package/consumer'), app, { recursive: true });
}, installTimeoutMs);

afterAll(() => rmSync(place, { recursive: true, force: true }));

test('holds the built files, the wasm modules and the papers, and nothing else', () => {
  const paths = run(place, 'tar', '-tzf', tarball).trim().split('\n');
  const papers = ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'].map((name) => `package/${name}`);
  const built = paths.filter((path) => /^package\/dist\/.*\.(js|d\.ts|wasm)$/.test(path));
  expect(paths.filter((path) => !built.includes(path)).sort()).toEqual(papers);
  expect(built.filter((path) => path.endsWith('.wasm')).sort()).toEqual([
    'package/dist/arena.debug.wasm',
    'package/dist/arena.release.wasm',
  ]);
});

test('brings only its dependencies, and nothing that has to run at installation', () => {
  const { packages } = JSON.parse(readFileSync(join(app, 'package-lock.json'), 'utf8'));
  const installed = Object.keys(packages).filter((path) => path !== '' && !path.includes('@koromix/'));
  const needed = ['@msgpack/msgpack', 'commander', 'koffi', 'tmem', 'valibot'].map(
    (name) => `node_modules/${name}`,
  );
  expect(installed).toEqual(needed);
  // koffi's script looks for its binary, which comes as a package; `install` above runs no script of it.
  expect(installed.filter((path) => packages[path].hasInstallScript)).toEqual(['node_modules/koffi']);
});

test('says which packages make certificates', () => {
  const cli = join(app, 'node_modules/tmem/dist/cli/main.js');
  const made = spawnSync(process.execPath, [cli, 'cert', 'authority', '--out', join(place, 'pki')], {
    encoding: 'utf8',
  });
  expect(made.status).toBe(1);
  expect(made.stderr).toContain('npm install @peculiar/x509 reflect-metadata');
});

test.each(Object.keys(nodes))('shares pages between the main thread and a worker on Node %s', (version) => {
  const seen = JSON.parse(run(app, nodes[version] ?? '', 'main.mjs'));
  expect(seen).toEqual({
    node: version,
    put: 'stored',
    seen: { length: 4096, same: true, put: 'stored' },
    length: 4096,
    answer: 'from the worker thread',
    missing: 0,
  });
});

test.each(Object.keys(nodes))('keeps a named store over the death of a process on Node %s', (version) => {
  const seen = JSON.parse(run(app, nodes[version] ?? '', 'named.mjs'));
  expect(seen).toEqual({
    signal: 'SIGKILL',
    isNew: false,
    text: 'from a process that is no more',
    state: 'ready',
    attached: 1,
  });
});

test.each(Object.keys(nodes))('has a tmem command that runs on Node %s', (version) => {
  const output = run(app, nodes[version] ?? '', 'node_modules/tmem/dist/cli/main.js', '--version');
  expect(output.trim()).toBe(manifest.version);
});

test('has types that a strict project can use without those of a browser', () => {
  const options = {
    strict: true,
    noEmit: true,
    target: 'es2024',
    lib: ['es2024'],
    module: 'nodenext',
    types: ['node'],
  };
  const compilerOptions = { ...options, typeRoots: [join(root, 'node_modules/@types')], skipLibCheck: false };
  writeFileSync(join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['types.ts'] }));
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const { status, stdout } = spawnSync(process.execPath, [compiler, '-p', '.'], {
    cwd: app,
    encoding: 'utf8',
  });
  expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
});
