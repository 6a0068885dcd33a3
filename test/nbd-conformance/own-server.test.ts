// Our own server through the suite: every requirement that applies holds, but one that is refused on purpose.
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checks } from '../../conformance/checks/index.ts';
import { runChecks } from '../../conformance/suite/runner.ts';
import { parseTarget } from '../../conformance/suite/target.ts';
import { AreaExport, type AreaExportOptions, NbdServer, type TlsOptions } from '../../src/nbd/index.ts';
import { open, type Store } from '../../src/zcache/index.ts';

const SIZE_BYTES = 64 * 1024 * 1024;
const PATIENCE_MS = 20_000;
const SERVERS_STOP_MS = 1000;

/** TLS 1.2 is refused on purpose: docs/nbd-conformance.md says why. */
const ON_PURPOSE = ['tls/version-1.2'];

const CERTIFICATES = join(import.meta.dirname, '../nbd/certificates');
const pem = (name: string): Buffer => readFileSync(join(CERTIFICATES, `${name}.pem`));

let directory = '';
let store: Store;
let server: NbdServer | undefined;
const exports: AreaExport[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nbd-conformance-'));
  store = open({ memory: '256 MiB', incompressible: 'store' });
});

afterEach(async () => {
  await server?.stop(SERVERS_STOP_MS);
  for (const one of exports.splice(0)) await one.close();
  store.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Serves an export of 64 MiB; where. */
async function serve(options: Omit<AreaExportOptions, 'name'>, tls?: TlsOptions): Promise<string> {
  server = new NbdServer({ tls });
  exports.push(await AreaExport.open(store, { name: 'disk', ...options }));
  exports.push(await AreaExport.open(store, { name: 'other', kind: 'ram', size: SIZE_BYTES }));
  for (const one of exports) server.addExport(one);
  const path = join(directory, 'socket');
  await server.listen({ path });
  return `${tls === undefined ? 'nbd' : 'nbds'}+unix:///disk?socket=${path}`;
}

/** What does not hold when all checks run, with the whole export as the region to write. */
async function failures(uri: string): Promise<string[]> {
  const region = { offset: 0n, length: BigInt(SIZE_BYTES) };
  const { rows } = await runChecks({ target: parseTarget(uri), checks, region, patienceMs: PATIENCE_MS });
  expect(rows.length).toBe(checks.length);
  return rows
    .filter(({ check, finding }) => finding.result === 'failed' && !ON_PURPOSE.includes(check.id))
    .map(({ check, finding }) => `${check.level} ${check.id}: ${finding.seen}`);
}

function newImage(): string {
  const file = join(directory, 'image');
  writeFileSync(file, '');
  truncateSync(file, SIZE_BYTES);
  return file;
}

test('an export in memory', async () => {
  expect(await failures(await serve({ kind: 'ram', size: SIZE_BYTES }))).toEqual([]);
});

test('a read-only export in memory', async () => {
  expect(await failures(await serve({ kind: 'ram', size: SIZE_BYTES, readOnly: true }))).toEqual([]);
});

test('a disk with a file behind it', async () => {
  expect(await failures(await serve({ kind: 'disk', file: newImage() }))).toEqual([]);
});

test('a disk with little memory and a cache in front of its file', async () => {
  const uri = await serve({ kind: 'disk', file: newImage(), memoryMax: 2 ** 20, cache: true });
  expect(await failures(uri)).toEqual([]);
});

test.each([true, false])('TLS with client certificates (required: %s)', async (required) => {
  const tls = { cert: pem('server-cert'), key: pem('server-key'), ca: pem('ca-cert'), required };
  const uri = await serve({ kind: 'ram', size: SIZE_BYTES }, tls);
  expect(await failures(`${uri}&tls-certificates=${CERTIFICATES}`)).toEqual([]);
});

test('TLS offered, to a client that does not want it', async () => {
  const tls = { cert: pem('server-cert'), key: pem('server-key'), required: false };
  const uri = await serve({ kind: 'ram', size: SIZE_BYTES }, tls);
  expect(await failures(uri.replace('nbds', 'nbd'))).toEqual([]);
});
