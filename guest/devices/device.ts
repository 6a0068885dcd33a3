// What a guest swaps to: where its block device comes from, and what that tells afterwards.

/** Size of each device, so that all are asked for the same. */
export const DEVICE_BYTES = 512 * 2 ** 20;

export interface Device extends AsyncDisposable {
  /** QEMU's arguments; none for a device that the guest makes itself. */
  readonly qemu: readonly string[];
  /** Its name in the guest. */
  readonly guestName: string;
  /** Figures of its own. */
  stats(): Promise<Readonly<Record<string, number>>>;
}

/** QEMU's arguments for a virtio disk. */
export function virtioDisk(drive: string): string[] {
  return [
    ...['-drive', `${drive},if=none,id=d0,format=raw,discard=unmap`],
    ...['-device', 'virtio-blk-pci,drive=d0,logical_block_size=4096,physical_block_size=4096'],
  ];
}

/** ... that is an export of an NBD server. */
export function nbdDisk(socket: string, exportName = ''): string[] {
  return virtioDisk(`file=nbd+unix:///${exportName}?socket=${socket},cache=none`);
}

/** What virtioDisk is called in the guest. */
export const VIRTIO_NAME = 'vda';
