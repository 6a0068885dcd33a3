// All checks, in the order of the table: as a connection goes, then what changes the export.
import type { Check } from '../suite/check.ts';
import { advertised } from './advertised.ts';
import { blockStatus } from './block-status.ts';
import { commands } from './commands.ts';
import { connections } from './connections.ts';
import { extended } from './extended.ts';
import { handshake } from './handshake.ts';
import { metaContexts } from './meta-contexts.ts';
import { opening } from './opening.ts';
import { options } from './options.ts';
import { robustness } from './robustness.ts';
import { structured } from './structured.ts';
import { tls } from './tls.ts';
import { writes } from './writes.ts';
import { trim, zeroes } from './zeroes.ts';

export const checks: readonly Check[] = [
  ...handshake,
  ...options,
  ...opening,
  ...advertised,
  ...tls,
  ...commands,
  ...structured,
  ...metaContexts,
  ...blockStatus,
  ...extended,
  ...connections,
  ...writes,
  ...trim,
  ...zeroes,
  ...robustness,
];
