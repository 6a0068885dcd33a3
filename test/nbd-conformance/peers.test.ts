// Calibration: other people's servers through the suite. All MUSTs hold at both; what does not hold of the SHOULDs is
// listed here and explained in docs/nbd-conformance.md. A server that is not installed is left out, and the run says
// so.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checks } from '../../conformance/checks/index.ts';
import { type Run, runChecks } from '../../conformance/suite/runner.ts';
import { parseTarget } from '../../conformance/suite/target.ts';
import { needTool } from '../nbd/tools.ts';
import { certificate, privateKey } from './certificate.ts';

const SIZE_BYTES = 64 * 1024 * 1024;
const PATIENCE_MS = 3000;
const START_MS = 10_000;
const START_STEP_MS = 50;

/** SHOULDs that a server may miss. */
const NBDKIT = ['options/many', 'structured/error-chunk', 'robustness/gone-before-replies'];
const NBDKIT_TLS = [...NBDKIT, 'tls/version-1.1'];
/** It never answers these over TLS: they are left out, for the time they take. */
const NBDKIT_TLS_SILENT = ['writes/unknown-flag', 'writes/past-end', 'writes/across-end'];
const NBDKIT_READ_ONLY = NBDKIT;
const QEMU = [
  ...['connections/disconnect-last', 'writes/past-end', 'writes/across-end'],
  ...['zeroes/not-a-hole', 'zeroes/past-end', 'block-status/merged-extents'],
];
const QEMU_READ_ONLY = [
  'connections/disconnect-last',
  ...['writes/read-only-write', 'writes/read-only-trim', 'writes/read-only-zeroes'],
];

let directory = '';
let child: ChildProcess | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nbd-conformance-'));
});
afterEach(async () => {
  const running = child;
  child = undefined;
  if (running !== undefined && running.exitCode === null && running.signalCode === null) {
    await new Promise((resolve) => running.once('exit', resolve).kill());
  }
  rmSync(directory, { recursive: true, force: true });
});

/** Starts a server on `directory`/socket and runs all checks against it. */
async function check(
  program: string,
  args: readonly string[],
  uri: string,
  leftOut: readonly string[] = [],
): Promise<Run> {
  const socket = join(directory, 'socket');
  child = spawn(program, args, { stdio: 'ignore' });
  for (let ms = 0; !existsSync(socket) && ms < START_MS; ms += START_STEP_MS) await sleep(START_STEP_MS);
  const region = { offset: 0n, length: BigInt(SIZE_BYTES) };
  const asked = checks.filter(({ id }) => !leftOut.includes(id));
  return runChecks({ target: parseTarget(uri), checks: asked, region, patienceMs: PATIENCE_MS });
}

/** What failed, without what may fail. */
function unexpected({ rows }: Run, mayFail: readonly string[]) {
  return rows
    .filter((row) => row.finding.result === 'failed')
    .filter((row) => row.check.level === 'MUST' || !mayFail.includes(row.check.id))
    .map((row) => `${row.check.level} ${row.check.id}: ${row.finding.seen}`);
}

const plain = (name: string) => `nbd+unix:///${name}?socket=${directory}/socket`;

test('nbdkit with the memory plugin', async (context) => {
  needTool(context, 'nbdkit');
  const args = ['-f', '-U', join(directory, 'socket'), 'memory', String(SIZE_BYTES)];
  expect(unexpected(await check('nbdkit', args, plain('')), NBDKIT)).toEqual([]);
});

test('nbdkit, read-only', async (context) => {
  needTool(context, 'nbdkit');
  const args = ['-f', '-r', '-U', join(directory, 'socket'), 'memory', String(SIZE_BYTES)];
  expect(unexpected(await check('nbdkit', args, plain('')), NBDKIT_READ_ONLY)).toEqual([]);
});

test('nbdkit with TLS', async (context) => {
  needTool(context, 'nbdkit');
  for (const name of ['ca-cert.pem', 'server-cert.pem']) writeFileSync(join(directory, name), certificate);
  writeFileSync(join(directory, 'server-key.pem'), privateKey);
  const tls = ['--tls=require', `--tls-certificates=${directory}`];
  const args = ['-f', ...tls, '-U', join(directory, 'socket'), 'memory', String(SIZE_BYTES)];
  const uri = `nbds+unix:///?socket=${directory}/socket&tls-verify-peer=0`;
  expect(unexpected(await check('nbdkit', args, uri, NBDKIT_TLS_SILENT), NBDKIT_TLS)).toEqual([]);
});

function qemu(...more: string[]): string[] {
  const image = join(directory, 'image');
  writeFileSync(image, '');
  truncateSync(image, SIZE_BYTES);
  const serving = ['-t', '-e', '16', '-f', 'raw', '-x', 'disk', '-k', join(directory, 'socket')];
  return [...serving, ...more, image];
}

test('qemu-nbd on a raw file', async (context) => {
  needTool(context, 'qemu-nbd');
  expect(unexpected(await check('qemu-nbd', qemu('--discard=unmap'), plain('disk')), QEMU)).toEqual([]);
});

test('qemu-nbd, read-only, with a second metadata context', async (context) => {
  needTool(context, 'qemu-nbd');
  expect(unexpected(await check('qemu-nbd', qemu('-r', '-A'), plain('disk')), QEMU_READ_ONLY)).toEqual([]);
});
