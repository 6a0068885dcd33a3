/**
 * `tmem cert` on the command line: a private authority, certificates of nodes, and what is in a file.
 */

import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { number } from '../arguments.ts';
import { run } from '../command-line.ts';
import { linesText, write } from '../output.ts';
import { address, authorityName, DAYS_MAX, nodeName } from './arguments.ts';
import { type AuthorityOptions, type Made, makeAuthority, makeNode, type NodeOptions } from './make.ts';
import { certificatesView, readCertificates } from './show.ts';

/** Making another authority means touching every node. */
const AUTHORITY_DAYS = 3650;
const NODE_DAYS = 365;

export function registerCert(program: Command): void {
  const cert = program
    .command('cert')
    .description('make and show certificates for nodes, servers and their clients');
  registerAuthority(cert);
  registerNode(cert);
  registerShow(cert);
}

function registerAuthority(cert: Command): void {
  cert
    .command('authority')
    .description(
      'make a private authority: ca-cert.pem, which everyone needs, and ca-key.pem, which stays here',
    )
    .addOption(directory('--out <dir>', 'where its files go'))
    .option('--name <name>', 'its name, for people', authorityName, 'tmem authority')
    .addOption(days(AUTHORITY_DAYS))
    .addOption(force())
    .action((options: AuthorityOptions, command: Command) =>
      run(command, async (signal) => {
        const result = await makeAuthority(options, Date.now());
        await write(process.stdout, text('authority', result), signal);
        return 0;
      }),
    );
}

function registerNode(cert: Command): void {
  cert
    .command('node')
    .description('make key and certificate of a node, or of an NBD server or client')
    .argument('<name>', 'name of the node', nodeName)
    .addOption(directory('--authority <dir>', 'where the files of the authority are'))
    .addOption(directory('--out <dir>', 'where its files go, and a copy of ca-cert.pem'))
    .addOption(
      new Option(
        '--address <host...>',
        'host names and IP addresses at which others find it; NBD clients compare them',
      )
        .argParser(address)
        .default([], 'none'),
    )
    .addOption(days(NODE_DAYS))
    .addOption(force())
    .action((name: string, options: NodeOptions, command: Command) =>
      run(command, async (signal) => {
        const result = await makeNode(name, options, Date.now());
        await write(process.stdout, text(`node ${name}`, result), signal);
        return 0;
      }),
    );
}

function registerShow(cert: Command): void {
  cert
    .command('show')
    .description('show the certificates in a file')
    .argument('<file>', 'a file of PEM certificates')
    .option('--json', 'print one JSON object', false)
    .action((path: string, { json }: { json: boolean }, command: Command) =>
      run(command, async (signal) => {
        const certificates = readCertificates(path, Date.now());
        const shown = json
          ? `${JSON.stringify({ path, certificates })}\n`
          : linesText(process.stdout, process.env, () => certificatesView(certificates));
        await write(process.stdout, shown, signal);
        return 0;
      }),
    );
}

function directory(flags: string, description: string): Option {
  return new Option(flags, description).makeOptionMandatory().argParser((path) => {
    if (path !== '') return resolve(path);
    throw new InvalidArgumentError('It must be the path of a directory.');
  });
}

function days(standard: number): Option {
  return new Option('--days <n>', 'how long it is valid')
    .default(standard)
    .argParser(number(1, DAYS_MAX, true));
}

function force(): Option {
  return new Option('--force', 'replace files that are there').default(false);
}

function text(what: string, { certificate, key, validUntil }: Made): string {
  return `made ${what}: ${certificate} and ${key}, valid until ${validUntil.toISOString().slice(0, 10)}\n`;
}
