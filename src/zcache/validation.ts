/**
 * Checks of settings and options, shared by the store, its clients and its pools.
 *
 * Rule: whoever gets something wrong learns about all of it at once, and each line names the setting, the value
 * that was given and what is allowed.
 */

import * as v from 'valibot';
import { TmemError, type TmemErrorCode } from '../errors.ts';
import { formatByteSize, parseByteSize } from './byte-size.ts';

type ObjectSchema = v.ObjectSchema<v.ObjectEntries, undefined>;

/** A whole number from `min` to `max`. */
export function whole(min: number, max: number, unit = '') {
  const allowed = `a whole number${unit === '' ? '' : ` of ${unit}`} from ${min} to ${max}`;
  return v.config(
    v.pipe(v.number(allowed), v.integer(allowed), v.minValue(min, allowed), v.maxValue(max, allowed)),
    { abortPipeEarly: true },
  );
}

/** One of a few words. */
export function choice<const Words extends readonly [string, ...string[]]>(words: Words) {
  return v.picklist(words, words.map((word) => `'${word}'`).join(' or '));
}

export const flag = v.boolean('true or false');

/** A size in bytes, as a number or as text with a unit. */
export function byteSize(min: number, max: number) {
  const allowed = `${formatByteSize(min)} to ${formatByteSize(max)}, as bytes or text like '256 MiB'`;
  return v.pipe(
    v.custom<number | string>((value) => typeof value === 'number' || typeof value === 'string', allowed),
    v.rawTransform<number | string, number>(({ dataset, addIssue, NEVER }) => {
      const given = dataset.value;
      const bytes = typeof given === 'string' ? parseByteSize(given) : given;
      if (bytes !== undefined && Number.isInteger(bytes) && bytes >= min && bytes <= max) return bytes;
      addIssue({ message: allowed });
      return NEVER;
    }),
  );
}

/** One complaint: where, what was given, what is allowed. */
function line(path: string, given: unknown, allowed: string): string {
  return `${path}: got ${show(given)}, allowed is ${allowed}`;
}

/** Longest value shown in a message, in characters. */
const SHOWN_MAX = 60;

/** The value as a reader would write it, cut to a bounded length. */
export function show(value: unknown): string {
  let text: string;
  if (typeof value === 'string') text = JSON.stringify(value);
  else if (typeof value === 'function') text = 'a function';
  else if (Array.isArray(value)) text = value.length === 0 ? 'an empty array' : 'an array';
  else if (typeof value === 'object' && value !== null) text = 'an object';
  else text = typeof value === 'bigint' ? `${value}n` : String(value);
  return text.length <= SHOWN_MAX ? text : `${text.slice(0, SHOWN_MAX)}…`;
}

/** Unknown names, also in nested groups and lists of groups. (valibot's own strict objects stop at the first.) */
function unknownNames(schema: object | undefined, input: unknown, path: string): string[] {
  if (schema === undefined || typeof input !== 'object' || input === null) return [];
  if ('wrapped' in schema) return unknownNames(schema.wrapped as object, input, path);
  if ('item' in schema && Array.isArray(input)) {
    return input.flatMap((each, i) => unknownNames(schema.item as object, each, `${path}[${i}]`));
  }
  if (!('entries' in schema) || Array.isArray(input)) return [];
  const entries = schema.entries as v.ObjectEntries;
  return Object.entries(input).flatMap(([name, given]) => {
    const place = path === '' ? name : `${path}.${name}`;
    if (Object.hasOwn(entries, name)) return unknownNames(entries[name], given, place);
    return [`${show(place).slice(1, -1)}: unknown, known are ${Object.keys(entries).join(', ')}`];
  });
}

/** Where a setting is: 'shrinker.lowPercent', 'exports[1].size'. */
function pathText(issue: v.BaseIssue<unknown>): string {
  const steps = issue.path?.map(({ type, key }) => (type === 'array' ? `[${key}]` : `.${String(key)}`)) ?? [];
  return steps.join('').replace(/^\./, '');
}

/** What valibot found, in our words. */
function complaint(issue: v.BaseIssue<unknown>): string {
  const path = pathText(issue);
  // A rule between settings of a group: the message names the setting.
  if (issue.type === 'raw_check') return path === '' ? issue.message : `${path}.${issue.message}`;
  const last = issue.path?.at(-1);
  const absent =
    last !== undefined && last.origin === 'key' && issue.kind === 'schema' && issue.type === 'object';
  return absent ? `${path}: is required` : line(path, issue.input, issue.message);
}

/** Complaints in one message: whoever has more mistakes sees the others next time. */
const COMPLAINTS_MAX = 50;

/** Rules between several settings: called with what passed, returns complaints. */
export type CrossCheck<Output> = (output: Output) => readonly string[];

/**
 * Checks `input` against `schema` and fills in defaults.
 *
 * @param what - the function the input was for, such as 'open'
 * @throws TmemError with `code`, listing every mistake, of very many the first
 */
export function validate<const Schema extends ObjectSchema>(
  schema: Schema,
  input: unknown,
  what: string,
  code: TmemErrorCode,
  crossCheck: CrossCheck<v.InferOutput<Schema>> = () => [],
): v.InferOutput<Schema> {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw new TmemError(code, `${what}: expects an object of settings, got ${show(input)}`);
  }
  const result = v.safeParse(schema, input);
  const complaints = unknownNames(schema, input, '');
  if (result.success) complaints.push(...crossCheck(result.output));
  else complaints.push(...result.issues.map(complaint));
  if (complaints.length > 0 || !result.success) {
    const more = complaints.length - COMPLAINTS_MAX;
    const listed = complaints.slice(0, COMPLAINTS_MAX).join('; ');
    throw new TmemError(code, `${what}: ${listed}${more > 0 ? `; and ${more} more` : ''}`);
  }
  return result.output;
}
