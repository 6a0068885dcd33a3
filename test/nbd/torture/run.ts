// `node test/nbd/torture/run.ts --kills N --seconds N --seed N [--json]`: the torture run of the NBD server. What must
// not happen goes to the standard error, the result is one line; docs/internals/nbd.md says what is checked.

import { parseArgs } from 'node:util';
import { BOUND_OPTIONS, boundsOf } from '../../torture/bounds.ts';
import { NbdTorture } from './torture.ts';

const { values } = parseArgs({ options: BOUND_OPTIONS });
const result = await new NbdTorture({ ...boundsOf(values), say: (line) => console.error(line) }).run();
if (values.json) console.log(JSON.stringify(result));
else for (const [name, value] of Object.entries(result)) console.log(name, value);
if (result.lost + result.stale + result.torn > 0) process.exitCode = 1;
