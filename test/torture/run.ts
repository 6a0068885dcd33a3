// `npm run torture -- --seconds N --processes N --seed N [--kills N] [--json]`: the torture run of named stores. What
// it finds goes to the standard error; the result is one line. docs/internals/torture.md says what is checked, and how.

import { parseArgs } from 'node:util';
import { BOUND_OPTIONS, boundsOf, whole } from './bounds.ts';
import { LANES } from './shared-area.ts';
import { Torture } from './torture.ts';

const KILLS_A_ROUND = 40;
const ROUNDS_A_STORE = 4;
/** Results that have to be 0. */
const NEVER = ['stale', 'lost_persistent', 'torn', 'leaked_bytes', 'hangs', 'failures'] as const;

const { values } = parseArgs({
  options: {
    ...BOUND_OPTIONS,
    processes: { type: 'string', default: '4' },
    directory: { type: 'string', default: '/dev/shm' },
  },
});
const result = await new Torture({
  ...boundsOf(values),
  processes: whole('processes', values.processes, LANES),
  killsARound: KILLS_A_ROUND,
  roundsAStore: ROUNDS_A_STORE,
  directory: values.directory,
  say: (line) => console.error(line),
}).run();
if (values.json) console.log(JSON.stringify(result));
else for (const [name, value] of Object.entries(result)) console.log(name, JSON.stringify(value));
if (NEVER.some((name) => result[name] !== 0)) process.exitCode = 1;
