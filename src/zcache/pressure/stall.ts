/** Pressure stall information, from /proc/pressure/memory or a group's memory.pressure: the line 'some'. */

import { readKernelFile } from './kernel-file.ts';
import type { Stall } from './reading.ts';

const SOME = /^some avg10=(\d{1,3}(?:\.\d{1,4})?) avg60=\S+ avg300=\S+ total=(\d{1,15})$/m;

/** Undefined where the kernel was built or started without it (then the file is absent or cannot be read). */
export function readStall(path: string): Stall | undefined {
  const match = SOME.exec(readKernelFile(path) ?? '');
  if (match === null) return undefined;
  const some10Percent = Number(match[1]);
  return some10Percent > 100 ? undefined : { some10Percent, totalUs: Number(match[2]) };
}
