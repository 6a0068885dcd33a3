/**
 * `tmem peers` on the command line.
 */

import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Address } from '../../nbd/index.ts';
import { parseAddress } from '../../serve/index.ts';
import { run } from '../command-line.ts';
import { linesText, write } from '../output.ts';
import { askPeers } from './ask.ts';
import { peersView } from './view.ts';

/** As in the documentation of tmem serve. */
const HTTP_DEFAULT = '127.0.0.1:9105';

interface Options {
  readonly http: Address;
  readonly json: boolean;
}

export function registerPeers(program: Command): void {
  program
    .command('peers')
    .description('show the cluster as a node that runs in tmem serve sees it')
    .addOption(
      new Option('--http <address>', 'where its metrics are')
        .env('TMEM_SERVE_HTTP')
        .argParser(httpAddress)
        .default(httpAddress(HTTP_DEFAULT), HTTP_DEFAULT),
    )
    .option('--json', 'print one JSON object', false)
    .action(({ http, json }: Options, command: Command) =>
      run(command, async (signal) => {
        const page = await askPeers(http, signal);
        const text = json
          ? `${JSON.stringify(page)}\n`
          : linesText(process.stdout, process.env, (columns) => peersView(page, columns));
        await write(process.stdout, text, signal);
        return 0;
      }),
    );
}

function httpAddress(text: string): Address {
  const address = parseAddress(text.replace(/^http:/, 'tcp:').replace(/\/$/, ''));
  if (address !== undefined) return address;
  throw new InvalidArgumentError("It must be a host and port, or 'unix:' and an absolute path.");
}
