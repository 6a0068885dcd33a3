// Who may import whom: design rules that no compiler keeps. The picture is in CONTRIBUTING.md.
import { describe, expect, test } from 'vitest';
import { files, importsOf } from './repository.ts';

const arenaFiles = files.filter((path) => path.startsWith('arena/') && path.endsWith('.ts'));
const srcFiles = files.filter((path) => path.startsWith('src/') && path.endsWith('.ts'));

const frontEnds = ['src/cleancache', 'src/frontswap'];
const hostFace = 'src/zcache/index.ts';
const packageFace = 'src/index.ts';

/** Folders of each layer, the lowest first; a file imports from its own folder and from layers below. */
const srcLayers = [
  ['src/errors.ts'],
  ['src/arena'],
  ['src/tmem'],
  ['src/zcache'],
  frontEnds,
  ['src/nbd'],
  ['src/ramster'],
  ['src/serve'],
  ['src/cli'],
];
const arenaLayers = [['arena/memory'], ['arena/codec'], ['arena/pam'], ['arena/tmem']];

/** npm packages, by the folders that may import them. */
const packageUsers: Record<string, readonly string[]> = {
  commander: ['src/cli'],
  koffi: ['src/arena'],
  valibot: ['src/zcache', 'src/ramster', 'src/serve', 'src/cli'],
  '@msgpack/msgpack': ['src/ramster'],
  ioredis: ['src/ramster'],
  '@nats-io/transport-node': ['src/ramster'],
  '@peculiar/x509': ['src/cli'],
  'reflect-metadata': ['src/cli'],
};

const folderOf = (path: string): string => path.split('/').slice(0, 2).join('/');
const arrow = (from: string, to: string): string => `${from} -> ${to}`;

/** Relative imports of `paths` that leave the importing file's folder, as [from, to]. */
function crossings(paths: readonly string[]): [string, string][] {
  return paths.flatMap((from) =>
    importsOf(from).flatMap(({ path: to }) => {
      const leaves = to?.endsWith('.ts') && folderOf(to) !== folderOf(from);
      return leaves ? [[from, to] as [string, string]] : [];
    }),
  );
}

function upward(paths: readonly string[], layers: readonly (readonly string[])[]): string[] {
  const levelOf = (path: string): number => layers.findIndex((folders) => folders.includes(folderOf(path)));
  return crossings(paths)
    .filter(([from, to]) => levelOf(from) !== -1 && levelOf(to) >= levelOf(from))
    .map(([from, to]) => arrow(from, to));
}

describe('the arena', () => {
  test('has files for this test to look at', () => {
    expect(arenaFiles.length).toBeGreaterThan(0);
  });

  test('imports nothing from outside arena/', () => {
    const outside = arenaFiles.flatMap((from) =>
      importsOf(from)
        .filter(({ path }) => !path?.startsWith('arena/'))
        .map(({ specifier }) => arrow(from, specifier)),
    );
    expect(outside).toEqual([]);
  });

  test('imports only downwards: tmem, pam, codec, memory', () => {
    expect(upward(arenaFiles, arenaLayers)).toEqual([]);
  });

  test('has no file outside its layers but the entry', () => {
    const known = new Set(arenaLayers.flat());
    const strays = arenaFiles.filter((path) => !known.has(folderOf(path)));
    expect(strays).toEqual(['arena/index.ts']);
  });
});

describe('the sources', () => {
  test('import only downwards: cli, serve, ramster, nbd, front ends, zcache, tmem, arena', () => {
    expect(upward(srcFiles, srcLayers)).toEqual([]);
  });

  test('have no file outside their layers but the public face', () => {
    const known = new Set(srcLayers.flat());
    const strays = srcFiles.filter((path) => !known.has(folderOf(path)));
    expect(strays).toEqual([packageFace]);
  });

  test('import nothing from the tests, the benchmarks, the scripts or the sources of the arena', () => {
    const outside = crossings(srcFiles).filter(([, to]) => !to.startsWith('src/'));
    expect(outside).toEqual([]);
  });

  test('reach the public face from no file below it but the command line', () => {
    const users = crossings(srcFiles).filter(
      ([from, to]) => to === packageFace && folderOf(from) !== 'src/cli',
    );
    expect(users).toEqual([]);
  });

  test.each(frontEnds)('of the front end %s use nothing below but the face of zcache', (folder) => {
    const own = srcFiles.filter((path) => folderOf(path) === folder);
    expect(own).toContain(`${folder}/index.ts`);
    const below = crossings(own).filter(([, to]) => to !== hostFace);
    expect(below.map(([from, to]) => arrow(from, to))).toEqual([]);
  });

  test('of the NBD server use nothing below but the faces of the front ends and of zcache', () => {
    const own = srcFiles.filter((path) => folderOf(path) === 'src/nbd');
    expect(own).toContain('src/nbd/index.ts');
    const faces = [hostFace, ...frontEnds.map((folder) => `${folder}/index.ts`)];
    const below = crossings(own).filter(([, to]) => !faces.includes(to));
    expect(below.map(([from, to]) => arrow(from, to))).toEqual([]);
  });

  test('import an npm package only where it is meant to be', () => {
    const strangers = srcFiles.flatMap((from) =>
      importsOf(from)
        .filter(({ specifier, path }) => path === undefined && !specifier.startsWith('node:'))
        .filter(({ specifier }) => !packageUsers[specifier]?.includes(folderOf(from)))
        .map(({ specifier }) => arrow(from, specifier)),
    );
    expect(strangers).toEqual([]);
  });

  test('load in no circle', () => {
    expect(findCircle(srcFiles)).toEqual([]);
  });
});

/** Some circle of imports that remain when types are erased, as the files on it; empty if there is none. */
function findCircle(paths: readonly string[]): string[] {
  const finished = new Set<string>();
  const visit = (path: string, trail: readonly string[]): string[] => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (finished.has(path)) return [];
    for (const { path: next, typeOnly, specifier } of importsOf(path)) {
      const starts = next === undefined || typeOnly || !specifier.endsWith('.ts');
      const circle = starts || !paths.includes(next) ? [] : visit(next, [...trail, path]);
      if (circle.length > 0) return circle;
    }
    finished.add(path);
    return [];
  };
  for (const path of paths) {
    const circle = visit(path, []);
    if (circle.length > 0) return circle;
  }
  return [];
}
