/**
 * An export as it is written on a command line.
 *
 *   vm1=swap:2GiB                         NAME=KIND:SIZE
 *   data=disk:/srv/data.img               NAME=KIND:FILE, with a slash in it: else it may be a wrong size
 *   iso=disk:./x.iso,readOnly,cache       what is true is named, other options are NAME=VALUE
 *   vm2=swap:/srv/swap.img,size=1GiB
 *
 * A file or name with a comma or a space in it is for the settings file.
 */

/** Right or wrong, it was meant as one. */
const LIKE_SIZE = /^\d[\d.]*\s*[a-z]*$/i;

const FLAGS = new Set(['readOnly', 'writethrough', 'cache']);

/** The object of settings; text that is no export stays as it is, for the check to complain about. */
export function parseExport(text: string): unknown {
  const [head = '', ...options] = text.split(',');
  const match = /^([^=]*)=([a-z]+):(.+)$/s.exec(head);
  if (match === null) return text;
  const [, name, kind, what = ''] = match;
  if (!what.includes('/') && !LIKE_SIZE.test(what)) return text;
  const parsed: Record<string, unknown> = { name, kind, [what.includes('/') ? 'file' : 'size']: what };
  for (const option of options) {
    const at = option.indexOf('=');
    const key = at === -1 ? option : option.slice(0, at);
    // One that was given twice would hide one of the two values.
    if (Object.hasOwn(parsed, key)) return text;
    parsed[key] = at === -1 && FLAGS.has(key) ? true : option.slice(at + 1);
  }
  return parsed;
}
