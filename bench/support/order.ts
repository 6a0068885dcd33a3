// The order in which a benchmark visits pages: reproducible, and the same in bench/native/control.c.

/** 0 to count-1, shuffled by `seed`; a seed of 0 keeps the order. */
export function visitOrder(count: number, seed: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  if (seed === 0) return order;
  let state = seed >>> 0;
  for (let index = count - 1; index > 0; index--) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const other = (state >>> 0) % (index + 1);
    const held = order[index]!;
    order[index] = order[other]!;
    order[other] = held;
  }
  return order;
}
