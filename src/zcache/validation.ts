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
  else if (Array.isArray(value)) text = 'an array';
  else if (typeof value === 'object' && value !== null) text = 'an object';
  else text = typeof value === 'bigint' ? `${value}n` : String(value);
  return text.length <= SHOWN_MAX ? text : `${text.slice(0, SHOWN_MAX)}…`;
}

/** Unknown names, also in nested groups. (valibot's own strict objects stop at the first.) */
function unknownNames(entries: v.ObjectEntries, input: object, prefix: string): string[] {
  const lines: string[] = [];
  for (const [name, given] of Object.entries(input)) {
    if (!Object.hasOwn(entries, name)) {
      lines.push(`${prefix}${name}: unknown, known are ${Object.keys(entries).join(', ')}`);
      continue;
    }
    const group = groupEntries(entries[name]);
    if (group !== undefined && typeof given === 'object' && given !== null) {
      lines.push(...unknownNames(group, given, `${prefix}${name}.`));
    }
  }
  return lines;
}

/** The entries of a nested group, seen through v.optional. */
function groupEntries(schema: object | undefined): v.ObjectEntries | undefined {
  if (schema === undefined) return undefined;
  if ('entries' in schema) return schema.entries as v.ObjectEntries;
  return 'wrapped' in schema ? groupEntries(schema.wrapped as object) : undefined;
}

/** What valibot found, in our words. */
function complaint(issue: v.BaseIssue<unknown>): string {
  const path = issue.path?.map((item) => String(item.key)).join('.') ?? '';
  const last = issue.path?.at(-1);
  const absent =
    last !== undefined && last.origin === 'key' && issue.kind === 'schema' && issue.type === 'object';
  return absent ? `${path}: is required` : line(path, issue.input, issue.message);
}

/** Rules between several settings: called with what passed, returns complaints. */
export type CrossCheck<Output> = (output: Output) => readonly string[];

/**
 * Checks `input` against `schema` and fills in defaults.
 *
 * @param what - the function the input was for, such as 'open'
 * @throws TmemError with `code`, listing every mistake
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
  const complaints = unknownNames(schema.entries, input, '');
  if (result.success) complaints.push(...crossCheck(result.output));
  else complaints.push(...result.issues.map(complaint));
  if (complaints.length > 0 || !result.success)
    throw new TmemError(code, `${what}: ${complaints.join('; ')}`);
  return result.output;
}
