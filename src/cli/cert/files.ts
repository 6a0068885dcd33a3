/**
 * Files of certificates and keys. Nothing that is there is replaced unless that was asked for, and then at once and
 * whole. Keys are for their owner only from the first moment.
 *
 *   ca-cert.pem  ca-key.pem  NAME-cert.pem  NAME-key.pem       as clients of NBD look for them, too (ca, client)
 */

import { lstatSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CommandError } from '../command-line.ts';
import type { Issued } from './issue.ts';

/** The authority's part of its files' names, which no node may have. */
export const AUTHORITY_FILES = 'ca';

const KEY_MODE = 0o600;
const CERTIFICATE_MODE = 0o644;

/** Certificates have some kilobytes. */
const FILE_BYTES_MAX = 1024 * 1024;

export interface NewFile {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
}

export function certificatePath(directory: string, name: string): string {
  return join(directory, `${name}-cert.pem`);
}

export function keyPath(directory: string, name: string): string {
  return join(directory, `${name}-key.pem`);
}

export function filesOf(directory: string, name: string, { certificate, key }: Issued): NewFile[] {
  return [
    { path: keyPath(directory, name), text: key, mode: KEY_MODE },
    { path: certificatePath(directory, name), text: certificate, mode: CERTIFICATE_MODE },
  ];
}

/**
 * The authority's certificate for the directory of a node: all that the node needs is in one place. None if it is
 * there.
 *
 * @throws CommandError if the directory is that of another authority
 */
export function authorityBeside(directory: string, certificate: string): NewFile[] {
  const path = certificatePath(directory, AUTHORITY_FILES);
  if (isThere(path) && readText(path) === certificate) return [];
  if (isThere(keyPath(directory, AUTHORITY_FILES))) {
    throw new CommandError(`${directory} has the files of another authority: choose another directory`);
  }
  return [{ path, text: certificate, mode: CERTIFICATE_MODE }];
}

/**
 * Writes all files, or none as far as that is in our hands.
 *
 * @param force - files that are there are replaced
 * @throws CommandError if one is there already; the error of the system
 */
export function writeFiles(files: readonly NewFile[], force: boolean): void {
  const found = force ? undefined : files.find(({ path }) => isThere(path));
  if (found !== undefined) throw new CommandError(`${found.path} is there already; --force replaces it`);
  const drafts: string[] = [];
  try {
    for (const { path, text, mode } of files) {
      mkdirSync(dirname(path), { recursive: true });
      const draft = force ? `${path}.${process.pid}.tmp` : path;
      // Never follows a link, nor writes into a file that somebody else made.
      writeFileSync(draft, text, { flag: 'wx', mode, flush: true });
      drafts.push(draft);
    }
    if (force) for (const { path } of files) renameSync(drafts.shift() as string, path);
  } catch (error) {
    for (const draft of drafts) rmSync(draft, { force: true });
    throw error;
  }
}

/** @throws CommandError if it is no small regular file; the error of the system */
export function readText(path: string): string {
  const file = statSync(path);
  if (!file.isFile() || file.size > FILE_BYTES_MAX) {
    throw new CommandError(`${path} is no file of certificates or a key`);
  }
  return readFileSync(path, 'utf8');
}

export function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
