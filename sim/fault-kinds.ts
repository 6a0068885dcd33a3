/** The kinds of faults: each does its harm to a machine and gives back how it ends; undefined: it was over at once. */

import type { Random } from '../src/ramster/clock.ts';
import type { Machine } from './machine.ts';
import { between, oneOf } from './random.ts';
import type { World } from './world.ts';

/** How a cluster is troubled; differs from seed to seed. */
export interface Temper {
  /** Chance that a killed machine loses its memory. */
  readonly losing: number;
  /** Chance that nobody is told of a kill. */
  readonly silent: number;
}

type Fault = (world: World, machine: Machine, random: Random, temper: Temper) => () => void;

/** What everything takes longer at a slow machine. */
const SLOW_MOST_MS = 250;
/** Loss in a storm; as much is doubled and overtaken. */
const STORM_LOSS = 0.15;
/** What is left of a machine's memory when others on it need much. */
const PRESSED_SHARE = 0.7;

export const FAULTS = { kill, stop, cut, oneWay, slow, storm, press, fill, leave } satisfies Record<
  string,
  Fault
>;
export type FaultName = keyof typeof FAULTS;

/** The process is killed; with or without the memory, with or without others being told. */
function kill(world: World, machine: Machine, random: Random, { losing, silent }: Temper): () => void {
  world.kill(machine, { losing: random() < losing, silently: random() < silent });
  return () => world.start(machine);
}

/** The process does not run, as by SIGSTOP. */
function stop(_world: World, { process }: Machine): () => void {
  process?.stop();
  return () => process?.proceed();
}

/** The machine, and perhaps others with it, cannot reach the rest, nor be reached. */
function cut(world: World, machine: Machine, random: Random): () => void {
  const share = oneOf(random, [0, 0.2, 0.5]);
  const inside = world.machines.filter((each) => each === machine || random() < share);
  const outside = world.machines.filter((each) => !inside.includes(each));
  const ways = inside.flatMap((a) => outside.flatMap((b) => [way(a, b), way(b, a)]));
  return block(world, ways);
}

/** Nothing comes from a machine, or nothing gets to it; everywhere, or between two of them. */
function oneWay(world: World, machine: Machine, random: Random): () => void {
  const isOut = random() < 0.5;
  const some = random() < 0.5 ? world.machines : [oneOf(random, world.machines)];
  const others = some.filter((each) => each !== machine);
  return block(
    world,
    others.map((other) => (isOut ? way(machine, other) : way(other, machine))),
  );
}

function slow({ network }: World, { host }: Machine, random: Random): () => void {
  network.slow(host, between(random, 1, SLOW_MOST_MS));
  return () => network.slow(host, 0);
}

/** The network loses, doubles and disorders much. */
function storm({ network }: World): () => void {
  const { profile } = network;
  if (profile.loss === STORM_LOSS) return () => {};
  network.profile = { ...profile, loss: STORM_LOSS, duplicates: STORM_LOSS, overtaking: STORM_LOSS };
  return () => {
    network.profile = profile;
  };
}

/** The machine itself needs its memory. */
function press(_world: World, { memory }: Machine): () => void {
  const { totalBytes } = memory;
  memory.isPressed = true;
  memory.totalBytes = Math.floor(totalBytes * PRESSED_SHARE);
  return () => {
    memory.isPressed = false;
    memory.totalBytes = totalBytes;
  };
}

/** The machine takes nothing from others, whether it says so before it is asked or not. */
function fill(_world: World, { limits }: Machine, random: Random): () => void {
  const which = random() < 0.5 ? 'lentMostBytes' : 'ownerMostBytes';
  const before = limits[which];
  limits[which] = 0;
  return () => {
    limits[which] = before;
  };
}

/** The node leaves in order, and comes back later; what is left in its memory may be gone then. */
function leave(world: World, machine: Machine, random: Random): () => void {
  const losing = random() < 0.5;
  world.leave(machine, () => {
    if (losing) world.loseMemory(machine);
  });
  return () => {
    world.kill(machine, { losing: false, silently: false });
    world.start(machine);
  };
}

type Way = readonly [from: number, to: number];

function way(from: Machine, to: Machine): Way {
  return [from.host, to.host];
}

function block({ network }: World, ways: readonly Way[]): () => void {
  for (const [from, to] of ways) network.block(from, to);
  return () => {
    for (const [from, to] of ways) network.unblock(from, to);
  };
}
