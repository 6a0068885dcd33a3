/**
 * Values of options and arguments: text in, a checked value out, or a sentence that says what is allowed.
 */

import { resolve } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import { parseByteSize } from '../zcache/byte-size.ts';

/** Where named stores are if nothing else is said. */
const STORE_DIRECTORY_DEFAULT = '/dev/shm';

/** A parser of numbers from `min` to `max`. `hint`: what is likely meant where it is none. */
export function number(min: number, max: number, whole: boolean, hint = '') {
  return (text: string): number => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (value >= min && value <= max && (!whole || Number.isInteger(value))) return value;
    throw new InvalidArgumentError(
      `It must be a ${whole ? 'whole ' : ''}number from ${min} to ${max}${hint}.`,
    );
  };
}

/** A parser of sizes of at least `minBytes`, as people write them; `minText` is that bound for people. */
export function byteSize(minBytes: number, minText: string) {
  return (text: string): number => {
    const bytes = parseByteSize(text);
    if (bytes !== undefined && bytes >= minBytes) return bytes;
    throw new InvalidArgumentError(`It must be a size of at least ${minText}, such as '256 MiB' or 1G.`);
  };
}

/** `--directory`, alike in all commands about named stores. */
export function directoryOption(): Option {
  return new Option('--directory <path>', 'where the stores are')
    .default(STORE_DIRECTORY_DEFAULT)
    .argParser((text) => {
      if (text !== '') return resolve(text);
      throw new InvalidArgumentError('It must be the path of a directory.');
    });
}
