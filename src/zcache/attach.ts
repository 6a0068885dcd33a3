/** Attaching a thread to a store that another thread of the process shared by a token. All or nothing, as open. */

import { Arena, attachNamed, StoreFile } from '../arena/index.ts';
import { Arenas, TmemError } from '../tmem/index.ts';
import { closingOnError, leavingOnError, opened } from './open.ts';
import { type FullToken, type Store, type StoreToken, TOKEN_KIND } from './store.ts';

/**
 * Attaches this thread to a store that another thread of the process shared.
 *
 * @throws TmemError TMEM_ERR_SHARED_TOKEN, TMEM_ERR_LAYOUT, TMEM_ERR_TOO_MANY_THREADS, TMEM_ERR_STORE_GONE
 */
export function attach(token: StoreToken): Store {
  const full = token as Partial<FullToken> | null | undefined;
  if (
    full?.kind !== TOKEN_KIND ||
    !Array.isArray(full.memories) ||
    full.settings === undefined ||
    !full.module
  ) {
    throw new TmemError(
      'TMEM_ERR_SHARED_TOKEN',
      'attach: this is not what share() of an open store returned',
    );
  }
  const { settings, module, file } = full as FullToken;
  const arenas =
    file === undefined ? attachPrivate(full as FullToken) : attachShared(full as FullToken, file);
  return opened(arenas, settings, module, { name: file?.name, isNew: false, isTended: false });
}

function attachPrivate({ module, memories, settings }: FullToken): Arenas {
  const all: Arena[] = [];
  for (const memory of memories) {
    const arena = Arena.attach(module, memory);
    if (arena instanceof Arena) {
      all.push(arena);
      continue;
    }
    for (const attached of all) attached.wasm.slotRelease();
    throw arena === 'full'
      ? new TmemError(
          'TMEM_ERR_TOO_MANY_THREADS',
          `attach: all ${settings.threads} thread slots are taken; close the store where threads end, or raise threads`,
        )
      : new TmemError('TMEM_ERR_LAYOUT', 'attach: the store was laid out by another version of this package');
  }
  return new Arenas(all);
}

function attachShared({ module, memories }: FullToken, shared: NonNullable<FullToken['file']>): Arenas {
  const gone = () =>
    new TmemError(
      'TMEM_ERR_STORE_GONE',
      `attach: ${shared.path} was removed or replaced after it was shared; open it again by name`,
    );
  const file = StoreFile.open(shared.path);
  if (file === undefined) throw gone();
  return closingOnError(file, () => {
    const { device, inode } = file.identity;
    if (device !== shared.identity.device || inode !== shared.identity.inode) throw gone();
    const named = attachNamed(module, file, memories);
    if (named === undefined) throw gone();
    return leavingOnError(named, (arenas) => {
      arenas.recover();
      return arenas;
    });
  });
}
