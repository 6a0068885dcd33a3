// Reserve: the metadata cells a put may need, taken before its first lock, so that nothing is allocated under one.
//
//   slot + S_RESERVE:  counts u32 x 4 (objects, leaf5, leaf15, nodes) | wants u32 x 4 | cells, RESERVE_MAX of each
//
// A put starts with nothing. When the index says under the lock what it lacks ("wants"), the put unlocks, takes just
// that, and tries again; what it did not use goes back at its end. So a quiet store holds no reserve at all.
//
// Cells that leave the index under a lock are gathered likewise and given back after it (the "emptied" list).

import { abortOperation, ABORT_DAMAGED } from '../memory/host';
import { CELL_WORDS, S_CELLS, S_RESERVE } from '../memory/layout';
import { SLAB_NODE, SLAB_OBJECT, slabAlloc, slabFree } from '../memory/slab';
import { slotAddress } from '../memory/slot';

/** Most cells of one class that one put can need: 16 leaves when a full leaf is spread, a node a level. */
const RESERVE_MAX: u32 = 20;
const CLASSES: u32 = 4;
const R_WANTS: usize = 16;
const R_CELLS: usize = 32;

/** Nodes and leaves that joined the index less those that left it, since nodesChanged() was last asked. */
let nodes: i64 = 0;

/** For the pool's counter of nodes; starts again at 0. */
export function nodesChanged(): i64 {
  const changed = nodes;
  nodes = 0;
  return changed;
}

@inline
function reserve(): usize {
  return slotAddress() + S_RESERVE;
}

export function reserveStart(): void {
  const r = reserve();
  store<u64>(r, 0);
  store<u64>(r + 8, 0);
  store<u64>(r + R_WANTS, 0);
  store<u64>(r + R_WANTS + 8, 0);
}

/** Under the lock: whether `count` cells are at hand; if not, says that they are wanted. */
export function reserveHas(cls: u32, count: u32): bool {
  const r = reserve();
  if (load<u32>(r + (cls << 2)) >= count) return true;
  if (count > load<u32>(r + R_WANTS + (cls << 2))) store<u32>(r + R_WANTS + (cls << 2), count);
  return false;
}

/** Under the lock: a cell that reserveHas promised. */
export function reserveTake(cls: u32): usize {
  const r = reserve();
  const count = load<u32>(r + (cls << 2));
  if (count == 0) abortOperation(ABORT_DAMAGED, 301);
  store<u32>(r + (cls << 2), count - 1);
  if (cls != SLAB_OBJECT) nodes++;
  return load<u32>(r + R_CELLS + ((cls * RESERVE_MAX + count - 1) << 2));
}

/** Under the lock: the cell that the next reserveTake gives. */
export function reservePeek(cls: u32): usize {
  const r = reserve();
  return load<u32>(r + R_CELLS + ((cls * RESERVE_MAX + load<u32>(r + (cls << 2)) - 1) << 2));
}

/** Without a lock: takes what is wanted; the class of the first cell that was not to be had, or -1. */
export function reserveFill(client: u32, ephemeral: bool): i32 {
  const r = reserve();
  for (let cls: u32 = SLAB_OBJECT; cls <= SLAB_NODE; cls++) {
    const wanted = load<u32>(r + R_WANTS + (cls << 2));
    if (wanted > RESERVE_MAX) abortOperation(ABORT_DAMAGED, 302);
    for (let count = load<u32>(r + (cls << 2)); count < wanted; count++) {
      const cell = slabAlloc(client, ephemeral, cls);
      if (cell == 0) return <i32>cls;
      store<u32>(r + R_CELLS + ((cls * RESERVE_MAX + count) << 2), <u32>cell);
      store<u32>(r + (cls << 2), count + 1);
    }
  }
  return -1;
}

/** Without a lock: gives back what was not used. */
export function reserveEnd(): void {
  const r = reserve();
  if (load<u64>(r) == 0 && load<u64>(r + 8) == 0) return;
  for (let cls: u32 = 0; cls < CLASSES; cls++) {
    for (let count = load<u32>(r + (cls << 2)); count > 0; count--) {
      store<u32>(r + (cls << 2), count - 1);
      slabFree(load<u32>(r + R_CELLS + ((cls * RESERVE_MAX + count - 1) << 2)));
    }
  }
}

/** Under the lock: a node or leaf left the index; emptiedFree gives it back after the lock. */
export function emptiedAddNode(cell: usize): void {
  nodes--;
  emptiedAdd(cell);
}

/** The same for an object. */
export function emptiedAdd(cell: usize): void {
  const list = slotAddress() + S_CELLS;
  const count = load<u32>(list) + 1;
  if (count >= CELL_WORDS) abortOperation(ABORT_DAMAGED, 303);
  store<u32>(list, count);
  store<u32>(list + (count << 2), <u32>cell);
}

/** Without a lock: gives back the cells that left the index. */
export function emptiedFree(): void {
  const list = slotAddress() + S_CELLS;
  for (let count = load<u32>(list); count > 0; count--) {
    store<u32>(list, count - 1);
    slabFree(load<u32>(list + (count << 2)));
  }
}
