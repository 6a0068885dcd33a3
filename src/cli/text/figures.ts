/**
 * Figures for people: short, and never NaN.
 */

const THOUSANDS = ['', 'k', 'M', 'G', 'T', 'P'] as const;

/** A count in at most five characters: '0', '9999', '12.3k', '456M'. */
export function count(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (Math.abs(value) < 9999.5) return String(Math.round(value));
  let shown = value;
  let unit = 0;
  // 999.5 would be rounded to four digits.
  while (Math.abs(shown) >= 999.5 && unit < THOUSANDS.length - 1) {
    shown /= 1000;
    unit++;
  }
  return `${shown.toFixed(Math.abs(shown) < 99.95 ? 1 : 0)}${THOUSANDS[unit]}`;
}

/** Something each second: '0', '0.3', '17', '12.3k'; '-' if it is not known yet. */
export function perSecond(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '-';
  return value > 0 && value < 9.95 ? value.toFixed(1) : count(value);
}

/** A share of one as '81.3 %'; a share of nothing is '-'. */
export function percent(part: number, whole: number): string {
  const share = part / whole;
  return Number.isFinite(share) ? `${(share * 100).toFixed(1)} %` : '-';
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** A stretch of time by its two largest units: '12 s', '5 min 3 s', '3 h 12 min', '40 d 2 h'. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms) || ms < 0) return '-';
  const [days, hours] = [Math.floor(ms / DAY_MS), Math.floor((ms % DAY_MS) / HOUR_MS)];
  const [minutes, seconds] = [Math.floor((ms % HOUR_MS) / MINUTE_MS), Math.floor((ms % MINUTE_MS) / 1000)];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${seconds} s` : `${seconds} s`;
}
