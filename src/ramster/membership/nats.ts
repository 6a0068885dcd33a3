/**
 * Membership by NATS: every node says now and then that it is there (presence.ts), all hear it, and each keeps its own
 * roster of whom it heard when (roster.ts). For clusters whose members come and go; they are listed nowhere.
 *
 *   tmem.CLUSTER.presence          what nodes say of themselves; with a reply subject: please answer
 *   tmem.CLUSTER.answer.INSTANCE   answers for the one that has just come, or come back
 *
 * Everybody hears everybody, so the more nodes there are, the more rarely each one speaks:
 *
 *   intervalMs = max(heartbeatMs, nodes * 1000 / receivedPerSecondMax)
 *
 * A node hears its own presence as well. While that comes back in time the way through NATS is good, and who is not
 * heard is silent. While it does not, nobody is judged, `problem` says so, and silence counts anew when it does again.
 */

import { randomBytes } from 'node:crypto';
import { type Clock, systemClock, type Timer } from '../clock.ts';
import type { Member, Membership, NodeStatus } from './membership.ts';
import { type NatsMembershipOptions, type NatsSettings, natsSettings } from './nats-settings.ts';
import { NatsWay } from './nats-way.ts';
import { decodePresence, encodePresence, INSTANCE_BYTES, INTERVAL_MAX_MS } from './presence.ts';
import { Roster } from './roster.ts';

/** Newcomers that a node answers between two presences of its own; others hear these. */
const ANSWERS_MAX = 32;
/** Changes within this time are told together. */
const TELL_MS = 100;
/** Own presences that may be on their way, in intervals, before the way counts as broken. */
const ECHO_INTERVALS = 2;

export class NatsMembership implements Membership {
  readonly #settings: NatsSettings;
  readonly #clock: Clock;
  readonly #instance: string;
  readonly #bornMs: number;
  readonly #roster: Roster;
  readonly #way: NatsWay;
  readonly #presenceSubject: string;
  readonly #answerSubjects: string;
  #status: () => NodeStatus = () => ({ freeBytes: 0, draining: false });
  #changed: ((members: readonly Member[]) => void) | undefined;
  #sequence = 0;
  /** The own presence that came back last. */
  #echo: { readonly atMs: number; readonly sequence: number; readonly intervalMs: number } | undefined;
  /** When the first presence was sent that has not come back. */
  #unheardMs: number | undefined;
  #answersLeft = ANSWERS_MAX;
  #beat: Timer | undefined;
  #telling: Timer | undefined;

  /** @throws TmemError TMEM_ERR_SETTING naming every mistake in the options */
  constructor(options: NatsMembershipOptions, clock: Clock = systemClock) {
    this.#settings = natsSettings(options);
    this.#clock = clock;
    const { name, cluster, instance = randomBytes(INSTANCE_BYTES) } = this.#settings;
    this.#instance = Buffer.from(instance).toString('hex');
    this.#bornMs = clock.now();
    this.#roster = new Roster(this.#settings, { name, instance: this.#instance, bornMs: this.#bornMs });
    this.#presenceSubject = `tmem.${cluster}.presence`;
    this.#answerSubjects = `tmem.${cluster}.answer.`;
    const subjects = [this.#presenceSubject, `${this.#answerSubjects}${this.#instance}`];
    this.#way = new NatsWay(this.#settings, subjects, clock, {
      opened: () => this.#onOpened(),
      heard: (message, reply) => this.#onHeard(message, reply),
    });
  }

  /** Grows with the cluster. Time in which this node's own connection is broken does not count. */
  get detectionMs(): number {
    const { downMs, heartbeatMs } = this.#settings;
    const intervalMs = Math.max(this.#intervalMs, this.#roster.intervalMs);
    return Math.ceil(downMs * Math.max(1, intervalMs / heartbeatMs) + 2 * intervalMs);
  }

  get problem(): string | undefined {
    const problems = [this.#way.problem, this.#roster.problem];
    if (this.#way.isOpen && this.#isUnheard) {
      problems.unshift('own messages do not come back from NATS, so nobody is judged by silence');
    }
    return problems.filter((problem) => problem !== undefined).join('; ') || undefined;
  }

  /** Those who are listed: others are known by nobody. */
  known(): Iterable<Pick<Member, 'name' | 'address'>> {
    return this.#roster.members();
  }

  async start(status: () => NodeStatus, changed: (members: readonly Member[]) => void): Promise<void> {
    this.#status = status;
    this.#changed = changed;
    this.#beatLater();
    await this.#way.open();
  }

  async stop(): Promise<void> {
    this.#changed = undefined;
    this.#beat?.cancel();
    this.#telling?.cancel();
    this.#publish(this.#presenceSubject, { leaving: true });
    await this.#way.close();
  }

  /** How often this node speaks. */
  get #intervalMs(): number {
    const { heartbeatMs, receivedPerSecondMax } = this.#settings;
    const fairMs = Math.ceil((this.#roster.living * 1000) / receivedPerSecondMax);
    return Math.min(INTERVAL_MAX_MS, Math.max(heartbeatMs, fairMs));
  }

  get #isUnheard(): boolean {
    if (this.#unheardMs === undefined) return false;
    return this.#clock.now() - this.#unheardMs > ECHO_INTERVALS * this.#intervalMs;
  }

  #onOpened(): void {
    this.#echo = undefined;
    this.#unheardMs = undefined;
    this.#speak(`${this.#answerSubjects}${this.#instance}`);
    this.#beatLater();
  }

  #beatLater(): void {
    this.#beat?.cancel();
    this.#beat = this.#clock.after(this.#intervalMs, () => {
      this.#answersLeft = ANSWERS_MAX;
      this.#speak();
      this.#beatLater();
    });
  }

  #speak(reply?: string): void {
    if (!this.#way.isOpen) return;
    this.#unheardMs ??= this.#clock.now();
    this.#publish(this.#presenceSubject, { leaving: false }, reply);
  }

  #publish(subject: string, { leaving }: { leaving: boolean }, reply?: string): void {
    const { name, address } = this.#settings;
    const { freeBytes, draining } = this.#status();
    const said = encodePresence({
      ...{ name, address, freeBytes, draining, leaving },
      instance: this.#instance,
      sequence: ++this.#sequence,
      ageMs: Math.floor(this.#clock.now() - this.#bornMs),
      intervalMs: this.#intervalMs,
    });
    this.#way.publish(subject, said, reply);
  }

  #onHeard(message: Uint8Array, reply: string | undefined): void {
    const presence = decodePresence(message);
    if (presence === undefined) return;
    if (presence.name === this.#settings.name && presence.instance === this.#instance) {
      this.#onEcho(presence);
      return;
    }
    if (this.#roster.heard(presence, this.#clock.now())) this.#tellSoon();
    const asks = reply === `${this.#answerSubjects}${presence.instance}`;
    if (asks && this.#answersLeft > 0) {
      this.#answersLeft--;
      this.#publish(reply, { leaving: false });
    }
  }

  /** The way is good: who was silent in between was silent. Unless it was not good in between. */
  #onEcho({ sequence, intervalMs }: { readonly sequence: number; readonly intervalMs: number }): void {
    const before = this.#echo;
    if (before !== undefined && sequence <= before.sequence) return;
    const nowMs = this.#clock.now();
    this.#way.proven();
    this.#unheardMs = undefined;
    this.#echo = { atMs: nowMs, sequence, intervalMs };
    if (before === undefined || nowMs - before.atMs > ECHO_INTERVALS * before.intervalMs)
      this.#roster.excuse(nowMs);
    else if (this.#roster.judge(nowMs)) this.#tellSoon();
  }

  #tellSoon(): void {
    this.#telling ??= this.#clock.after(TELL_MS, () => {
      this.#telling = undefined;
      this.#changed?.(this.#roster.members());
    });
  }
}
