// Timing of our side and the arithmetic of medians.

/** CPU time a call of `work` takes on this thread, in nanoseconds (resolution 1 µs). */
export function threadCpuNs(work: () => void): number {
  const start = process.threadCpuUsage();
  work();
  const spent = process.threadCpuUsage(start);
  return (spent.user + spent.system) * 1000;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Keeps a figure to what it is worth reading. */
export function rounded(value: number, digits = 3): number {
  return Number(value.toFixed(digits));
}
