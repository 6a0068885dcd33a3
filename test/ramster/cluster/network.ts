// A network of a test's own: a namespace for each machine, and one for the switch between them. Nothing of it can be
// seen from outside, and nothing outside is changed.
//
//   [a] eth0 --- port a \
//   [b] eth0 --- port b -- bridge      10.77.0.0/24 on a device that is not there for anybody else
//   [c] eth0 --- port c /
//
// A namespace has the number of its process in its name: those that a killed process left behind are found by it.

import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { onTestFinished, type TestContext } from 'vitest';

export const PREFIX = 'tmem-test';
export const NAMESPACES = '/run/netns';
const SWITCH = 'switch';
const SUBNET = '10.77.0';
/** Where the switch itself can be reached. */
export const SWITCH_ADDRESS = `${SUBNET}.254`;

/** Ends a test, visibly, where networks cannot be made; where everything is tested it fails. */
export function needNetwork(context: TestContext): void {
  const reason = whyNot();
  if (reason === undefined) return;
  if (process.env.CI) throw new Error(reason);
  context.skip(reason);
}

function whyNot(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces need Linux';
  if (process.geteuid?.() !== 0) return 'network namespaces need root';
  const missing = { ip: 'iproute2', nft: 'nftables', setpriv: 'util-linux' };
  for (const [program, debPackage] of Object.entries(missing)) {
    if (spawnSync(program, ['--version']).error !== undefined) return `not installed: ${debPackage}`;
  }
  const probe = nameOf(randomBytes(4).toString('hex'), 'probe');
  const made = spawnSync('ip', ['netns', 'add', probe], { encoding: 'utf8' });
  if (made.status !== 0) return `no network namespaces here: ${made.stderr.trim()}`;
  const bridge = spawnSync('ip', ['-netns', probe, 'link', 'add', 'br0', 'type', 'bridge'], {
    encoding: 'utf8',
  });
  remove([probe]);
  return bridge.status === 0 ? undefined : `no bridges here: ${bridge.stderr.trim()}`;
}

export class Network {
  readonly #id = randomBytes(4).toString('hex');
  readonly #names: readonly string[];

  /** Makes it, for as long as the test runs. */
  constructor(names: readonly string[]) {
    this.#names = names;
    removeLeftOver();
    onTestFinished(() => this.remove());
    for (const name of [SWITCH, ...names]) execFileSync('ip', ['netns', 'add', this.#namespace(name)]);
    const hub = this.#namespace(SWITCH);
    batch(hub, ['link set lo up', 'link add br0 type bridge', `addr add ${SWITCH_ADDRESS}/24 dev br0`]);
    batch(hub, ['link set br0 up']);
    for (const name of names) {
      const own = this.#namespace(name);
      batch(hub, [
        `link add port-${name} type veth peer name eth0 netns ${own}`,
        `link set port-${name} master br0 up`,
      ]);
      batch(own, ['link set lo up', `addr add ${this.ipOf(name)}/24 dev eth0`, 'link set eth0 up']);
    }
  }

  remove(): void {
    remove([SWITCH, ...this.#names].map((name) => this.#namespace(name)));
  }

  ipOf(name: string): string {
    return `${SUBNET}.${this.#names.indexOf(name) + 1}`;
  }

  /** The command line that runs a program on a machine, undefined: on the switch; it ends with this process. */
  commandAt(name: string | undefined, ...command: string[]): [string, ...string[]] {
    const at = ['netns', 'exec', this.#namespace(name ?? SWITCH)];
    return ['ip', ...at, 'setpriv', '--pdeathsig', 'KILL', ...command];
  }

  /** Nothing that a machine sends to the others arrives. */
  drop(from: string, to: readonly string[]): void {
    const rules = to.map((name) => `add rule inet cut out ip daddr ${this.ipOf(name)} drop`);
    this.#nft(from, [
      'add table inet cut',
      'add chain inet cut out { type filter hook output priority 0; }',
      ...rules,
    ]);
  }

  /** Ends what `drop` did. */
  heal(from: string): void {
    this.#nft(from, ['flush ruleset']);
  }

  /** Pulls the plug of a machine, or puts it in again. */
  plug(name: string, state: 'up' | 'down'): void {
    batch(this.#namespace(SWITCH), [`link set port-${name} ${state}`]);
  }

  #nft(name: string, script: readonly string[]): void {
    const args = ['netns', 'exec', this.#namespace(name), 'nft', '-f', '-'];
    execFileSync('ip', args, { input: script.join('\n') });
  }

  #namespace(name: string): string {
    return nameOf(this.#id, name);
  }
}

function nameOf(id: string, name: string): string {
  return `${PREFIX}-${process.pid}-${id}-${name}`;
}

function batch(namespace: string, lines: readonly string[]): void {
  execFileSync('ip', ['-netns', namespace, '-batch', '-'], { input: lines.join('\n') });
}

/** What else is wrong is told by the next who makes one. */
function remove(namespaces: readonly string[]): void {
  for (const name of namespaces) {
    if (existsSync(`${NAMESPACES}/${name}`)) spawnSync('ip', ['netns', 'delete', name]);
  }
}

/** Removes the namespaces of processes that are gone. */
function removeLeftOver(): void {
  if (!existsSync(NAMESPACES)) return;
  const isLeft = (name: string): boolean => {
    const [, pid] = new RegExp(`^${PREFIX}-(\\d+)-`).exec(name) ?? [];
    return pid !== undefined && !existsSync(`/proc/${pid}`);
  };
  remove(readdirSync(NAMESPACES).filter(isLeft));
}
