/**
 * `tmem cert authority` and `tmem cert node`: what is made, how long it is good for, and the files it goes to.
 */

import { CommandError } from '../command-line.ts';
import {
  AUTHORITY_FILES,
  authorityBeside,
  certificatePath,
  filesOf,
  keyPath,
  readText,
  writeFiles,
} from './files.ts';
import { type Issued, issueAuthority, issueNode, signerOf, type Validity } from './issue.ts';

const DAY_MS = 86_400_000;

/** Clocks of other machines may be behind this one's. */
const CLOCK_SKEW_MS = 3_600_000;

export interface Made {
  readonly certificate: string;
  readonly key: string;
  readonly validUntil: Date;
}

export interface AuthorityOptions {
  readonly out: string;
  readonly name: string;
  readonly days: number;
  readonly force: boolean;
}

export interface NodeOptions {
  /** Directory of the authority's files. */
  readonly authority: string;
  readonly out: string;
  readonly address: readonly string[];
  readonly days: number;
  readonly force: boolean;
}

export async function makeAuthority(
  { out, name, days, force }: AuthorityOptions,
  nowMs: number,
): Promise<Made> {
  const validity = validityOf(days, nowMs);
  writeFiles(filesOf(out, AUTHORITY_FILES, await issueAuthority(name, validity)), force);
  return made(out, AUTHORITY_FILES, validity);
}

/** @throws CommandError if the authority cannot be used, or files are there already */
export async function makeNode(
  name: string,
  { authority: directory, out, address, days, force }: NodeOptions,
  nowMs: number,
): Promise<Made> {
  const authority = readAuthority(directory);
  const until = signerOf(authority).certificate.validToDate.getTime();
  if (until <= nowMs) {
    throw new CommandError(
      `the authority in ${directory} has expired: make a new one with tmem cert authority`,
    );
  }
  const validity = validityOf(days, nowMs);
  // Nobody would accept it any longer than its authority.
  const limited = { ...validity, notAfter: new Date(Math.min(validity.notAfter.getTime(), until)) };
  const beside = authorityBeside(out, authority.certificate);
  const issued = await issueNode(authority, name, address, limited);
  writeFiles([...filesOf(out, name, issued), ...beside], force);
  return made(out, name, limited);
}

function readAuthority(directory: string): Issued {
  const read = (path: string): string => {
    try {
      return readText(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      throw new CommandError(`there is no authority in ${directory}: ${path} is missing`);
    }
  };
  return {
    certificate: read(certificatePath(directory, AUTHORITY_FILES)),
    key: read(keyPath(directory, AUTHORITY_FILES)),
  };
}

function validityOf(days: number, nowMs: number): Validity {
  return { notBefore: new Date(nowMs - CLOCK_SKEW_MS), notAfter: new Date(nowMs + days * DAY_MS) };
}

function made(directory: string, name: string, { notAfter }: Validity): Made {
  return {
    certificate: certificatePath(directory, name),
    key: keyPath(directory, name),
    validUntil: notAfter,
  };
}
