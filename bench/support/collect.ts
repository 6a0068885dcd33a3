// Giving memory back between rounds: a dropped arena goes only when its Memory object is collected.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/** Collects twice: finalisers of the first pass let go of memory that the second one finds. */
export function collectGarbage(): void {
  gc();
  gc();
}
