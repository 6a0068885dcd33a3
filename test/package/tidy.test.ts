// The house rules that can be checked by reading files.
import { existsSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { describe, expect, test } from 'vitest';
import { committed, files, isCode, manifest, root, textOf } from './repository.ts';

const fileLinesMax = 400;
const lineCharactersMax = 120;

const code = files.filter(isCode);
const pages = files.filter((path) => path.endsWith('.md'));
const tests = files.filter((path) => path.startsWith('test/') && path.endsWith('.ts'));

/** Places where `pattern` matches, as 'path:line'. */
function matches(paths: readonly string[], pattern: RegExp): string[] {
  return paths.flatMap((path) =>
    textOf(path)
      .split('\n')
      .flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}`] : [])),
  );
}

describe('code', () => {
  test(`files have at most ${fileLinesMax} lines`, () => {
    const long = code.map((path) => ({ path, lines: textOf(path).trimEnd().split('\n').length }));
    expect(long.filter(({ lines }) => lines > fileLinesMax)).toEqual([]);
  });

  test(`lines have at most ${lineCharactersMax} characters`, () => {
    expect(matches(code, new RegExp(`^.{${lineCharactersMax + 1}}`))).toEqual([]);
  });

  test('files of the package open with a note', () => {
    const sources = code.filter((path) => /^(arena|src|scripts|bench|conformance|sim)\//.test(path));
    expect(sources.filter((path) => !/^(#!.*\n)?(\/\/|\/\*)/.test(textOf(path)))).toEqual([]);
  });

  test('nothing is left to be done later', () => {
    expect(matches([...code, ...pages], /\b(TO[D]O|FI[X]ME|XX[X]|HA[C]K)\b/)).toEqual([]);
  });

  test('the library writes to no console and ends no process', () => {
    const library = code.filter((path) => path.startsWith('src/') && !path.startsWith('src/cli/'));
    expect(matches(library, /\bconsole\.|\bprocess\.(exit|stdout|stderr)\b/)).toEqual([]);
  });

  test('the library draws no random numbers of its own', () => {
    expect(
      matches(
        code.filter((path) => path.startsWith('src/')),
        /\bMath\.random\b/,
      ),
    ).toEqual([]);
  });
});

describe('tests', () => {
  test('run all, and none alone', () => {
    const call = /\b(test|it|describe)(\.\w+)*\.(skip|only|todo|skipIf|runIf|fails)\b/;
    expect(matches(tests, call)).toEqual([]);
  });

  test('stand in files that the runner finds', () => {
    const calling = tests.filter((path) => /^\s*(test|it|describe)(\.each\(.*\))?\(/m.test(textOf(path)));
    expect(calling.filter((path) => !path.endsWith('.test.ts'))).toEqual([]);
  });
});

describe('documentation', () => {
  // [text](target) and [name]: target; not images on the network, not code.
  const link = /\]\(([^()\s]+)\)|^\[[^\]]+\]:\s+(\S+)/gm;
  const prose = (path: string): string =>
    textOf(path)
      .replace(/^```[\s\S]*?^```/gm, '')
      .replace(/`[^`\n]*`/g, '');
  const anchorOf = (heading: string): string =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replace(/\s/g, '-');
  const anchorsOf = (path: string): string[] =>
    [...textOf(path).matchAll(/^#+\s+(.*)$/gm)].map(([, heading = '']) => anchorOf(heading));

  test('links lead somewhere', () => {
    const broken = pages.flatMap((page) =>
      [...prose(page).matchAll(link)]
        .map(([, inline, reference]) => inline ?? reference ?? '')
        .filter((target) => !/^[a-z]+:/.test(target))
        .filter((target) => {
          const [file = '', anchor] = target.split('#');
          const path = file === '' ? page : posix.join(dirname(page), file);
          if (!existsSync(join(root, path))) return true;
          return anchor !== undefined && path.endsWith('.md') && !anchorsOf(path).includes(anchor);
        })
        .map((target) => `${page}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  test('names only npm scripts that exist', () => {
    const named = pages.flatMap((page) =>
      [...textOf(page).matchAll(/\bnpm run ([a-z][\w:-]*)/g)].map(([, script = '']) => script),
    );
    expect(named.filter((script) => !(script in manifest.scripts))).toEqual([]);
  });

  test('README sets up and starts the main job in one line, and the tests in another', () => {
    const lines = textOf('README.md').split('\n');
    expect(lines).toContain('npm ci && npm start');
    expect(lines).toContain('npm ci && npm test');
  });

  test('CHANGELOG tells of the version in package.json', () => {
    expect(textOf('CHANGELOG.md')).toMatch(
      new RegExp(`^## ${manifest.version.replaceAll('.', '\\.')} `, 'm'),
    );
  });
});

describe('package.json', () => {
  test('depends on exactly what was agreed', () => {
    expect(Object.keys(manifest.dependencies)).toEqual(['@msgpack/msgpack', 'commander', 'valibot']);
    expect(Object.keys(manifest.devDependencies)).toEqual([
      '@biomejs/biome',
      '@nats-io/transport-node',
      '@peculiar/x509',
      '@types/node',
      'assemblyscript',
      'fast-check',
      'ioredis',
      'lmdb',
      'lru-cache',
      'node',
      'reflect-metadata',
      'typescript',
      'vitest',
    ]);
    expect(Object.keys(manifest.optionalDependencies)).toEqual(['koffi']);
    // Each has to be installed only by who uses the subpath for it.
    expect(Object.keys(manifest.peerDependenciesMeta)).toEqual(Object.keys(manifest.peerDependencies));
    expect(Object.keys(manifest.peerDependencies)).toEqual([
      '@nats-io/transport-node',
      '@peculiar/x509',
      'ioredis',
      'reflect-metadata',
    ]);
  });

  test('lets no package but node run code at installation', () => {
    expect(manifest.allowScripts).toEqual({
      ...{ node: true, koffi: false, lmdb: false },
      'msgpackr-extract': false,
    });
    const { packages } = JSON.parse(textOf('package-lock.json'));
    const withScripts = Object.keys(packages).filter((path) => packages[path].hasInstallScript);
    const decided = Object.keys(manifest.allowScripts).map((name) => `node_modules/${name}`);
    // fsevents runs on macOS only
    expect(withScripts.filter((path) => path !== 'node_modules/fsevents').sort()).toEqual(decided.sort());
  });

  test('is locked to packages, not to a registry', () => {
    const lock = textOf('package-lock.json');
    expect(lock).toContain('"integrity"');
    expect(lock).not.toContain('"resolved"');
  });
});

describe('git', () => {
  test('holds no build output', () => {
    const outputs = committed.filter((path) =>
      /^(build|dist|coverage)\/|(^|\/)node_modules\/|\.(wasm|tgz)$/.test(path),
    );
    expect(outputs).toEqual([]);
  });
});
