/**
 * The machine as a scope: MemAvailable of /proc/meminfo, which is the kernel's own estimate (it leaves out shared
 * memory, where stores are, and half of what is in files' cache), and /proc/pressure/memory.
 */

import { join } from 'node:path';
import { parseTable, readKernelFile } from './kernel-file.ts';
import type { ScopeMemory, ScopeReading } from './reading.ts';
import { readStall } from './stall.ts';

const KIB = 1024;

/** Undefined if nothing is known about it. */
export function readMachine(root: string): ScopeReading | undefined {
  const memory = readMachineMemory(root);
  const stall = readStall(join(root, 'proc/pressure/memory'));
  if (memory === undefined && stall === undefined) return undefined;
  return { name: 'machine', ...(memory && { memory }), ...(stall && { stall }) };
}

function readMachineMemory(root: string): ScopeMemory | undefined {
  const table = parseTable(readKernelFile(join(root, 'proc/meminfo')));
  const total = table.get('MemTotal');
  const available = table.get('MemAvailable');
  if (!total || available === undefined || available > total) return undefined;
  return { sizeBytes: total * KIB, availableBytes: available * KIB };
}
