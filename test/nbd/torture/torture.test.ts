// A short torture run of the server: killed at random and chosen moments, it never loses what was promised to last,
// never serves what is older than what it acknowledged, and leaves no block torn. `run.ts` is the long one.

import { expect, onTestFinished, test } from 'vitest';
import { NbdTorture } from './torture.ts';

const KILLS = 10;
const SECONDS_MAX = 75;
const TIMEOUT_MS = 110_000;

test('a server that is killed again and again keeps what it promised', { timeout: TIMEOUT_MS }, async () => {
  const said: string[] = [];
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const result = await new NbdTorture({
    ...{ kills: KILLS, seconds: SECONDS_MAX, seed: 7 },
    say: (line) => said.push(line),
    signal: stop.signal,
  }).run();
  expect(said).toEqual([]);
  expect([result.lost, result.stale, result.torn]).toEqual([0, 0, 0]);
  expect(result.kills).toBeGreaterThan(0);
  expect(result.operations).toBeGreaterThan(result.kills);
});
