/**
 * How many columns text takes on a terminal, and text made to fit.
 *
 * Rule: when in doubt a character is taken for wide. A line may then end early, but it never wraps.
 */

const PLAIN = /^[\u0020-\u007e\u2500-\u259f]*$/;

/** Drawn over the character before. */
const ZERO_WIDTH = /[\p{Mn}\p{Me}]/u;

/** Two columns: East Asian scripts begin at U+2E80 (Hangul letters earlier), emoji and rare scripts come after. */
const WIDE = /[\u1100-\u115f\u2e80-\u{10ffff}]|\p{Emoji_Presentation}/u;

/** Makes the character before an emoji, which is wide. */
const EMOJI_SELECTOR = '\ufe0f';

/** Controls, invisible format characters, line separators, halves of pairs: they could move the cursor or hide text. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Names come from other processes: what is shown of them must not steer the terminal. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, '?');
}

function characterWidth(character: string): number {
  if (character === EMOJI_SELECTOR) return 1;
  if (ZERO_WIDTH.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}

/** Columns of printable text. */
export function displayWidth(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += characterWidth(character);
  return width;
}

/** The text if it fits `columns`, else its beginning and an ellipsis. */
export function clip(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  if (columns <= 0) return '';
  let kept = '';
  let width = 0;
  for (const character of text) {
    width += characterWidth(character);
    if (width > columns - 1) break;
    kept += character;
  }
  return `${kept}…`;
}
