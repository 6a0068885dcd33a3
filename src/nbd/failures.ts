/**
 * From what went wrong here to the error a client is told.
 */

import { ERROR } from './protocol.ts';

const BY_CODE: Readonly<Record<string, number>> = {
  ENOSPC: ERROR.ENOSPC,
  EDQUOT: ERROR.ENOSPC,
  EFBIG: ERROR.ENOSPC,
  EPERM: ERROR.EPERM,
  EACCES: ERROR.EPERM,
  EROFS: ERROR.EPERM,
};

/** The error value of a reply for something thrown. */
export function errorOf(thrown: unknown): number {
  const code = (thrown as { code?: unknown } | null)?.code;
  return (typeof code === 'string' ? BY_CODE[code] : undefined) ?? ERROR.EIO;
}
