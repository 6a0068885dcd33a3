// `node test/nbd/torture/run.ts --kills N --seconds N --seed N [--json]`: the torture run of the NBD server. What must
// not happen goes to the standard error, the result is one line; docs/internals/nbd.md says what is checked.

import { parseArgs } from 'node:util';
import { NbdTorture } from './torture.ts';

function whole(name: string, text: string, most: number): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= most) return number;
  throw new Error(`--${name}: got '${text}', allowed is a whole number from 1 to ${most}`);
}

const { values } = parseArgs({
  options: {
    kills: { type: 'string' },
    seconds: { type: 'string' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});
const { kills, seconds = kills === undefined ? '60' : undefined } = values;
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort());
const result = await new NbdTorture({
  kills: kills === undefined ? Number.POSITIVE_INFINITY : whole('kills', kills, 100_000_000),
  seconds: seconds === undefined ? Number.POSITIVE_INFINITY : whole('seconds', seconds, 1_000_000),
  seed: whole('seed', values.seed, 2 ** 31),
  say: (line) => console.error(line),
  signal: stop.signal,
}).run();
if (values.json) console.log(JSON.stringify(result));
else for (const [name, value] of Object.entries(result)) console.log(name, value);
if (result.lost + result.stale + result.torn > 0) process.exitCode = 1;
