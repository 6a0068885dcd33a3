// Our own server through the suite: every requirement that applies holds.
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checks } from '../../conformance/checks/index.ts';
import { runChecks } from '../../conformance/suite/runner.ts';
import { parseTarget } from '../../conformance/suite/target.ts';
import { AreaExport, type AreaExportOptions, NbdServer } from '../../src/nbd/index.ts';
import { open, type Store } from '../../src/zcache/index.ts';

const SIZE_BYTES = 64 * 1024 * 1024;
const PATIENCE_MS = 20_000;
const SERVERS_STOP_MS = 1000;

/** The extension permits other errors, too; ours says ERR_INVALID. */
const MAY_MISS = ['extended/structured-later'];

let directory = '';
let store: Store;
let server: NbdServer;
const exports: AreaExport[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nbd-conformance-'));
  store = open({ memory: '256 MiB', incompressible: 'store' });
  server = new NbdServer();
});

afterEach(async () => {
  await server.stop(SERVERS_STOP_MS);
  for (const one of exports.splice(0)) await one.close();
  store.close();
  rmSync(directory, { recursive: true, force: true });
});

/** What does not hold when all checks run on an export, with its whole size as the region to write. */
async function failures(options: Omit<AreaExportOptions, 'name'>): Promise<string[]> {
  exports.push(await AreaExport.open(store, { name: 'disk', ...options }));
  exports.push(await AreaExport.open(store, { name: 'other', kind: 'ram', size: SIZE_BYTES }));
  for (const one of exports) server.addExport(one);
  const path = join(directory, 'socket');
  await server.listen({ path });
  const target = parseTarget(`nbd+unix:///disk?socket=${path}`);
  const region = { offset: 0n, length: BigInt(SIZE_BYTES) };
  const { rows } = await runChecks({ target, checks, region, patienceMs: PATIENCE_MS });
  return rows
    .filter(({ check, finding }) => finding.result === 'failed' && !MAY_MISS.includes(check.id))
    .map(({ check, finding }) => `${check.level} ${check.id}: ${finding.seen}`);
}

test('an export in memory', async () => {
  expect(await failures({ kind: 'ram', size: SIZE_BYTES })).toEqual([]);
});

test('a read-only export in memory', async () => {
  expect(await failures({ kind: 'ram', size: SIZE_BYTES, readOnly: true })).toEqual([]);
});

test('a disk with a file behind it', async () => {
  const file = join(directory, 'image');
  writeFileSync(file, '');
  truncateSync(file, SIZE_BYTES);
  expect(await failures({ kind: 'disk', file })).toEqual([]);
});
