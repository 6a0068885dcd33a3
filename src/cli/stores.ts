/**
 * Named stores as the commands see them: what they may do, and which one is meant.
 */

import {
  type CheckReport,
  checkStore,
  listStores,
  type NamedStore,
  openForLooking,
  removeStore,
  type Store,
} from '../zcache/index.ts';
import { CommandError } from './command-line.ts';
import { printable } from './text/width.ts';

/** A store this thread is attached to. */
export type AttachedStore = Pick<Store, 'stats' | 'freeze' | 'thaw' | 'close'>;

/** What is done with named stores: handed to the commands, so that they can be tried without any. */
export interface Stores {
  list(directory: string): readonly NamedStore[];
  /** Attaches; never creates. */
  attach(name: string, directory: string): AttachedStore;
  remove(name: string, directory: string, force: boolean): void;
  check(name: string, directory: string): CheckReport;
}

export const namedStores: Stores = {
  list: (directory) => listStores(directory),
  attach: openForLooking,
  remove: (name, directory, force) => removeStore(name, { directory, force }),
  check: (name, directory) => checkStore(name, { directory }),
};

/** Names in one message: more would not be read. */
const NAMES_LISTED_MAX = 10;

const REASONS = {
  'other-layout': 'was laid out by another version of tmem; use that version, or remove it',
  damaged: 'is damaged; tmem check says more, tmem rm removes it',
  'not-ours': 'belongs to someone else or may be read by others',
} as const satisfies Record<Exclude<NamedStore['state'], 'ready'>, string>;

/**
 * The store that is meant and can be attached.
 *
 * @param name - without one: the only store there is
 * @throws CommandError saying what there is instead
 */
export function chosenStore(
  files: readonly NamedStore[],
  name: string | undefined,
  directory: string,
): NamedStore {
  const meant = name === undefined ? files : files.filter((file) => file.name === name);
  const ready = meant.filter(({ state }) => state === 'ready');
  if (ready.length === 1) return ready[0];
  if (ready.length > 1) {
    throw new CommandError(`there are ${ready.length} stores in ${directory}, name one: ${names(ready)}`);
  }
  const [unusable] = meant;
  if (unusable !== undefined && unusable.state !== 'ready') {
    throw new CommandError(
      `store '${printable(unusable.name)}' ${REASONS[unusable.state]} (${unusable.path})`,
    );
  }
  if (name === undefined) throw new CommandError(`there is no store in ${directory}`);
  const others = files.length === 0 ? 'none at all' : `only ${names(files)}`;
  throw new CommandError(`there is no store '${name}' in ${directory}: ${others}`);
}

function names(files: readonly NamedStore[]): string {
  const listed = files.slice(0, NAMES_LISTED_MAX).map(({ name }) => printable(name));
  const more = files.length - listed.length;
  return more === 0 ? listed.join(', ') : `${listed.join(', ')} and ${more} more`;
}
