#!/usr/bin/env node
/**
 * The `tmem` command: the table of its commands. Each brings its own arguments and options.
 */

import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { registerCert } from './cert/register.ts';
import { registerCheck } from './check/register.ts';
import { reportMisuse } from './command-line.ts';
import { registerFreeze, registerThaw } from './freeze.ts';
import { registerLs } from './ls/register.ts';
import { registerPeers } from './peers/register.ts';
import { registerRead } from './read/register.ts';
import { registerRestore } from './restore/register.ts';
import { registerRm } from './rm.ts';
import { registerSave } from './save/register.ts';
import { registerServe } from './serve/register.ts';
import { registerStat } from './stat/register.ts';
import { namedStores, type Stores } from './stores.ts';

const COMMANDS: readonly ((program: Command, stores: Stores) => void)[] = [
  ...[registerLs, registerStat, registerCheck, registerRm, registerFreeze, registerThaw],
  ...[registerSave, registerRestore, registerServe, registerPeers, registerCert, registerRead],
];

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return JSON.parse(manifest).version;
}

function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

const program = new Command('tmem')
  .description('A compressed page store shared by threads, outside the JavaScript heap')
  .version(version());
for (const register of COMMANDS) register(program, namedStores);
for (const command of withSubcommands(program)) reportMisuse(command);

await program.parseAsync();
