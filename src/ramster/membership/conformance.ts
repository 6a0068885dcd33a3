/**
 * The rules of a membership (membership.ts) as a list of cases, for any test runner: each case runs alone, throws when
 * a rule is broken, and cleans up after itself.
 *
 *   for (const { name, run } of membershipConformance(newBench, { hasEngine: false })) test(name, run);
 *
 * Whoever has a membership of his own writes a bench for it: how nodes join, die, and how time passes. On a virtual
 * clock the times promised are checked to the millisecond; on a real one `slackMs` allows for machines that are busy.
 */

import assert from 'node:assert/strict';
import type { Member, Membership, NodeStatus } from './membership.ts';

export interface MembershipBench {
  /** A membership, not started, of a node that runs from now on; after `kill` or its end also for another run of it. */
  join(name: string): Membership | Promise<Membership>;
  /** Where that node listens. */
  addressOf(name: string): string;
  /** Ends a run without a word, as a power cut does. */
  kill(name: string): void | Promise<void>;
  /** Lets time pass for everybody. */
  pass(timeMs: number): Promise<void>;
  /** How much later than promised things may happen: 0 on a virtual clock. */
  readonly slackMs: number;
  /** What the membership stands on, if that is something that can fail as a whole. */
  readonly engine?: { stop(): Promise<void>; start(): Promise<void> };
  /** Ends every run, and removes what the bench has made. */
  close(): Promise<void>;
}

export interface ConformanceCase {
  /** The rule that it checks. */
  readonly name: string;
  run(): Promise<void>;
}

/** How often conditions are looked at. */
const STEP_MS = 20;
/** For what has no promised time: a start, a change. */
const SOON_MS = 5000;
const MiB = 2 ** 20;

/**
 * @param make - a new bench for nodes of these names
 * @param hasEngine - whether the benches have one; without, there is nothing to check about it
 */
export function membershipConformance(
  make: (names: readonly string[]) => Promise<MembershipBench>,
  { hasEngine }: { readonly hasEngine: boolean },
): ConformanceCase[] {
  const rules = Object.entries({ ...RULES, ...(hasEngine ? ENGINE_RULES : {}) });
  return rules.map(([name, { nodes, check }]) => ({
    name,
    async run() {
      const bench = await make(nodes);
      try {
        await check(new Cluster(bench), nodes);
      } finally {
        await bench.close();
      }
    },
  }));
}

interface Rule {
  readonly nodes: readonly string[];
  check(cluster: Cluster, names: readonly string[]): Promise<void>;
}

/** A node as the cases see it. */
class Subject {
  readonly name: string;
  readonly membership: Membership;
  status: NodeStatus;
  /** Every list that was handed out, and a copy of what it was then. */
  readonly views: { readonly list: readonly Member[]; readonly copy: readonly Member[] }[] = [];
  /** How often it was asked for its status. */
  asked = 0;

  constructor(name: string, membership: Membership, status: NodeStatus) {
    this.name = name;
    this.membership = membership;
    this.status = status;
  }

  get view(): readonly Member[] {
    return this.views.at(-1)?.list ?? [];
  }

  sees(name: string): Member | undefined {
    return this.view.find((member) => member.name === name);
  }

  readonly tell = (): NodeStatus => {
    this.asked++;
    return this.status;
  };

  readonly changed = (list: readonly Member[]): void => {
    this.views.push({ list, copy: structuredClone(list) });
  };
}

class Cluster {
  readonly bench: MembershipBench;

  constructor(bench: MembershipBench) {
    this.bench = bench;
  }

  async join(name: string, freeBytes = 100 * MiB): Promise<Subject> {
    const subject = new Subject(name, await this.bench.join(name), { freeBytes, draining: false });
    await subject.membership.start(subject.tell, subject.changed);
    return subject;
  }

  /** All of them, once everybody sees everybody up. */
  async joinAll(names: readonly string[]): Promise<Subject[]> {
    const subjects: Subject[] = [];
    for (const name of names) subjects.push(await this.join(name, (subjects.length + 1) * 100 * MiB));
    await this.until('everybody sees everybody', SOON_MS, () =>
      subjects.every((one) =>
        subjects.every((other) => one === other || one.sees(other.name)?.state === 'up'),
      ),
    );
    return subjects;
  }

  async until(what: string, withinMs: number, condition: () => boolean): Promise<void> {
    for (let passedMs = 0; !condition(); passedMs += STEP_MS) {
      assert.ok(passedMs < withinMs + this.bench.slackMs, `${what}: not within ${withinMs} ms`);
      await this.bench.pass(STEP_MS);
    }
  }
}

const isGone = (member: Member | undefined): boolean => member === undefined || member.state === 'down';

const RULES: Readonly<Record<string, Rule>> = {
  'every node lists the others, up, with their addresses and what they tell; none lists itself': {
    nodes: ['a', 'b', 'c'],
    async check(cluster, names) {
      const subjects = await cluster.joinAll(names);
      await cluster.until('what they tell is seen', SOON_MS, () =>
        subjects.every(({ view }) => view.every(({ freeBytes }) => freeBytes > 0)),
      );
      for (const { name, view, views, membership } of subjects) {
        const others = subjects.filter((other) => other.name !== name);
        const expected = others.map((other) => ({
          name: other.name,
          address: cluster.bench.addressOf(other.name),
          state: 'up',
          ...other.status,
        }));
        assert.deepEqual(
          [...view].sort((x, y) => (x.name < y.name ? -1 : 1)),
          expected,
        );
        assert.ok(views.every(({ list }) => list.every((member) => member.name !== name)));
        assert.equal(membership.problem, undefined);
        assert.ok(membership.detectionMs > 0 && Number.isFinite(membership.detectionMs));
      }
    },
  },

  'whoever is listed is known, with its address': {
    nodes: ['a', 'b', 'c'],
    async check(cluster, names) {
      for (const { membership, view } of await cluster.joinAll(names)) {
        const known = new Map([...membership.known()].map(({ name, address }) => [name, address]));
        for (const { name, address } of view) assert.equal(known.get(name), address);
      }
    },
  },

  'a change of what a node tells is seen': {
    nodes: ['a', 'b'],
    async check(cluster, names) {
      const [a, b] = (await cluster.joinAll(names)) as [Subject, Subject];
      b.status = { freeBytes: 7 * MiB, draining: true };
      await cluster.until('the change is seen', SOON_MS, () => {
        const { freeBytes, draining } = a.sees('b') ?? {};
        return freeBytes === 7 * MiB && draining === true;
      });
    },
  },

  'a node that falls silent is suspect, and down within detectionMs': {
    nodes: ['a', 'b', 'c'],
    async check(cluster, names) {
      const [a, b] = (await cluster.joinAll(names)) as [Subject, Subject];
      const before = { a: a.views.length, b: b.views.length };
      await cluster.bench.kill('c');
      const withinMs = Math.max(a.membership.detectionMs, b.membership.detectionMs);
      await cluster.until('c is down', withinMs, () => isGone(a.sees('c')) && isGone(b.sees('c')));
      const states = a.views
        .slice(before.a - 1)
        .map(({ copy }) => copy.find(({ name }) => name === 'c')?.state);
      assert.ok(states.includes('suspect'), `c was ${states.join(', ')}`);
      assert.equal(a.sees('b')?.state, 'up');
    },
  },

  'a node that died, or left, and starts again is up again': {
    nodes: ['a', 'b', 'c'],
    async check(cluster, names) {
      const [a, b] = (await cluster.joinAll(names)) as [Subject, Subject];
      await cluster.bench.kill('c');
      await cluster.until('c is down', a.membership.detectionMs, () => isGone(a.sees('c')));
      await b.membership.stop();
      await cluster.until('b has left', a.membership.detectionMs, () => isGone(a.sees('b')));
      await cluster.join('c', 5 * MiB);
      await cluster.join('b', 6 * MiB);
      await cluster.until('both are up', SOON_MS, () =>
        ['b', 'c'].every((name) => a.sees(name)?.state === 'up' && (a.sees(name)?.freeBytes ?? 0) < 10 * MiB),
      );
    },
  },

  'a node that left in order is gone before one that died after it': {
    nodes: ['a', 'b', 'c'],
    async check(cluster, names) {
      const [a, b] = (await cluster.joinAll(names)) as [Subject, Subject];
      const before = a.views.length;
      await b.membership.stop();
      await cluster.bench.kill('c');
      await cluster.until(
        'both are gone',
        a.membership.detectionMs,
        () => isGone(a.sees('b')) && isGone(a.sees('c')),
      );
      const goneAt = (name: string): number =>
        a.views.slice(before).findIndex(({ copy }) => isGone(copy.find((member) => member.name === name)));
      assert.ok(goneAt('b') < goneAt('c'));
    },
  },

  'among many nodes each lists others, up and none twice, and a dead one is found by all who list it': {
    nodes: Array.from({ length: 24 }, (_, i) => `node-${i}`),
    async check(cluster, names) {
      const subjects: Subject[] = [];
      for (const name of names) subjects.push(await cluster.join(name));
      const upOf = ({ view }: Subject): string[] =>
        view.filter(({ state }) => state === 'up').map((member) => member.name);
      await cluster.until('each lists some', SOON_MS, () => subjects.every((one) => upOf(one).length >= 3));
      for (const { name, view } of subjects) {
        const listed = view.map((member) => member.name);
        assert.equal(new Set(listed).size, listed.length);
        assert.ok(!listed.includes(name));
      }
      const [dead, ...others] = subjects as [Subject, ...Subject[]];
      const withinMs = Math.max(...others.map(({ membership }) => membership.detectionMs));
      await cluster.bench.kill(dead.name);
      await cluster.until('nobody lists the dead one as alive', withinMs, () =>
        others.every((one) => isGone(one.sees(dead.name))),
      );
    },
  },

  'nothing is called after stop': {
    nodes: ['a', 'b', 'c'],
    async check(cluster, names) {
      const [a, b] = (await cluster.joinAll(names)) as [Subject, Subject];
      const { detectionMs } = a.membership;
      // A change that is on its way at that moment.
      b.status = { freeBytes: 3 * MiB, draining: true };
      await a.membership.stop();
      const before = [a.views.length, a.asked];
      await cluster.bench.kill('c');
      await cluster.bench.pass(2 * detectionMs);
      assert.deepEqual([a.views.length, a.asked], before);
    },
  },

  'a membership that never began can be stopped': {
    nodes: ['a', 'b'],
    async check(cluster) {
      const membership = await cluster.bench.join('a');
      await membership.stop();
    },
  },

  'a list that was handed out does not change any more': {
    nodes: ['a', 'b', 'c'],
    async check(cluster, names) {
      const [a, b] = (await cluster.joinAll(names)) as [Subject, Subject];
      b.status = { freeBytes: 3 * MiB, draining: true };
      await cluster.until('the change is seen', SOON_MS, () => a.sees('b')?.draining === true);
      await cluster.bench.kill('c');
      await cluster.until('c is down', a.membership.detectionMs, () => isGone(a.sees('c')));
      for (const { list, copy } of a.views) assert.deepEqual(list, copy);
    },
  },
};

const ENGINE_RULES: Readonly<Record<string, Rule>> = {
  'when the engine fails the last view stays and problem tells; it is over when the engine is back': {
    nodes: ['a', 'b', 'c'],
    async check(cluster, names) {
      const { engine } = cluster.bench;
      assert.ok(engine !== undefined, 'the bench has no engine');
      const [a, b] = (await cluster.joinAll(names)) as [Subject, Subject];
      const before = a.views.length;
      await engine.stop();
      await cluster.until(
        'the problem is told',
        a.membership.detectionMs,
        () => a.membership.problem !== undefined,
      );
      await cluster.bench.kill('c');
      await cluster.bench.pass(2 * a.membership.detectionMs);
      for (const { copy } of a.views.slice(before)) {
        assert.ok(
          copy.length === 2 && copy.every(({ state }) => state !== 'down'),
          'somebody was declared down',
        );
      }
      assert.equal(a.view.length, 2);
      await engine.start();
      b.status = { freeBytes: 9 * MiB, draining: false };
      await cluster.until('the problem is over', SOON_MS, () => a.membership.problem === undefined);
      await cluster.until('changes are seen', SOON_MS, () => a.sees('b')?.freeBytes === 9 * MiB);
      await cluster.until('who died meanwhile is found', a.membership.detectionMs, () => isGone(a.sees('c')));
    },
  },
};
