/**
 * What a check found, as lines.
 */

import type { CheckReport } from '../../zcache/index.ts';
import { count } from '../text/figures.ts';
import { type Line, span } from '../text/line.ts';
import { printable } from '../text/width.ts';

export function checkView(
  name: string,
  { sound, findings, pages, remotePages, frames }: CheckReport,
): Line[] {
  const away = remotePages === 0 ? '' : `, ${count(remotePages)} pages are with peers`;
  const looked = `${count(pages)} pages in ${count(frames)} frames were looked at${away}`;
  const verdict = sound ? span('sound', 'strong') : span('damaged', 'alarm');
  return [
    [span(`${printable(name)}: `), verdict, span(`; ${looked}`)],
    ...findings.map((finding) => [span(`  ${printable(finding)}`)]),
  ];
}
