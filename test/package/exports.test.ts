// The names that the package exports, one list for each subpath: a name appears or goes only on purpose.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { manifest, root } from './repository.ts';

const names: Record<string, readonly string[]> = {
  '.': [
    'Oid',
    'PAGE_BYTES',
    'TmemError',
    'attach',
    'checkStore',
    'listStores',
    'open',
    'prometheusText',
    'removeStore',
    'restoreStore',
    'saveStore',
  ],
  './cleancache': [
    'CachedFile',
    'Cleancache',
    'CleancacheFs',
    'MapCleancacheBackend',
    'PageCache',
    'ZcacheCleancacheBackend',
    'cleancache',
    'openCached',
  ],
  './frontswap': [
    'FileDevice',
    'Frontswap',
    'FrontswapArea',
    'MapFrontswapBackend',
    'MemoryDevice',
    'SwapDevice',
    'ZcacheFrontswapBackend',
    'frontswap',
  ],
  './nbd': ['AreaExport', 'NbdServer', 'ThreadedNbdServer', 'WriteBack'],
  './ramster': [
    'AwayPages',
    'DiskStore',
    'FetchListener',
    'Ramster',
    'RemoteError',
    'SocketFetcher',
    'StaticMembership',
    'systemClock',
  ],
  './ramster/conformance': ['membershipConformance', 'remoteStoreConformance'],
  './ramster/nats': ['NatsMembership'],
  './ramster/redis': ['RedisStore'],
  './zcache': [
    'CLUSTER_CLIENT',
    'ColdPages',
    'ERROR_CODES',
    'EVENT_NAMES',
    'FetchServer',
    'OID_BYTES',
    'Oid',
    'PAGE_BYTES',
    'PROMETHEUS_CONTENT_TYPE',
    'PortFetcher',
    'RECORD_BYTES_MAX',
    'TmemError',
    'attach',
    'checkStore',
    'decodePage',
    'descriptors',
    'isAway',
    'isClusterClient',
    'listStores',
    'open',
    'openDraft',
    'openForLooking',
    'orphansLostOf',
    'poolOfNumber',
    'prometheusText',
    'publish',
    'receivedError',
    'removeStore',
    'restoreStore',
    'saveStore',
    'sentError',
    'takeOrphansOf',
  ],
};

/** Exported names of a subpath, as Node resolves it for a user of the package. */
function namesOf(subpath: string): string[] {
  const specifier = `tmem${subpath.slice(1)}`;
  const program = `console.log(JSON.stringify(Object.keys(await import('${specifier}')).sort()))`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return JSON.parse(output);
}

test('the subpaths are the ones listed here', () => {
  expect(Object.keys(manifest.exports)).toEqual([...Object.keys(names), './package.json']);
});

test.each(Object.keys(names))('%s exports exactly its names', (subpath) => {
  expect(namesOf(subpath)).toEqual(names[subpath]);
});

test('every file that package.json names exists after a build', () => {
  const targets = Object.values(manifest.exports).flatMap((target) =>
    typeof target === 'string' ? [target] : Object.values(target as Record<string, string>),
  );
  const missing = [...targets, ...Object.values<string>(manifest.bin)].filter(
    (path) => !existsSync(join(root, path)),
  );
  expect(missing).toEqual([]);
});

test('nothing below the subpaths can be imported', () => {
  expect(() => namesOf('./dist/index.js')).toThrow(/ERR_PACKAGE_PATH_NOT_EXPORTED/);
});
