// A running guest: QEMU emulating a machine, and the reports on its serial line.
//
// Always emulated, never with KVM: /dev/kvm may be there and not work, and the emulation is the same everywhere.
// Nothing waits for a guest for ever: it ends itself after its time, and QEMU is ended when that did not help.

import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type Extra, initramfs } from './initramfs.ts';
import { findKernel, MODULES } from './kernel.ts';
import { pathOf } from './needs.ts';
import { Running } from './running.ts';
import { TemporaryFolder } from './temporary-folder.ts';

export interface GuestOptions {
  /** A script of root/, without its ending. */
  readonly workload: string;
  /** What the script asks for; `guest_` is put before each name. */
  readonly settings: Readonly<Record<string, string | number>>;
  readonly memoryMib: number;
  readonly modules: readonly (keyof typeof MODULES)[];
  readonly extras: readonly Extra[];
  /** QEMU's arguments for its devices. */
  readonly devices: readonly string[];
  /** The bound on everything, boot included. */
  readonly seconds: number;
}

export interface Report {
  readonly key: string;
  readonly value: string;
}

const MARK = '@guest ';

/** What QEMU is given above the guest's own time, in which a guest that lives ends itself. */
const GRACE_MS = 5000;

/** Lines of the console that an error shows. */
const CONSOLE_LINES_MAX = 40;

const MACHINE = [
  ...['-accel', 'tcg', '-machine', 'q35', '-cpu', 'max', '-nodefaults', '-no-user-config'],
  ...['-display', 'none', '-no-reboot', '-serial', 'stdio', '-monitor', 'none'],
];

/**
 * The time comes from the HPET: at boot, on a busy host, the rate of the TSC is measured wrong by factors, and so is
 * the check that the timer's interrupts come.
 */
const KERNEL_LINE = [
  ...['console=ttyS0', 'quiet', 'panic=-1', 'mitigations=off'],
  ...['clocksource=hpet', 'tsc=reliable', 'no_timer_check'],
].join(' ');

/** A line of the console as a report; undefined for all others. */
export function parseReport(line: string): Report | undefined {
  const at = line.indexOf(MARK);
  if (at === -1) return undefined;
  const [key = '', ...words] = line
    .slice(at + MARK.length)
    .trim()
    .split(' ');
  return { key, value: words.join(' ') };
}

export class Guest {
  readonly #qemu: Running;
  readonly #ended: Promise<void>;
  readonly #seconds: number;
  readonly #console: string[] = [];
  #end: string | undefined;

  private constructor(qemu: Running, folder: TemporaryFolder, seconds: number) {
    this.#qemu = qemu;
    this.#seconds = seconds;
    const late = setTimeout(() => void qemu.kill(), seconds * 1000 + GRACE_MS);
    this.#ended = qemu.ended().finally(() => {
      clearTimeout(late);
      folder[Symbol.dispose]();
    });
    // Told to whoever asks for the reports.
    this.#ended.catch(() => {});
  }

  /** @throws Error that names what is missing on this machine */
  static start(options: GuestOptions): Guest {
    const kernel = findKernel();
    const modules = options.modules.flatMap((group) => MODULES[group]);
    const files = initramfs(kernel, modules, options.extras);
    const folder = new TemporaryFolder();
    const archive = folder.file('initramfs.cpio');
    writeFileSync(archive, files);
    const settings = {
      ...{ workload: options.workload, modules: modules.join(','), seconds: options.seconds },
      ...options.settings,
    };
    const variables = Object.entries(settings).map(([name, value]) => `guest_${name}=${value}`);
    const args = [
      ...[...MACHINE, '-m', String(options.memoryMib), '-kernel', kernel.image, '-initrd', archive],
      ...['-append', [KERNEL_LINE, ...variables].join(' '), ...options.devices],
    ];
    return new Guest(new Running(pathOf('qemu-system-x86_64'), args), folder, options.seconds);
  }

  /** All reports as they come, until the guest has ended. @throws Error with its console if it did not end well */
  async *reports(): AsyncGenerator<Report> {
    for await (const line of createInterface({ input: this.#qemu.output })) {
      const report = parseReport(line);
      if (report?.key === 'end') this.#end ??= report.value;
      else if (report !== undefined) yield report;
      this.#console.push(line);
      if (this.#console.length > CONSOLE_LINES_MAX) this.#console.shift();
    }
    await this.#ended;
    if (this.#end === 'ok') return;
    const why = this.#end ?? `did not end within ${this.#seconds} s, or ended without a report`;
    throw new Error(`guest: ${why}\n${this.#console.join('\n')}\n${this.#qemu.said}`);
  }

  /** Cuts its power. */
  async kill(): Promise<void> {
    await this.#qemu.kill();
    await this.#ended;
  }
}

/** Runs a guest to its end; its reports, the last one of each key. @throws Error with its console */
export async function runGuest(options: GuestOptions): Promise<Map<string, string>> {
  const guest = Guest.start(options);
  const reports = new Map<string, string>();
  for await (const { key, value } of guest.reports()) reports.set(key, value);
  return reports;
}
