// Each check of the suite passes at a server that is right and fails at one that is wrong where the check looks.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checks } from '../../conformance/checks/index.ts';
import type { Check, Finding } from '../../conformance/suite/check.ts';
import { runChecks } from '../../conformance/suite/runner.ts';
import { parseTarget } from '../../conformance/suite/target.ts';
import { commandFlaws, connectionFlaws, extendedFlaws, structuredFlaws } from './flaws/commands.ts';
import { blockStatusFlaws, metaContextFlaws } from './flaws/contexts.ts';
import type { Flaw, Flaws } from './flaws/flaw.ts';
import { handshakeFlaws, tlsFlaws } from './flaws/handshake.ts';
import { writeFlaws, zeroFlaws } from './flaws/writes.ts';
import { TinyServer } from './tiny-server.ts';
import type { Wrongs } from './tiny-types.ts';
import { usual } from './usual.ts';

const flaws: Flaws = {
  ...{ ...handshakeFlaws, ...tlsFlaws, ...commandFlaws, ...structuredFlaws, ...extendedFlaws },
  ...{ ...connectionFlaws, ...metaContextFlaws, ...blockStatusFlaws, ...writeFlaws, ...zeroFlaws },
};

/** A right server has so long to answer. */
const PATIENCE_MS = 20_000;
/** Silence that a check is to notice. */
const SILENCE_MS = 1000;

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'nbd-conformance-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function findingOf(check: Check, flaw: Flaw, wrong: Wrongs, patienceMs: number): Promise<Finding> {
  const server = new TinyServer({ ...usual, ...flaw.settings }, wrong);
  const path = join(directory, check.id.replace('/', '-'));
  await server.listen(path);
  try {
    const uri = flaw.secure
      ? `nbds+unix:///disk?socket=${path}&tls-verify-peer=0`
      : `nbd+unix:///disk?socket=${path}`;
    const region = check.writes ? { offset: 0n, length: BigInt(server.settings.sizeBytes) } : undefined;
    const options = { target: parseTarget(uri), checks: [check], region, patienceMs };
    return (await runChecks(options)).rows[0].finding;
  } finally {
    server.close();
    rmSync(path, { force: true });
  }
}

const isSilent = ({ id }: Check): boolean => flaws[id]?.silent === true;
const cases = (some: readonly Check[]) =>
  some.map((check): [string, Check] => [`${check.id}: ${flaws[check.id]?.server}`, check]);

async function tellsRightFromWrong(check: Check): Promise<void> {
  const flaw = flaws[check.id];
  expect(await findingOf(check, flaw, {}, PATIENCE_MS)).toMatchObject({ result: 'passed' });
  const wrong = await findingOf(check, flaw, flaw.wrong, isSilent(check) ? SILENCE_MS : PATIENCE_MS);
  expect(wrong).toMatchObject({ result: 'failed' });
}

test('there is a wrong server for each check, and for nothing else', () => {
  expect(Object.keys(flaws).sort()).toEqual(checks.map(({ id }) => id).sort());
});

test.each(cases(checks.filter((check) => !isSilent(check))))('%s', async (_title, check) => {
  await tellsRightFromWrong(check);
});

// These wait for what never comes: all at one time.
describe('silence', { concurrent: true }, () => {
  test.each(cases(checks.filter(isSilent)))('%s', async (_title, check) => {
    await tellsRightFromWrong(check);
  });
});
