/** Bookmarks, "at least this far", as `docs/bookmarks.md` of the repository specifies them: how to join and compare. */
import { encode as pack, decode as unpack } from "@msgpack/msgpack";

const MAX_TEXT = 4096;
const MAX_STREAMS = 16;

type Positions = Map<string, number>;

/** The bookmark that covers both. */
export function join(one: string, other: string): string {
  if (!other || one === other) return one;
  if (!one) return other;
  const joined = decode(one);
  for (const [key, value] of decode(other)) joined.set(key, Math.max(value, joined.get(key) ?? 0));
  return shortened(joined);
}

/** Whether what has been seen up to one bookmark has everything up to the other one in it. */
export function covers(one: string, other: string): boolean {
  return one === join(one, other);
}

function decode(text: string): Positions {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  return new Map(Object.entries(unpack(bytes) as Record<string, number>));
}

function encode(positions: Positions): string {
  const sorted = [...positions].sort(([one], [other]) => byCodePoints(one, other));
  const bytes = pack(Object.fromEntries(sorted));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

/** The text; of too many streams the last ones become "some streams of this partition". */
function shortened(positions: Positions): string {
  const streams = [...positions.keys()].filter(namesAStream).sort(byCodePoints);
  let text = encode(positions);
  while (streams.length > MAX_STREAMS || (text.length > MAX_TEXT && streams.length)) {
    const last = streams.pop() as string;
    positions.delete(last);
    positions.set(`${last.split("/", 2).join("/")}/*`, 1);
    text = encode(positions);
  }
  return text;
}

/** `LOG/PARTITION/STREAM`; a stream's name may have slashes. */
function namesAStream(key: string): boolean {
  const [, , ...stream] = key.split("/");
  return stream.length > 0 && stream.join("/") !== "*";
}

/** The order of their UTF-8 bytes; that of JavaScript's texts is another one beyond U+FFFF. */
function byCodePoints(one: string, other: string): number {
  const [left, right] = [[...one], [...other]];
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    const difference = (left[at]?.codePointAt(0) ?? 0) - (right[at]?.codePointAt(0) ?? 0);
    if (difference) return difference;
  }
  return left.length - right.length;
}
