// Running a part of a benchmark: `--only name,name`.

/** The named measurements in their own order; all without `only`. @throws Error that lists the names there are */
export function chosen<T>(measurements: Readonly<Record<string, T>>, only?: string): T[] {
  const names = only?.split(',');
  const unknown = names?.filter((name) => !(name in measurements)) ?? [];
  if (unknown.length > 0) {
    throw new Error(`--only knows ${Object.keys(measurements).join(', ')}, not ${unknown.join(', ')}`);
  }
  return Object.entries(measurements)
    .filter(([name]) => names?.includes(name) ?? true)
    .map(([, measurement]) => measurement);
}
