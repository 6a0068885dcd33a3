// What a run found, as a table for people and as one JSON object for programs.
import { exportFlagNames } from '../protocol/numbers.ts';
import type { Check, Level, Result } from './check.ts';
import type { Row, Run } from './runner.ts';

const RESULT_WORDS: Record<Result, string> = { passed: 'passed', failed: 'FAILED', 'not applicable': 'n/a' };
const LEVELS: readonly Level[] = ['MUST', 'SHOULD'];
const RESULTS: readonly Result[] = ['passed', 'failed', 'not applicable'];

/** Whether all MUSTs that apply hold. */
export function conforms({ rows }: Pick<Run, 'rows'>): boolean {
  return rows.every(({ check, finding }) => check.level !== 'MUST' || finding.result !== 'failed');
}

type Counts = Record<Level, Record<Result, number>>;

function countsOf(rows: readonly Row[]): Counts {
  const count = (level: Level, result: Result) =>
    rows.filter(({ check, finding }) => check.level === level && finding.result === result).length;
  const countsOfLevel = (level: Level) =>
    Object.fromEntries(RESULTS.map((result) => [result, count(level, result)])) as Record<Result, number>;
  return { MUST: countsOfLevel('MUST'), SHOULD: countsOfLevel('SHOULD') };
}

const levelMark = ({ level, implied }: Check): string => (implied ? `${level}*` : level);

/** Control characters and the like, which a server might send in its messages, do not reach the terminal. */
const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}]/gu, '?');

/** The table, without its columns' last spaces. */
export function tableOf({ target, facts, rows }: Run): string {
  const { blockSizes } = facts;
  const sizes =
    blockSizes === undefined
      ? 'no block sizes advertised'
      : `blocks of ${blockSizes.minimum}, ${blockSizes.preferred} preferred, payloads up to ${blockSizes.payloadMax}`;
  const lines = [
    `NBD server at ${printable(target.uri)}`,
    `export '${printable(target.exportName)}' of ${facts.size} bytes, ${sizes}`,
    `flags: ${exportFlagNames(facts.flags)}`,
  ];
  const nameWidth = Math.max(...rows.map(({ check }) => nameOf(check).length));
  const requirementWidth = Math.max(...rows.map(({ check }) => check.requirement.length));
  for (const areaName of new Set(rows.map(({ check }) => check.area))) {
    lines.push('', areaName);
    for (const { check, finding } of rows.filter((row) => row.check.area === areaName)) {
      lines.push(
        [
          '',
          RESULT_WORDS[finding.result].padEnd(6),
          levelMark(check).padEnd(7),
          nameOf(check).padEnd(nameWidth),
          check.requirement.padEnd(requirementWidth),
          printable(finding.seen),
        ]
          .join('  ')
          .trimEnd(),
      );
    }
  }
  return `${[...lines, '', ...summaryOf(rows)].join('\n')}\n`;
}

/** A check's name within its area. */
const nameOf = ({ id, area }: Check): string => id.slice(area.length + 1);

function summaryOf(rows: readonly Row[]): string[] {
  const counts = countsOf(rows);
  const tally = LEVELS.map((level) => {
    const told = RESULTS.map((result) => `${counts[level][result]} ${result}`).join(', ');
    return `${level.padEnd(7)} ${told}`;
  });
  const failures = rows
    .filter(({ finding }) => finding.result === 'failed')
    .map(({ check, finding }) => {
      return `  ${levelMark(check).padEnd(7)}  ${check.id} (${check.section}): ${printable(finding.seen)}`;
    });
  return [
    ...tally,
    '* follows from the protocol, which does not say it in so many words',
    ...(failures.length === 0 ? [] : ['', 'Failed:', ...failures]),
    '',
    conforms({ rows }) ? 'All MUSTs that apply hold.' : 'Not all MUSTs hold.',
  ];
}

/** One line. Sizes are text, because they may be larger than a number holds exactly. */
export function jsonOf(run: Run): string {
  const { target, facts, rows } = run;
  return JSON.stringify({
    uri: target.uri,
    conforms: conforms(run),
    counts: countsOf(rows),
    server: { ...facts, size: String(facts.size) },
    checks: rows.map(({ check, finding }) => {
      const { id, area, level, implied, writes, section, requirement } = check;
      return { id, area, level, implied, writes, section, requirement, ...finding };
    }),
  });
}

/** The checks themselves, for `--list`. */
export function listOf(checks: readonly Check[]): string {
  const idWidth = Math.max(...checks.map(({ id }) => id.length));
  const lines = checks.map((check) => {
    const writes = check.writes ? ' [--write]' : '';
    const name = `${levelMark(check).padEnd(7)}  ${check.id.padEnd(idWidth)}`;
    return `${name}  ${check.requirement}${writes} (${check.section})`;
  });
  return `${lines.join('\n')}\n`;
}
