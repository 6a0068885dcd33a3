// The settings of the small server, unless a test needs others.
import { USUAL_FLAGS } from './flaws/flaw.ts';
import type { Settings } from './tiny-types.ts';

export const usual: Settings = {
  exports: ['disk', 'other'],
  anyName: false,
  sizeBytes: 4 * 1024 * 1024,
  flags: USUAL_FLAGS,
  handshakeFlags: 3,
  minimumBytes: 1,
  payloadBytesMax: 1024 * 1024,
  contexts: ['base:allocation', 'x-test:parity'],
  extended: true,
  tls: 'none',
  df: true,
  slowZeroes: false,
};
