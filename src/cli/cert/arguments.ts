/**
 * Values of the options and arguments of `tmem cert`.
 */

import { isIP } from 'node:net';
import { InvalidArgumentError } from 'commander';
import { isNodeName } from '../../ramster/place.ts';
import { AUTHORITY_FILES } from './files.ts';

/** A hundred years. */
export const DAYS_MAX = 36_500;

const ADDRESSES_MAX = 100;
const AUTHORITY_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,62}[A-Za-z0-9._-])?$/;
const HOST_NAME = /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*$/;

export function authorityName(text: string): string {
  if (AUTHORITY_NAME.test(text)) return text;
  throw new InvalidArgumentError("It must be 1 to 64 letters, digits, spaces, '.', '_' and '-'.");
}

export function nodeName(text: string): string {
  if (!isNodeName(text)) {
    throw new InvalidArgumentError(
      "It must be 1 to 40 letters, digits, '.', '_' and '-', beginning with a letter or digit.",
    );
  }
  // Its files would be those of the authority.
  if (text === AUTHORITY_FILES) throw new InvalidArgumentError(`'${text}' stands for the authority.`);
  return text;
}

/** Host names and IP addresses, one more at each call. */
export function address(text: string, before: readonly string[] = []): readonly string[] {
  const isAddress = isIP(text) !== 0 && !text.includes('%');
  // Nothing but digits and dots, and no address: a mistake rather than a host.
  if (!isAddress && (!HOST_NAME.test(text) || /^[\d.]+$/.test(text))) {
    throw new InvalidArgumentError(
      'It must be a host name or an IP address, without a port, such as 10.0.0.5.',
    );
  }
  if (before.length === ADDRESSES_MAX)
    throw new InvalidArgumentError(`At most ${ADDRESSES_MAX} are possible.`);
  return before.includes(text) ? before : [...before, text];
}
