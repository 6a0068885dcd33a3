/**
 * What a counter is, and how rows of counters are read.
 *
 * The arena keeps, for each pool, client and store, one or several rows (shards) of u64 cells: the cell at
 * position i is the i-th entry of the table. A current value ("gauge") that one shard raises and another lowers
 * wraps around in both and is right in their sum modulo 2^64.
 *
 *   shard 0   | puts | put_stored | ... | curr_pages | curr_pages_max | ...     u64 each
 *   shard 1   | puts | put_stored | ... | curr_pages | curr_pages_max | ...
 *   total     |  sum |    sum     | ... |    sum     |   greatest     | ...
 *
 * Rule: the order of a table is part of the arena's layout. New counters go at the end.
 */

/** How a value behaves: a counter only grows, a gauge is what is true now. */
export type CounterKind = 'counter' | 'gauge';

export type CounterUnit = 'pages' | 'frames' | 'bytes' | 'objects' | 'nodes' | 'calls' | 'threads';

/** One counter: its name, what it counts, and what to do when it stands out. */
export interface Counter<Name extends string = string> {
  readonly name: Name;
  readonly kind: CounterKind;
  readonly unit: CounterUnit;
  readonly help: string;
  readonly advice: string;
}

/** The totals of one table, by name. */
export type Totals<Table extends readonly Counter[]> = Readonly<Record<Table[number]['name'], number>>;

/** Cells of one row, in table order. */
export type Row = ArrayLike<bigint>;

export function counter<const Name extends string>(
  name: Name,
  unit: CounterUnit,
  help: string,
  advice: string,
): Counter<Name> {
  return { name, kind: 'counter', unit, help, advice };
}

/** A current value without a high-water mark of its own. */
export function gauge<const Name extends string>(
  name: Name,
  unit: CounterUnit,
  help: string,
  advice: string,
): Counter<Name> {
  return { name, kind: 'gauge', unit, help, advice };
}

/** A current value and, in the next cell, the highest it has been. */
export function tide<const Name extends string>(
  name: Name,
  unit: CounterUnit,
  help: string,
  advice: string,
): readonly [Counter<Name>, Counter<`${Name}_max`>] {
  return [
    gauge(name, unit, help, advice),
    gauge(`${name}_max`, unit, `Highest value of ${name} so far.`, `Compare with ${name}: how full it gets.`),
  ];
}

/** High-water marks are not summed: the greatest mark any row carries is the mark. */
export function isHighWater(name: string): boolean {
  return name.endsWith('_max');
}

/** One row of zeros. */
export function emptyRow(table: readonly Counter[]): BigUint64Array {
  return new BigUint64Array(table.length);
}

/**
 * Adds up the shards (those of all arenas of a store) into one row: sums modulo 2^64, the greatest
 * of high-water marks.
 *
 * Rows are read without a lock while others write them, so a gauge may be seen between the two halves of a
 * move and come out just below zero; it is then reported as 0.
 */
export function foldRows(table: readonly Counter[], rows: Iterable<Row>): BigUint64Array {
  const total = emptyRow(table);
  for (const row of rows) {
    for (let i = 0; i < table.length; i++) {
      const cell = row[i] ?? 0n;
      const soFar = total[i];
      // A BigUint64Array stores modulo 2^64 by itself.
      if (!isHighWater(table[i].name)) total[i] = soFar + cell;
      else if (cell > soFar) total[i] = cell;
    }
  }
  for (let i = 0; i < table.length; i++) {
    if (table[i].kind === 'gauge' && total[i] >= SIGN_BIT) total[i] = 0n;
  }
  return total;
}

/** A sum with this bit set is a small negative number, not 9 exa of anything. */
const SIGN_BIT = 1n << 63n;

/** Turns a folded row into named numbers (exact up to 2^53). A mark is never below the value it marks. */
export function namedTotals<const Table extends readonly Counter[]>(table: Table, row: Row): Totals<Table> {
  const totals: Record<string, number> = {};
  for (let i = 0; i < table.length; i++) {
    const name = table[i].name;
    const value = Number(row[i] ?? 0n);
    totals[name] = isHighWater(name) ? Math.max(value, totals[name.slice(0, -'_max'.length)] ?? 0) : value;
  }
  return totals as Totals<Table>;
}

/**
 * Adds up the totals of parts (pools of a client, clients of a store). High-water marks are summed too: the parts
 * need not have peaked at the same moment, so the sum is a bound the whole never exceeded.
 */
export function sumTotals<const Table extends readonly Counter[]>(
  table: Table,
  parts: readonly Totals<Table>[],
): Totals<Table> {
  const sum: Record<string, number> = {};
  for (const { name } of table) {
    sum[name] = parts.reduce((total, part) => total + part[name as Table[number]['name']], 0);
  }
  return sum as Totals<Table>;
}
