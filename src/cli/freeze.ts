/**
 * `tmem freeze` and `tmem thaw` on the command line.
 */

import type { Command } from 'commander';
import { directoryOption } from './arguments.ts';
import { run } from './command-line.ts';
import { write } from './output.ts';
import { type AttachedStore, chosenStore, type Stores } from './stores.ts';

export function registerFreeze(program: Command, stores: Stores): void {
  register(program, stores, {
    name: 'freeze',
    description: 'refuse all puts into a store, in all processes, until it is thawed; gets and flushes work',
    change: (store) => store.freeze(),
    done: (name) => `${name} is frozen: puts are refused until tmem thaw ${name}`,
  });
}

export function registerThaw(program: Command, stores: Stores): void {
  register(program, stores, {
    name: 'thaw',
    description: 'accept puts into a frozen store again',
    change: (store) => store.thaw(),
    done: (name) => `${name} takes puts`,
  });
}

interface Switch {
  readonly name: string;
  readonly description: string;
  readonly change: (store: AttachedStore) => void;
  readonly done: (name: string) => string;
}

function register(program: Command, stores: Stores, { name, description, change, done }: Switch): void {
  program
    .command(name)
    .description(description)
    .argument('<name>', 'name of the store')
    .addOption(directoryOption())
    .action((storeName: string, { directory }: { directory: string }, command: Command) =>
      run(command, async (signal) => {
        const file = chosenStore(stores.list(directory), storeName, directory);
        const store = stores.attach(file.name, directory);
        try {
          change(store);
        } finally {
          store.close();
        }
        await write(process.stdout, `${done(file.name)}\n`, signal);
        return 0;
      }),
    );
}
