// `npm run torture -- --seconds N --processes N --seed N [--kills N] [--json]`: the torture run of named stores. What
// it finds goes to the standard error; the result is one line. docs/internals/torture.md says what is checked, and how.

import { parseArgs } from 'node:util';
import { LANES } from './shared-area.ts';
import { Torture } from './torture.ts';

const KILLS_A_ROUND = 40;
const ROUNDS_A_STORE = 4;
/** Results that have to be 0. */
const NEVER = ['stale', 'lost_persistent', 'torn', 'leaked_bytes', 'hangs', 'failures'] as const;

function whole(name: string, text: string, most: number): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= most) return number;
  throw new Error(`--${name}: got '${text}', allowed is a whole number from 1 to ${most}`);
}

const { values } = parseArgs({
  options: {
    seconds: { type: 'string' },
    kills: { type: 'string' },
    processes: { type: 'string', default: '4' },
    seed: { type: 'string', default: '1' },
    directory: { type: 'string', default: '/dev/shm' },
    json: { type: 'boolean', default: false },
  },
});
const { seconds = values.kills === undefined ? '60' : undefined, kills } = values;
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort());
const result = await new Torture({
  seconds: seconds === undefined ? Number.POSITIVE_INFINITY : whole('seconds', seconds, 1_000_000),
  kills: kills === undefined ? Number.POSITIVE_INFINITY : whole('kills', kills, 100_000_000),
  processes: whole('processes', values.processes, LANES),
  seed: whole('seed', values.seed, 2 ** 31),
  killsARound: KILLS_A_ROUND,
  roundsAStore: ROUNDS_A_STORE,
  directory: values.directory,
  say: (line) => console.error(line),
  signal: stop.signal,
}).run();
if (values.json) console.log(JSON.stringify(result));
else for (const [name, value] of Object.entries(result)) console.log(name, JSON.stringify(value));
if (NEVER.some((name) => result[name] !== 0)) process.exitCode = 1;
