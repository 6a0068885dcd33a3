/**
 * Which requests are refused, and with which error. Everything that is wrong with a request by itself is found here,
 * before anything is done.
 */

import type { ReplyMode, RequestHeader } from './messages.ts';
import { CAN, CMD, CMD_FLAG, ERROR, PAYLOAD_BYTES_MAX, UNFRAGMENTED_BYTES_MAX } from './protocol.ts';
import type { Volume } from './volume.ts';

/** What an export can do, as its transmission flags. */
export function transmissionFlags(volume: Volume, mode: ReplyMode): number {
  let flags = CAN.HAS_FLAGS | CAN.MULTI_CONN | CAN.CACHE;
  if (mode !== 'simple') flags |= CAN.DF;
  if (volume.readOnly) return flags | CAN.READ_ONLY;
  return flags | CAN.FLUSH | CAN.FUA | CAN.TRIM | CAN.WRITE_ZEROES | CAN.FAST_ZERO;
}

/** Flags a request may have beside FUA, which all may. */
function flagsOf(type: number, mode: ReplyMode): number {
  switch (type) {
    case CMD.READ:
      return mode === 'simple' ? 0 : CMD_FLAG.DF;
    case CMD.WRITE:
      return mode === 'extended' ? CMD_FLAG.PAYLOAD_LEN : 0;
    case CMD.WRITE_ZEROES:
      return CMD_FLAG.NO_HOLE | CMD_FLAG.FAST_ZERO;
    case CMD.BLOCK_STATUS:
      return CMD_FLAG.REQ_ONE;
    default:
      return 0;
  }
}

/** Bytes that follow a request's header. */
export function payloadBytes(request: RequestHeader, mode: ReplyMode): number {
  if (request.type === CMD.WRITE) return request.length;
  return mode === 'extended' && (request.flags & CMD_FLAG.PAYLOAD_LEN) !== 0 ? request.length : 0;
}

/** Why a request is refused; 0 if it is not. `allocation`: its status may be asked for. */
export function refusal(
  request: RequestHeader,
  volume: Volume,
  mode: ReplyMode,
  allocation: boolean,
): number {
  const { type, flags, length, position } = request;
  const known = (volume.readOnly ? 0 : CMD_FLAG.FUA) | flagsOf(type, mode);
  if ((flags & ~known) !== 0) return ERROR.EINVAL;
  const isPastEnd = length > volume.size || position > volume.size - length;
  switch (type) {
    case CMD.READ:
      if (isPastEnd) return ERROR.EINVAL;
      if ((flags & CMD_FLAG.DF) !== 0 && length > UNFRAGMENTED_BYTES_MAX) return ERROR.EOVERFLOW;
      if (length <= PAYLOAD_BYTES_MAX) return 0;
      return mode === 'simple' ? ERROR.EINVAL : ERROR.EOVERFLOW;
    case CMD.WRITE:
      if (volume.readOnly) return ERROR.EPERM;
      if (length > PAYLOAD_BYTES_MAX) return ERROR.EINVAL;
      return isPastEnd ? ERROR.ENOSPC : 0;
    case CMD.WRITE_ZEROES:
      if (volume.readOnly) return ERROR.EPERM;
      return isPastEnd ? ERROR.ENOSPC : 0;
    case CMD.TRIM:
      if (volume.readOnly) return ERROR.EPERM;
      return isPastEnd ? ERROR.EINVAL : 0;
    case CMD.CACHE:
      return isPastEnd ? ERROR.EINVAL : 0;
    case CMD.BLOCK_STATUS:
      return !allocation || isPastEnd || length === 0 ? ERROR.EINVAL : 0;
    case CMD.FLUSH:
      return length !== 0 || position !== 0 ? ERROR.EINVAL : 0;
    case CMD.DISC:
      return 0;
    default:
      return ERROR.EINVAL;
  }
}
