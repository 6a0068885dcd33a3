// Memory as seen from outside: what the kernel says of a process and of a file, not what either says of itself.

import { readFileSync, statSync } from 'node:fs';

const BLOCK_BYTES = 512;

export interface ProcessMemory {
  /** Pages the process has, those it shares divided by the number of processes that have them. */
  pssBytes: number;
  /** The part of it that is shared memory, such as files of a tmpfs. */
  shmemBytes: number;
}

/** Reads /proc/<pid>/smaps_rollup. */
export function processMemory(pid: number): ProcessMemory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const bytes = (field: string) => Number(text.match(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm'))![1]) * 1024;
  return { pssBytes: bytes('Pss'), shmemBytes: bytes('Pss_Shmem') };
}

/** What a file takes: holes take nothing. */
export function fileBytes(path: string): number {
  return statSync(path).blocks * BLOCK_BYTES;
}

/** Processes and files together: the processes' own memory, and each file once, whoever has touched it. */
export function totalBytes(pids: readonly number[], files: readonly string[]): number {
  const own = pids.map((pid) => processMemory(pid)).map(({ pssBytes, shmemBytes }) => pssBytes - shmemBytes);
  return [...own, ...files.map(fileBytes)].reduce((sum, bytes) => sum + bytes, 0);
}
