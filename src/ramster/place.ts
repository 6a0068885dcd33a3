/**
 * Places: where copies of a page lie, in the eight bytes that a record has for each.
 *
 *   node     u32, from the node's name          memory   u32, from the id of the memory the pages lie in
 *
 * A node that comes back with its pages has the same memory; one that comes back empty has another. So a place that
 * names a memory which its node has no more is known to be lost, and nothing else is.
 */

import { createHash } from 'node:crypto';

export interface Place {
  /** `nodeNumber` of the node's name; 0: this node's own disk. */
  readonly node: number;
  /** `memoryNumber` of the holder's memory; on the own disk: the place in the file. */
  readonly memory: number;
}

/** 1 to 40 letters, digits, '.', '_' and '-', not beginning with a sign: it becomes part of a client's name. */
const NODE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$/;

export function isNodeName(name: unknown): name is string {
  return typeof name === 'string' && NODE_NAME.test(name);
}

/** The number of a node's name, never 0. Two names of a cluster with one number are refused (membership). */
export function nodeNumber(name: string): number {
  return createHash('sha256').update(name).digest().readUInt32LE(0) || 1;
}

/** The number of a memory's id (16 bytes). */
export function memoryNumber(id: Uint8Array): number {
  return Buffer.from(id.buffer, id.byteOffset, 4).readUInt32LE(0);
}

export function isSamePlace(a: Place, b: Place): boolean {
  return a.node === b.node && a.memory === b.memory;
}
