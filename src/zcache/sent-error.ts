/**
 * Errors on their way between threads, where they would lose their codes.
 */

import { ERROR_CODES, TmemError, type TmemErrorCode } from '../tmem/index.ts';

export interface SentError {
  readonly code: string | undefined;
  readonly message: string;
}

export function sentError(thrown: unknown): SentError {
  const { code, message = String(thrown) } = (thrown ?? {}) as { code?: unknown; message?: string };
  return { code: typeof code === 'string' ? code : undefined, message };
}

export function receivedError({ code, message }: SentError): Error {
  if (code !== undefined && code in ERROR_CODES) return new TmemError(code as TmemErrorCode, message);
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}
