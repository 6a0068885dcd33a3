// The order in which a benchmark visits pages: reproducible, and that of visitOrder the same in bench/native/control.c.

/** 0 to count-1, shuffled by `seed`; a seed of 0 keeps the order. */
export function visitOrder(count: number, seed: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  if (seed === 0) return order;
  const below = numbersBelow(seed);
  for (let index = count - 1; index > 0; index--) {
    const other = below(index + 1);
    const held = order[index]!;
    order[index] = order[other]!;
    order[other] = held;
  }
  return order;
}

/** Random whole numbers from 0 to below a bound, the same ones for the same seed, which is not 0. */
export function numbersBelow(seed: number): (bound: number) => number {
  let state = seed | 0;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}
