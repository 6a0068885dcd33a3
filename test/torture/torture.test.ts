// A short torture run: processes on one named store are killed at random moments and at chosen ones; nothing stale,
// lost or torn is ever seen, nothing leaks, nobody hangs. `npm run torture` is the long one.

import { expect, test } from 'vitest';
import { AIMS } from './aims.ts';
import { Torture } from './torture.ts';

const KILLS = 40;
/** For slow machines; it takes a third of that. */
const SECONDS_MAX = 75;
const TIMEOUT_MS = 100_000;

test('processes that are killed all the time never harm the store of the others', {
  timeout: TIMEOUT_MS,
}, async () => {
  const said: string[] = [];
  const result = await new Torture({
    ...{ seconds: SECONDS_MAX, kills: KILLS, processes: 4, seed: 21, killsARound: 14, roundsAStore: 2 },
    meetsAll: true,
    directory: '/dev/shm',
    say: (line) => said.push(line),
  }).run();
  const { stale, lost_persistent, torn, leaked_bytes, hangs, failures } = result;
  const never = { stale, lost_persistent, torn, leaked_bytes, hangs, failures };
  expect(never, said.join('\n')).toEqual({
    ...{ stale: 0, lost_persistent: 0, torn: 0, leaked_bytes: 0, hangs: 0, failures: 0 },
  });
  expect(result.kills).toBeGreaterThanOrEqual(KILLS);
  expect(result.operations).toBeGreaterThan(result.kills * 100);
  expect(result.recoveries).toBeGreaterThan(0);
  expect(result.operations_cut_short).toBeGreaterThan(0);
  const met = AIMS.filter(({ name }) => result.aimed[name]! > 0).map(({ name }) => name);
  expect(met).toEqual(AIMS.map(({ name }) => name));
});
