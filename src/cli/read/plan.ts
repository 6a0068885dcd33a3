/**
 * Which files the job reads, and how their pages are numbered.
 *
 * Files are found by walking the paths given: directories are entered, symbolic links inside them are not followed,
 * a file with several names counts once, empty files have nothing to read. Pages of all files are numbered in one
 * row, so that per-page data of the whole job fits one array:
 *
 *   file 0        | file 1  | file 2             | ...
 *   0 1 2 3 4 5   | 6 7     | 8 9 10 11 12 13 14 |           page numbers; the last page of a file may be short
 *
 * Rule: the same tree gives the same plan (names are sorted), so that a seed names a job.
 */

import type { Stats } from 'node:fs';
import { lstat, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

export const PAGE_BYTES = 4096;

/** Above this many files the list itself would need gigabytes. */
const FILES_MAX = 1_000_000;

/** Skipped files that are listed by name; all are counted. */
const SKIPPED_LISTED_MAX = 20;

export interface PlannedFile {
  readonly path: string;
  readonly bytes: number;
  /** Number of its first page. */
  readonly firstPage: number;
}

export interface Plan {
  readonly files: readonly PlannedFile[];
  readonly pages: number;
  readonly bytes: number;
  readonly skipped: Skipped;
}

/** Files found but not read, because the system would not let us. */
export interface Skipped {
  readonly count: number;
  /** The first of them, with the reason. */
  readonly listed: readonly { readonly path: string; readonly reason: string }[];
}

/** The job cannot begin; the message is for the user. */
export class PlanError extends Error {
  override name = 'PlanError';
}

export function pagesOf(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES);
}

/** Why a system call failed, as people know it: 'EACCES', 'ENOENT'. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error) return 'code' in error ? String(error.code) : error.message;
  return String(error);
}

/**
 * Finds the files below `paths`.
 *
 * @throws PlanError if a path named here cannot be entered, or nothing is left to read
 */
export async function makePlan(paths: readonly string[]): Promise<Plan> {
  const search = new Search();
  for (const path of paths) await search.named(path);
  return withContent(search.plan());
}

/** The plan without files that turned out to be unreadable. Page numbers stay; those of the files are unused. */
export function withoutFiles(plan: Plan, unreadable: Skipped['listed']): Plan {
  const gone = new Set(unreadable.map(({ path }) => path));
  const files = plan.files.filter(({ path }) => !gone.has(path));
  const { count, listed } = plan.skipped;
  const skipped = {
    count: count + unreadable.length,
    listed: [...listed, ...unreadable].slice(0, SKIPPED_LISTED_MAX),
  };
  return withContent({ ...plan, files, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0), skipped });
}

function withContent(plan: Plan): Plan {
  if (plan.files.length > 0) return plan;
  const why = plan.skipped.count > 0 ? `; ${plan.skipped.count} could not be read` : '';
  throw new PlanError(`there is nothing to read: no file with content was found${why}`);
}

class Search {
  readonly #found: { path: string; bytes: number }[] = [];
  /** 'device:inode' of files found, so that hard links and overlapping paths count once. */
  readonly #seen = new Set<string>();
  readonly #skipped: { path: string; reason: string }[] = [];
  #skippedCount = 0;

  /** A path the user named: it must exist, and a symbolic link is followed. */
  async named(path: string): Promise<void> {
    try {
      const about = await stat(path);
      if (about.isDirectory()) await this.#directory(path, true);
      else if (about.isFile()) this.#add(path, about);
      else throw new PlanError(`cannot read ${path}: it is neither a file nor a directory`);
    } catch (error) {
      if (error instanceof PlanError) throw error;
      throw new PlanError(`cannot read ${path}: ${reasonOf(error)}`, { cause: error });
    }
  }

  plan(): Plan {
    let pages = 0;
    let bytes = 0;
    const files = this.#found.map((file) => {
      const planned = { ...file, firstPage: pages };
      pages += pagesOf(file.bytes);
      bytes += file.bytes;
      return planned;
    });
    return { files, pages, bytes, skipped: { count: this.#skippedCount, listed: this.#skipped } };
  }

  async #directory(path: string, named: boolean): Promise<void> {
    let names: string[];
    try {
      names = await readdir(path);
    } catch (error) {
      if (named) throw error;
      this.#skip(path, error);
      return;
    }
    for (const name of names.sort()) await this.#entry(join(path, name));
  }

  async #entry(path: string): Promise<void> {
    try {
      const about = await lstat(path);
      if (about.isDirectory()) return await this.#directory(path, false);
      if (!about.isFile()) return;
      this.#add(path, about);
    } catch (error) {
      if (error instanceof PlanError) throw error;
      this.#skip(path, error);
    }
  }

  #add(path: string, about: Stats): void {
    const identity = `${about.dev}:${about.ino}`;
    if (about.size === 0 || this.#seen.has(identity)) return;
    if (this.#found.length >= FILES_MAX) throw new PlanError(`more than ${FILES_MAX} files: name fewer`);
    this.#seen.add(identity);
    this.#found.push({ path, bytes: about.size });
  }

  #skip(path: string, error: unknown): void {
    this.#skippedCount++;
    if (this.#skipped.length < SKIPPED_LISTED_MAX) this.#skipped.push({ path, reason: reasonOf(error) });
  }
}
